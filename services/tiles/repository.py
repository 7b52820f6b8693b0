"""The one vector-tile statement: bounds, scope, fields, generalisation, caps; the past by `moment`.

Geometry is stored in degrees and drawn without a transformation: within a tile of zoom 12 or more,
Mercator's y is linear in the latitude to 0.4 of 4,096 units, so the tile's box in degrees does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from gis.tiles import box_wkb, degree_box, mercator_box, tile_box
from twin import catalogue, detail
from twin.beside import Beside
from twin.filters import compile_filter
from twin.history import as_of
from twin.kinds import Kind
from twin.pool import Prepared, Statements, statement
from twin.scope import Actor, binds, shape, visible

EXTENT = 4096
BUFFER = 64
# A tile fuller than this is no map any more: the least important go first, and the tile says so.
MAX_FEATURES = 20_000
MAX_VERTICES = 400_000
LINEAR_FROM = 12
# Composite base map: one request a tile instead of eight.
BASE = ("district", "street", "water_body", "green_space", "park", "road", "building")
ROADS = {7: ("expressway",), 9: ("expressway", "elevated"), 11: ("expressway", "elevated", "arterial"),
         12: ("expressway", "elevated", "arterial", "secondary")}  # fmt: skip
ALL_ROADS_FROM = 13
_MARGIN = BUFFER / EXTENT
Box = tuple[float, float, float, float]
_statements = Statements()
_plain_ones: Beside[Kind, Prepared] = Beside(8192)
_GRID: list[Any] = [sa.literal_column(said) for said in (str(EXTENT), str(BUFFER), "true")]
_MOST: Any = sa.literal_column(str(MAX_FEATURES + 1))


class _Named(UserDefinedType[Any]):
    """A type of PostGIS by name: values go as text and are read once, not once a row."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


def _said(name: str) -> Any:
    """Return a name of ours as a constant of the statement: a value would be sent with every call."""
    return sa.literal_column(f"'{name}'")


def _bound(name: str, type_: str) -> Any:
    return sa.cast(sa.bindparam(name, type_=_Named(type_)), _Named(type_))


@dataclass(frozen=True)
class Drawn:
    """A layer of a tile: its bytes, how many things are in it, how many were left out."""

    raw: bytes
    things: int
    dropped: int = 0


@dataclass(frozen=True)
class Wish:
    """What is asked of a tile beside its place: a moment of the past, a filter (CQL2)."""

    moment: datetime | None = None
    filter: str | None = None
    degrees: bool = False  # a tile of the grid in degrees, not of web mercator

    @property
    def plain(self) -> bool:
        """True for the tile of now and of everything: the one that levels can stand for."""
        return self.moment is None and self.filter is None and not self.degrees

    def scale(self, z: int) -> int:
        """Return the zoom of web mercator that shows as much as a zoom of this grid."""
        return z + 1 if self.degrees else z

    def box(self, z: int, x: int, y: int, margin: float = 0.0) -> Box:
        """Return west, south, east, north of a tile in degrees, wider by a share of its size."""
        return (degree_box if self.degrees else tile_box)(z, x, y, margin)


NOW = Wish()


def values(actor: Actor, z: int, x: int, y: int, wish: Wish = NOW) -> dict[str, Any]:
    """Return what a statement leaves open: the bounds of a tile, and the actor's place."""
    linear = wish.degrees or z >= LINEAR_FROM
    west, south, east, north = wish.box(z, x, y) if linear else mercator_box(z, x, y)
    return {
        "box": f"BOX({west:.12f} {south:.12f},{east:.12f} {north:.12f})",
        "wide": box_wkb(wish.box(z, x, y, _MARGIN)),
        **binds(actor),
    }


def prepared(kind: Kind, actor: Actor, z: int, wish: Wish, *, full: bool = False) -> Prepared:
    """Return the statement for a layer of a tile: MVT bytes, things, vertices, things there.

    With `full` only the most important are drawn, as many as a tile may hold.
    """
    if not wish.plain:
        return _prepared(kind, actor, z, wish, full)
    # Who sees alike gets the same statement: what the text is made of is not put together again.
    return _plain_ones.get(
        kind, lambda one: _prepared(one, actor, z, wish, full), actor.digest(), z, full
    )


def _prepared(kind: Kind, actor: Actor, z: int, wish: Wish, full: bool) -> Prepared:
    allowed = tuple(catalogue.fields(kind, actor))
    names = tuple(detail.attributes(kind, z, allowed))
    key = (
        kind.kind,
        kind.version,
        shape(actor, kind),
        names,
        z,
        wish,
        full,
        wish.filter and allowed,
    )
    make = partial(tile, kind, actor, z, wish, full=full, names=names)
    # A moment is a value of its statement: kept, it would push out what serves for all.
    return _statements.get(key, make) if wish.moment is None else statement(make())


