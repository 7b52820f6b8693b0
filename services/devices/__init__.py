"""Devices: what reports, what it last said, its series, its accounts."""
