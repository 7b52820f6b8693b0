"""A flat plane in metres around the centre, and the curves and noise to draw the city with."""

from __future__ import annotations

import json
from functools import lru_cache
from math import cos, radians
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Floats = NDArray[np.float64]
Geoms = NDArray[Any]

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
LON0, LAT0 = 121.475, 31.225
KX = 111_320.0 * cos(radians(LAT0))
KY = 110_880.0
# Six decimals are a tenth of a metre: below what any generated outline can claim.
DECIMALS = 6


@lru_cache(maxsize=8)
def facts(name: str) -> dict[str, Any]:
    """Return a file of data/demo."""
    doc: dict[str, Any] = json.loads((DEMO / name).read_text(encoding="utf-8"))
    return doc


def plane(lonlat: Any) -> Floats:
    """Return metres east and north of the centre for lon, lat (EPSG:4326)."""
    p = np.asarray(lonlat, dtype=float)
    return np.stack([(p[..., 0] - LON0) * KX, (p[..., 1] - LAT0) * KY], axis=-1)


def lonlat(xy: Floats) -> Floats:
    """Return lon, lat (EPSG:4326) for metres, rounded to six decimals."""
    out = np.stack([xy[..., 0] / KX + LON0, xy[..., 1] / KY + LAT0], axis=-1)
    return np.round(out, DECIMALS)


def to_lonlat(geoms: Geoms) -> Geoms:
    """Return geometries of the plane in EPSG:4326."""
    return np.asarray(shapely.transform(np.asarray(geoms, dtype=object), lonlat))


def rng(seed: int, *stage: int) -> np.random.Generator:
    """Return the generator of one stage, so that a change in one stage leaves the others alone."""
    return np.random.default_rng([seed, *stage])


def smooth(points: Floats, step_m: float) -> Floats:
    """Return a dense curve through the points (closed when the first is the last)."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    t = np.concatenate([[0.0], np.cumsum(np.sqrt(lengths) + 1e-9)])
    closed = bool(np.allclose(points[0], points[-1]))
    curve = CubicSpline(t, points, bc_type="periodic" if closed else "natural")
    n = max(2, int(lengths.sum() / step_m))
    return np.asarray(curve(np.linspace(0, t[-1], n + 1)))


def wave(x: Floats, y: Floats, gen: np.random.Generator, length_m: float, waves: int = 5) -> Floats:
    """Return smooth noise in about -1..1 with the given wavelength."""
    total = np.zeros(np.broadcast(x, y).shape)
    for _ in range(waves):
        angle, phase = gen.uniform(0, 2 * np.pi, 2)
        k = 2 * np.pi / (length_m * gen.uniform(0.7, 1.5))
        total += np.sin(k * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return np.asarray(total / np.sqrt(waves))


def blob(
    x: float, y: float, radius_m: float, wobble: float, gen: np.random.Generator, n: int = 40
) -> Any:
    """Return an organic outline around a point, with the area of the circle."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    r = np.ones(n)
    for k in range(2, 7):
        r += wobble * gen.normal(0, 1.0 / k) * np.cos(k * angle + gen.uniform(0, 2 * np.pi))
    r = np.clip(r, 0.35, None)
    stretch = gen.uniform(0.75, 1.3) if wobble > 0.05 else 1.0
    turn = gen.uniform(0, np.pi)
    u, v = r * np.cos(angle) * stretch, r * np.sin(angle) / stretch
    px = u * np.cos(turn) - v * np.sin(turn)
    py = u * np.sin(turn) + v * np.cos(turn)
    made = shapely.make_valid(shapely.polygons(np.column_stack([px, py])))
    scale = radius_m * np.sqrt(np.pi / made.area)
    return shapely.transform(made, lambda p: p * scale + [x, y])


def ribbon(curve: Floats, widths_m: Any) -> Any:
    """Return the polygon of a river along a curve; widths run evenly from source to mouth."""
    at = np.linspace(0, 1, len(curve) - 1)
    given = np.atleast_1d(np.asarray(widths_m, dtype=float))
    width = np.interp(at, np.linspace(0, 1, len(given)), given) if len(given) > 1 else given[0]
    pieces = shapely.linestrings(np.stack([curve[:-1], curve[1:]], axis=1))
    return shapely.union_all(shapely.buffer(pieces, np.asarray(width) / 2, quad_segs=4))


def polygons_of(geoms: Any, min_area: float = 0.0) -> tuple[Geoms, NDArray[np.intp]]:
    """Return the single polygons inside geometries, and the index of the geometry of each."""
    parts, index = shapely.get_parts(np.asarray(geoms, dtype=object), return_index=True)
    # Collections hold lines and points where cuts only touch.
    inner, again = shapely.get_parts(parts, return_index=True)
    keep = (shapely.get_type_id(inner) == 3) & (shapely.area(inner) > min_area)
    return inner[keep], index[again][keep]


def subtract(geoms: Geoms, blockers: Geoms) -> Geoms:
    """Return geometries without what blocks them; each is cut only by what it really meets."""
    out = np.array(geoms, dtype=object)
    cutter, target = shapely.STRtree(out).query(blockers, predicate="intersects")
    order = np.lexsort((cutter, target))
    cutter, target = cutter[order], target[order]
    while len(target):
        # One cutter for each target a round: the arrays stay aligned.
        first = np.concatenate([[True], target[1:] != target[:-1]])
        out[target[first]] = shapely.difference(out[target[first]], blockers[cutter[first]])
        cutter, target = cutter[~first], target[~first]
    return out
