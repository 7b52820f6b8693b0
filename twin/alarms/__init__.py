"""Alarms: declared rules over what devices report, and what becomes of it."""
