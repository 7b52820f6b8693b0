"""The ground's heights: one set of tiles at a time, made from a file, kept in the database and journalled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from gis import terrain
from gis.terrain import Box, Grid
from twin import ids, journal
from twin.errors import BadRequest
from twin.settings import CITY_BOUNDS

CLASS = "terrain"
MOST_TILES = 20_000
# Hills beyond the border are seen from within.
_AROUND_DEG = 0.5
_INSERT = text(
    "insert into twin.terrain_tile (terrain, z, x, y, png) values (:t, :z, :x, :y, :png)"
)
_CURRENT = text(
    "select id, name, west, south, east, north, finest, lowest_m, highest_m, step_m, at "
    "from twin.terrain where gone_at is null order by at desc limit 1"
)
_TILE = text(
    "select png from twin.terrain_tile where z = :z and x = :x and y = :y and terrain = "
    "(select id from twin.terrain where gone_at is null order by at desc limit 1)"
)


@dataclass(frozen=True)
class Terrain:
    """What of the ground is known: where, how fine, how high."""

    id: str
    name: str
    box: Box
    finest: int
    lowest_m: float
    highest_m: float
    step_m: float
    at: str

    def json(self) -> dict[str, Any]:
        """Return it as an answer."""
        return {
            "id": self.id, "name": self.name, "bounds": list(self.box), "finest": self.finest,
            "lowest_m": self.lowest_m, "highest_m": self.highest_m, "step_m": self.step_m,
            "at": self.at,
        }  # fmt: skip


def current(conn: Connection) -> Terrain | None:
    """Return the heights that are shown, or None where no file was ever taken."""
    row = conn.execute(_CURRENT).one_or_none()
    if row is None:
        return None
    box = (row.west, row.south, row.east, row.north)
    return Terrain(
        str(row.id), row.name, box, row.finest, row.lowest_m, row.highest_m, row.step_m,
        row.at.isoformat(),
    )  # fmt: skip


def picture(conn: Connection, zoom: int, x: int, y: int) -> bytes | None:
    """Return a tile of the heights that are shown."""
    found = conn.execute(_TILE, {"z": zoom, "x": x, "y": y}).scalar_one_or_none()
    return None if found is None else bytes(found)


def _inside(box: Box) -> Box:
    west, south, east, north = CITY_BOUNDS
    return (
        max(box[0], west - _AROUND_DEG), max(box[1], south - _AROUND_DEG),
        min(box[2], east + _AROUND_DEG), min(box[3], north + _AROUND_DEG),
    )  # fmt: skip


def _cut(grid: Grid, box: Box, finest: int) -> Iterator[dict[str, Any]]:
    for zoom in range(terrain.COARSEST, finest + 1):
        for x, y in terrain.tiles(box, zoom):
            png = terrain.tile(grid, zoom, x, y)
            if png is not None:
                yield {"z": zoom, "x": x, "y": y, "png": png}


def take(conn: Connection, name: str, grid: Grid, actor: str, *, anywhere: bool = False) -> Terrain:
    """Cut heights into tiles and show them instead of those before, in the caller's transaction."""
    box = grid.box if anywhere else _inside(grid.box)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise BadRequest("The file lies outside the city; take the part that covers it.")
    finest = terrain.finest(grid)
    while sum(len(terrain.tiles(box, z)) for z in range(terrain.COARSEST, finest + 1)) > MOST_TILES:
        finest -= 1
    before = withdraw(conn, actor, tell=False)
    known = grid.heights[grid.heights == grid.heights]
    key = ids.uuid7()
    said = {
        "id": key, "name": name[:200], "west": box[0], "south": box[1], "east": box[2],
        "north": box[3], "finest": finest, "lowest_m": float(known.min()),
        "highest_m": float(known.max()), "step_m": round(grid.step_m, 2), "by": actor,
    }  # fmt: skip
    conn.execute(
        text(
            "insert into twin.terrain (id, name, west, south, east, north, finest, lowest_m, "
            "highest_m, step_m, by) values (:id, :name, :west, :south, :east, :north, :finest, "
            ":lowest_m, :highest_m, :step_m, :by)"
        ),
        said,
    )
    cut = [{"t": key, **one} for one in _cut(grid, box, finest)]
    conn.execute(_INSERT, cut)
    note = {**said, "id": str(key), "tiles": len(cut)}
    journal.append(
        conn, cls=CLASS, action="take", actor=actor, subject=key,
        before=before.json() if before else None, after=note,
    )  # fmt: skip
    made = current(conn)
    assert made is not None
    return made


def withdraw(conn: Connection, actor: str, *, tell: bool = True) -> Terrain | None:
    """Show no heights any more; return what was shown."""
    before = current(conn)
    if before is None:
        return None
    conn.execute(text("update twin.terrain set gone_at = now() where gone_at is null"))
    conn.execute(text("delete from twin.terrain_tile where terrain = :t"), {"t": before.id})
    if tell:
        journal.append(
            conn, cls=CLASS, action="withdraw", actor=actor, before=before.json(), after=None
        )
    return before
