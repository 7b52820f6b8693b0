"""Cameras that see a place: within their range, inside their field of view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from twin import catalogue
from twin.scope import Actor, scope_sql

KIND = "camera"
# What a camera is taken for that says nothing about its view.
USUAL_FOV_DEG, USUAL_RANGE_M = 60.0, 120.0
FARTHEST_M = 10_000.0
_COLUMNS = (
    "c.num, c.code, c.name, c.type, c.watches, c.heading_deg, c.height_m, c.fov_deg, c.range_m, "
    "st_x(c.geom) as lon, st_y(c.geom) as lat, "
    "(select o.value from twin.last_observation o where o.num = c.num and o.property = 'online') "
    "as online, (select to_jsonb(h) from twin.camera_picture h where h.num = c.num) as picture"
)


def seeing(
    conn: Connection, actor: Actor, lon: float, lat: float, limit: int
) -> list[dict[str, Any]]:
    """Return the cameras that see a point, the nearest first; a dome turns, so it sees all around."""
    rows = _near(conn, actor, lon, lat, FARTHEST_M)
    found = []
    for row in rows:
        said = view_of(dict(row._mapping))
        away = row.away_m
        off = abs((row.bearing_deg - said["heading_deg"] + 180) % 360 - 180)
        if away <= said["range_m"] and (said["turns"] or off <= said["fov_deg"] / 2):
            found.append(said | {"distance_m": round(away), "bearing_deg": round(row.bearing_deg)})
    return sorted(found, key=lambda one: one["distance_m"])[:limit]


def _near(conn: Connection, actor: Actor, lon: float, lat: float, reach_m: float) -> Any:
    kind = catalogue.one(conn, actor, KIND)
    scope, params = scope_sql(actor, "c", kind.level, geom="geom")
    here = "st_setsrid(st_makepoint(:lon, :lat), 4326)"
    box = reach_m / 94_000
    return conn.execute(
        text(
            f"select {_COLUMNS}, st_distance(c.geom::geography, {here}::geography) as away_m, "
            f"coalesce(degrees(st_azimuth(c.geom::geography, {here}::geography)), 0) as bearing_deg "
            f"from {kind.topic}.{KIND} c where c.geom && st_expand({here}, :box) "
            f"and st_distance(c.geom::geography, {here}::geography) <= coalesce(c.range_m, :usual) "
            f"and {scope} limit 2000"
        ),
        {**params, "lon": lon, "lat": lat, "box": box, "usual": USUAL_RANGE_M},
    ).all()


def view_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a camera with its view; what it does not say is the usual, and said to be so."""
    keys = "num code name type watches height_m".split()
    assumed = row["fov_deg"] is None or row["range_m"] is None
    return (
        {key: row[key] for key in keys}
        | {
            "point": [row["lon"], row["lat"]],
            "heading_deg": row["heading_deg"] or 0.0,
            "fov_deg": row["fov_deg"] or USUAL_FOV_DEG,
            "range_m": row["range_m"] or USUAL_RANGE_M,
            "turns": row["type"] in ("dome", "high"),
            "assumed": assumed,
        }
        | _health(row)
    )


def _health(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a camera is at work: what it last told, and whether it last gave a picture."""
    told = None if row["online"] is None else bool(row["online"])
    picture = row["picture"]
    if picture is None:
        return {"online": told, "picture": None}
    gives = picture["failed_at"] is None or (picture["ok_at"] or "") > picture["failed_at"]
    said = {"ok": gives, "at": picture["ok_at"], "failed_at": picture["failed_at"],
            "why": None if gives else picture["why"]}  # fmt: skip
    return {"online": gives and told is not False, "picture": said}


def views(
    conn: Connection, actor: Actor, box: tuple[float, float, float, float], limit: int
) -> dict[str, Any]:
    """Return the fields of view of the cameras in a box as GeoJSON sectors."""
    kind = catalogue.one(conn, actor, KIND)
    scope, params = scope_sql(actor, "c", kind.level, geom="geom")
    rows = conn.execute(
        text(
            f"select {_COLUMNS} from {kind.topic}.{KIND} c "
            f"where c.geom && st_makeenvelope(:w, :s, :e, :n, 4326) and {scope} "
            "order by c.num limit :limit"
        ),
        {**params, **dict(zip("wsen", box, strict=True)), "limit": limit},
    ).all()
    return {
        "type": "FeatureCollection",
        "features": [_sector(view_of(dict(row._mapping))) for row in rows],
    }


def _sector(said: dict[str, Any]) -> dict[str, Any]:
    lon, lat = said["point"]
    up = said["range_m"] / 111_195.0
    side = up / math.cos(math.radians(lat))
    half = said["fov_deg"] / 2
    steps = max(4, round(said["fov_deg"] / 6))
    ring = [[lon, lat]]
    for i in range(steps + 1):
        a = math.radians(said["heading_deg"] - half + said["fov_deg"] * i / steps)
        ring.append([round(lon + side * math.sin(a), 6), round(lat + up * math.cos(a), 6)])
    ring.append([lon, lat])
    return {
        "type": "Feature",
        "id": said["num"],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {k: v for k, v in said.items() if k != "point"},
    }
