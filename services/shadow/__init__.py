"""Shadows of devices and commands to them."""
