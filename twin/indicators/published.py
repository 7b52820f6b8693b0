"""The sets of indicators that run, remembered until one is published."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from twin import declarations
from twin.errors import NotFound
from twin.indicators.model import Indicator, of_set

KIND = "indicators"
_KEEP_S = 5.0


@dataclass(frozen=True)
class Running:
    """What is published: the sets as declared, and every indicator by its key."""

    sets: Mapping[str, Mapping[str, Any]]
    indicators: Mapping[str, Indicator]

    def one(self, key: str) -> Indicator:
        """Return an indicator; NotFound otherwise."""
        found = self.indicators.get(key)
        if found is None:
            raise NotFound(f"No indicator is called {key!r}.")
        return found

    def parts(self, key: str) -> dict[str, Indicator]:
        """Return the counted indicators that an indicator is made of, itself if it is counted."""
        one = self.one(key)
        if one.formula is None:
            return {key: one}
        found: dict[str, Indicator] = {}
        for name in one.needs():
            found |= self.parts(name)
        return found


_kept: tuple[float, tuple[Any, ...], Running] = (0.0, (), Running({}, {}))


def running(conn: Connection) -> Running:
    """Return what runs now."""
    global _kept
    until, stamp, known = _kept
    if until < time.monotonic():
        now = declarations.stamp(conn, KIND)
        known = known if now == stamp else _read(conn)
        _kept = (time.monotonic() + _KEEP_S, now, known)
    return known


def _read(conn: Connection) -> Running:
    sets = declarations.current(conn, KIND)
    return Running(sets, {one.key: one for doc in sets.values() for one in of_set(doc)})


def forget() -> None:
    """Read anew next time."""
    global _kept
    _kept = (0.0, (), Running({}, {}))
