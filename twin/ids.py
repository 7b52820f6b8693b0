"""Sortable identifiers (UUIDv7, RFC 9562)."""

from __future__ import annotations

import os
import time
import uuid

import numpy as np


def uuid7() -> uuid.UUID:
    """Return a UUIDv7: 48 bits of milliseconds, then random bits, so keys arrive in order."""
    ms = time.time_ns() // 1_000_000
    raw = bytearray(ms.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return uuid.UUID(bytes=bytes(raw))


def uuid7_hex(n: int) -> list[str]:
    """Return n ids in ascending order as 32 hex digits, made at once: for COPY."""
    ms = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6, "big"), dtype=np.uint8)
    raw = np.empty((n, 16), dtype=np.uint8)
    raw[:, :6] = ms
    raw[:, 6:] = np.frombuffer(os.urandom(10 * n), dtype=np.uint8).reshape(n, 10)
    raw[:, 6] = 0x70 | (raw[:, 6] & 0x0F)
    raw[:, 8] = 0x80 | (raw[:, 8] & 0x3F)
    said = raw.tobytes().hex()
    return sorted(said[i : i + 32] for i in range(0, 32 * n, 32))


def uuid7_many(n: int) -> list[uuid.UUID]:
    """Return n ids in ascending order, for bulk loads."""
    return sorted(uuid7() for _ in range(n))
