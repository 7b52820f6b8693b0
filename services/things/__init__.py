"""Cards, history and search of things."""
