"""What can be put on a map and how it looks."""
