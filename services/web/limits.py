"""A rate per address for the doors that need no log-in: a token bucket in memory."""

from __future__ import annotations

import time
from threading import Lock

from fastapi import Request

from twin.errors import TooMany


class Rate:
    """At most `burst` at once and `per_minute` on the long run, for each key."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self.fill = per_minute / 60
        self.burst = float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, key: str) -> None:
        """Take one; TooMany when the bucket is empty."""
        now = time.monotonic()
        with self._lock:
            level, then = self._buckets.get(key, (self.burst, now))
            level = min(self.burst, level + (now - then) * self.fill)
            if level < 1:
                raise TooMany("Too many reports from this address; try again in a minute.")
            if len(self._buckets) > 10000:
                self._buckets.clear()
            self._buckets[key] = (level - 1, now)


def address(request: Request) -> str:
    """Return the caller's address as the server sees it (no forwarded header is believed)."""
    return request.client.host if request.client else "-"
