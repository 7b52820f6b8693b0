"""The one vector-tile statement: bounds, scope, fields, generalisation; the past by `moment`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin import catalogue
from twin.history import as_of
from twin.kinds import Kind
from twin.scope import Actor, visible

EXTENT = 4096
BUFFER = 64
MAX_FEATURES = 60000
# Composite base map: one request a tile instead of eight.
BASE = ("district", "street", "water_body", "green_space", "park", "road", "building")
# Before this zoom a kind says nothing at the size of a pixel.
BASE_MIN = {"district": 0, "street": 10, "water_body": 0, "green_space": 11, "park": 9, "road": 7,
            "building": 13}  # fmt: skip
ROADS = {7: ("expressway",), 9: ("expressway", "elevated"), 11: ("expressway", "elevated", "arterial"),
         12: ("expressway", "elevated", "arterial", "secondary")}  # fmt: skip
ALL_ROADS_FROM = 13


def _wanted(kind: Kind, actor: Actor) -> list[str]:
    """Return the fields that map and card need; a tile is no export."""
    allowed = set(catalogue.fields(kind, actor))
    symbol = [str(kind.symbol[k]) for k in ("color_by", "label", "width_by") if k in kind.symbol]
    return [f for f in dict.fromkeys((*kind.card, *symbol)) if f in allowed]


def min_zoom(kind: Kind) -> int:
    """Return the zoom from which tiles of a kind carry features."""
    if kind.kind in BASE_MIN:
        return BASE_MIN[kind.kind]
    return max(0, int(kind.symbol.get("min_zoom", 12)) - 1)


def tile(
    kind: Kind, actor: Actor, z: int, x: int, y: int, moment: datetime | None
) -> sa.Select[Any]:
    """Return the statement for the MVT bytes of one layer of a tile."""
    more = ("class",) if kind.kind == "road" else ()
    source = as_of(kind, moment, (*_wanted(kind, actor), *more))
    f = sa.func.public
    mercator = f.ST_TileEnvelope(z, x, y)
    # A little margin, so that symbols and lines are not cut at the edge of the tile.
    wide = f.ST_Transform(f.ST_TileEnvelope(z, x, y, _WORLD, BUFFER / EXTENT), 4326)
    geom = source.c.geom
    shape = f.ST_AsMVTGeom(_shape(kind, geom, z), mercator, EXTENT, BUFFER, True)
    columns = [source.c.num, source.c.code, source.c.name, source.c.state]
    columns += [_plain(source.c[name]) for name in _wanted(kind, actor)]
    query = (
        sa.select(*columns, shape.label("geom"))
        .where(geom.op("&&")(wide), visible(actor, source, kind))
        .limit(MAX_FEATURES)
    )
    if kind.kind == "road" and z < ALL_ROADS_FROM and "class" in source.c:
        classes = next((c for at, c in sorted(ROADS.items(), reverse=True) if z >= at), ())
        query = query.where(source.c["class"].in_(classes))
    inner = query.subquery("q")
    whole: Any = sa.literal_column("q")
    return sa.select(f.ST_AsMVT(whole, kind.kind, EXTENT, "geom", "num")).select_from(inner)


_WORLD: Any = sa.literal_column(
    "ST_MakeEnvelope(-20037508.342789244, -20037508.342789244, "
    "20037508.342789244, 20037508.342789244, 3857)"
)


def _shape(kind: Kind, geom: Any, z: int) -> Any:
    f = sa.func.public
    if kind.geometry == "point" or z >= 14:
        return f.ST_Transform(geom, 3857)
    # Half a pixel of a 512-pixel tile at this zoom, in degrees: invisible, and far fewer vertices.
    tolerance = 360.0 / (2**z * 512) / 2
    return f.ST_Transform(f.ST_Simplify(geom, tolerance, True), 3857)


def _plain(column: Any) -> Any:
    """MVT knows text, numbers and booleans; lists and dates go as text."""
    if isinstance(column.type, sa.ARRAY):
        return sa.func.array_to_string(column, "、").label(column.name)
    if isinstance(column.type, sa.Date | sa.DateTime):
        return sa.cast(column, sa.Text).label(column.name)
    return column
