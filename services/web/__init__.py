"""Shared web parts: errors, callers, limits, paging."""
