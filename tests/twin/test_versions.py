"""A new version of the process while cases run: none disturbed, all moved and taken back, loops included."""

from __future__ import annotations

import pytest

from tests import minicity
from ui.terminal.benchmarks import actions, versions


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()
    actions._seat_department()


def played(n: int) -> None:
    got = versions.play(n)
    assert not got.disturbed
    assert (got.told, got.moved, got.new_acts, got.back, got.stayed) == (n, n, n, n, 0)
    assert got.same, "taken back, a case is what it was but for its version"
    assert got.old_acts == min(100, n - versions.LOOPED)


def test_two_hundred_running_cases_meet_a_new_version() -> None:
    played(200)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_running_cases_meet_a_new_version() -> None:
    played(10_000)
