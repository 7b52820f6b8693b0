"""The list of named places: one point each, with the size that decides when it is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from twin import catalogue, counts, tables
from twin.kinds import Kind
from twin.rulebook import seconds
from twin.scope import Actor, visible

CELL_DEG = 0.05
LONG_WATER_M2 = 1_500_000
SMALLEST_PIECE = 0.01
NAMED = ("district", "street", "park", "water_body")
# A square degree at 31° N in square metres: good enough to put places in order.
SQUARE_DEGREE_M2 = 111_000 * 95_300


def places(conn: sa.Connection, actor: Actor) -> str:
    """Return a FeatureCollection of the named places that the actor may see."""
    known = catalogue.readable(conn, actor)
    features = [one for name in NAMED if name in known for one in _of(conn, known[name], actor)]
    if "water_body" in known:
        features += _along(conn, known["water_body"], actor)
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)


def _english(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the English name of a place, where its kind has one."""
    return (table.c.name_en if "name_en" in table.c else sa.null()).label("name_en")


def _of(conn: sa.Connection, kind: Kind, actor: Actor) -> list[dict[str, Any]]:
    table = tables.table(kind)
    point = sa.func.public.ST_PointOnSurface(table.c.geom)
    rows = conn.execute(
        sa.select(
            table.c.num, table.c.name, _english(table),
            sa.func.public.ST_X(point).label("lon"), sa.func.public.ST_Y(point).label("lat"),
            (sa.func.public.ST_Area(table.c.geom) * SQUARE_DEGREE_M2).label("rank"),
        ).where(visible(actor, table, kind), table.c.name != "")
    )  # fmt: skip
    return [_feature(kind.kind, row) for row in rows]


def _along(conn: sa.Connection, kind: Kind, actor: Actor) -> list[dict[str, Any]]:
    """Name a long water again in every cell of a grid: a river is named where one looks, not once in all."""
    table = tables.table(kind)
    f = sa.func.public
    grid = f.ST_SquareGrid(CELL_DEG, table.c.geom).table_valued("geom", "i", "j").lateral("cell")
    piece = f.ST_Intersection(table.c.geom, grid.c.geom)
    area = f.ST_Area(table.c.geom) * SQUARE_DEGREE_M2
    point = f.ST_PointOnSurface(piece)
    rows = conn.execute(
        sa.select(
            table.c.num, table.c.name, _english(table),
            f.ST_X(point).label("lon"), f.ST_Y(point).label("lat"), area.label("rank"),
        ).select_from(table.join(grid, sa.true()))
        .where(visible(actor, table, kind), table.c.name != "", area > LONG_WATER_M2,
               f.ST_Area(piece) > SMALLEST_PIECE * area / SQUARE_DEGREE_M2)
    )  # fmt: skip
    return [_feature(kind.kind, row) for row in rows if row.lon is not None]


def _feature(kind: str, row: Any) -> dict[str, Any]:
    said = {"kind": kind, "num": row.num, "name": row.name, "rank": round(row.rank)}
    if row.name_en:
        said["name_en"] = row.name_en
    where = {"type": "Point", "coordinates": [round(row.lon, 5), round(row.lat, 5)]}
    return {"type": "Feature", "geometry": where, "properties": said}


def freshness(conn: sa.Connection, actor: Actor) -> dict[str, Any]:
    """Return per kind how many things, their newest change, and whether it is within its period."""
    known = {k: one for k, one in catalogue.readable(conn, actor).items() if one.geometry != "none"}
    kept, now = counts.of_kinds(conn, actor, known), datetime.now(UTC)
    said: dict[str, Any] = {}
    for name, kind in known.items():
        found = kept[name]
        if found.freshest is None:
            continue
        age = (now - found.freshest).total_seconds()
        period = seconds(kind.update_every)
        said[name] = {
            "things": found.things,
            "freshest": found.freshest,
            "in_time": None if period is None else age <= period,
        }
    return said
