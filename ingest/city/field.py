"""The direction of the streets at every place, and the long lines that follow it.

Streets run along or across a cross field (directions modulo 90°), blended from what is known of
the grids of the centre and from the course of the river, so that avenues bend with the water.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import atan2, cos, hypot, pi, sin

import numpy as np
import shapely
from scipy.spatial import cKDTree

from ingest.city.land import Land
from ingest.city.plane import Floats, Geoms, facts, plane, rng, wave

CELL = 400.0
MASK = 120.0
MARGIN = 2_000.0
# Spacing of avenues by distance from the centre of detail: dense inside the rings, sparse outside.
SPACING_KM = ([0, 4, 9, 15, 25, 40, 70], [620, 760, 1050, 1700, 2600, 3200, 3600])
FOCUS = np.array([[121.4700, 31.2320], [121.5030, 31.2360], [121.4400, 31.1980]])


def focus_distance(xy: Floats) -> Floats:
    """Return the distance in metres to the line People's Square, Lujiazui, Xujiahui."""
    line = shapely.linestrings(plane(FOCUS[[1, 0, 2]]))
    return np.asarray(shapely.distance(line, shapely.points(np.asarray(xy))))


@dataclass
class Field:
    """Directions on a raster, and where lines already run (one mask for each family)."""

    x0: float
    y0: float
    angle: Floats
    free: np.ndarray
    spacing: Floats
    seed_mask: list[np.ndarray] = field(default_factory=list)
    trace_mask: list[np.ndarray] = field(default_factory=list)

    def at(self, x: float, y: float) -> float:
        """Return the direction at a place in radians, modulo a quarter turn."""
        return float(self.angle[int((y - self.y0) / CELL), int((x - self.x0) / CELL)])

    def gap(self, x: float, y: float) -> float:
        """Return the wanted distance between parallel avenues."""
        return float(self.spacing[int((y - self.y0) / CELL), int((x - self.x0) / CELL)])

    def stamp(self, line: Floats, family: int) -> None:
        """Keep later lines of the family away from this one."""
        mask_s, mask_t = self.seed_mask[family], self.trace_mask[family]
        for x, y in line:
            gap = self.gap(x, y)
            for mask, r in ((mask_s, 0.92 * gap), (mask_t, 0.5 * gap)):
                i, j, n = int((y - self.y0) / MASK), int((x - self.x0) / MASK), int(r / MASK)
                mask[max(0, i - n) : i + n + 1, max(0, j - n) : j + n + 1] = True


def make(land: Land, seed: int) -> Field:
    """Return the cross field over the whole city."""
    x0, y0, x1, y1 = land.city.bounds
    x0, y0, x1, y1 = x0 - MARGIN, y0 - MARGIN, x1 + MARGIN, y1 + MARGIN
    gx, gy = np.meshgrid(np.arange(x0, x1, CELL), np.arange(y0, y1, CELL))
    gen = rng(seed, 10)
    background = 0.10 * wave(gx, gy, gen, 16_000)
    c, s = 0.02 * np.cos(4 * background), 0.02 * np.sin(4 * background)
    for lon, lat, degrees, reach in facts("places.json")["directions"]:
        px, py = plane([lon, lat])
        w = np.exp(-(((gx - px) ** 2 + (gy - py) ** 2) / reach**2))
        c += w * cos(4 * degrees * pi / 180)
        s += w * sin(4 * degrees * pi / 180)
    curve = land.huangpu_curve
    tangent = np.gradient(curve, axis=0)
    distance, i = cKDTree(curve).query(np.column_stack([gx.ravel(), gy.ravel()]))
    turn = np.arctan2(tangent[i, 1], tangent[i, 0]).reshape(gx.shape)
    w = 2.5 * np.exp(-((distance.reshape(gx.shape) / 1_100) ** 2))
    angle = np.arctan2(s + w * np.sin(4 * turn), c + w * np.cos(4 * turn)) / 4
    km = focus_distance(np.column_stack([gx.ravel(), gy.ravel()])).reshape(gx.shape) / 1000
    mx, my = np.meshgrid(np.arange(x0, x1, MASK), np.arange(y0, y1, MASK))
    made = Field(x0, y0, angle, _free(land, mx, my), np.interp(km, *SPACING_KM))
    made.seed_mask = [np.zeros(mx.shape, bool), np.zeros(mx.shape, bool)]
    made.trace_mask = [np.zeros(mx.shape, bool), np.zeros(mx.shape, bool)]
    return made


