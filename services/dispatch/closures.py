"""Closed roads, drawn on the map: every way goes round them while they stand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import shapely
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from twin import cases, journal, scheduling
from twin.errors import BadRequest, NotFound
from twin.roads import roads
from twin.scope import Actor, scope_sql

MOST_VERTICES = 2000
MOST_DEGREES = 0.6
_COLUMNS = (
    "id, title, st_asgeojson(geom, 6) as geometry, starts_at, ends_at, profiles, district, made_by, "
    "made_at, lifted_at"
)


class NewClosure(BaseModel):
    """What is closed: a line or an area, from when to when, for which vehicles."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1, max_length=80)
    geometry: dict[str, Any]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    profiles: list[str] | None = Field(default=None, max_length=12)


def listed(conn: Connection, actor: Actor, *, all_: bool) -> dict[str, Any]:
    """Return closures as GeoJSON: those that stand or will, or also the past ones."""
    scope, params = _scope(actor)
    standing = "" if all_ else "and lifted_at is null and (ends_at is null or ends_at > now())"
    rows = conn.execute(
        text(
            f"select {_COLUMNS} from twin.road_closure k "
            f"where {scope} {standing} order by id desc limit 500"
        ),
        params,
    )
    return {"type": "FeatureCollection", "features": [_feature(r._mapping) for r in rows]}


def _scope(actor: Actor) -> tuple[str, dict[str, Any]]:
    """A closure has no street: who sees a street sees what is closed in its district."""
    return scope_sql(replace(actor, streets=None), "k", cases.LEVEL, geom="geom")


def _feature(row: Any) -> dict[str, Any]:
    said = {k: v for k, v in row.items() if k != "geometry"}
    return {"type": "Feature", "id": row["id"], "properties": said,
            "geometry": json.loads(row["geometry"])}  # fmt: skip


def draw(conn: Connection, actor: Actor, new: NewClosure) -> dict[str, Any]:
    """Close roads, journalled; the next way already goes round."""
    shape = _shape(new.geometry)
    if new.ends_at is not None and new.starts_at is not None and new.ends_at <= new.starts_at:
        raise BadRequest("The closure ends before it begins; set ends_at after starts_at.")
    known = scheduling.current(conn).doc["profiles"]
    if new.profiles and (strange := sorted(set(new.profiles) - set(known))):
        raise BadRequest(f"No vehicle profile is called {strange[0]}.", known=sorted(known))
    at = shape.representative_point()
    district, _ = cases.place_of(conn, at.x, at.y)
    if actor.districts is not None and district not in actor.districts:
        raise NotFound("This place lies outside your districts.")
    row = conn.execute(
        text(
            "insert into twin.road_closure (title, geom, starts_at, ends_at, profiles, district, "
            "made_by) values (:title, st_geomfromwkb(:geom, 4326), coalesce(:starts, now()), :ends, "
            f":profiles, :district, :by) returning {_COLUMNS}"
        ).bindparams(bindparam("profiles", type_=ARRAY(TEXT))),
        {"title": new.title, "geom": shapely.to_wkb(shape), "starts": new.starts_at,
         "ends": new.ends_at, "profiles": new.profiles or None, "district": district,
         "by": actor.user},
    ).one()  # fmt: skip
    made = _feature(row._mapping)
    _written(conn, actor, "closure.draw", None, made, (at.x, at.y))
    roads.changed()
    return made


def lift(conn: Connection, actor: Actor, number: int) -> dict[str, Any]:
    """Open the roads again, journalled; doing it twice changes nothing."""
    scope, params = _scope(actor)
    found = conn.execute(
        text(f"select {_COLUMNS} from twin.road_closure k where id = :id and {scope}"),
        {"id": number, **params},
    ).first()
    if found is None:
        raise NotFound("There is no such closure, or it lies outside your districts.")
    before = _feature(found._mapping)
    if found.lifted_at is not None:
        return before
    row = conn.execute(
        text(f"update twin.road_closure set lifted_at = now() where id = :id returning {_COLUMNS}"),
        {"id": number},
    ).one()
    made = _feature(row._mapping)
    at = shapely.geometry.shape(made["geometry"]).representative_point()
    _written(conn, actor, "closure.lift", before, made, (at.x, at.y))
    roads.changed()
    return made


def _written(
    conn: Connection, actor: Actor, action: str, before: Any, after: Any, point: Any
) -> None:
    journal.append(
        conn, cls="dispatch", action=action, actor=actor.user, kind="road_closure",
        district=after["properties"]["district"], level=cases.LEVEL, point=point,
        before=_plain(before), after=_plain(after),
    )  # fmt: skip


def _plain(said: Any) -> Any:
    return json.loads(json.dumps(said, default=str)) if said is not None else None


def _shape(geometry: dict[str, Any]) -> Any:
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (shapely.GEOSException, ValueError, TypeError) as why:
        raise BadRequest("The drawing is no GeoJSON line or area; draw it again.") from why
    if shape is None or shape.is_empty or shape.geom_type not in ("LineString", "Polygon"):
        raise BadRequest("A closure is a line along or across roads, or an area; draw one of them.")
    if shapely.get_num_coordinates(shape) > MOST_VERTICES:
        raise BadRequest(f"The drawing has more than {MOST_VERTICES} corners; draw it coarser.")
    west, south, east, north = shape.bounds
    if not (-180 <= west and east <= 180 and -90 <= south and north <= 90):
        raise BadRequest("The drawing lies outside the world; coordinates are lon, lat of WGS-84.")
    if max(east - west, north - south) > MOST_DEGREES:
        raise BadRequest("The drawing is wider than 60 km; close what is meant.")
    if not shape.is_valid:
        raise BadRequest("The area crosses itself; draw it again.")
    return shape


def numbers(said: str, most: int, top: int) -> Sequence[int]:
    """Return whole numbers of a comma list, each from 1 to `top`; BadRequest otherwise."""
    parts = [p.strip() for p in said.split(",")]
    if not 1 <= len(parts) <= most or not all(p.isdigit() and 1 <= int(p) <= top for p in parts):
        raise BadRequest(f"minutes takes 1 to {most} numbers from 1 to {top}, such as 5,10,15.")
    return [int(p) for p in parts]
