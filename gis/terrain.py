"""Heights of the ground: read from GeoTIFF or SRTM files, cut into tiles of the web-mercator grid."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from PIL import Image, UnidentifiedImageError

from gis.tiles import MERCATOR, mercator_box, tile_of

SIDE = 256
COARSEST, FINEST = 6, 14
MOST_CELLS = 100_000_000
# Tags of GeoTIFF: cell size, tie point, keys, and GDAL's no-data value.
_SCALE, _TIE, _KEYS, _NO_DATA = 33550, 33922, 34735, 42113
_GEOGRAPHIC, _PROJECTED, _USER_DEFINED = 2048, 3072, 32767
_HGT_SIDES = {1201 * 1201: 1201, 3601 * 3601: 3601}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Grid:
    """Heights in metres by row and column; `left` and `top` are the outer corner in the grid's CRS."""

    heights: np.ndarray
    left: float
    top: float
    step_x: float
    step_y: float
    epsg: int

    @property
    def box(self) -> Box:
        """Return west, south, east, north in EPSG:4326."""
        rows, columns = self.heights.shape
        right, bottom = self.left + columns * self.step_x, self.top - rows * self.step_y
        if self.epsg in (4326, 4490):
            return self.left, bottom, right, self.top
        to = pyproj.Transformer.from_crs(self.epsg, 4326, always_xy=True)
        return to.transform_bounds(self.left, bottom, right, self.top)

    @property
    def step_m(self) -> float:
        """Return how wide a cell is on the ground."""
        if self.epsg in (4326, 4490):
            return self.step_y * 111_195
        return self.step_y

    def at(self, x_3857: np.ndarray, y_3857: np.ndarray) -> np.ndarray:
        """Return heights at places in EPSG:3857, between the four cells around; outside NaN."""
        if self.epsg in (4326, 4490):
            x = x_3857 / MERCATOR * 180
            y = np.degrees(np.arctan(np.sinh(y_3857 / MERCATOR * math.pi)))
        else:
            to = pyproj.Transformer.from_crs(3857, self.epsg, always_xy=True)
            x, y = to.transform(x_3857, y_3857)
        return _between(
            self.heights, (self.top - y) / self.step_y - 0.5, (x - self.left) / self.step_x - 0.5
        )


def _between(heights: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    rows, columns = heights.shape
    outside = (row < -0.5) | (row > rows - 0.5) | (column < -0.5) | (column > columns - 0.5)
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    r, c = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    below, right = np.minimum(r + 1, rows - 1), np.minimum(c + 1, columns - 1)
    v, u = row - r, column - c
    upper = heights[r, c] * (1 - u) + heights[r, right] * u
    lower = heights[below, c] * (1 - u) + heights[below, right] * u
    found: np.ndarray = np.where(outside, np.nan, upper * (1 - v) + lower * v)
    return found


def read(path: Path) -> Grid:
    """Return the heights of a file; raise ValueError with what is wrong with it."""
    return _hgt(path) if path.suffix.lower() == ".hgt" else _geotiff(path)


def _hgt(path: Path) -> Grid:
    """Read a tile of SRTM: its name says its corner, its length how fine it is."""
    raw = np.fromfile(path, ">i2", max(_HGT_SIDES) + 1)
    side, name = _HGT_SIDES.get(len(raw)), path.stem.upper()
    if side is None or len(name) != 7 or name[0] not in "NS" or name[3] not in "EW":
        raise ValueError("not a tile of SRTM: named as N31E121.hgt, 1201 or 3601 cells a side")
    south = int(name[1:3]) * (1 if name[0] == "N" else -1)
    west = int(name[4:]) * (1 if name[3] == "E" else -1)
    step = 1 / (side - 1)
    heights = raw.reshape(side, side).astype(np.float32)
    heights[heights == -32768] = np.nan
    return Grid(heights, west - step / 2, south + 1 + step / 2, step, step, 4326)


def _geotiff(path: Path) -> Grid:
    try:
        # A warning of Pillow about a broken tag is no news: what is missing is said below.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            if picture.format != "TIFF" or picture.width * picture.height > MOST_CELLS:
                raise ValueError(f"not a GeoTIFF of at most {MOST_CELLS} cells")
            tags: Any = picture.tag_v2  # type: ignore[attr-defined]
            said = {key: tags.get(key) for key in (_SCALE, _TIE, _KEYS, _NO_DATA)}
            heights = np.asarray(picture).astype(np.float32)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as why:
        raise ValueError(f"not a GeoTIFF that can be read: {why}") from why
    if heights.ndim != 2 or not said[_SCALE] or not said[_TIE] or not said[_KEYS]:
        raise ValueError("not one band of heights with a place (ModelPixelScale, ModelTiepoint)")
    (step_x, step_y, *_), (column, row, _, x, y, *_) = said[_SCALE], said[_TIE]
    if said[_NO_DATA] is not None:
        heights[heights == np.float32(_number(said[_NO_DATA]))] = np.nan
    return Grid(heights, x - column * step_x, y + row * step_y, step_x, step_y, _epsg(said[_KEYS]))


def _number(said: Any) -> float:
    text = said if isinstance(said, str | float | int) else said[0]
    return float(str(text).strip("\0 "))


def _epsg(keys: tuple[int, ...]) -> int:
    """Return the reference system that the directory of keys names."""
    known = {keys[i]: keys[i + 3] for i in range(4, len(keys) - 3, 4)}
    code = known.get(_PROJECTED) or known.get(_GEOGRAPHIC) or 0
    if code in (0, _USER_DEFINED):
        raise ValueError("its reference system has no EPSG code; warp it to EPSG:4326 first")
    return int(code)


def finest(grid: Grid) -> int:
    """Return the zoom whose pixels are as fine as the cells."""
    west, south, _, north = grid.box
    width_m = 2 * MERCATOR * math.cos(math.radians((south + north) / 2)) / SIDE
    return min(FINEST, max(COARSEST, math.ceil(math.log2(width_m / max(grid.step_m, 0.1)))))


def tiles(box: Box, zoom: int) -> list[tuple[int, int]]:
    """Return column and row of each tile that touches a box."""
    west, south, east, north = box
    _, x0, y0 = tile_of(west, north, zoom)
    _, x1, y1 = tile_of(east, south, zoom)
    return [(x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]


def tile(grid: Grid, zoom: int, x: int, y: int) -> bytes | None:
    """Return a tile as PNG in Terrarium's coding; what is not known is sea level; None where nothing is."""
    west, south, east, north = mercator_box(zoom, x, y)
    half = (east - west) / SIDE / 2
    xs = np.linspace(west + half, east - half, SIDE)
    ys = np.linspace(north - half, south + half, SIDE)
    heights = grid.at(*np.meshgrid(xs, ys))
    if np.isnan(heights).all():
        return None
    return terrarium(np.nan_to_num(heights))


def terrarium(heights: np.ndarray) -> bytes:
    """Return heights as a picture: metres + 32768 in red and green, the fraction in blue."""
    said = np.clip(np.round((heights + 32768) * 256), 0, 2**24 - 1).astype(np.uint32)
    bytes_ = np.stack([said >> 16, (said >> 8) & 255, said & 255], axis=-1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(bytes_).save(out, "PNG", compress_level=6)
    return out.getvalue()