def _free(land: Land, mx: Floats, my: Floats) -> np.ndarray:
    """Return where an avenue may run: on land, and not along the bed of the river."""
    ground = shapely.difference(
        shapely.simplify(shapely.buffer(land.city, -150), 60),
        shapely.buffer(land.rivers["黄浦江"], 60),
    )
    shapely.prepare(ground)
    return np.asarray(shapely.contains_xy(ground, mx, my))


def avenues(made: Field, fixed: Iterable[Floats], seed: int) -> list[Floats]:
    """Return lines along the field, none closer to its parallels than the spacing allows."""
    for line in fixed:
        for part, family in _families(made, line):
            made.stamp(part, family)
    gen = rng(seed, 11)
    step = 450.0
    ny, nx = made.angle.shape
    gx, gy = np.meshgrid(
        np.arange(made.x0 + step, made.x0 + (nx - 2) * CELL, step),
        np.arange(made.y0 + step, made.y0 + (ny - 2) * CELL, step),
    )
    seeds = np.column_stack([gx.ravel(), gy.ravel()]) + gen.uniform(-150, 150, (gx.size, 2))
    seeds = seeds[np.argsort(focus_distance(seeds), kind="stable")]
    lines: list[Floats] = []
    for x, y in seeds:
        for family in (0, 1):
            found = _trace(made, float(x), float(y), family)
            if found is not None:
                made.stamp(found[::2], family)
                lines.append(found)
    return lines


def _families(made: Field, line: Floats) -> list[tuple[Floats, int]]:
    """Return the pieces of a given line by the family that each runs with."""
    mid, d = (line[1:] + line[:-1]) / 2, np.diff(line, axis=0)
    turn = np.arctan2(d[:, 1], d[:, 0])
    inside = [made.free.shape[0] * MASK + made.y0, made.free.shape[1] * MASK + made.x0]
    ok = (
        (mid[:, 1] > made.y0)
        & (mid[:, 1] < inside[0])
        & (mid[:, 0] > made.x0)
        & (mid[:, 0] < inside[1])
    )
    theta = np.array([made.at(x, y) if k else 0.0 for (x, y), k in zip(mid, ok, strict=True)])
    along = np.abs(np.cos(turn - theta)) > 0.75
    across = np.abs(np.sin(turn - theta)) > 0.75
    return [(mid[ok & along], 0), (mid[ok & across], 1)]


def _trace(made: Field, x: float, y: float, family: int) -> Floats | None:
    i, j = int((y - made.y0) / MASK), int((x - made.x0) / MASK)
    if not made.free[i, j] or made.seed_mask[family][i, j]:
        return None
    start = made.at(x, y) + family * pi / 2
    back = _walk(made, x, y, start + pi, family)
    line = [*reversed(back), (x, y), *_walk(made, x, y, start, family)]
    gap = made.gap(x, y)
    length = sum(hypot(a[0] - b[0], a[1] - b[1]) for a, b in zip(line, line[1:], strict=False))
    return np.asarray(line) if length > 1.3 * gap else None


def _walk(
    made: Field, x: float, y: float, heading: float, family: int, most_m: float = 26_000
) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    mask, free, walked = made.trace_mask[family], made.free, 0.0
    while walked < most_m:
        h = made.gap(x, y) / 7
        theta = made.at(x, y)
        # The nearest of the four directions of the cross to where the line is heading.
        theta += round((heading - theta) / (pi / 2)) * (pi / 2)
        heading = atan2(
            0.5 * sin(heading) + 0.5 * sin(theta), 0.5 * cos(heading) + 0.5 * cos(theta)
        )
        x, y = x + h * cos(heading), y + h * sin(heading)
        i, j = int((y - made.y0) / MASK), int((x - made.x0) / MASK)
        if not free[i, j]:
            # One step on: the end is cut where the water or the shore begins.
            out.append((x, y))
            break
        out.append((x, y))
        if mask[i, j]:
            break
        walked += h
    return out


def as_lines(curves: Iterable[Floats]) -> Geoms:
    """Return linestrings of curves."""
    return np.array([shapely.linestrings(c) for c in curves], dtype=object)
