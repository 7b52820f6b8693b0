"""A drill in a real browser, from trigger to after-action report; a warning shows by itself; scenes set the wall."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.browser.conftest import WALL
from tests.services.test_plans import cap
from tests.support import City

pytestmark = pytest.mark.timeout(300)


def opened(screen: Any, user: str = "commander", path: str = "/wall?screen=c&room=plans") -> Any:
    made = screen(user, path, WALL)
    made.until("window.twin && twin.store.live.value.open", seconds=90)
    return made


def test_a_drill_from_trigger_to_report(screen: Any, city: City) -> None:
    desk = opened(screen)
    page = desk.page
    page.select_option("[name=plan]", "typhoon_trees")
    page.click(".drillform .btn")
    page.wait_for_selector(".drill:has-text('演练')")
    page.click("[data-action=confirm]")
    page.click(".ask .btn.main")
    page.wait_for_selector(".plansteps [data-step=notify].done")
    code = page.get_attribute("[data-response]", "data-response")
    # The other one who was told answers on a screen of their own.
    other = opened(screen, "dispatcher")
    other.page.click(f"[data-open='{code}']", timeout=20_000)
    other.page.click("[data-action=acknowledge]")
    page.click("[data-action=acknowledge]")
    page.wait_for_selector(".notices .good")
    page.click("details.group >> nth=0")
    crew = page.get_attribute("[data-resource] >> nth=0", "data-resource")
    page.click(f"[data-resource='{crew}']")
    page.click(f"[data-resource='{crew}']:has-text('到位')")
    page.click("[data-step=stage] .btn")
    page.wait_for_selector("[data-step=stage].done")
    page.click("[data-action=stand_down]")
    page.fill(".ask textarea", "演练结束")
    page.click(".ask .btn.main")
    page.wait_for_selector(".report")
    report = city.get(f"/api/v1/responses/{code}/report", city.token("commander"))
    shown = page.inner_text("[data-report='plan.report.answers']")
    assert shown.startswith(f"{report['answers']['answered']}/{report['answers']['told']}")
    assert page.inner_text("[data-report='plan.report.ready']") == "1"
    page.click("[data-action=close]")
    page.fill(".ask textarea", "抢险班组集结偏慢")
    page.click(".ask .btn.main")
    page.wait_for_selector(f"[data-response='{code}']", state="detached")
    kept = city.get(f"/api/v1/responses/{code}", city.token("commander"))
    assert (kept["state"], kept["drill"]) == ("closed", True)
    desk.clean()


def test_a_warning_appears_as_a_suggestion_by_itself(screen: Any, city: City) -> None:
    desk = opened(screen)
    name = f"browser-{time.time_ns()}"
    done = desk.page.context.request.post(
        f"{city.url}/api/v1/warnings", data=cap(name, event="森林火险", color="红"),
        headers={"Content-Type": "application/cap+xml", "Origin": city.url},
    )  # fmt: skip
    assert done.status == 201, done.text()
    code = done.json()["suggested"][0]
    desk.page.wait_for_selector(f"[data-open='{code}'].suggested", timeout=20_000)


def test_a_scene_sets_the_wall(screen: Any) -> None:
    desk = opened(screen, path="/wall?screen=main")
    desk.page.click("[data-tool=scenes]")
    desk.page.click("[data-scene=expo]")
    desk.until("!twin.store.hidden.value.has('toilet') && twin.store.topic.value === 'appearance'")
    desk.until("Math.abs(twin.map.getCenter().lng - 121.3045) < 0.01")
    assert "进博会" in desk.page.inner_text(".top .scene")
