"""When a slow value will cross a limit: a robust trend that days and outliers do not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
HOUR, DAY = 3600.0, 86400.0
# Less than this many days tell no trend apart from a weather change.
LEAST_DAYS = 3
HORIZON_D = 7.0
# Of the slopes between days so many must point the same way.
AGREE = 0.75
# The whole rise must stand out from the scatter around it.
STANDS_OUT = 2.0
SURE = 0.6
# Nothing about the future is certain.
SUREST = 0.97


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A crossing that is expected: when, how sure, and what speaks for it."""

    due_at: float
    due_from: float
    due_to: float
    confidence: float
    slope_per_day: float
    level: float
    scatter: float
    days: int
    points: int


def hourly(at: Array, v: Array, end: float) -> tuple[Array, Array]:
    """Return the median of each hour up to `end` as days × 24, newest day last; nan where nothing was."""
    hours = np.floor((end - at) / HOUR).astype(int)
    days = int(hours.max() // 24) + 1 if hours.size else 0
    made = np.full(days * 24, np.nan)
    order = np.argsort(hours, kind="stable")
    cuts = np.flatnonzero(np.diff(hours[order])) + 1
    for part in np.split(order, cuts) if hours.size else ():
        made[hours[part[0]]] = np.median(v[part])
    grid = made.reshape(days, 24)[::-1, ::-1]
    mid = end - (np.arange(days * 24) + 0.5) * HOUR
    return grid, mid.reshape(days, 24)[::-1, ::-1]


def slopes(grid: Array) -> Array:
    """Return the slopes per day between all days, each hour with the same hour: no daily cycle is in them."""
    days = len(grid)
    a, b = np.triu_indices(days, 1)
    made = (grid[b] - grid[a]) / (b - a)[:, None]
    return np.asarray(made[~np.isnan(made)])


def crossing(at: Array, v: Array, end: float, limit: float, downward: bool) -> Crossing | None:
    """Return when a series will cross a limit, or None where nothing speaks for it."""
    keep = (at <= end) & (at > end - 14 * DAY)
    grid, mid = hourly(at[keep], v[keep], end)
    if len(grid) < LEAST_DAYS:
        return None
    each = slopes(grid)
    if len(each) < 24:
        return None
    way = -1.0 if downward else 1.0
    slope = float(np.median(each))
    agree = float((way * each > 0).mean())
    if way * slope <= 0 or agree < AGREE:
        return None
    level, scatter = _now(grid, mid, end, slope)
    span = len(grid) - 1
    if abs(slope) * span < STANDS_OUT * scatter or way * (limit - level) <= 0:
        return None
    days_left = (limit - level) / slope
    if days_left > HORIZON_D:
        return None
    low, high = np.quantile(way * each, [0.25, 0.75])
    soonest = abs(limit - level) / max(float(high), 1e-12)
    latest = abs(limit - level) / max(float(low), abs(slope) / 4)
    sure = _confidence(agree, abs(slope) * span, scatter, days_left, span)
    if sure < SURE:
        return None
    return Crossing(
        due_at=end + days_left * DAY, due_from=end + min(soonest, days_left) * DAY,
        due_to=end + max(latest, days_left) * DAY, confidence=sure, slope_per_day=slope,
        level=level, scatter=scatter, days=len(grid), points=int((~np.isnan(grid)).sum()),
    )  # fmt: skip


def _now(grid: Array, mid: Array, end: float, slope: float) -> tuple[float, float]:
    """Return where the series stands now and the scatter around its trend, the daily cycle taken out."""
    flat = grid - slope * (mid - end) / DAY
    cycle = np.nanmedian(flat - np.nanmedian(flat), axis=0, keepdims=True) if len(grid) > 2 else 0.0
    rest = flat - np.where(np.isnan(cycle), 0.0, cycle)
    level = float(np.nanmedian(rest[-2:]))
    scatter = float(1.4826 * np.nanmedian(np.abs(rest - np.nanmedian(rest))))
    # A crossing happens at the top of the day, not at its middle.
    top = float(np.nanmax(np.abs(cycle))) if np.size(cycle) > 1 else 0.0
    return level + np.sign(slope) * min(top, abs(level)) * 0.5, scatter


def _confidence(agree: float, rise: float, scatter: float, left: float, span: float) -> float:
    """Return how sure: slopes that agree, a rise that stands out, no further ahead than was seen."""
    clear = 1 - np.exp(-rise / (2 * scatter + 1e-12) / STANDS_OUT)
    reach = 1 / (1 + max(0.0, left - span) / (2 * span))
    return float(round(np.clip(agree * clear * (0.5 + 0.5 * reach), 0, SUREST), 3))
