"""Which area each point lies in, for many points and areas that do not overlap."""

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
