"""The tools of the wall in a real browser: select, measure, plot, cameras, gather, past, links, screens in step."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.browser.conftest import wall
from tests.browser.test_whole_way import DRAWN, LISTED, post_report
from tests.support import City

pytestmark = pytest.mark.timeout(300)
CENTRE = (740, 280)
MOVE = "d => { const c = twin.map.getCenter(); twin.map.jumpTo({center: [c.lng + d[0], c.lat + d[1]]}) }"
# A pick near a point: a cluster stands where its events are on average.
NEAR = """([x, y, id]) => [...Array(9)].some((_, i) =>
  twin.pick(x + (i % 3 - 1) * 9, y + (Math.floor(i / 3) - 1) * 9, [id])?.object?.items.length >= 4)"""
AT = "([lon, lat]) => { const p = twin.map.project([lon, lat]); return [p.x, p.y] }"


def post(city: City, path: str, body: dict[str, Any]) -> Any:
    asked = urllib.request.Request(
        city.url + path, json.dumps(body).encode(), method="POST",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {city.token()}"},
    )  # fmt: skip
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def drag(desk: Any, by: tuple[int, int] = (90, 60)) -> None:
    x, y = CENTRE
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + by[0], y + by[1], steps=4)
    desk.page.mouse.up()


def test_a_drawn_circle_is_counted_and_its_bars_open_the_things(screen: Any, city: City) -> None:
    with wall(screen) as desk:
        desk.page.click("[data-tool=select]")
        desk.page.wait_for_selector(".drawer .bars")  # follows the view from the start
        desk.page.click("[data-mode=circle]")
        drag(desk)
        desk.page.wait_for_selector(".drawer .bars [data-bar=toilet]")
        centre, radius = desk.ask(
            """(() => { const a = twin.map.unproject([740, 280]), b = twin.map.unproject([830, 340]);
            return [[a.lng, a.lat], a.distanceTo(b)] })()"""
        )
        said = post(city, "/api/v1/selection", {"circle": {"center": centre, "radius_m": radius}})
        n = next(k["n"] for k in said["kinds"] if k["kind"] == "toilet")
        shown = desk.page.inner_text(".drawer [data-bar=toilet] b").replace(",", "")
        assert abs(int(shown) - n) <= max(1, 0.01 * n)
        desk.page.click(".drawer [data-bar=toilet]")
        desk.page.wait_for_selector(".drawer .mini button")
        listed = desk.page.locator(".drawer .mini li").count()
        assert listed == min(int(shown), 200)
        desk.page.click(".drawer .mini button >> nth=0")
        desk.until("twin.store.thing.value?.kind === 'toilet'")


def test_charts_follow_the_map(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click("[data-tool=select]")
        desk.page.wait_for_selector(".drawer .bars")
        before = desk.page.inner_text(".drawer .bars >> nth=0")
        desk.ask("twin.map.jumpTo({zoom: 14.5})")
        for _ in range(100):
            if desk.page.inner_text(".drawer .bars >> nth=0") != before:
                break
            desk.page.wait_for_timeout(100)
        assert desk.page.inner_text(".drawer .bars >> nth=0") != before


def test_measuring_by_mouse_and_by_keyboard(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click("[data-tool=measure]")
        desk.page.wait_for_selector(".drawer [data-mode=polygon]")
        desk.until("twin.store.drawing.value")  # the drawer stands before the tool listens
        for x in (700, 800):
            desk.page.mouse.click(x, 260)
            # Two clicks in a moment would be one double click, which ends a line.
            desk.page.wait_for_timeout(500)
        desk.page.keyboard.press("Enter")
        mouse = desk.page.inner_text(".drawer .big")
        assert "公里" in mouse or "米" in mouse
        desk.page.click(".drawer [data-mode=polygon]")
        desk.page.evaluate("document.activeElement.blur()")
        for step in ((0.01, 0), (0, 0.01), (-0.01, 0.0)):
            desk.page.keyboard.press("Space")
            desk.ask(MOVE, list(step))
        desk.page.keyboard.press("Enter")
        desk.page.wait_for_selector(".drawer .big")
        assert "km²" in desk.page.inner_text(".drawer .big") or "公顷" in desk.page.inner_text(
            ".drawer .big"
        )


def test_a_plot_is_seen_at_once_on_another_screen_and_goes(screen: Any) -> None:
    with wall(screen) as desk, wall(screen, "commander") as other:
        other.page.click("[data-tool=plot]")
        desk.page.click("[data-tool=plot]")
        desk.page.click("[data-form=arrow]")
        desk.page.fill("[name=title]", "主攻方向")
        for x in (650, 740):
            desk.page.mouse.click(x, 280)
        desk.page.evaluate("document.activeElement.blur()")
        desk.page.keyboard.press("Enter")
        desk.page.click(".drawer .ask .main")
        other.page.wait_for_selector(".plots li:has-text('主攻方向')", timeout=15_000)
        desk.page.click(".plots li:has-text('主攻方向') [aria-label=删除]")
        other.page.wait_for_selector(
            ".plots li:has-text('主攻方向')", state="detached", timeout=15_000
        )


def test_a_click_tells_which_cameras_see_the_point(screen: Any, city: City) -> None:
    camera = city.get("/ogc/collections/camera/items?limit=1", city.token())["features"][0]
    lon, lat = camera["geometry"]["coordinates"]
    with wall(screen, place=f"15/{lat}/{lon}") as desk:
        desk.page.click("[data-tool=cameras]")
        desk.until("twin.map.getZoom() > 14 && !twin.map.isMoving()")
        desk.page.wait_for_timeout(800)
        seen = city.get(f"/api/v1/cameras/seeing?lon={lon}&lat={lat}", city.token())["cameras"]
        assert camera["properties"]["code"] in [one["code"] for one in seen]
        x, y = desk.ask(AT, [lon + 0.0003, lat + 0.0002])
        desk.page.mouse.click(x, y)
        desk.page.wait_for_selector(".drawer .cams button, .drawer :text('没有摄像机')")


def test_events_gather_as_clusters_hexagons_and_heat(screen: Any, city: City) -> None:
    for i in range(4):
        code, _ = post_report(city, 121.4737 + i * 1e-4, 31.2304)
    with wall(screen) as desk:
        desk.until(DRAWN, code)
        desk.page.click(".fold")
        for how, layer in (("clusters", "event-groups"), ("hexagons", "event-hexagons")):
            desk.page.click(f"[data-gather={how}]")
            x, y = desk.ask(AT, [121.4738, 31.2304])
            desk.until(NEAR, [x, y, layer])
        desk.page.click("[data-gather=heat]")
        desk.until("twin.map.getLayer('event-heat') !== undefined")


def test_opacity_is_chosen_and_freshness_is_told(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click(".fold")
        desk.page.wait_for_selector(".fresh")
        row = "[data-group=base] [data-layer=water_body]"
        desk.page.hover(f"{row} label")
        desk.page.click(f"{row} .tune")
        desk.page.locator(f"{row} input[type=range]").fill("40")
        desk.until("twin.store.opacity.value.get('water_body') === 0.4")
        drawn = desk.ask("twin.map.getPaintProperty('water_body', 'fill-opacity')")
        assert drawn is None or drawn < 1


def test_a_link_opens_the_same_place_layers_and_time(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click(".fold")
        desk.page.click("[data-group=base] [data-layer=water_body] input")
        desk.ask("twin.store.showMoment(twin.store.serverNow() - 3600e3)")
        desk.until("twin.store.settled.value !== null")
        desk.ask("twin.map.jumpTo({center: [121.5, 31.25], zoom: 13})")
        desk.ask(
            "(() => { window.kept = null; navigator.clipboard.writeText = async text => { window.kept = text } })()"
        )
        desk.page.click(".top [aria-label=复制画面链接]")
        desk.until("window.kept !== null")
        address = desk.ask("kept")
        moment = desk.ask("twin.store.moment.value")
    path = address.split("/wall")[1]
    again = screen("dispatcher", f"/wall{path}")
    again.until("window.twin && twin.store.moment.value !== null", seconds=60)
    assert abs(again.ask("twin.store.moment.value") - moment) < 1
    assert again.ask("twin.store.hidden.value.has('water_body')")
    assert again.ask(
        "Math.abs(twin.map.getCenter().lng - 121.5) < 0.001 && Math.abs(twin.map.getZoom() - 13) < 0.01"
    )
    again.clean()


def test_any_second_of_the_past_is_written_in(screen: Any) -> None:
    with wall(screen) as desk:
        desk.page.click("[name=jump]")
        desk.page.fill("[name=jump]", "2026-11-20 08:30:07")
        desk.page.keyboard.press("Enter")
        desk.until("new Date(twin.store.moment.value).toISOString() === '2026-11-20T00:30:07.000Z'")
        assert desk.page.is_visible(".pastframe")
        desk.page.evaluate("document.activeElement.blur()")
        desk.page.keyboard.press("l")
        desk.until("twin.store.moment.value === null")


def test_the_screens_of_a_room_stay_in_step(screen: Any, city: City) -> None:
    code, _ = post_report(city, 121.4737, 31.2304)
    main = screen("dispatcher", "/wall?screen=main&room=t1")
    side = screen("commander", "/wall?screen=c&room=t1")
    for one in (main, side):
        one.until("window.twin && twin.store.live.value.open && twin.map.loaded()", seconds=60)
    main.until(LISTED, code)
    main.ask("twin.map.jumpTo({center: [121.52, 31.22], zoom: 13.4})")
    side.until(
        "Math.abs(twin.map.getCenter().lng - 121.52) < 0.0005 && Math.abs(twin.map.getZoom() - 13.4) < 0.01"
    )
    main.ask("twin.store.showMoment(twin.store.serverNow() - 600e3)")
    side.until("twin.store.moment.value !== null")
    main.page.keyboard.press("l")
    side.until("twin.store.moment.value === null")
    main.page.click(f"[data-code='{code}'] button")
    side.until("twin.store.selected.value?.type === 'event'")
    # The side screen takes the lead: the main screen follows.
    side.page.click("[data-tool=screens]")
    side.page.click(".check input")
    side.ask("twin.map.jumpTo({zoom: 11.5})")
    main.until("Math.abs(twin.map.getZoom() - 11.5) < 0.01")
    for one in (main, side):
        one.clean()


def test_a_lost_network_is_said_and_what_was_missed_comes(screen: Any, city: City) -> None:
    with wall(screen) as desk:
        desk.page.context.set_offline(True)
        desk.page.wait_for_selector(".network.lost", timeout=20_000)
        code, _ = post_report(city, 121.48, 31.23)
        assert not desk.ask(LISTED, code)
        desk.page.context.set_offline(False)
        desk.page.wait_for_selector(".network.back", timeout=30_000)
        desk.until(LISTED, code)
        # What a browser says of a socket without a network is no fault of the page.
        desk.errors = [e for e in desk.errors if "ERR_INTERNET_DISCONNECTED" not in e]


def test_the_tour_moves_and_a_touch_stops_it(screen: Any) -> None:
    desk = screen("dispatcher", "/wall?tour=5&kiosk=1")
    desk.until("window.twin && twin.map.loaded()", seconds=60)
    seen = desk.ask("twin.map.getCenter().toArray().concat(twin.map.getZoom()).join()")
    desk.until(
        "was => twin.map.getCenter().toArray().concat(twin.map.getZoom()).join() !== was", seen, 30
    )
    desk.page.mouse.click(700, 300)
    assert not desk.page.is_visible("[aria-label=退出]")
    desk.clean()
