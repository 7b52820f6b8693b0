"""Indicators and the timeline."""
