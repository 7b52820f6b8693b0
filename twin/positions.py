"""Positions of moving things: the last ones, those of a past moment, tracks, and the live frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from psycopg import pq
from sqlalchemy import Connection, text

from twin import series
from twin.errors import Unavailable

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
    "'UTF8')), 'hex') as digest, array_agg(num) as nums, array_agg(at) as ats from kept"
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


def write(conn: Connection, fixes: Sequence[Fix], received: datetime) -> set[tuple[int, datetime]]:
    """Store a batch in the caller's transaction; return thing and time of what was not known already.

    Rows, last positions and the journal entry are one commit; a repeated message changes nothing.
    """
    if not fixes:
        return set()
    conn.execute(text(_STAGE))
    series.copy_rows(conn, "fix", _TYPES, fixes)
    series.ensure_days(conn, SERIES, (fix.at for fix in fixes))
    kept = conn.execute(_INSERT, {"received": received}).one()
    conn.execute(_LAST, {"received": received})
    series.note_batch(conn, SERIES, kept, received)
    conn.execute(text("notify twin_positions"))
    return set(zip(kept.nums or (), kept.ats or (), strict=True))


def keep_frame(conn: Connection) -> int:
    """Keep all last positions once every ten minutes: what makes any past moment cheap to find."""
    return conn.execute(
        text(
            f"insert into twin.position_key (kept_at, {_COLUMNS}) "
            f"select date_bin('{KEYFRAME_EVERY}', now(), timestamptz '2020-01-01 00:00Z'), "
            f"{_COLUMNS} from twin.last_position on conflict do nothing"
        )
    ).rowcount


_CODE = "rpad(left(encode(convert_to(coalesce({}, ''), 'UTF8'), 'escape'), 12), 12)"
# One array for each field: ten thousand rows as rows would cost more than all that is done with them.
_FIELDS = (
    ("num", ">i4", "p.num"), ("lon", ">f8", "p.lon"), ("lat", ">f8", "p.lat"),
    ("speed", ">f4", "coalesce(p.speed_kmh, 0)::float4"),
    ("heading", ">f4", "coalesce(p.heading_deg, 0)::float4"),
    ("at", ">f8", "extract(epoch from p.at)::float8"), ("level", ">i2", "p.level::int2"),
    ("crew", "?", "t.kind = 'crew'"), ("busy", "?", "b.holder is not null"),
    ("district", "S12", _CODE.format("p.district")), ("street", "S12", _CODE.format("t.street")),
)  # fmt: skip
_ROW = np.dtype([(name, kind.replace(">", "<")) for name, kind, _ in _FIELDS])
_SAID = f"select {', '.join(f'array_agg({said})' for _, _, said in _FIELDS)} from "
_ARRAYS = (
    f"{_SAID} twin.last_position p join twin.thing t on t.num = p.num left join (select distinct holder "
    "from twin.\"case\" where closed_at is null and state in ('dispatched', 'handling')) b on b.holder = t.code "
    "where p.received_at > $1::timestamptz"
).encode()
# The newest fix of the day before a moment, and who had something in hand then, as the journal says.
_PAST = (
    f"{_SAID.replace('p.district', 't.district').replace('p.level', 't.level')} "
    "(select l.num, f.* from twin.last_position l cross join lateral "
    "(select at, lon, lat, speed_kmh, heading_deg from twin.position where num = l.num "
    "and at <= $1::timestamptz and at > $1::timestamptz - interval '1 day' order by at desc limit 1) f) p "
    "join twin.thing t on t.num = p.num left join (select distinct j.after->>'holder' as holder "
    'from twin."case" c cross join lateral (select after from twin.journal where subject = c.id '
    "and at <= $1::timestamptz order by version desc limit 1) j where c.opened_at <= $1::timestamptz "
    "and (c.closed_at is null or c.closed_at > $1::timestamptz) "
    "and j.after->>'state' in ('dispatched', 'handling')) b on b.holder = t.code"
).encode()
# What stands before the elements of a one-dimensional array in PostgreSQL's binary form.
_ARRAY_HEAD = 20


def fixes(
    conn: Connection, since: datetime | None = None, *, moment: datetime | None = None
) -> np.ndarray:
    """Return last positions (only those received after `since`, or those of a past moment) as an array
    of `num lon lat speed heading at level crew busy district street`; `at` in seconds since 1970, codes
    as ASCII.

    Ten thousand rows a second as Python objects would cost a tenth of a core.
    """
    raw: Any = conn.connection.driver_connection
    if raw is None:
        raise Unavailable("The database connection was lost; it will be tried again.")
    asked, then = (
        (_PAST, moment) if moment else (_ARRAYS, since or datetime(1970, 1, 1, tzinfo=UTC))
    )
    said = raw.pgconn.exec_params(
        asked, [then.isoformat().encode()], result_format=pq.Format.BINARY
    )
    if said.status != pq.ExecStatus.TUPLES_OK:
        # The pool must not hand this connection to anybody else.
        conn.invalidate()
        raise Unavailable("The positions could not be read; it will be tried again.")
    columns = [_elements(said.get_value(0, i), kind) for i, (_, kind, _) in enumerate(_FIELDS)]
    rows = np.empty(len(columns[0]), _ROW)
    for (name, _, _), values in zip(_FIELDS, columns, strict=True):
        rows[name] = values
    return rows


def _elements(raw: bytes | None, kind: str) -> np.ndarray:
    each = np.dtype([("size", ">i4"), ("value", kind)])
    return np.frombuffer(raw or b"", each, -1, _ARRAY_HEAD if raw else 0)["value"]


def records(rows: np.ndarray, moment: datetime) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the records of a frame for fixes, and the place from which they count."""
    lon0, lat0 = (float(rows["lon"][0]), float(rows["lat"][0])) if len(rows) else (0.0, 0.0)
    made = np.zeros(len(rows), RECORD)
    made["num"], made["dlon"], made["dlat"] = rows["num"], rows["lon"] - lon0, rows["lat"] - lat0
    made["heading"] = rows["heading"].astype(np.int64) % 360
    stale = moment.timestamp() - rows["at"] > STALE_S
    moving = np.where(rows["speed"] >= MOVING_KMH, MOVING, IDLE)
    made["status"] = np.where(stale, OFFLINE, np.where(rows["busy"], ON_TASK, moving))
    made["flags"] = FLAG_STALE * stale + FLAG_CREW * rows["crew"]
    return made, (lon0, lat0)


def framed(made: np.ndarray, origin: tuple[float, float], moment: datetime) -> bytes:
    """Return the binary frame of records: 32-byte header, then 16 bytes for each."""
    return HEADER.pack(MAGIC, len(made), *origin, moment.timestamp() * 1000) + made.tobytes()


class Told:
    """Which fix of each thing has been told already: a fix goes out once."""

    def __init__(self) -> None:
        self._at = np.zeros(0)

    def fresh(self, rows: np.ndarray) -> np.ndarray:
        """Tell which fixes are newer than what was told, and note them."""
        if not len(rows):
            return np.zeros(0, dtype=bool)
        most = int(rows["num"].max()) + 1
        if most > len(self._at):
            self._at = np.concatenate([self._at, np.zeros(most * 5 // 4 - len(self._at))])
        new: np.ndarray = rows["at"] > self._at[rows["num"]]
        self._at[rows["num"]] = np.maximum(self._at[rows["num"]], rows["at"])
        return new


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
