"""Positions of moving things: the last ones, those of a past moment, tracks, and the live frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from twin import series

SERIES = "position"
_COLUMNS = "num, at, lon, lat, speed_kmh, heading_deg"
KEYFRAME_EVERY = "10 minutes"
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
MOVING_KMH = 3.0
UNKNOWN, IDLE, MOVING, ON_TASK, OFFLINE = range(5)
FLAG_STALE, FLAG_CREW = 1, 2


class Fix(NamedTuple):
    """One reported place of a thing; `district` is where the map finds it, `level` its kind's."""

    num: int
    at: datetime
    lon: float
    lat: float
    speed_kmh: float | None
    heading_deg: float | None
    district: str | None
    level: int


_STAGE = (
    "create temp table if not exists fix (num int4 not null, at timestamptz not null, "
    "lon float8 not null, lat float8 not null, speed_kmh float4, heading_deg float4, "
    "district text, level int2 not null) on commit delete rows"
)
_TYPES = ["int4", "timestamptz", "float8", "float8", "float4", "float4", "text", "int2"]
# The digest is over what the table itself gives back, so that anybody may compute it again.
_INSERT = text(
    f"with kept as (insert into twin.position ({_COLUMNS}, received_at) "
    f"select distinct on (num, at) {_COLUMNS}, :received from fix order by num, at "
    "on conflict do nothing returning num, at, lon, lat) "
    "select count(*) as stored, min(at) as first, max(at) as last, encode(sha256(convert_to("
    "string_agg(concat_ws(' ', num, extract(epoch from at), lon, lat), E'\\n' order by num, at), "
    "'UTF8')), 'hex') as digest from kept"
)
_LAST = text(
    "insert into twin.last_position as l "
    "(num, at, lon, lat, speed_kmh, heading_deg, received_at, district, level) "
    f"select distinct on (num) {_COLUMNS}, :received, district, level from fix "
    "order by num, at desc on conflict (num) do update set at = excluded.at, lon = excluded.lon, "
    "lat = excluded.lat, speed_kmh = excluded.speed_kmh, heading_deg = excluded.heading_deg, "
    "received_at = excluded.received_at, district = excluded.district, level = excluded.level "
    "where l.at < excluded.at"
)


def write(conn: Connection, fixes: Sequence[Fix], received: datetime) -> int:
    """Store a batch in the caller's transaction; return how many were not known already.

    Rows, last positions and the journal entry are one commit; a repeated message changes nothing.
    """
    if not fixes:
        return 0
    conn.execute(text(_STAGE))
    series.copy_rows(conn, "fix", _TYPES, fixes)
    series.ensure_days(conn, SERIES, (fix.at for fix in fixes))
    kept = conn.execute(_INSERT, {"received": received}).one()
    conn.execute(_LAST, {"received": received})
    series.note_batch(conn, SERIES, kept, received)
    conn.execute(text("notify twin_positions"))
    return int(kept.stored)


def keep_frame(conn: Connection) -> int:
    """Keep all last positions once every ten minutes: what makes any past moment cheap to find."""
    return conn.execute(
        text(
            f"insert into twin.position_key (kept_at, {_COLUMNS}) "
            f"select date_bin('{KEYFRAME_EVERY}', now(), timestamptz '2020-01-01 00:00Z'), "
            f"{_COLUMNS} from twin.last_position on conflict do nothing"
        )
    ).rowcount


def now(conn: Connection, since: datetime | None = None) -> Sequence[Any]:
    """Return last positions with district and level; only those received after `since`."""
    where = "where p.received_at > :since" if since else ""
    return conn.execute(
        text(
            "select p.num, p.at, p.lon, p.lat, p.speed_kmh, p.heading_deg, p.district, p.level, "
            "p.received_at, t.kind, t.code, t.street "
            f"from twin.last_position p join twin.thing t on t.num = p.num {where}"
        ),
        {"since": since},
    ).all()


def at(conn: Connection, moment: datetime) -> Sequence[Any]:
    """Return where each thing was at a moment: the newest fix of the day before it."""
    return conn.execute(
        text(
            "select p.num, p.at, p.lon, p.lat, p.speed_kmh, p.heading_deg, t.district, t.level, "
            "t.kind, t.code, t.street from (select num from twin.last_position) n cross join lateral ("
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
