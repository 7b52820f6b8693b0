"""Log-in and sessions."""
