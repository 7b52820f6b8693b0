"""What lies within an area: things by kind and district, events, alarms; counted in SQL, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import shapely
from sqlalchemy import Connection, text

from gis import geometry
from twin import cases, catalogue, names
from twin.alarms.raising import PROCESS as ALARM
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql

MAX_THINGS = 5_000
# What moves is where it was last heard, not where it was written down.
_POINT = "coalesce(st_setsrid(st_makepoint(p.lon, p.lat), 4326), t.point)"


_NOW = (
    "(select f.num from twin.thing f where f.gone_at is null and f.point && {shape} "
    "and st_covers({shape}, f.point) and not exists (select from twin.last_position l "
    "where l.num = f.num) union all select l.num from twin.last_position l "
    "where st_covers({shape}, st_setsrid(st_makepoint(l.lon, l.lat), 4326)))"
)
_THEN = (
    "(select f.num from twin.thing f where f.point && {shape} and st_covers({shape}, f.point) "
    "and f.created_at <= :at and (f.gone_at is null or f.gone_at > :at))"
)
_SHAPE = "cast(:shape as geometry)"


def _from(actor: Actor, at: datetime | None) -> tuple[str, dict[str, Any]]:
    scope, params = scope_sql(actor, "t")
    inside = (_NOW if at is None else _THEN).format(shape=_SHAPE)
    sql = (
        f"from {inside} i join twin.thing t on t.num = i.num "
        "left join twin.last_position p on p.num = t.num "
        f"where t.kind = any(:kinds) and t.level <= :clearance and (t.open or ({scope}))"
    )
    return sql, {**params, "clearance": actor.clearance, "at": at}


def summary(
    conn: Connection, actor: Actor, shape: shapely.Geometry, at: datetime | None
) -> dict[str, Any]:
    """Return how much of what lies within a shape, by kind and by district."""
    known = catalogue.readable(conn, actor)
    placed = [k for k, kind in known.items() if kind.geometry != "none"]
    sql, params = _from(actor, at)
    rows = conn.execute(
        text(f"select t.kind, coalesce(t.district, '') as district, count(*) as n {sql} group by 1, 2"),
        {**params, "kinds": placed, "shape": _wkb(shape)},
    ).all()  # fmt: skip
    by_kind: dict[str, int] = {}
    for row in rows:
        by_kind[row.kind] = by_kind.get(row.kind, 0) + row.n
    return {
        "area_m2": round(geometry.area_m2(shape)),
        "kinds": [
            {"kind": k, "title": dict(known[k].title), "topic": known[k].topic,
             "icon": known[k].symbol.get("icon"), "n": n}
            for k, n in sorted(by_kind.items(), key=lambda pair: -pair[1])
        ],
        "districts": _districts(conn, rows),
        "events": _events(conn, actor, shape, at),
        "alarms": _alarms(conn, actor, shape, at),
    }  # fmt: skip


def _districts(conn: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    called = names.things(conn)
    cells: dict[str, dict[str, int]] = {}
    for row in rows:
        cells.setdefault(row.district, {})[row.kind] = row.n
    return sorted(
        (
            {"code": code, "name": called.get(code), "kinds": kinds, "n": sum(kinds.values())}
            for code, kinds in cells.items()
        ),
        key=lambda one: -int(one["n"]),
    )


def _wkb(shape: shapely.Geometry) -> str:
    return str(shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True))


def _events(
    conn: Connection, actor: Actor, shape: shapely.Geometry, at: datetime | None
) -> dict[str, Any]:
    then = cases.at_moment(conn, actor, at) if at else _standing(conn, actor, shape, PROCESS)
    if at:
        shapely.prepare(shape)
        then = [c for c in then if c["lon"] is not None
                and shapely.intersects_xy(shape, c["lon"], c["lat"])]  # fmt: skip
    levels = {str(n): sum(1 for c in then if c["severity"] == n) for n in (1, 2, 3, 4)}
    return {"open": len(then), "severity": levels, "codes": [c["code"] for c in then[:500]]}


def _standing(
    conn: Connection, actor: Actor, shape: shapely.Geometry, process: str
) -> list[dict[str, Any]]:
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            'select c.code, c.severity from twin."case" c where c.closed_at is null '
            "and c.process = :process and c.point && cast(:shape as geometry) "
            f"and st_covers(cast(:shape as geometry), c.point) and {scope} "
            "order by c.severity, c.opened_at desc limit 20000"
        ),
        {**params, "process": process, "shape": _wkb(shape)},
    )
    return [dict(row._mapping) for row in rows]


def _alarms(
    conn: Connection, actor: Actor, shape: shapely.Geometry, at: datetime | None
) -> dict[str, Any]:
    if not actor.may("alarm.read"):
        return {"open": 0, "codes": []}
    if at is None:
        found = _standing(conn, actor, shape, ALARM)
    else:
        shapely.prepare(shape)
        found = [
            c for c in cases.at_moment(conn, actor, at, process=ALARM)
            if c["lon"] is not None and shapely.intersects_xy(shape, c["lon"], c["lat"])
        ]  # fmt: skip
    return {"open": len(found), "codes": [c["code"] for c in found[:500]]}


def things(
    conn: Connection, actor: Actor, shape: shapely.Geometry, at: datetime | None,
    kinds: Sequence[str], district: str | None, limit: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the things of chosen kinds within a shape, with their places, and how many in all."""
    known = catalogue.readable(conn, actor)
    wanted = [k for k in kinds if k in known and known[k].geometry != "none"]
    sql, params = _from(actor, at)
    if district:
        sql += " and t.district = :district"
    asked = {**params, "kinds": wanted, "shape": _wkb(shape), "district": district}
    total = conn.execute(text(f"select count(*) {sql}"), asked).scalar_one()
    point = _POINT if at is None else "t.point"
    rows = conn.execute(
        text(
            f"select t.num, t.kind, t.code, t.name, t.district, st_x({point}) as lon, "
            f"st_y({point}) as lat {sql} order by t.kind, t.num limit :limit"
        ),
        {**asked, "limit": limit},
    ).all()
    called = names.things(conn)
    return {
        "total": total,
        "things": [
            {"num": r.num, "kind": r.kind, "code": r.code, "name": r.name,
             "district_name": called.get(r.district or ""), "point": [r.lon, r.lat]}
            for r in rows
        ],
    }  # fmt: skip
