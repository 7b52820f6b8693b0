"""Files of things: read by content, mapped, mended, quarantined with reasons, written at once."""

from __future__ import annotations

from ingest.files.load import LoadResult, load

__all__ = ["LoadResult", "load"]
