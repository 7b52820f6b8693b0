"""What the map knows of the place of a report: filled in, each with where it comes from, for a person to confirm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

_NEAR = text(
    "with p as (select st_setsrid(st_makepoint(:lon, :lat), 4326) as g), "
    "road as (select r.name, st_distance(r.geom::geography, p.g::geography) as m from base.road r, p "
    "where r.geom && st_expand(p.g, 0.003) and r.name <> '' order by r.geom <-> p.g limit 1), "
    "grid as (select o.code, o.name from twin.organisation o, p where o.type = 'grid' and not o.closed "
    "and o.shape && p.g and st_covers(o.shape, p.g) order by o.code limit 1), "
    "thing as (select t.code, t.name, t.kind, st_distance(t.point::geography, p.g::geography) as m "
    "from twin.thing t, p where t.gone_at is null and t.level <= 2 and t.kind <> all(:not_these) "
    "and t.point && st_expand(p.g, 0.0004) and st_dwithin(t.point::geography, p.g::geography, :within) "
    "order by t.point <-> p.g limit 1) "
    "select (select name from road) as road, (select m from road) as road_m, "
    "(select code from grid) as grid, (select name->>'zh' from grid) as grid_name, "
    "(select code from thing) as thing, (select name from thing) as thing_name, "
    "(select kind from thing) as thing_kind, (select m from thing) as thing_m"
)
# What moves, or is a report itself, is not what a report is about.
_NO_THING = ["event", "crew", "vehicle", "vessel", "district", "street", "road", "person", "building"]  # fmt: skip
THING_M = 25
Filled = dict[str, dict[str, Any]]


def known(
    conn: Connection,
    lon: float,
    lat: float,
    given: Mapping[str, Any],
    where: tuple[str | None, str | None],
) -> dict[str, Any]:
    """Return what a case gets from the map beside what was said, and under `filled` where from."""
    row = conn.execute(
        _NEAR, {"lon": lon, "lat": lat, "not_these": _NO_THING, "within": THING_M}
    ).one()
    made: dict[str, Any] = {}
    filled: Filled = {
        name: {"value": code, "from": name}
        for name, code in zip(("district", "street"), where, strict=True)
        if code
    }
    if row.grid:
        made["grid"] = row.grid
        filled["grid"] = {"value": row.grid, "name": row.grid_name, "from": "grid"}
    if row.thing and not given.get("thing"):
        made |= {"thing": row.thing, "thing_name": row.thing_name}
        filled["thing"] = {"value": row.thing, "name": row.thing_name, "from": row.thing_kind,
                           "m": round(row.thing_m, 1)}  # fmt: skip
    if row.road and not given.get("address"):
        made["address"] = f"{row.road}附近"
        filled["address"] = {"value": made["address"], "from": "road", "m": round(row.road_m, 1)}
    return made | ({"filled": filled} if filled else {})
