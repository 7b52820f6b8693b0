"""One box for everything, and what is at a place."""
