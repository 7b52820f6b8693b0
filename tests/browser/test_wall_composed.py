"""Fences, composed boards, layer styles and relief in a real browser: made by hand, seen at once, sound by axe."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from gis import terrain
from tests.browser.bench_wall import database
from tests.browser.conftest import wall
from tests.browser.test_wall_access import faults
from tests.support import City
from twin import db
from twin import terrain as ground

pytestmark = pytest.mark.timeout(300)
DESK = {"width": 1600, "height": 900}


def test_a_fence_is_drawn_watched_and_taken_away(screen: Any, city: City) -> None:
    crew = city.get("/ogc/collections/crew/items?limit=1", city.token())["features"][0]
    lon, lat = crew["geometry"]["coordinates"]
    with wall(screen, place=f"14/{lat}/{lon}") as desk:
        page = desk.page
        page.click("[data-tool=fences]")
        page.click("[data-do=fence]")
        page.click("[data-mode=circle]")
        page.wait_for_timeout(200)
        x, y = desk.ask(
            "([a, b]) => { const p = twin.map.project([a, b]); return [p.x, p.y] }", [lon, lat]
        )
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 70, y + 40, steps=4)
        page.mouse.up()
        page.fill(".fenceform [name=title]", "禁入区")
        for box in page.locator(".watched input:not(:checked)").all():
            box.check()
        page.click("[data-breach=leave]")
        page.wait_for_selector(".fencetry")
        assert faults(desk) == []
        page.click(".fenceform .btn.main")
        page.wait_for_selector(".plots li:has-text('禁入区')")
        kept = city.get("/api/v1/fences", city.token())["fences"][0]
        assert (kept["title"], kept["breach"], kept["level"]) == ("禁入区", "leave", 2)
        desk.until("twin.pick(%f, %f, ['fences'])?.object.fence.title === '禁入区'" % (x + 40, y))  # noqa: UP031
        page.click(".plots li:has-text('禁入区') [aria-label=停用]")
        page.wait_for_selector(".plots li.off:has-text('禁入区')")
        page.once("dialog", lambda d: d.accept())
        page.click(".plots li:has-text('禁入区') [aria-label=删除]")
        page.wait_for_selector(".plots li:has-text('禁入区')", state="detached")


def test_a_board_is_composed_and_stands_on_the_wall(screen: Any) -> None:
    desk = screen("commander", "/console/boards", DESK)
    page = desk.page
    page.click("[data-do=new-board]")
    page.fill(".composer [name=zh]", "夜班")
    page.fill(".composer [name=seek]", "亮灯率")
    page.click("[data-add='landscape.lamps_lit']")
    page.fill(".composer [name=seek]", "events.open")
    page.click("[data-add='events.open']")
    page.click("[data-card-row='events.open'] [aria-label^=上移]")
    page.wait_for_selector(".preview [data-card='events.open']")
    assert page.locator(".preview [data-card]").first.get_attribute("data-card") == "events.open"
    page.wait_for_timeout(700)
    assert faults(desk) == []
    page.click("[data-do=publish]")
    page.fill("dialog textarea", "夜班要看")
    page.click("dialog [data-do=really]")
    page.wait_for_selector(".boardlist a:has-text('夜班')")
    with wall(screen) as other:
        other.page.click("[data-tool=topic]")
        other.page.click(".topics button:has-text('夜班')")
        other.page.wait_for_selector(".drawer [data-card='landscape.lamps_lit']")
        assert other.page.locator(".drawer .cardgrid > button").count() == 2
    desk.clean()


def test_a_layer_is_styled_tried_and_published(screen: Any, city: City) -> None:
    desk = screen("commander", "/console/layers", DESK)
    page = desk.page
    page.fill(".styletree input", "toilet")
    page.click("[data-style=toilet]")
    page.click(".inkrow [aria-label=critical]", force=True)
    page.click(".iconbox [aria-label=star]")
    page.wait_for_selector(".styletree .edited")
    page.wait_for_timeout(800)
    assert faults(desk) == []
    page.click("[data-do=publish]")
    page.fill("dialog textarea", "公厕要醒目")
    page.click("dialog [data-do=really]")
    page.wait_for_selector("dialog", state="detached")
    style = city.get("/styles/night.json", city.token())
    toilet = next(one for one in style["layers"] if one["id"] == "toilet")
    assert toilet["layout"]["icon-image"] == "kind:star:critical"
    desk.clean()


@pytest.mark.long
def test_the_ground_rises_in_3d(screen: Any, city: City) -> None:
    rows, columns = np.mgrid[0:200, 0:200]
    heights = (80 * np.exp(-((rows - 100) ** 2 + (columns - 100) ** 2) / 800)).astype(np.float32)
    grid = terrain.Grid(heights, 121.37, 31.33, 0.001, 0.001, 4326)
    with database(city), db.engine("app").begin() as conn:
        ground.take(conn, "hill.tif", grid, "test")
    try:
        with wall(screen, place="12/31.23/121.47") as desk:
            desk.page.click("[data-tool=layers]")
            desk.page.keyboard.press("d")
            desk.until("twin.map.getTerrain()?.exaggeration === 3", seconds=20)
            end = time.monotonic() + 30
            while desk.ask("twin.map.queryTerrainElevation([121.47, 31.23]) ?? 0") < 60:
                assert time.monotonic() < end, "the hill does not rise"
                desk.page.wait_for_timeout(200)
    finally:
        with database(city), db.engine("app").begin() as conn:
            ground.withdraw(conn, "test")
