"""Where the bytes of content-addressed files lie."""

from __future__ import annotations

from pathlib import Path

from twin.settings import settings


def path_of(digest: str) -> Path:
    """Return the path of a file by the digest of its bytes (hexadecimal)."""
    return settings().home / "files" / digest[:2] / digest
