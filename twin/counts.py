"""How much of each kind there is in each district, its extent and how fresh it is.

Counting and measuring a million things at every look would be slow, so the worker keeps the figures
and follows the journal; readers see them in their scope, at most a few seconds old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin.kinds import Kind
from twin.scope import Actor

READER = "counts"
_BATCH = 20_000
_COUNT_RECORDS = (
    "select coalesce(district, '') as district, count(*) as things, null::float as west, "
    "null::float as south, null::float as east, null::float as north, max(updated_at) as freshest "
    "from {table} group by 1"
)
_COUNT_PLACES = (
    "select district, things, st_xmin(e) as west, st_ymin(e) as south, st_xmax(e) as east, "
    "st_ymax(e) as north, freshest from (select coalesce(district, '') as district, "
    "count(*) as things, st_extent(geom) as e, max(updated_at) as freshest from {table} group by 1) q"
)


@dataclass(frozen=True, kw_only=True)
class Count:
    """Things of a kind, their extent in degrees (west, south, east, north), the newest change."""

    things: int = 0
    extent: tuple[float, float, float, float] | None = None
    freshest: datetime | None = None
    counted_at: datetime | None = None


def refresh(conn: Connection, kind: Kind) -> None:
    """Count one kind anew."""
    conn.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:k, 11))"), {"k": f"count {kind.kind}"}
    )
    conn.execute(text("delete from twin.kind_count where kind = :k"), {"k": kind.kind})
    conn.execute(
        text(
            "insert into twin.kind_count (kind, district, things, west, south, east, north, freshest) "
            f"select :k, * from ({_query(kind)}) c"
        ),
        {"k": kind.kind},
    )


def follow(conn: Connection, kinds: Mapping[str, Kind]) -> list[str]:
    """Count the kinds that the journal names since the last time; return which."""
    after = conn.execute(
        text("select seq from twin.reader where name = :n"), {"n": READER}
    ).scalar()
    if after is None:
        changed, upto = list(kinds), _last(conn)
    else:
        changed, upto = _changed(conn, after)
    found = [name for name in changed if name in kinds]
    for name in found:
        refresh(conn, kinds[name])
    if after is None or upto > after:
        conn.execute(
            text(
                "insert into twin.reader (name, seq) values (:n, :s) "
                "on conflict (name) do update set seq = excluded.seq, at = now()"
            ),
            {"n": READER, "s": upto},
        )
    return found


def _last(conn: Connection) -> int:
    return int(conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one())


def _changed(conn: Connection, after: int) -> tuple[list[str], int]:
    row = conn.execute(
        text(
            "select array_agg(distinct kind) filter (where class in ('thing', 'load') "
            "and kind is not null) as kinds, coalesce(max(seq), :after) as upto from ("
            "select s.seq, j.class, j.kind from twin.sealed s join twin.journal j on j.id = s.entry "
            "where s.seq > :after order by s.seq limit :n) q"
        ),
        {"after": after, "n": _BATCH},
    ).one()
    return row.kinds or [], int(row.upto)


def of_kinds(conn: Connection, actor: Actor, kinds: Mapping[str, Kind]) -> dict[str, Count]:
    """Return what the actor may know of each kind."""
    found: dict[str, list[Any]] = {}
    for row in by_district(conn, actor, kinds):
        found.setdefault(row["kind"], []).append(row)
    return {name: _sum(found.get(name, [])) for name in kinds}


def by_district(conn: Connection, actor: Actor, kinds: Mapping[str, Kind]) -> list[Any]:
    """Return the figures of each kind in each district that the actor may know."""
    return [
        row
        for row in _rows(conn, kinds)
        if kinds[row["kind"]].open or actor.districts is None or row["district"] in actor.districts
    ]


def _rows(conn: Connection, kinds: Mapping[str, Kind]) -> list[Any]:
    """Return the kept figures; before the worker has kept any, count here and now."""
    known = conn.execute(text("select 1 from twin.reader where name = :n"), {"n": READER}).first()
    if known:
        kept = text("select * from twin.kind_count where kind = any(:k)")
        return list(conn.execute(kept, {"k": list(kinds)}).mappings())
    return [
        row
        for name, kind in kinds.items()
        for row in conn.execute(
            text(
                f"select cast(:k as text) as kind, now() as counted_at, c.* from ({_query(kind)}) c"
            ),
            {"k": name},
        ).mappings()
    ]


def _query(kind: Kind) -> str:
    query = _COUNT_RECORDS if kind.geometry == "none" else _COUNT_PLACES
    return query.format(table=f"{kind.topic}.{kind.kind}")


def _sum(rows: Sequence[Any]) -> Count:
    placed = [r for r in rows if r["west"] is not None]
    extent = None
    if placed:
        extent = (
            min(r["west"] for r in placed), min(r["south"] for r in placed),
            max(r["east"] for r in placed), max(r["north"] for r in placed),
        )  # fmt: skip
    return Count(
        things=sum(r["things"] for r in rows),
        extent=extent,
        freshest=max((r["freshest"] for r in rows if r["freshest"]), default=None),
        counted_at=min((r["counted_at"] for r in rows), default=None),
    )
