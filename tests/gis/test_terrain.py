"""Heights of the ground: files read, tiles cut, heights as they were; broken files refused."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gis import terrain
from tests.real import shared

WEST, NORTH, STEP = 121.2, 31.3, 0.001


def slope(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """A plane: bilinear reading gives it back exactly."""
    return 100 + (lon - WEST) * 500 - (NORTH - lat) * 200


def geotiff(path: Path, *, epsg: int = 4326, hole: bool = False) -> Path:
    """Write a plane of heights as a GeoTIFF."""
    lon = WEST + (np.arange(200) + 0.5) * STEP
    lat = NORTH - (np.arange(150) + 0.5) * STEP
    heights = slope(*np.meshgrid(lon, lat)).astype(np.float32)
    if hole:
        heights[:20, :20] = -9999
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in (
        (33550, 12, (STEP, STEP, 0.0)), (33922, 12, (0.0, 0.0, 0.0, WEST, NORTH, 0.0)),
        (34735, 3, (1, 1, 0, 1, 2048, 0, 1, epsg)), (42113, 2, "-9999"),
    ):  # fmt: skip
        tags.tagtype[tag] = kind
        tags[tag] = value
    Image.fromarray(heights).save(path, "TIFF", tiffinfo=tags)
    return path


def decoded(png: bytes) -> np.ndarray:
    a = np.asarray(Image.open(io.BytesIO(png))).astype(float)
    said: np.ndarray = a[..., 0] * 256 + a[..., 1] + a[..., 2] / 256 - 32768
    return said


def test_a_tile_holds_the_heights_of_the_file(tmp_path: Path) -> None:
    grid = terrain.read(geotiff(tmp_path / "plane.tif"))
    assert grid.box == pytest.approx((121.2, 31.15, 121.4, 31.3))
    zoom = terrain.finest(grid)
    assert zoom == 11
    x, y = terrain.tiles(grid.box, 12)[4]
    png = terrain.tile(grid, 12, x, y)
    assert png is not None
    n = 2**12
    lon = (x + (np.arange(256) + 0.5) / 256) / n * 360 - 180
    rows = y + (np.arange(256) + 0.5) / 256
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * rows / n))))
    wanted = slope(*np.meshgrid(lon, lat))
    lons, lats = np.meshgrid(lon, lat)
    inside = (lons > 121.201) & (lons < 121.399) & (lats > 31.151) & (lats < 31.299)
    assert inside.any()
    assert np.abs(decoded(png) - wanted)[inside].max() < 0.02


def test_a_hole_is_sea_level_and_nothing_is_no_tile(tmp_path: Path) -> None:
    grid = terrain.read(geotiff(tmp_path / "hole.tif", hole=True))
    assert np.isnan(grid.heights[:20, :20]).all()
    assert terrain.tile(grid, 12, 0, 0) is None


def test_a_tile_of_srtm_is_read_by_its_name(tmp_path: Path) -> None:
    heights = np.zeros((1201, 1201), ">i2")
    heights[0, 0], heights[600, 600] = 123, 456
    file = tmp_path / "N31E121.hgt"
    heights.tofile(file)
    grid = terrain.read(file)
    assert grid.at(*_mercator(121.0, 32.0)) == pytest.approx(123)
    assert grid.at(*_mercator(121.5, 31.5)) == pytest.approx(456)


def _mercator(lon: float, lat: float) -> tuple[np.ndarray, np.ndarray]:
    y = math.asinh(math.tan(math.radians(lat))) / math.pi * terrain.MERCATOR
    return np.array(lon / 180 * terrain.MERCATOR), np.array(y)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("x.tif", b"II*\0broken"),
        ("x.tif", b""),
        ("N31E121.hgt", b"\0" * 10),
        ("x.hgt", b"\0" * 2884802),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ValueError, match="not a"):
        terrain.read(tmp_path / name)


def test_a_file_without_a_reference_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="EPSG"):
        terrain.read(geotiff(tmp_path / "own.tif", epsg=32767))


def test_a_real_file() -> None:
    grid = terrain.read(shared("sense/raster/pysheds_dem.tif"))
    assert (grid.heights.min(), grid.heights.max()) == (147, 298)
    assert terrain.finest(grid) == 11
