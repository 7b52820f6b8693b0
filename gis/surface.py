"""Surfaces from scattered values: inverse-distance weights on a grid, and the bands between isolines."""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
NEAREST = 12
POWER = 2.0
# Farther from every value than this share of the usual distance between values, nothing is claimed.
REACH = 4.0


def grid(
    lon: Floats, lat: Floats, values: Floats, cells: int = 320
) -> tuple[Floats, Floats, Floats]:
    """Return the axes of a grid around points, and the values on it; nan where no value is near."""
    scale = np.cos(np.radians(float(lat.mean())))
    points = np.column_stack([lon * scale, lat])
    reach = _reach(points)
    pad = reach
    x = np.linspace(points[:, 0].min() - pad, points[:, 0].max() + pad, cells)
    y = np.linspace(points[:, 1].min() - pad, points[:, 1].max() + pad, cells)
    gx, gy = np.meshgrid(x, y)
    near = min(NEAREST, len(values))
    distance, index = cKDTree(points).query(np.column_stack([gx.ravel(), gy.ravel()]), k=near)
    distance, index = distance.reshape(-1, near), index.reshape(-1, near)
    weights = 1.0 / np.maximum(distance, 1e-9) ** POWER
    found = (weights * values[index]).sum(axis=1) / weights.sum(axis=1)
    # Weights alone draw a ring around every value; a little smoothing leaves the field.
    smooth = gaussian_filter(found.reshape(gx.shape), _smoothing(reach, x))
    smooth[distance[:, 0].reshape(gx.shape) > reach] = np.nan
    return x / scale, y, smooth


def _smoothing(reach: float, x: Floats) -> float:
    """Return by how many cells to smooth: a fifth of how far a value speaks."""
    return float(np.clip(reach / 5 / max(x[1] - x[0], 1e-12), 1.0, 12.0))


def _reach(points: Floats) -> float:
    """Return how far a value speaks: a few times the usual distance to the next one."""
    if len(points) < 2:
        return 0.01
    next_one = cKDTree(points).query(points, k=2)[0][:, 1]
    usual = float(np.median(next_one[next_one > 0])) if (next_one > 0).any() else 0.005
    return min(max(usual * REACH, 0.002), 0.2)


def bands(x: Floats, y: Floats, found: Floats, levels: Floats) -> list[tuple[float, float, Any]]:
    """Return low, high and shape of each band between neighbouring levels."""
    made = contourpy.contour_generator(
        x, y, np.ma.masked_invalid(found), fill_type=contourpy.FillType.OuterOffset
    )
    shapes = []
    for low, high in zip(levels[:-1], levels[1:], strict=True):
        polygons = [
            part
            for points, offsets in zip(*made.filled(float(low), float(high)), strict=True)
            if (part := _polygon(points, offsets)) is not None
        ]
        if polygons:
            shapes.append((float(low), float(high), shapely.multipolygons(polygons)))
    return shapes


def line(x: Floats, y: Floats, found: Floats, level: float) -> Any | None:
    """Return the line on which a grid has a value; None where it has it nowhere."""
    made = contourpy.contour_generator(x, y, np.ma.masked_invalid(found))
    parts = [shapely.linestrings(points) for points in made.lines(level) if len(points) >= 2]
    return shapely.multilinestrings(parts) if parts else None


def _polygon(points: Any, offsets: Any) -> Any:
    rings = [
        shapely.linearrings(points[a:b])
        for a, b in zip(offsets[:-1], offsets[1:], strict=True) if b - a >= 4
    ]  # fmt: skip
    return shapely.polygons(rings[0], rings[1:] or None) if rings else None


def levels(values: Floats, many: int = 7) -> Floats:
    """Return round levels over the range of values."""
    low, high = np.quantile(values, [0.02, 0.98])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / many
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = np.floor(low / step) * step
    return np.asarray(np.round(np.arange(first, high + step * 1.001, step), 9))
