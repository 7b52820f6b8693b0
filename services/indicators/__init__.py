"""Indicators over HTTP: boards of them, what each is made of, the things behind a number."""
