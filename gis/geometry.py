"""Shapes fit for storage: validity repair with reasons, limits, ellipsoid area, digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely import Geometry, GeometryCollection, MultiLineString, MultiPolygon

MAX_VERTICES = 1_000_000
WORLD = (-180.0, -90.0, 180.0, 90.0)
# Square degrees: a polygon below this is a line drawn twice (about 0.1 mm²).
_FLAT = 1e-14
_FAMILY = {
    "point": ("Point",),
    "line": ("LineString", "MultiLineString", "LinearRing"),
    "polygon": ("Polygon", "MultiPolygon"),
}


@dataclass(frozen=True)
class Mended:
    """A shape fit for storage, or the reason why there is none; `repair` says what was mended."""

    shape: Geometry | None
    repair: str | None = None
    reason: str | None = None


def mend(shape: Geometry | None, family: str) -> Mended:
    """Return a valid shape of the family `point line polygon` (lines and polygons as multi).

    The shape is in EPSG:4326 and two-dimensional. Nothing is moved to make it fit: what cannot be
    kept honestly is refused with a reason.
    """
    refused = _refuse(shape)
    if refused:
        return Mended(None, reason=refused)
    assert shape is not None
    notes: list[str] = []
    fitting = _fit(shape, family, notes)
    if fitting is None:
        return Mended(None, reason=f"a {shape.geom_type} where a {family} is expected")
    if not fitting.is_valid:
        notes.append(shapely.is_valid_reason(fitting))
        fitting = _parts(shapely.make_valid(fitting), family)
        if fitting is None:
            return Mended(None, reason=f"invalid beyond repair: {notes[-1]}")
    if _degenerate(fitting, family):
        return Mended(None, reason="the shape has no extent (all points on one place or line)")
    return Mended(_multi(fitting, family), repair="; ".join(notes) or None)


@dataclass
class ManyMended:
    """Shapes of one family (None where refused), and by position what was mended or refused."""

    shapes: NDArray[np.object_]
    repairs: dict[int, str]
    reasons: dict[int, str]


_TYPES = {"point": (0,), "line": (1, 5), "polygon": (3, 6)}


def mend_many(shapes: NDArray[np.object_], family: str) -> ManyMended:
    """Return what `mend` returns for each shape; what is sound already is told at once."""
    out = np.asarray(shapes, dtype=object).copy()
    sound = _sound(out, family)
    for single, many in ((1, shapely.multilinestrings), (3, shapely.multipolygons)):
        which = np.flatnonzero(sound & (shapely.get_type_id(out) == single))
        if len(which):
            out[which] = many(out[which], indices=np.arange(len(which)))
    made = ManyMended(out, {}, {})
    for i in np.flatnonzero(~sound).tolist():
        one = mend(shapes[i], family)
        out[i] = one.shape
        if one.repair:
            made.repairs[i] = one.repair
        if one.shape is None:
            made.reasons[i] = one.reason or "no geometry"
    return made


def _sound(shapes: NDArray[np.object_], family: str) -> NDArray[np.bool_]:
    """Tell which shapes need no mending."""
    sound = np.isin(shapely.get_type_id(shapes), _TYPES[family]) & ~shapely.is_empty(shapes)
    sound &= shapely.get_num_coordinates(shapes) <= MAX_VERTICES
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    # Comparisons with NaN are false, so what is not finite is outside as well.
    inside = (points >= WORLD[:2]).all(axis=1) & (points <= WORLD[2:]).all(axis=1)
    sound[owner[~inside]] = False
    which = np.flatnonzero(sound)
    good = shapely.is_valid(shapes[which])
    if family == "polygon":
        good &= shapely.area(shapes[which]) > _FLAT
    elif family == "line":
        good &= shapely.length(shapes[which]) > 0
    sound[which] = good
    return np.asarray(sound)


def wkb_hex(shapes: NDArray[np.object_]) -> list[str | None]:
    """Return shapes as hex WKB without SRID: a typed column of PostGIS gives it its own."""
    # Python's hex is several times faster than that of GEOS.
    return [None if raw is None else raw.hex() for raw in shapely.to_wkb(shapes)]


def _refuse(shape: Geometry | None) -> str | None:
    if shape is None or shape.is_empty:
        return "no geometry"
    count = int(shapely.get_num_coordinates(shape))
    if count > MAX_VERTICES:
        return f"{count} vertices, more than {MAX_VERTICES} allowed"
    points = shapely.get_coordinates(shape)
    if not np.isfinite(points).all():
        return "a coordinate is not a finite number"
    low, high = points.min(axis=0), points.max(axis=0)
    if low[0] < WORLD[0] or low[1] < WORLD[1] or high[0] > WORLD[2] or high[1] > WORLD[3]:
        return "a coordinate lies outside the world: is the CRS right?"
    return None


def _fit(shape: Geometry, family: str, notes: list[str]) -> Geometry | None:
    if shape.geom_type in _FAMILY[family]:
        return shape
    if family == "point" and shape.geom_type == "MultiPoint" and len(shape.geoms) == 1:
        notes.append("a MultiPoint of one point")
        return shape.geoms[0]
    if isinstance(shape, GeometryCollection) and not isinstance(
        shape, MultiPolygon | MultiLineString
    ):
        parts = _parts(shape, family)
        if parts is not None:
            notes.append(f"only the {family} parts of a {shape.geom_type}")
        return parts
    return None


def _parts(shape: Geometry, family: str) -> Geometry | None:
    """Return the parts of a family within any shape, as one."""
    if shape.geom_type in _FAMILY[family]:
        return shape
    found = [p for p in shapely.get_parts(shape) if p.geom_type in _FAMILY[family]]
    nested = [_parts(p, family) for p in shapely.get_parts(shape) if isinstance(p, GeometryCollection)
              and p.geom_type == "GeometryCollection"]  # fmt: skip
    found += [p for p in nested if p is not None]
    if not found or (family == "point" and len(found) > 1):
        return None
    return found[0] if len(found) == 1 else shapely.union_all(found)


def _degenerate(shape: Geometry, family: str) -> bool:
    if family == "polygon":
        return bool(shape.area <= _FLAT)
    return family == "line" and shape.length == 0.0


def _multi(shape: Geometry, family: str) -> Geometry:
    if family == "polygon" and shape.geom_type == "Polygon":
        return MultiPolygon([shape])
    if family == "line" and shape.geom_type in ("LineString", "LinearRing"):
        return MultiLineString([shapely.get_coordinates(shape)])
    return shape


@lru_cache(maxsize=1)
def _ellipsoid() -> Geod:
    return Geod(ellps="GRS80")


def area_m2(shape: Geometry) -> float:
    """Return the area on the CGCS2000 ellipsoid in square metres (shape in EPSG:4326)."""
    area, _ = _ellipsoid().geometry_area_perimeter(shapely.orient_polygons(shape))
    return float(abs(area))


def length_m(shape: Geometry) -> float:
    """Return the length on the CGCS2000 ellipsoid in metres (shape in EPSG:4326)."""
    return float(_ellipsoid().geometry_length(shape))


def digest(shape: Geometry) -> str:
    """Return a digest that is equal for equal shapes whatever their starting vertex."""
    return hashlib.blake2s(shapely.to_wkb(shapely.normalize(shape)), digest_size=12).hexdigest()