def tile(
    kind: Kind, actor: Actor, z: int, wish: Wish, *, full: bool, names: tuple[str, ...]
) -> sa.Select[Any]:
    """Build the statement; its open values are those of `values`."""
    more = _needed(kind, actor, wish)
    source = as_of(kind, wish.moment, (*names, *more))
    where = [
        source.c.geom.op("&&")(_bound("wide", "geometry")),
        visible(actor, source, kind, bound=True),
    ]
    if wish.filter is not None:
        allowed = catalogue.fields(kind, actor)
        where.append(compile_filter(wish.filter, source, kind, names=allowed))
    if kind.kind == "road" and z < ALL_ROADS_FROM and "class" in source.c:
        classes = next((c for at, c in sorted(ROADS.items(), reverse=True) if z >= at), ())
        where.append(source.c["class"] == sa.any_(sa.literal(list(classes), sa.ARRAY(sa.Text))))
    columns = [source.c.num, source.c.code, source.c.name, source.c.state]
    columns += [_plain(source.c[name]) for name in names]
    shape = sa.func.public.ST_AsMVTGeom(
        _shape(kind, source.c.geom, z, wish.degrees), _bound("box", "box2d"), *_GRID
    )
    query = sa.select(*columns, shape.label("geom")).where(*where)
    query = _most_important(query, kind, source) if full else query.limit(_MOST)
    inner = query.subquery("q")
    f = sa.func
    whole: Any = sa.literal_column("q")
    there = sa.select(f.count()).select_from(source).where(*where).scalar_subquery()
    return sa.select(
        f.public.ST_AsMVT(whole, _said(kind.kind), _GRID[0], _said("geom"), _said("num")), f.count(),
        sa.literal_column("0") if kind.geometry == "point" else f.sum(f.public.ST_NPoints(inner.c.geom)),
        there if full else f.count(),
    ).select_from(inner)  # fmt: skip


def _needed(kind: Kind, actor: Actor, wish: Wish) -> tuple[str, ...]:
    """Return the columns that a past row needs beside those that are drawn."""
    order = (detail.of(kind).order,) if detail.of(kind).order else ()
    classes = ("class",) if kind.kind == "road" else ()
    scoped = ("street",)
    filtered = tuple(catalogue.fields(kind, actor)) if wish.filter else ()
    header = ("source", "source_key", "updated_at") if wish.filter else ()
    return (*order, *classes, *scoped, *filtered, *header)


def _most_important(query: sa.Select[Any], kind: Kind, source: Any) -> sa.Select[Any]:
    """Keep the largest, the longest or what the kind declares first, within features and vertices."""
    f, geom = sa.func.public, source.c.geom
    declared = detail.of(kind).order
    size = {"polygon": f.ST_Area(geom), "line": f.ST_Length(geom)}.get(kind.geometry)
    first: list[Any] = [source.c[declared].desc().nulls_last()] if declared else []
    # Of points what is not as it should be matters most; then those that came first.
    first += [size.desc()] if size is not None else [(source.c.state != _said("active")).desc()]
    rank = sa.func.row_number().over(order_by=[*first, source.c.num])
    ranked = query.add_columns(rank.label("_rank")).subquery("ranked")
    before = sa.func.sum(f.ST_NPoints(ranked.c.geom)).over(order_by=ranked.c._rank, rows=(None, -1))
    spent = sa.select(ranked, before.label("_before")).where(ranked.c._rank < _MOST)
    held = spent.subquery("spent")
    kept = [c for c in held.c if c.name not in ("_rank", "_before")]
    return sa.select(*kept).where(sa.func.coalesce(held.c._before, 0) <= MAX_VERTICES)


def _shape(kind: Kind, geom: Any, z: int, degrees: bool) -> Any:
    f = sa.func.public
    if kind.geometry != "point" and z < 14:
        # Half a pixel of a 512-pixel tile at this zoom, in degrees: invisible, and far fewer vertices.
        geom = f.ST_Simplify(geom, sa.literal_column(f"{180.0 / (2**z * 512):.9f}"), _GRID[2])
    return geom if degrees or z >= LINEAR_FROM else f.ST_Transform(geom, 3857)


def _plain(column: Any) -> Any:
    """MVT knows text, numbers and booleans; lists and dates go as text."""
    if isinstance(column.type, sa.ARRAY):
        return sa.func.array_to_string(column, "、").label(column.name)
    if isinstance(column.type, sa.Date | sa.DateTime):
        return sa.cast(column, sa.Text).label(column.name)
    return column


def drawn(row: tuple[Any, ...]) -> Drawn | None:
    """Return the layer of a row of the statement, or None when the tile is too full for all of it."""
    raw, things, vertices, there = row
    if there == things and (things > MAX_FEATURES or (vertices or 0) > MAX_VERTICES):
        return None
    return Drawn(bytes(raw or b""), things, there - things)


def sources(known: Mapping[str, Kind], layer: str) -> list[Kind]:
    """Return the kinds of a layer: one, or those of the composite base map."""
    if layer == "base":
        return [known[name] for name in BASE if name in known]
    kind = known.get(layer)
    return [kind] if kind is not None and kind.geometry != "none" else []
