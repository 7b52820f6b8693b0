"""Readers of file formats: each opens a file and yields it in batches of columns."""
