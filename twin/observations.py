"""Observations: numbers that devices report over time, kept by property, with the last of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from twin import series
from twin.telemetry import read

SERIES = "observation"


class Observation(NamedTuple):
    """One value of one property of a thing at a moment."""

    num: int
    property: str
    at: datetime
    value: float
    seq: int = 0  # the writer's own: which record of its batch


Key = tuple[int, str, datetime]


_STAGE = (
    "create temp table if not exists seen (num int4 not null, property text not null, "
    "at timestamptz not null, value float8 not null) on commit delete rows"
)
_TYPES = ["int4", "text", "timestamptz", "float8"]
_INSERT = text(
    "with kept as (insert into twin.observation (num, property, at, value, received_at) "
    "select distinct on (num, property, at) num, property, at, value, :received from seen "
    "order by num, property, at on conflict do nothing returning num, property, at, value) "
    "select count(*) as stored, min(at) as first, max(at) as last, encode(sha256(convert_to("
    "string_agg(concat_ws(' ', num, property, extract(epoch from at), value), E'\\n' "
    "order by num, property, at), 'UTF8')), 'hex') as digest, array_agg(num) as nums, "
    "array_agg(property) as properties, array_agg(at) as ats from kept"
)
_LAST = text(
    "insert into twin.last_observation as l (num, property, at, value) "
    "select distinct on (num, property) num, property, at, value from seen "
    "order by num, property, at desc on conflict (num, property) do update "
    "set at = excluded.at, value = excluded.value where l.at < excluded.at"
)


def write(conn: Connection, seen: Sequence[Observation], received: datetime) -> set[Key]:
    """Store a batch in the caller's transaction; return what was not known already."""
    if not seen:
        return set()
    conn.execute(text(_STAGE))
    series.copy_rows(conn, "seen", _TYPES, (one[:4] for one in seen))
    series.ensure_days(conn, SERIES, (one.at for one in seen))
    kept = conn.execute(_INSERT, {"received": received}).one()
    conn.execute(_LAST)
    series.note_batch(conn, SERIES, kept, received)
    return set(zip(kept.nums or (), kept.properties or (), kept.ats or (), strict=True))


def last(conn: Connection, num: int) -> Sequence[Any]:
    """Return the last value of every property of a thing: declared and loose ones."""
    return read.last(conn, [num])


def values(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, limit: int = 50_000
) -> Sequence[Any]:
    """Return the values of a property between two moments, in order."""
    return read.values(conn, num, prop, start, end, limit)
