"""Plans, scenes and indicators made by hand in the console: forms, faults at their field, a live count, a copy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.test_wall_access import faults as axe
from tests.support import City

pytestmark = pytest.mark.timeout(240)
DESK = {"width": 1600, "height": 900}


def publish(page: Any, note: str) -> None:
    page.click("[data-do=publish]:not([disabled])")
    page.fill("dialog textarea, .dialog textarea", note)
    page.click("[data-do=really]")
    page.wait_for_selector(".said p:not(.bad)")


def test_a_plan_is_copied_changed_by_form_and_runs(screen: Any, city: City) -> None:
    desk = screen("commander", "/console/policies/plan/snow_ice", DESK)
    page = desk.page
    page.wait_for_selector("[data-add=requirements]", timeout=60_000)
    assert axe(desk) == []
    lines = page.locator("[data-line]").count()
    page.click("[data-do=copy]")
    page.fill(".dialog [name=key]", "heat_trees")
    page.fill(".dialog [name=zh]", "高温保绿")
    page.fill(".dialog [name=en]", "Trees in the heat")
    page.click("[data-do=begin]")
    page.click("[data-add=requirements]")
    page.fill(f"[name='requirements.{lines}.count']", "7")
    page.fill("[name='levels.0.when']", "w.level = = 1")
    page.wait_for_selector(".prow .wrong", timeout=20_000)
    page.fill("[name='levels.0.when']", "w.level == 1")
    page.fill("[data-tags=warnings] input", "高温")
    page.press("[data-tags=warnings] input", "Enter")
    page.wait_for_selector(".prow .wrong", state="detached")
    publish(page, "夏季")
    admin = city.token("commander")
    made = city.get("/api/v1/policies/plan/heat_trees", admin)
    assert made["document"]["requirements"][lines]["count"] == 7
    assert "高温" in made["document"]["warnings"] and made["version"] == 1
    known = [p["key"] for p in city.get("/api/v1/plans", city.token("commander"))["plans"]]
    assert "heat_trees" in known
    desk.clean()


def test_an_indicator_is_counted_while_it_is_written(screen: Any, city: City) -> None:
    desk = screen("commander", "/console/policies/indicators/sanitation", DESK)
    page = desk.page
    page.wait_for_selector("[data-live=toilets] .value", timeout=60_000)
    assert axe(desk) == []
    all_of_them = page.inner_text("[data-live=toilets] .value b")
    page.click("[data-add=indicator]")
    page.wait_for_selector("[data-live=new_1] .value")
    assert page.inner_text("[data-live=new_1] .value b").split(".")[0] == all_of_them.split(".")[0]
    page.fill("[name='indicators.new_1.where']", "accessible = true")
    shown = "[data-live=new_1] .value b"
    desk.until(f"n => document.querySelector('{shown}')?.textContent !== n", all_of_them)
    page.fill("[name='indicators.new_1.where']", "nothing = 3")
    page.wait_for_selector("[data-live=new_1] .wrong")
    desk.clean()


def test_a_scene_takes_the_view_of_its_map(screen: Any, city: City) -> None:
    desk = screen("commander", "/console/policies/scene/flood_typhoon", DESK)
    page = desk.page
    page.click("[data-do=view]", timeout=60_000)
    page.wait_for_selector("[data-do=publish]:not([disabled])")
    page.click("[role=tab] >> nth=1")
    assert '"pitch": 0' in page.input_value(".source textarea")
    desk.clean()
