"""Policies of the city: processes, duty, filters, merging, intake, calendars, scheduling."""
