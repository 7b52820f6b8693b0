"""Web-mercator tiles: z/x/y of a place."""

from __future__ import annotations

import math
import struct

MAX_LAT = 85.0511287798066


def tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int, int]:
    """Return the tile (z, x, y) that holds a point in EPSG:4326 degrees."""
    side = 2**zoom
    lat = max(-MAX_LAT, min(MAX_LAT, lat))
    x = (lon + 180.0) / 360.0 * side
    y = (1.0 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2.0 * side
    return zoom, min(side - 1, max(0, int(x))), min(side - 1, max(0, int(y)))


def tile_box(zoom: int, x: int, y: int, margin: float = 0.0) -> tuple[float, float, float, float]:
    """Return west, south, east, north in degrees of an XYZ tile, wider by a share of its size."""
    n = 2**zoom

    def lat(row: float) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / n))))

    return (
        (x - margin) / n * 360 - 180, lat(y + 1 + margin),
        (x + 1 + margin) / n * 360 - 180, lat(y - margin),
    )  # fmt: skip


MERCATOR = math.pi * 6378137.0


def degree_box(zoom: int, x: int, y: int, margin: float = 0.0) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a tile of the grid in degrees (two tiles at zoom 0)."""
    side = 180.0 / 2**zoom
    return (
        (x - margin) * side - 180, 90 - (y + 1 + margin) * side,
        (x + 1 + margin) * side - 180, 90 - (y - margin) * side,
    )  # fmt: skip


def mercator_box(zoom: int, x: int, y: int) -> tuple[float, float, float, float]:
    """Return west, south, east, north of an XYZ tile in EPSG:3857 metres."""
    side = 2.0 * MERCATOR / 2**zoom
    return (
        x * side - MERCATOR, MERCATOR - (y + 1) * side,
        (x + 1) * side - MERCATOR, MERCATOR - y * side,
    )  # fmt: skip


def box_wkb(box: tuple[float, float, float, float], srid: int = 4326) -> str:
    """Return a box as hex EWKB of a polygon: what a statement takes as a geometry without a parse."""
    west, south, east, north = box
    ring = (west, south, west, north, east, north, east, south, west, south)
    return struct.pack("<BIIII10d", 1, 0x20000003, srid, 1, 5, *ring).hex()


def tiles_in(box: tuple[float, float, float, float], zoom: int) -> tuple[int, int, int, int]:
    """Return the first and last column and row of the tiles that a box in degrees touches."""
    _, left, top = tile_of(box[0], box[3], zoom)
    _, right, bottom = tile_of(box[2], box[1], zoom)
    return left, top, right, bottom
