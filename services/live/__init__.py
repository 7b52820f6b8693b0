"""One WebSocket per tab."""
