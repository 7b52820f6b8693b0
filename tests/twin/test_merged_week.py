"""A generated week taken in with the rule that runs: what merges by itself is right."""

from __future__ import annotations

import pytest

from tests import minicity
from tests.support import Servers
from ui.terminal.benchmarks import merges


def taken(servers: Servers, seed: int, incidents: int) -> merges.Week:
    with servers.fresh_database(f"week_{seed}_{incidents}"):
        minicity.build()
        return merges.week(seed, incidents)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_merges_by_itself_are_right(servers: Servers, seed: int) -> None:
    week = taken(servers, seed, 3_000)
    assert week.merged > 200
    assert week.right / week.merged >= 0.95, week


def test_a_small_week_merges_some_and_hardly_any_wrongly(servers: Servers) -> None:
    week = taken(servers, 1, 60)
    assert week.again > 20 and 0 < week.merged <= week.again
    assert week.merged - week.right <= 1, week
