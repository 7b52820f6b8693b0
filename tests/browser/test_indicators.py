"""Indicators in the console: every number opens its map, what it is made of, and its things."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.browser.test_wall_access import faults

pytestmark = pytest.mark.timeout(240)
DESK = {"width": 1440, "height": 900}


def opened(screen: Any, path: str) -> Screen:
    made: Screen = screen("commander", f"/console/{path}", DESK)
    made.page.wait_for_selector(".ind .tablebox")
    return made


def test_from_a_topic_to_the_thing_behind_the_number(screen: Any) -> None:
    desk = opened(screen, "indicators")
    rows = "document.querySelectorAll('.ind tbody tr').length"
    desk.page.get_by_role("button", name="环卫", exact=False).first.click()
    desk.until(f"{rows} > 20")
    desk.page.get_by_role("button", name="公共厕所", exact=False).click()
    desk.until(f"{rows} < 20")
    shown = desk.page.inner_text("tr[data-id='sanitation.toilets'] .figure b").replace(",", "")
    desk.page.focus("tr[data-id='sanitation.toilets']")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector(".ind .behind tbody tr")
    assert desk.page.inner_text(".ind .facts .figure b").replace(",", "") == shown
    heading = "document.querySelector('.behind h2').innerText.replaceAll(',', '')"
    desk.until(f"n => {heading}.includes(n)", shown)
    desk.until("document.querySelectorAll('.coverage tbody tr').length === 16")
    assert "市公厕管理系统" in desk.page.inner_text(".made")
    desk.clean()


def test_a_share_shows_both_sides(screen: Any) -> None:
    desk = opened(screen, "indicators/sanitation.toilets_open")
    desk.page.wait_for_selector(".behind tbody tr")
    met = desk.page.inner_text(".behind h2")
    desk.page.get_by_text("未达的").click()
    desk.until("m => document.querySelector('.behind h2').innerText !== m", met)
    desk.clean()


def test_levels_narrow_and_words_find_across_topics(screen: Any) -> None:
    desk = opened(screen, "indicators")
    desk.page.get_by_role("searchbox").fill("古树")
    desk.until("document.querySelectorAll('.ind tbody tr').length >= 3")
    desk.page.get_by_role("searchbox").fill("没有这样的指标")
    desk.page.wait_for_selector("text=没有符合条件的指标")
    desk.clean()


def test_acceptance_leads_to_the_indicator_and_says_what_is_missing(screen: Any) -> None:
    desk = opened(screen, "acceptance")
    desk.page.wait_for_selector("td:has-text('审批模块尚未建成')")
    desk.page.click("a:has-text('data.districts')")
    desk.page.wait_for_selector(".ind h1:has-text('接入区')")
    desk.clean()


@pytest.mark.parametrize("path", ["indicators", "indicators/greening.trees_healthy", "acceptance"])
def test_axe_finds_nothing(screen: Any, path: str) -> None:
    desk = opened(screen, path)
    assert faults(desk) == []
