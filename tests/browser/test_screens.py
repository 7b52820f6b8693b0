"""Every screen: drawn with real pixels, no request to another host, usable by keyboard, in both languages."""

from __future__ import annotations

import re
import urllib.request
from typing import Any

import pytest

from tests.browser.conftest import PHONE, wall
from tests.support import City

pytestmark = pytest.mark.timeout(240)
FEATURES = "layers => twin.map.queryRenderedFeatures({layers: layers.filter(l => twin.map.getLayer(l))}).length"
# How many of a sample of the canvas's pixels differ from the most frequent one: a blank map has none.
PIXELS = """() => new Promise(done => { twin.map.once('render', () => {
  const source = twin.map.getCanvas(), c = document.createElement('canvas'); c.width = 160; c.height = 100;
  const x = c.getContext('2d'); x.drawImage(source, 0, 0, 160, 100);
  const d = new Uint32Array(x.getImageData(0, 0, 160, 100).data.buffer), n = new Map();
  d.forEach(v => n.set(v, (n.get(v) ?? 0) + 1)); done({kinds: n.size, other: 16000 - Math.max(...n.values())}) });
  twin.map.triggerRepaint() })"""


def test_the_wall_draws_the_city(screen: Any) -> None:
    with wall(screen) as desk:
        desk.until(f"l => ({FEATURES})(l) > 3", ["district", "road-arterial", "water_body"])
        seen = desk.ask(PIXELS)
        assert seen["kinds"] > 20 and seen["other"] > 500
        assert desk.page.is_visible("text=演示数据为程序生成")


def test_buildings_rise_in_3d_and_go(screen: Any) -> None:
    with wall(screen, place="15.2/31.2304/121.4737") as desk:
        desk.page.keyboard.press("d")
        desk.until("twin.map.getPitch() > 50")
        # What stands up comes after the ground; who asks for a layer before it is there gets an error.
        desk.until("Boolean(twin.map.getLayer('building-3d'))")
        desk.until(
            "twin.map.queryRenderedFeatures({layers: ['building-3d']}).length > 20", seconds=40
        )
        desk.page.keyboard.press("d")
        desk.until(
            "twin.map.getPitch() < 1 && twin.map.queryRenderedFeatures({layers: ['building-3d']}).length === 0"
        )


def test_a_click_on_a_thing_opens_its_card(screen: Any) -> None:
    with wall(screen, place="14.5/31.217/121.551") as desk:
        desk.until("twin.map.queryRenderedFeatures({layers: ['park']}).length > 0")
        desk.page.mouse.click(
            *desk.ask(
                "(() => { const p = twin.map.project([121.551, 31.217]); return [p.x, p.y] })()"
            )
        )
        desk.page.wait_for_selector(".card h2")
        assert desk.ask("twin.store.thing.value?.kind") in ("park", "water_body", "green_space")


