"""Indicators day by day: counted again when the journal says that something they count has changed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, text

from twin import calendar, db
from twin.errors import TwinError
from twin.indicators import measuring
from twin.indicators.model import Indicator
from twin.indicators.published import Running, running
from twin.scope import SYSTEM

log = structlog.get_logger("indicators")
READER = "indicators"
# How far back events are kept by day; older ones are in their tables.
KEPT_DAYS = 400
_BATCH = 5_000
# What changes without a journal entry of its own (alarms, devices, messages) is counted this often.
_AGAIN_S = 60.0
# A pass counts for so long, then leaves the rest, the longest waiting first, to the next.
_PASS_S = 1.0
# A count that takes long is not repeated at every change: at most this share of the time goes to it.
_SHARE = 0.05


class Follower:
    """Keeps the cells up to the journal; one for each process that does so."""

    def __init__(self) -> None:
        """Start with everything due."""
        self._day: date | None = None
        self._again = 0.0
        self._rest: dict[str, float] = {}
        self._known: Mapping[str, Indicator] = {}

    def once(self, *, patient: bool = True) -> int:
        """Note what is dirty, count a part of it; return how many indicators were counted.

        Patient, it leaves for later what took long a moment ago.
        """
        if not patient:
            self._rest.clear()
        with db.engine("app").begin() as conn:
            known = running(conn)
            self._note(conn, known)
            due = self._due(conn, known)
        began, done = time.monotonic(), 0
        for key, days in due.items():
            if patient and time.monotonic() - began > _PASS_S:
                break
            self._count(known.indicators[key], days)
            done += 1
        return done

    def _note(self, conn: Connection, known: Running) -> None:
        day = measuring.today()
        counted = {k: i for k, i in known.indicators.items() if i.formula is None}
        if known.indicators is not self._known:
            new = {k: i for k, i in counted.items() if self._known.get(k) != i}
            mark(conn, ((k, None) for k in new if self._known or not _has(conn, k)))
            self._known = known.indicators
        if day != self._day:
            self._day = day
            mark(conn, ((k, day) for k, i in counted.items() if i.window is None))
        if time.monotonic() >= self._again:
            self._again = time.monotonic() + _AGAIN_S
            mark(conn, ((k, day) for k, i in counted.items() if _silent(i)))
        _follow_journal(conn, counted, day)

    def _due(self, conn: Connection, known: Running) -> dict[str, list[date | None]]:
        rows = conn.execute(
            text("select indicator, day from twin.indicator_dirty order by since, indicator")
        ).all()
        found: dict[str, list[date | None]] = {}
        for key, day in rows:
            if key not in known.indicators:
                conn.execute(
                    text("delete from twin.indicator_dirty where indicator = :k"), {"k": key}
                )
            elif time.monotonic() >= self._rest.get(key, 0.0):
                found.setdefault(key, []).append(day)
        return found

    def _count(self, indicator: Indicator, days: list[date | None]) -> None:
        began = time.monotonic()
        try:
            with db.engine("app").begin() as conn:
                count(conn, indicator, days)
        except TwinError as why:
            # One wrong declaration must not keep the others from being counted.
            log.warning("not counted", indicator=indicator.key, why=why.detail)
            self._rest[indicator.key] = time.monotonic() + _AGAIN_S
            return
        spent = time.monotonic() - began
        self._rest[indicator.key] = time.monotonic() + spent / _SHARE


def _silent(indicator: Indicator) -> bool:
    ((form, name),) = indicator.of.items()
    return form != "kind" and name != "cases"


def _has(conn: Connection, key: str) -> bool:
    said = text("select 1 from twin.indicator_cell where indicator = :k limit 1")
    return conn.execute(said, {"k": key}).first() is not None


def mark(conn: Connection, cells: Iterable[tuple[str, date | None]]) -> None:
    """Note that indicators must be counted again: on a day, or (None) on all days."""
    said = [{"k": key, "d": day} for key, day in cells]
    if said:
        conn.execute(
            text("insert into twin.indicator_dirty (indicator, day) values (:k, :d) on conflict do nothing"),
            said,
        )  # fmt: skip


_NEWS = text(
    "select j.class, j.kind, j.before, j.after, s.seq from twin.sealed s "
    "join twin.journal j on j.id = s.entry where s.seq > :after "
    "and j.class in ('thing', 'case', 'load') order by s.seq limit :n"
)
_LAST = text("select coalesce(max(seq), 0) from twin.sealed")
_READ = text("select seq from twin.reader where name = :n")
_KEEP = text(
    "insert into twin.reader (name, seq) values (:n, :s) "
    "on conflict (name) do update set seq = excluded.seq, at = now()"
)


def _follow_journal(conn: Connection, counted: Mapping[str, Indicator], day: date) -> None:
    after = conn.execute(_READ, {"n": READER}).scalar()
    upto = int(conn.execute(_LAST).scalar_one())
    if after is None:
        mark(conn, ((key, None) for key in counted))
    elif upto > after:
        rows = conn.execute(_NEWS, {"after": after, "n": _BATCH}).all()
        if len(rows) == _BATCH:
            upto = rows[-1].seq
        mark(conn, _touched(rows, counted, day))
    else:
        return
    conn.execute(_KEEP, {"n": READER, "s": upto})


def _touched(
    rows: Iterable[Any], counted: Mapping[str, Indicator], day: date
) -> set[tuple[str, date | None]]:
    """Return which days of which indicators an entry may have changed: before it and after it."""
    of: dict[str, list[Indicator]] = {}
    for one in counted.values():
        ((form, name),) = one.of.items()
        if form == "kind" or name == "cases":
            of.setdefault(name, []).append(one)
    found: set[tuple[str, date | None]] = set()
    for row in rows:
        for one in of.get("cases" if row[0] == "case" else row.kind or "", ()):
            found |= {(one.key, d) for d in _days(one, row, day)}
    return found


def _days(one: Indicator, row: Any, day: date) -> set[date | None]:
    if one.window is None:
        return {day}
    if row[0] == "load":
        return {None}
    said = [(side or {}).get(one.window.field) for side in (row.before, row.after)]
    return {_local(one_said) for one_said in said if one_said}


def _local(said: str) -> date:
    if len(said) == 10:
        return date.fromisoformat(said)
    return datetime.fromisoformat(said).astimezone(calendar.ZONE).date()


def count(conn: Connection, indicator: Indicator, days: Iterable[date | None]) -> None:
    """Count an indicator on days (None: on all) and put its cells in the place of the old ones."""
    wanted, now = set(days), measuring.today()
    statement = measuring.Statement(conn, indicator, SYSTEM)
    timed = indicator.window is not None
    by = ("day", "district", "street") if timed else ("district", "street")
    spans = _spans(wanted, now) if timed else [(now, now)] if wanted & {None, now} else []
    for start, end in spans:
        rows = [
            {"k": indicator.key, "day": row.day if timed else end, "d": row.district,
             "s": row.street, "num": row.num, "den": row.den}
            for row in conn.execute(statement.grouped(by, start, end))
        ]  # fmt: skip
        conn.execute(_DROP, {"k": indicator.key, "a": start, "b": end})
        if rows:
            conn.execute(_PUT, rows)
    gone = text(
        "delete from twin.indicator_dirty where indicator = :k and (day is null or day = any(:d))"
        if None in wanted
        else "delete from twin.indicator_dirty where indicator = :k and day = any(:d)"
    )
    conn.execute(gone, {"k": indicator.key, "d": [d for d in wanted if d]})


def _spans(wanted: set[date | None], now: date) -> list[tuple[date, date]]:
    first = now - timedelta(days=KEPT_DAYS)
    if None in wanted:
        return [(first, now)]
    return [(day, day) for day in sorted(d for d in wanted if d is not None) if day >= first]


_DROP = text("delete from twin.indicator_cell where indicator = :k and day between :a and :b")
_PUT = text(
    "insert into twin.indicator_cell (indicator, day, district, street, num, den) "
    "values (:k, :day, :d, :s, :num, :den)"
)
