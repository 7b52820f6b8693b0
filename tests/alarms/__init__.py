"""Alarms, shadow, forwarding, predictions, updates."""
