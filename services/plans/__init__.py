"""Doors of warnings, plans and responses."""
