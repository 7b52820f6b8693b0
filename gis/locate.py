"""Which area each of many points lies in, and the order in which neighbours follow each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely


class Areas:
    """Areas with a label each; shapes and points share one CRS."""

    def __init__(self, labels: Sequence[str], shapes: Sequence[shapely.Geometry]) -> None:
        self._labels = np.array([*labels, None], dtype=object)
        self._shapes = np.array(shapes, dtype=object)
        shapely.prepare(self._shapes)
        self._bounds = shapely.bounds(self._shapes)

    def labels_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the label of the area that covers each point (border included), else None.

        Where areas overlap the first in order is taken; NaN points lie nowhere.
        """
        found = np.full(len(x), -1, dtype=np.int64)
        # Candidates by box, then one prepared test for each area: fast for outlines of any length.
        for i, (west, south, east, north) in enumerate(self._bounds):
            near = np.flatnonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
            near = near[found[near] < 0]
            if len(near):
                hit = shapely.intersects_xy(self._shapes[i], x[near], y[near])
                found[near[hit]] = i
        return np.asarray(self._labels[found])


def near_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the order in which neighbours follow each other (Morton code over the points' own box)."""
    spread = np.zeros(len(x), dtype=np.uint64)
    for shift, values in enumerate((x, y)):
        finite = np.nan_to_num(values, nan=0.0)
        low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
        cell = ((finite - low) / max(high - low, 1e-12) * 65535).astype(np.uint64)
        for bit in range(16):
            spread |= ((cell >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + shift)
    return np.asarray(np.argsort(spread, kind="stable"))
