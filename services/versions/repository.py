"""What the doors of time look up: things and loads that the caller may change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import shapely
from sqlalchemy import Connection, text

from twin import catalogue, filters
from twin.difference import Filter
from twin.errors import Forbidden, NotFound
from twin.kinds import Kind
from twin.scope import Actor, sees


def filter_of(said: str, lang: filters.Lang, kind: Kind, names: list[str]) -> Filter:
    """Return a filter that can be laid over either moment."""
    return lambda source: filters.compile_filter(said, source, kind, lang=lang, names=names)


def writable(conn: Connection, person: Actor, code: str) -> tuple[Kind, UUID]:
    """Return the kind and id of a thing in the caller's districts, standing or gone."""
    try:
        where, value = "id = :k", str(UUID(code))
    except ValueError:
        where, value = "code = :k", code
    row = conn.execute(
        text(
            "select id, kind, district, street, st_x(point) as lon, st_y(point) as lat "
            f"from twin.thing where {where}"
        ),
        {"k": value},
    ).first()
    if row is None or row.kind == "event":
        raise NotFound("There is no such thing that you may see.")
    kind = catalogue.one(conn, person, row.kind)
    # Base maps are seen by all; changing them still takes the district.
    if not sees(person, None, row.district, row.street, (row.lon, row.lat), level=kind.level):
        raise NotFound("There is no such thing that you may see.")
    return kind, row.id


def shape(conn: Connection, kind: Kind, thing: UUID) -> Any:
    """Return the shape of a thing in EPSG:4326."""
    raw = None
    if kind.geometry != "none":
        raw = conn.scalar(
            text(f"select st_asbinary(geom) from {kind.topic}.{kind.kind} where id = :id"),
            {"id": thing},
        )
    if raw is None:
        raise NotFound("There is no such thing with a shape.")
    return shapely.from_wkb(bytes(raw))


def loaded(conn: Connection, person: Actor, load: int) -> Any:
    """Return a load of a kind that the caller may read; whole loads are the city's to undo."""
    row = conn.execute(text("select * from twin.load where id = :id"), {"id": load}).first()
    if row is None:
        raise NotFound(f"There is no load {load}.")
    catalogue.one(conn, person, row.kind)
    if person.districts is not None:
        raise Forbidden("A load is undone by an account of the whole city.")
    return row
