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
        self._tree = shapely.STRtree(self._shapes)

    def labels_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the label of the area that covers each point (border included), else None.

        Where areas overlap the first in order is taken; NaN points lie nowhere.
        """
        found = np.full(len(x), -1, dtype=np.int64)
        if not len(self._shapes) or not len(x):
            return np.asarray(self._labels[found])
        # Candidates by box, then one prepared test for each area: fast for outlines of any length.
        point, area = self._tree.query(shapely.points(x, y))
        order = np.argsort(-area, kind="stable")
        point, area = point[order], area[order]
        ends = np.flatnonzero(np.diff(area)) + 1
        for near, owners in zip(np.split(point, ends), np.split(area, ends), strict=True):
            if len(near):
                hit = shapely.intersects_xy(self._shapes[owners[0]], x[near], y[near])
                found[near[hit]] = owners[0]
        return np.asarray(self._labels[found])
