"""Positions of moving things: the last ones, those of a past moment, tracks, and the live frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

MAGIC = 0x3150564C
HEADER = struct.Struct("<IIddd")
RECORD = np.dtype(
    [
        ("num", "<u4"),
        ("dlon", "<f4"),
        ("dlat", "<f4"),
        ("heading", "<u2"),
        ("status", "u1"),
        ("flags", "u1"),
    ]
)
STALE_S = 120.0
KEEP_S = 86_400.0
MOVING_KMH = 3.0
UNKNOWN, IDLE, MOVING, ON_TASK, OFFLINE = range(5)
FLAG_STALE, FLAG_CREW = 1, 2
_COLUMNS = "num, at, lon, lat, speed_kmh, heading_deg"


def now(conn: Connection, since: datetime | None = None) -> Sequence[Any]:
    """Return last positions with district and level; only those received after `since`, if given."""
    where = "where p.received_at > :since" if since else ""
    return conn.execute(
        text(
            "select p.num, p.at, p.lon, p.lat, p.speed_kmh, p.heading_deg, p.district, p.level, "
            "p.received_at, t.kind, t.code "
            f"from twin.last_position p join twin.thing t on t.num = p.num {where}"
        ),
        {"since": since},
    ).all()


def at(conn: Connection, moment: datetime) -> Sequence[Any]:
    """Return where each thing was at a moment: the newest fix of the day before it."""
    return conn.execute(
        text(
            "select p.num, p.at, p.lon, p.lat, p.speed_kmh, p.heading_deg, t.district, t.level, "
            "t.kind, t.code from (select num from twin.last_position) n cross join lateral ("
            f"select {_COLUMNS} from twin.position where num = n.num and at <= :t "
            "and at > cast(:t as timestamptz) - interval '1 day' order by at desc limit 1) p "
            "join twin.thing t on t.num = p.num"
        ),
        {"t": moment},
    ).all()


def track(conn: Connection, num: int, start: datetime, end: datetime) -> Sequence[Any]:
    """Return the fixes of a thing between two moments, in order."""
    return conn.execute(
        text(
            f"select {_COLUMNS} from twin.position where num = :n and at between :a and :b "
            "order by at limit 50000"
        ),
        {"n": num, "a": start, "b": end},
    ).all()


def status_of(row: Any, moment: datetime, busy: frozenset[str] | set[str]) -> tuple[int, int]:
    """Return status and flags of a position: offline, on task, moving or idle; stale; crew."""
    age = (moment - row.at).total_seconds()
    crew = FLAG_CREW if row.kind == "crew" else 0
    if age > STALE_S:
        return OFFLINE, FLAG_STALE | crew
    if row.code in busy:
        return ON_TASK, crew
    return (MOVING if (row.speed_kmh or 0) >= MOVING_KMH else IDLE), crew


def frame(rows: Sequence[Any], moment: datetime, busy: frozenset[str] = frozenset()) -> bytes:
    """Return the binary frame: 32-byte header, then 16 bytes for each position.

    Offsets are degrees from the first position, so that 32-bit floats keep millimetres.
    """
    lon0, lat0 = (rows[0].lon, rows[0].lat) if rows else (0.0, 0.0)
    records = np.zeros(len(rows), RECORD)
    for i, row in enumerate(rows):
        status, flags = status_of(row, moment, busy)
        heading = int(row.heading_deg or 0) % 360
        records[i] = (row.num, row.lon - lon0, row.lat - lat0, heading, status, flags)
    head = HEADER.pack(MAGIC, len(rows), lon0, lat0, moment.timestamp() * 1000)
    return head + records.tobytes()


def fresh_after() -> datetime:
    """Return the moment before which a last position is no longer shown at all."""
    return datetime.now(UTC) - timedelta(seconds=KEEP_S)
