"""A city of two districts, small enough to reckon by hand: Huangpu west, Xuhui east of 121.45°."""

from __future__ import annotations

from typing import Any

import shapely
from sqlalchemy import Connection

from twin import db, kinds, names, things

WEST, EAST = "310101", "310104"
IN_WEST, IN_EAST = (121.42, 31.22), (121.47, 31.22)
ACTOR = "test"


def ewkb(shape: Any) -> str:
    """Return hex EWKB in EPSG:4326."""
    return str(shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True))


def area(west: float, east: float) -> str:
    """Return a district from 31.20 to 31.24 north."""
    return ewkb(shapely.MultiPolygon([shapely.box(west, 31.20, east, 31.24)]))


def grid() -> tuple[list[str], list[str]]:
    """Return a grid of streets every 0.005°, split at each crossing so that they join."""
    xs = [121.40 + 0.005 * i for i in range(21)]
    ys = [31.20 + 0.005 * i for i in range(9)]
    lines = [
        shapely.LineString([(x, a), (x, b)]) for x in xs for a, b in zip(ys, ys[1:], strict=False)
    ]
    lines += [
        shapely.LineString([(a, y), (b, y)]) for y in ys for a, b in zip(xs, xs[1:], strict=False)
    ]
    shapes = [ewkb(shapely.MultiLineString([line])) for line in lines]
    return [f"r{i}" for i in range(len(shapes))], shapes


def write(conn: Connection, kind: str, columns: dict[str, list[Any]]) -> things.Counts:
    """Write things of a kind as source `mini`."""
    return things.write(conn, kinds.one(conn, kind), columns, actor=ACTOR, source="mini")


def build() -> None:
    """Write the city into the database of this process."""
    with db.engine("app").begin() as conn:
        both = [WEST, EAST]
        write(conn, "district", {"source_key": both, "code": both, "name": ["黄浦区", "徐汇区"],
                                 "geom": [area(121.40, 121.45), area(121.45, 121.50)]})  # fmt: skip
        keys, shapes = grid()
        write(conn, "road", {"source_key": keys, "geom": shapes, "class": ["secondary"] * len(keys),
                             "speed_kmh": [36.0] * len(keys)})  # fmt: skip
        spots = [(121.401 + 0.0005 * i, 31.21 + 0.0002 * (i % 50)) for i in range(190)]
        write(conn, "toilet", {"source_key": [f"t{i}" for i in range(190)],
                               "name": [f"公厕{i}" for i in range(190)],
                               "geom": [ewkb(shapely.Point(p)) for p in spots]})  # fmt: skip
        crews = [("西一组", IN_WEST, ["环卫"]), ("东一组", IN_EAST, ["环卫", "绿化"]),
                 ("东二组", (121.49, 31.23), ["绿化"])]  # fmt: skip
        write(conn, "crew", {"source_key": [c[0] for c in crews], "name": [c[0] for c in crews],
                             "geom": [ewkb(shapely.Point(c[1])) for c in crews],
                             "skills": [c[2] for c in crews]})  # fmt: skip
    names.forget()
