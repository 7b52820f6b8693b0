"""Sortable identifiers (UUIDv7, RFC 9562)."""

from __future__ import annotations

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """Return a UUIDv7: 48 bits of milliseconds, then random bits, so keys arrive in order."""
    ms = time.time_ns() // 1_000_000
    raw = bytearray(ms.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return uuid.UUID(bytes=bytes(raw))


def uuid7_many(n: int) -> list[uuid.UUID]:
    """Return n ids in ascending order, for bulk loads."""
    return sorted(uuid7() for _ in range(n))
