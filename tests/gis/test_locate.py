"""Points find their areas: borders, gaps, nothing to find."""

from __future__ import annotations

import numpy as np
import shapely

from gis.locate import Areas, near_order


def test_points_find_the_area_that_covers_them() -> None:
    areas = Areas(["a", "b"], [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])
    x = np.array([0.5, 1.5, 1.0, 2.5, np.nan])
    y = np.array([0.5, 0.5, 0.5, 0.5, 0.5])
    # The shared border belongs to the first in order.
    assert areas.labels_at(x, y).tolist() == ["a", "b", "a", None, None]


def test_no_areas_and_no_points() -> None:
    assert Areas([], []).labels_at(np.array([1.0]), np.array([1.0])).tolist() == [None]
    assert Areas(["a"], [shapely.box(0, 0, 1, 1)]).labels_at(np.array([]), np.array([])).size == 0


def test_the_same_as_one_test_for_each_point() -> None:
    gen = np.random.default_rng(7)
    seeds = shapely.multipoints(gen.random((40, 2)))
    cells = shapely.get_parts(shapely.voronoi_polygons(seeds))
    x, y = gen.random(3000), gen.random(3000)
    found = Areas([str(i) for i in range(len(cells))], list(cells)).labels_at(x, y)
    point, cell = shapely.STRtree(cells).query(shapely.points(x, y), predicate="intersects")
    expected = dict(zip(point[::-1].tolist(), cell[::-1].tolist(), strict=True))
    assert found.tolist() == [str(expected[i]) for i in range(3000)]


def test_neighbours_follow_each_other() -> None:
    gen = np.random.default_rng(3)
    x, y = gen.random(2000), gen.random(2000)
    x[7] = np.nan
    order = near_order(x, y)
    assert sorted(order.tolist()) == list(range(2000))
    there = order[order != 7]
    steps = np.hypot(np.diff(x[there]), np.diff(y[there])).mean()
    as_given = np.hypot(np.diff(np.delete(x, 7)), np.diff(np.delete(y, 7))).mean()
    assert steps < as_given / 10
    assert near_order(np.array([]), np.array([])).size == 0
