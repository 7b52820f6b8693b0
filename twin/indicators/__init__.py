"""Indicators: declared numbers of the city, what they are made of, and what they were each day."""
