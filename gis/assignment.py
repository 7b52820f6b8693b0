"""Who goes where: the pairs of events and crews that cost least in all, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Dearer than any real pair: chosen only where nothing else is left, and then thrown away.
_NEVER = 1e12
OVERTIME = 0.3


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a second is worth: of the way, of waiting, of work that a crew has in hand already."""

    load: float = 0.35  # a task in hand makes the way longer by this share
    reserve_s: float = 7200.0  # what it costs to leave an event for later
    waiting: float = 1.0  # every second already waited adds so many


def costs(
    travel_s: Floats,
    weight: Floats,
    load: Floats,
    waited_s: Floats,
    extra_s: Floats | float = 0.0,
    terms: Terms = Terms(),
) -> Floats:
    """Return what each pair (event, crew) costs; the urgent weigh more, the long waiting too."""
    felt = travel_s * (1.0 + terms.load * load)[None, :] + extra_s
    later = terms.reserve_s + terms.waiting * waited_s
    return np.asarray(weight[:, None] * (felt - later[:, None]))


def left_s(worked_s: Floats, usual_s: Floats | float) -> Floats:
    """Return how long work still takes that has gone on for so long (negative: it begins then).

    What has taken longer than usual is not done at once: a share of the usual time stays.
    """
    return np.asarray(np.maximum(usual_s - worked_s, OVERTIME * np.asarray(usual_s)))


def pairs(cost: Floats, able: Flags) -> list[tuple[int, int]]:
    """Return (event, crew) pairs, each crew once: as many as can be, at the least cost in all."""
    possible = able & np.isfinite(cost)
    if not possible.any():
        return []
    rows, columns = linear_sum_assignment(np.where(possible, cost, _NEVER))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]


def ranked(cost_row: Any, able_row: Any, limit: int) -> list[int]:
    """Return the crews of one event in the order in which they come into question."""
    possible = np.flatnonzero(np.asarray(able_row) & np.isfinite(cost_row))
    order = possible[np.argsort(np.asarray(cost_row)[possible], kind="stable")]
    return [int(i) for i in order[:limit]]
