"""Travel times: on a grid reckoned by hand, one-way streets, limits, the way there."""

from __future__ import annotations

import numpy as np
import pytest

from gis import network

STEP = 0.01
SPEED = 36.0  # 10 m/s


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array([(121.4 + STEP * x, 31.2 + STEP * y) for x, y in points])


def graph(*lines: np.ndarray, oneway: tuple[bool, ...] | None = None) -> network.RoadGraph:
    flags = np.array(oneway or [False] * len(lines))
    return network.build(list(lines), np.full(len(lines), SPEED), flags)


def seconds_north(steps: float) -> float:
    return steps * STEP * network.M_PER_DEG / 10.0


def test_time_along_a_line() -> None:
    g = graph(line((0, 0), (0, 1), (0, 2)))
    times, _ = network.travel_times(network.reach(g, 121.4, 31.22), line((0, 0)))
    assert times[0] == pytest.approx(seconds_north(2), rel=1e-3)


def test_shared_vertices_are_junctions() -> None:
    g = graph(line((0, 0), (0, 1), (0, 2)), line((-1, 1), (0, 1), (1, 1)))
    reached = network.reach(g, 121.41, 31.21)
    _, nodes = network.travel_times(reached, line((0, 0)))
    assert len(reached.route(int(nodes[0]))) == 3


def test_crossing_without_shared_vertex_is_a_bridge() -> None:
    g = graph(line((0, 0), (0, 2)), line((-1, 1), (1, 1)), line((0, 0), (-1, 1)))
    times, _ = network.travel_times(network.reach(g, 121.41, 31.21, limit_s=1e5), line((0, 2)))
    assert times[0] > seconds_north(2)


def test_one_way_streets_cost_the_way_round() -> None:
    ring = (line((0, 0), (0, 1)), line((0, 1), (1, 1)), line((1, 1), (1, 0)), line((1, 0), (0, 0)))
    g = graph(*ring, oneway=(True, True, True, True))
    forth, _ = network.travel_times(network.reach(g, 121.4, 31.21), line((0, 0)))
    back, _ = network.travel_times(network.reach(g, 121.4, 31.2), line((0, 1)))
    assert back[0] > 2.5 * forth[0]


def test_beyond_the_limit_is_infinite() -> None:
    g = graph(line((0, 0), (0, 50)))
    times, nodes = network.travel_times(network.reach(g, 121.4, 31.2, limit_s=60), line((0, 50)))
    assert np.isinf(times[0])
    assert network.reach(g, 121.4, 31.2, limit_s=60).route(int(nodes[0])) == []


def test_loose_pieces_are_not_snapped_to() -> None:
    g = graph(line((0, 0), (0, 1), (0, 2)), line((5, 5), (5, 6)))
    times, _ = network.travel_times(network.reach(g, 121.4, 31.2), line((5, 5)))
    assert np.isfinite(times[0])


def test_no_roads_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        network.build([], np.array([]), np.array([], bool))


def test_a_vehicle_that_may_not_enter_goes_round_and_a_slow_one_takes_longer() -> None:
    lines = (line((0, 0), (0, 2)), line((0, 0), (1, 0)), line((1, 0), (1, 2)), line((1, 2), (0, 2)))
    g = graph(*lines)
    start, end = line((0, 0)), line((0, 2))

    def took(of: network.RoadGraph) -> float:
        return float(network.matrix(of, end, start, 1e6)[0, 0])

    plain = took(g)
    assert took(network.turned(g, np.full(4, 2.0))) == pytest.approx(2 * plain, rel=1e-6)
    away = network.turned(g, np.array([np.inf, 1.0, 1.0, 1.0]))
    assert took(away) > 1.5 * plain
    assert took(g) == plain, "the graph itself stays as it was"


def test_a_drawn_line_closes_the_edges_that_it_crosses() -> None:
    import shapely

    g = graph(line((0, 0), (0, 1), (0, 2)), line((0, 0), (1, 0), (1, 2), (0, 2)))
    wall = shapely.LineString(line((-0.5, 0.5), (0.5, 0.5)))
    blocked = network.crossed(g, wall)
    assert blocked.sum() == 2, "both directions of one edge"
    round_ = network.turned(g, np.ones(2), blocked)
    assert network.matrix(round_, line((0, 2)), line((0, 0)), 1e6)[0, 0] > seconds_north(3)


def test_the_matrix_says_what_single_searches_say() -> None:
    gen = np.random.default_rng(3)
    g = graph(*[line((i, 0), *[(i, j) for j in range(1, 9)]) for i in range(9)],
              *[line((0, j), *[(i, j) for i in range(1, 9)]) for j in range(9)])  # fmt: skip
    places = 121.4 + STEP * gen.uniform(0, 8, (70, 1)), 31.2 + STEP * gen.uniform(0, 8, (70, 1))
    ends, starts = np.hstack(places), np.hstack(places)[::-1][:20]
    found = network.matrix(g, ends, starts, 1e6)
    for i in (0, 33, 69):
        single, _ = network.travel_times(network.reach(g, *ends[i], 1e6), starts)
        assert found[i] == pytest.approx(single)


def test_the_nearest_of_many_places_is_the_least_of_the_matrix() -> None:
    xs = np.linspace(121.40, 121.45, 11)
    lines = [np.array([[a, 31.2], [b, 31.2]]) for a, b in zip(xs, xs[1:], strict=False)]
    made = network.build(lines, np.full(10, 36.0), np.zeros(10, dtype=bool))
    places = made.nodes[[0, 7]]
    times = network.to_nearest(made, places, 1e6)
    assert times == pytest.approx(network.matrix(made, places, made.nodes, 1e6).min(axis=0))
    assert np.isinf(network.to_nearest(made, places[:1], 60.0)).any()
