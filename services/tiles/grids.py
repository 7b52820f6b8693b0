"""The tile matrix sets that tiles are offered in (OGC Two Dimensional Tile Matrix Set 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gis.tiles import MERCATOR, tiles_in
from twin.errors import NotFound
from twin.settings import settings

LAST = 22
SIDE_PX = 256
# The standard pixel of 0.28 mm, and the metres of a degree on the equator: what scales are told by.
_PIXEL_M = 0.00028
_DEGREE_M = 6378137.0 * 3.141592653589793 / 180.0
_REGISTER = "http://www.opengis.net/def/tilematrixset/OGC/1.0"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A tile matrix set; `degrees` tells a grid of two tiles at zoom 0 from web mercator's one."""

    id: str
    title: str
    crs: str
    code: str
    degrees: bool
    north_first: bool = False
    uri: str | None = None

    def cell(self, zoom: int) -> float:
        """Return the size of a cell (1/256 of a tile) in units of the CRS."""
        side = 180.0 if self.degrees else 2 * MERCATOR
        return float(side / 2**zoom / SIDE_PX)

    def scale(self, zoom: int) -> float:
        """Return the denominator of the scale of a zoom."""
        return self.cell(zoom) * (_DEGREE_M if self.degrees else 1.0) / _PIXEL_M

    def columns(self, zoom: int) -> int:
        """Return how many tiles a row has."""
        return int(2**zoom * (2 if self.degrees else 1))

    @property
    def origin(self) -> list[float]:
        """The upper left corner, in the axis order of the CRS."""
        corner = [-180.0, 90.0] if self.degrees else [-MERCATOR, MERCATOR]
        return corner[::-1] if self.north_first else corner


GRIDS = {
    g.id: g
    for g in (
        Grid(id="WebMercatorQuad", title="Google Maps Compatible for the World", code="EPSG::3857",
             crs="http://www.opengis.net/def/crs/EPSG/0/3857", degrees=False, uri=f"{_REGISTER}/WebMercatorQuad"),
        Grid(id="WorldCRS84Quad", title="CRS84 for the World", code="OGC:1.3:CRS84",
             crs="http://www.opengis.net/def/crs/OGC/1.3/CRS84", degrees=True, uri=f"{_REGISTER}/WorldCRS84Quad"),
        Grid(id="CGCS2000Quad", title="CGCS2000 经纬度 / degrees of CGCS2000", code="EPSG::4490",
             crs="http://www.opengis.net/def/crs/EPSG/0/4490", degrees=True, north_first=True),
    )
}  # fmt: skip


def grid(name: str) -> Grid:
    """Return a tile matrix set; NotFound names those there are."""
    found = GRIDS.get(name)
    if found is None:
        raise NotFound(f"There is no tile matrix set {name!r}; there are {', '.join(GRIDS)}.")
    return found


def address(of: Grid) -> str:
    """Return where a tile matrix set is described here."""
    return f"{settings().public_url}/ogc/tileMatrixSets/{of.id}"


def definition(of: Grid) -> dict[str, Any]:
    """Return a tile matrix set in the words of the standard."""
    said: dict[str, Any] = {
        "id": of.id, "title": of.title, "crs": of.crs,
        "orderedAxes": ["Lat", "Lon"] if of.north_first else ["Lon", "Lat"] if of.degrees else ["E", "N"],
        "tileMatrices": [
            {
                "id": str(z), "scaleDenominator": of.scale(z), "cellSize": of.cell(z),
                "cornerOfOrigin": "topLeft", "pointOfOrigin": of.origin,
                "tileWidth": SIDE_PX, "tileHeight": SIDE_PX,
                "matrixWidth": of.columns(z), "matrixHeight": 2**z,
            }
            for z in range(LAST + 1)
        ],
    }  # fmt: skip
    return said | ({"uri": of.uri} if of.uri else {})


def limits(
    of: Grid, bounds: tuple[float, float, float, float], first: int, last: int
) -> list[dict[str, Any]]:
    """Return which rows and columns of each zoom hold something within bounds in degrees."""
    made = []
    for z in range(first, last + 1):
        left, top, right, bottom = _covering(of, bounds, z)
        made.append({"tileMatrix": str(z), "minTileRow": top, "maxTileRow": bottom,
                     "minTileCol": left, "maxTileCol": right})  # fmt: skip
    return made


def _covering(
    of: Grid, bounds: tuple[float, float, float, float], z: int
) -> tuple[int, int, int, int]:
    if not of.degrees:
        return tiles_in(bounds, z)
    side, last = 180.0 / 2**z, 2**z - 1
    west, south, east, north = bounds
    return (
        int((west + 180) / side), int((90 - north) / side),
        min(int((east + 180) / side), of.columns(z) - 1), min(int((90 - south) / side), last),
    )  # fmt: skip
