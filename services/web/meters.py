"""What partner keys use: a rate, a daily quota and allowed networks, counted in memory, kept in seconds."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from twin import db, keys
from twin.calendar import ZONE, midnight
from twin.errors import Forbidden, TooMany

log = structlog.get_logger("keys")
KEEP_EVERY_S = 2.0
_meters: dict[str, Meter] = {}


class Meter:
    """The bucket and the counts of one key in this process."""

    def __init__(self, row: Any) -> None:
        """Begin with a full bucket."""
        self.key = str(row.id)
        self._level, self._at = float(row.burst), time.monotonic()
        self.used = self.pending = self.refused = 0
        self.day = _today()
        self._networks: list[Any] = []
        self._known: dict[str, bool] = {}
        self._lock = Lock()
        self.follow(row)

    def follow(self, row: Any) -> None:
        """Take over what the key allows now."""
        self._rate, self._burst = float(row.rate_per_s), float(row.burst)
        self._quota = int(row.daily_quota)
        self._networks = [ipaddress.ip_network(a, strict=False) for a in row.addresses or ()]
        self._known.clear()

    def take(self, address: str) -> None:
        """Count one call; TooMany and Forbidden say what it ran against."""
        if self._networks and not self._allowed(address):
            self.refused += 1
            raise Forbidden("This key may not call from this address.", reason="address")
        with self._lock:
            now = time.monotonic()
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
            if self._level < 1:
                self.refused += 1
                wait = max(1, round((1 - self._level) / self._rate + 0.5))
                raise TooMany(
                    "This key calls too fast; slow down.", reason="rate", retry_after=wait
                )
            if self.used + self.pending >= self._quota and self.day == _today():
                self.refused += 1
                raise TooMany(
                    "This key has used its calls of today; they begin anew at midnight.",
                    reason="quota", retry_after=_until_midnight(),
                )  # fmt: skip
            self._level -= 1
            self.pending += 1

    def _allowed(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            try:
                asked = ipaddress.ip_address(address)
                known = any(asked in n for n in self._networks if n.version == asked.version)
            except ValueError:
                known = False
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[address] = known
        return known

    def keep(self) -> None:
        """Write what was counted, and learn what other processes counted."""
        with self._lock:
            calls, refused, self.pending, self.refused = self.pending, self.refused, 0, 0
            self.used += calls
        if not (calls or refused):
            return
        try:
            with db.engine("app").begin() as conn:
                self.used, self.day = keys.count(conn, self.key, calls, refused), _today()
        except SQLAlchemyError as why:
            with self._lock:
                self.used -= calls
                self.pending += calls
                self.refused += refused
            log.warning("use of a key could not be kept", why=str(why).splitlines()[0])


def _today() -> str:
    return datetime.now(ZONE).date().isoformat()


def _until_midnight() -> int:
    now = datetime.now(ZONE)
    return max(1, int((midnight(now.date() + timedelta(days=1)) - now).total_seconds()))


def meter(row: Any) -> Meter:
    """Return the meter of a key, following what the key allows now."""
    found = _meters.get(row.id)
    if found is None:
        found = _meters[row.id] = Meter(row)
        with db.engine("app").begin() as conn:
            found.used = keys.count(conn, found.key, 0, 0)
    else:
        found.follow(row)
    return found


def keep_all(found: Sequence[Meter] | None = None) -> None:
    """Write the counts of all keys."""
    for one in list(_meters.values()) if found is None else found:
        one.keep()


async def forever() -> None:
    """Keep the counts every few seconds until cancelled."""
    while True:
        await asyncio.sleep(KEEP_EVERY_S)
        if any(m.pending or m.refused for m in _meters.values()):
            await asyncio.to_thread(keep_all)


def forget() -> None:
    """Drop all meters (tests change databases)."""
    _meters.clear()
