"""Alarm rules: read, try over the past, publish."""