def test_report_here_by_right_click(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.mouse.click(420, 330, button="right")
        desk.page.click("[data-do=report]")
        desk.page.select_option("[name=category]", "full_bin")
        desk.page.fill("[name=description]", "箱体满溢")
        desk.page.click(".card .btn.main")
        desk.until("twin.store.selected.value?.type === 'event'")
        desk.page.wait_for_selector(".stages .now")


def test_a_layer_switched_off_is_not_drawn(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click(".fold")
        desk.page.click("[data-group=base] [data-layer=water_body] input")
        desk.until("twin.map.queryRenderedFeatures({layers: ['water_body']}).length === 0")


def test_a_layer_not_shown_costs_no_tile_until_it_is_found_and_switched_on(screen: Any) -> None:
    with wall(screen) as desk:
        asked: list[str] = []
        desk.page.on("request", lambda r: asked.append(r.url) if "/tiles/" in r.url else None)
        desk.page.click(".fold")
        desk.page.evaluate("twin.map.jumpTo({zoom: 14.2})")
        desk.until("twin.map.areTilesLoaded()")
        assert asked and not [url for url in asked if "/tiles/shop/" in url]
        desk.page.click("[data-database=responsibility_zones] .branch")
        desk.page.fill(".seek input", "沿街商户")
        desk.page.click("[data-layer=shop] input")
        desk.until("twin.map.queryRenderedFeatures({layers: ['shop-dot', 'shop']}).length > 0")
        assert any("/tiles/shop/" in url for url in asked)
        desk.page.fill(".seek input", "zoo")
        desk.page.wait_for_selector("[data-layer=enclosure]")


def test_the_theme_changes_the_ground(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click("[aria-label=日间]")
        desk.until("twin.map.getStyle()?.metadata?.theme === 'day' && twin.map.areTilesLoaded()")
        assert desk.ask("document.documentElement.dataset.theme") == "day"


def test_every_control_is_reached_by_tab_with_a_name(screen: Any) -> None:
    with wall(screen) as desk:
        seen = set()
        for _ in range(60):
            desk.page.keyboard.press("Tab")
            said = desk.ask("""(() => { const e = document.activeElement;
              const r = getComputedStyle(e);
              return [e.tagName, e.getAttribute('aria-label') || e.textContent.trim()
                || e.closest('label')?.textContent || '',
                r.outlineStyle !== 'none' || e.closest('.search') !== null] })()""")
            if said[0] in ("BUTTON", "INPUT"):
                assert said[1], "a control without a name"
                assert said[2], f"no focus ring on {said[1]}"
                seen.add(said[1])
        assert (
            any("三维" in s for s in seen)
            and any("图层" in s for s in seen)
            and any("实时" in s for s in seen)
        )


def test_keys_search_and_return(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.keyboard.press("/")
        desk.page.keyboard.type("世纪公园")
        desk.page.wait_for_selector(".found li[role=option]")
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_selector(".card h2:has-text('世纪公园')")
        desk.page.keyboard.press("Escape")
        desk.until("twin.store.selected.value === null")


def test_english_leaves_no_chinese_label(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click("text=English")
        desk.until("document.documentElement.lang === 'en'")
        # Names of people, places and events are data; labels are ours.
        left = desk.ask(
            """[...document.querySelectorAll('.top h1, .fold, .tools, .cards .name, .tabs, .timeline .bar, .events h2')]
              .map(e => e.textContent).join(' ')"""
        )
        assert not re.search(r"[一-鿿]", left)


def test_reduced_motion_is_obeyed(screen: Any) -> None:
    desk = screen("dispatcher", "/wall", None, reduced_motion="reduce")
    desk.until("window.twin && twin.map.loaded()", seconds=60)
    desk.page.keyboard.press("d")
    assert desk.ask("twin.map.getPitch()") > 50  # at once, without a flight


def test_the_phone_asks_nobody_else(screen: Any) -> None:
    phone = screen("patrol", "/patrol", PHONE, has_touch=True, is_mobile=True)
    phone.until("window.twin && twin.map.areTilesLoaded()", seconds=60)
    assert phone.page.is_visible(".status .queue")
    box = phone.page.locator("main.map").bounding_box()
    assert box["height"] > 0.35 * PHONE["height"]
    phone.clean()


def test_the_log_in_page(screen: Any, city: City) -> None:
    door = screen(None, "/wall")
    door.page.wait_for_url(re.compile(r"/login\?next=/wall$"))
    door.page.fill("[name=user]", "dispatcher")
    door.page.fill("[name=password]", "wrong")
    door.page.click("form .main")
    door.page.wait_for_selector("[role=alert]")
    door.page.fill("[name=password]", city.logins()["dispatcher"])
    door.page.click("form .main")
    door.page.wait_for_url(re.compile("/wall"))
    assert door.foreign == []


@pytest.mark.parametrize("path", ["/login", "/ui/mapkit.js", "/sw.js", "/api/v1/config"])
def test_the_policy_stands_on_every_answer(city: City, path: str) -> None:
    with urllib.request.urlopen(city.url + path, timeout=20) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe-eval'" not in policy.replace(
        "wasm-unsafe-eval'", ""
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_hashed_files_are_kept_and_packed(city: City) -> None:
    with urllib.request.urlopen(f"{city.url}/login", timeout=20) as answer:
        name = re.search(rb"/ui/assets/[^\"]+\.js", answer.read())
    assert name
    asked = urllib.request.Request(city.url + name[0].decode(), headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
