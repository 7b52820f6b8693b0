"""Doors of what can be put on a map: styles, the layer tree, live layers, names of places."""
