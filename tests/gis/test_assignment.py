"""The assignment: the least cost in all, never an unable pair; a simulated day beside first-come."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gis import assignment
from gis.assignment import Terms
from ui.terminal.benchmarks import shiftday


def test_the_least_in_all_is_found_as_by_trying_everything() -> None:
    gen = np.random.default_rng(1)
    for _ in range(50):
        cost = gen.uniform(-100, 100, (4, 5))
        able = np.ones((4, 5), dtype=bool)
        best = min(sum(cost[i, p[i]] for i in range(4)) for p in permutations(range(5), 4))
        found = assignment.pairs(cost, able)
        assert sum(cost[i, j] for i, j in found) == pytest.approx(best)


def test_an_unable_or_endless_pair_is_never_chosen() -> None:
    cost = np.array([[1.0, 2.0], [np.inf, 3.0]])
    able = np.array([[False, True], [True, True]])
    assert assignment.pairs(cost, able) in ([(0, 1)], [(1, 1)])
    assert assignment.pairs(cost, np.zeros((2, 2), dtype=bool)) == []
    assert assignment.pairs(np.empty((0, 2)), np.empty((0, 2), dtype=bool)) == []


def test_the_urgent_and_the_long_waiting_come_first_when_crews_are_few() -> None:
    travel = np.array([[600.0], [300.0], [300.0]])
    weight = np.array([6.0, 1.0, 1.0])
    cost = assignment.costs(travel, weight, np.zeros(1), np.array([0.0, 0.0, 5000.0]))
    assert assignment.pairs(cost, np.isfinite(cost)) == [(0, 0)]
    ordinary = assignment.costs(travel[1:], weight[1:], np.zeros(1), np.array([0.0, 5000.0]))
    assert assignment.pairs(ordinary, np.isfinite(ordinary)) == [(1, 0)]


def test_the_ranking_leaves_out_who_cannot_come() -> None:
    cost = np.array([5.0, 1.0, np.inf, 3.0])
    assert assignment.ranked(cost, np.array([True, True, True, False]), 3) == [1, 0]


def test_work_that_lasts_longer_than_usual_is_not_done_at_once() -> None:
    left = assignment.left_s(np.array([-60.0, 0.0, 1000.0, 9000.0]), 1200.0)
    assert left.tolist() == [1260.0, 1200.0, 360.0, 360.0]


@pytest.mark.parametrize(("rate", "mean", "urgent_p90"), [(1.0, 1.0, 1.0), (1.5, 0.7, 0.65)])
def test_a_simulated_day_beside_first_come(rate: float, mean: float, urgent_p90: float) -> None:
    """F9 in its short form: two seeds; three seeds and overload are `twin bench dispatch`."""
    graph = shiftday.city()
    first, ours, urgent = [], [], []
    hours = 24 if rate > 1 else 10
    for seed in (11, 12):
        of = shiftday.day(graph, rate, hours, seed)
        first.append(shiftday.first_come(of))
        ours.append(shiftday.rolling(of, Terms()))
        urgent.append(of.urgent)
    a, b, u = np.concatenate(first), np.concatenate(ours), np.concatenate(urgent)
    assert np.isfinite(a).all() and np.isfinite(b).all(), "everything was answered"
    assert b.mean() <= mean * a.mean()
    assert np.percentile(b[u], 90) <= urgent_p90 * np.percentile(a[u], 90)
