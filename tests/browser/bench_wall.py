"""Figures of the wall, measured in the browser: `./test tests/browser/bench_wall.py -s`.

No test asserts a time; these print what was measured, for docs/benchmarks.md.
"""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.browser.conftest import wall
from tests.browser.test_whole_way import (
    LISTED,
    NOTE_FIXES,
    a_vehicle,
    moved_after_s,
    post_report,
)
from tests.support import City

pytestmark = pytest.mark.timeout(900)
# The browser notes by its own clock (this machine's) when a row came: asking costs time on a busy machine.
NOTE_ROWS = """() => { window.cameAt = {}; new MutationObserver(() => document.querySelectorAll('.row[data-code]')
  .forEach(r => window.cameAt[r.dataset.code] ??= Date.now()))
  .observe(document.querySelector('.rows'), {childList: true, subtree: true}) }"""


def tell(name: str, took: list[float], unit: str) -> None:
    """Print median, 95th percentile and worst of what was measured."""
    took = sorted(took)
    p95 = took[max(0, round(0.95 * len(took)) - 1)]
    figures = f"p50 {statistics.median(took):.2f}, p95 {p95:.2f}, worst {took[-1]:.2f} {unit}"
    print(f"{name}: {figures} ({len(took)} runs)")


def test_position_to_pixel(screen: Any, city: City) -> None:
    vehicle = a_vehicle(city)
    with wall(screen, place="14/31.23/121.47") as desk:
        desk.ask(NOTE_FIXES, vehicle["num"])
        took = [moved_after_s(desk, city, vehicle, step) for step in range(1, 101)]
    tell("position published to drawn on the wall", took, "s")
    assert len(took) == 100


def test_report_to_list_and_proposals(screen: Any, city: City) -> None:
    took, proposed = [], []
    with wall(screen, place="14/31.23/121.47") as desk:
        desk.ask(NOTE_ROWS)
        for step in range(20):
            code, began = post_report(city, 121.46 + step * 1e-3, 31.23)
            desk.until(LISTED, code, 15)
            took.append(desk.ask("code => cameAt[code]", code) / 1000 - began)
            token = city.token()
            answer = city.get(f"/api/v1/events/{code}/proposals", token)
            assert answer["crews"]
            proposed.append(answer["computed_ms"])
    tell("Open311 report to row on the wall", took, "s")
    tell("proposals of crews", proposed, "ms")
