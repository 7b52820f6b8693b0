"""Versions: differences of moments, undo, split and merge."""
