"""Coordinates in and out: EPSG codes, GCJ-02, BD-09 and Shanghai 2000; inside all is EPSG:4326.

CGCS2000 (EPSG:4490) and WGS-84 agree to centimetres here and are taken as one. GCJ-02 is the
offset that Chinese web maps apply; the forward formula is public, the inverse is found by
iteration to within a centimetre (the usual one-step inverse errs up to 2.3 m).
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

Floats = NDArray[np.float64]
# 上海2000坐标系, computed from the published parameters; to be checked with official points.
SH2000 = (
    "+proj=tmerc +lat_0=31.2352777778 +lon_0=121.4644444444 +k=1.0000025616 "
    "+x_0=-238.172 +y_0=0 +ellps=GRS80 +units=m +no_defs"
)
SHIFTED = ("gcj02", "bd09")
_EPSG = re.compile(r"^(?:epsg:)?(\d{4,6})$", re.IGNORECASE)
# Krasovsky 1940, which the GCJ-02 formula uses.
_A, _EE = 6378245.0, 0.00669342162296594323
_X_PI = np.pi * 3000.0 / 180.0
# 1e-9 degree is a tenth of a millimetre; the iteration gains three digits a round.
_ENOUGH_DEG = 1e-9
_ROUNDS = 12


def name_of(said: str) -> str:
    """Return the canonical name of a CRS (`EPSG:n gcj02 bd09 sh2000 auto`); ValueError otherwise."""
    low = said.strip().lower().replace("-", "")
    if low in (*SHIFTED, "sh2000", "auto"):
        return low
    if low in ("wgs84", "cgcs2000"):
        return "EPSG:4326" if low == "wgs84" else "EPSG:4490"
    found = _EPSG.match(said.strip())
    if found:
        try:
            CRS.from_epsg(int(found[1]))
        except CRSError as why:
            raise ValueError(f"EPSG:{found[1]} is not known; check the number.") from why
        return f"EPSG:{found[1]}"
    raise ValueError(f"{said!r} is no CRS; use EPSG:n, gcj02, bd09, sh2000 or auto.")


def in_china(lon: Floats, lat: Floats) -> NDArray[np.bool_]:
    """Tell where the GCJ-02 offset applies: the box that the formula's users agree on."""
    return (lon > 72.004) & (lon < 137.8347) & (lat > 0.8293) & (lat < 55.8271)


def _offset(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return the GCJ-02 offset in degrees at WGS-84 points."""
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    wave = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    d_lat += (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    d_lat += (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    d_lon += (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    d_lon += (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    rad = np.radians(lat)
    magic = 1.0 - _EE * np.sin(rad) ** 2
    d_lat = d_lat * 180.0 / ((_A * (1.0 - _EE)) / (magic * np.sqrt(magic)) * np.pi)
    d_lon = d_lon * 180.0 / (_A / np.sqrt(magic) * np.cos(rad) * np.pi)
    here = in_china(lon, lat)
    return np.where(here, d_lon, 0.0), np.where(here, d_lat, 0.0)


def wgs84_to_gcj02(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return GCJ-02 degrees of WGS-84 degrees (arrays of equal shape)."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    d_lon, d_lat = _offset(lon, lat)
    return lon + d_lon, lat + d_lat


def gcj02_to_wgs84(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return WGS-84 degrees of GCJ-02 degrees, by fixed-point iteration of the forward formula."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    x, y = lon.copy(), lat.copy()
    for _ in range(_ROUNDS):
        gx, gy = wgs84_to_gcj02(x, y)
        dx, dy = lon - gx, lat - gy
        x, y = x + dx, y + dy
        if not x.size or max(float(np.abs(dx).max()), float(np.abs(dy).max())) < _ENOUGH_DEG:
            break
    return x, y


def gcj02_to_bd09(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return BD-09 degrees of GCJ-02 degrees."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _X_PI)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _X_PI)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def bd09_to_gcj02(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return GCJ-02 degrees of BD-09 degrees, by iteration of the forward formula."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    x, y = lon - 0.0065, lat - 0.006
    for _ in range(_ROUNDS):
        bx, by = gcj02_to_bd09(x, y)
        dx, dy = lon - bx, lat - by
        x, y = x + dx, y + dy
        if not x.size or max(float(np.abs(dx).max()), float(np.abs(dy).max())) < _ENOUGH_DEG:
            break
    return x, y


@lru_cache(maxsize=32)
def _transformer(crs: str, *, outward: bool) -> Transformer:
    other = CRS.from_proj4(SH2000) if crs == "sh2000" else CRS.from_user_input(crs)
    ends = (CRS.from_epsg(4326), other) if outward else (other, CRS.from_epsg(4326))
    return Transformer.from_crs(*ends, always_xy=True)


def to_wgs84(x: Floats, y: Floats, crs: str) -> tuple[Floats, Floats]:
    """Return WGS-84 lon, lat of coordinates in a CRS named as `name_of` returns it.

    Points that the projection cannot hold come back as infinity.
    """
    if crs == "EPSG:4326":
        return np.asarray(x, float), np.asarray(y, float)
    if crs == "gcj02":
        return gcj02_to_wgs84(x, y)
    if crs == "bd09":
        return gcj02_to_wgs84(*bd09_to_gcj02(x, y))
    try:
        lon, lat = _transformer(crs, outward=False).transform(x, y)
    except ProjError as why:
        raise ValueError(f"{crs} cannot be brought to WGS-84 ({why}).") from why
    return np.asarray(lon, float), np.asarray(lat, float)


def from_wgs84(lon: Floats, lat: Floats, crs: str) -> tuple[Floats, Floats]:
    """Return coordinates in a CRS of WGS-84 lon, lat: the exit to other maps."""
    if crs == "EPSG:4326":
        return np.asarray(lon, float), np.asarray(lat, float)
    if crs == "gcj02":
        return wgs84_to_gcj02(lon, lat)
    if crs == "bd09":
        return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))
    x, y = _transformer(crs, outward=True).transform(lon, lat)
    return np.asarray(x, float), np.asarray(y, float)


def shapes_to_wgs84(shapes: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """Return geometries in EPSG:4326 of geometries in a CRS; heights are dropped."""
    if crs == "EPSG:4326":
        # A copy of every geometry is only made where one has a height.
        flat: NDArray[np.object_] = (
            shapely.force_2d(shapes) if shapely.has_z(shapes).any() else shapes
        )
        return flat
    return _each(shapes, crs, inward=True)


def shapes_from_wgs84(shapes: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """Return geometries in a CRS of geometries in EPSG:4326."""
    return _each(shapes, crs, inward=False)


def _each(shapes: NDArray[np.object_], crs: str, *, inward: bool) -> NDArray[np.object_]:
    change = to_wgs84 if inward else from_wgs84

    def moved(points: Floats) -> Floats:
        return np.column_stack(change(points[:, 0], points[:, 1], crs))

    flat: NDArray[np.object_] = shapely.force_2d(shapes)
    result: NDArray[np.object_] = shapely.transform(flat, moved)
    return result
