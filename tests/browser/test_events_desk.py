"""The desk in a real browser: three clicks to dispatch, list actions from the map too, replay, policies."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.browser.conftest import Screen, wall
from tests.support import City

pytestmark = pytest.mark.timeout(300)
SIZE = {"width": 1440, "height": 860}
PLACE = (121.4737, 31.2304)
AT = """code => { const r = twin.store.rows.value.find(r => r.code === code), p = twin.map.project(r.point),
  b = twin.map.getCanvas().getBoundingClientRect(); return [p.x + b.x, p.y + b.y] }"""
PICKED = """code => { const r = twin.store.rows.value.find(r => r.code === code); if (!r) return false;
  const p = twin.map.project(r.point); return twin.pick(p.x, p.y, ['events'])?.object?.code === code }"""


def call(city: City, path: str, body: Any = None, user: str = "dispatcher") -> Any:
    headers = {"Authorization": f"Bearer {city.token(user)}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(
        urllib.request.Request(city.url + path, data, headers), timeout=30
    ) as got:
        return json.load(got)


def report(city: City, n: int = 0, service: str = "litter") -> str:
    """Report as a citizen does; each a little apart, so that no two marks cover each other."""
    body = {"service_code": service, "lat": PLACE[1] + 0.004 * (n % 4), "long": PLACE[0] + 0.005 * (n // 4),
            "description": f"路边一堆垃圾，第 {n} 处，约两平方米"}  # fmt: skip
    asked = urllib.request.Request(
        f"{city.url}/open311/v2/requests.json", urllib.parse.urlencode(body).encode()
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return str(json.load(answer)[0]["service_request_id"])


def crew_on_duty(city: City) -> None:
    """Put every crew on the shift round the clock: a test may run at night."""
    said = call(city, "/api/v1/dispatch/crews")
    day = said["days"][0]["day"]
    shifts = [
        {"crew": c["code"], "day": d["day"], "shift": "all"}
        for c in said["crews"]
        for d in said["days"][:2]
    ]
    assert day
    headers = {"Authorization": f"Bearer {city.token()}", "Content-Type": "application/json"}
    body = json.dumps({"shifts": shifts}).encode()
    asked = urllib.request.Request(
        f"{city.url}/api/v1/dispatch/shifts", body, headers, method="PUT"
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert json.load(answer)["set"] == len(shifts)


def state(city: City, code: str) -> dict[str, Any]:
    found: dict[str, Any] = call(city, f"/api/v1/events/{code}")
    return found


@pytest.fixture(scope="module")
def ready(city: City) -> City:
    crew_on_duty(city)
    return city


def desk(screen: Any, path: str = "/console/events", user: str = "commander") -> Screen:
    made: Screen = screen(user, path, SIZE)
    made.until("window.twin && twin.map.loaded()", seconds=60)
    return made


def around(page: Screen) -> None:
    """Look at the place of the reports, so that marks stand apart."""
    page.ask(f"twin.map.jumpTo({{center: [{PLACE[0] + 0.005}, {PLACE[1] + 0.006}], zoom: 13.4}})")
    page.until("twin.map.loaded()")


def test_a_report_becomes_a_dispatched_case_with_three_clicks_on_the_wall(
    screen: Any, ready: City
) -> None:
    with wall(screen) as page:
        code = report(ready, 20, "fallen_tree")
        page.until("code => document.querySelector(`[data-code='${code}']`) !== null", code, 60)
        clicks = 0
        for target in (f"[data-code='{code}'] button", "[data-action=dispatch]", "[data-crew]"):
            page.page.click(target, timeout=60_000)
            clicks += 1
        page.until("code => twin.events().find(e => e.code === code)?.stage === 3", code, 60)
        assert clicks == 3 and state(ready, code)["state"] == "dispatched"


def test_on_the_desk_two_clicks_are_enough(screen: Any, ready: City) -> None:
    code = report(ready, 21, "fallen_tree")
    page = desk(screen)
    page.page.click(f"tr[data-code='{code}']", timeout=60_000)
    page.page.click("[data-crew]", timeout=60_000)
    page.until("code => twin.store.rows.value.find(r => r.code === code)?.stage === 3", code)
    assert state(ready, code)["state"] == "dispatched"
    page.clean()


def test_every_action_of_the_list_works_from_the_map(screen: Any, ready: City) -> None:
    """The same event's actions are offered whether its row or its mark is clicked; each is carried out from the map."""
    codes = [report(ready, n) for n in range(4)]
    page = desk(screen)
    page.until("codes => codes.every(c => twin.store.rows.value.some(r => r.code === c))", codes)
    around(page)
    offered: dict[str, list[str]] = {}
    buttons = """() => [...document.querySelectorAll('.one [data-action], .one [data-crew], .one [data-do]')]
      .map(b => b.dataset.action ?? b.dataset.do ?? 'crew').sort()"""
    page.page.click(f"tr[data-code='{codes[0]}']")
    page.page.wait_for_selector(f"[data-open='{codes[0]}'] [data-crew]")
    offered["list"] = page.ask(buttons)
    page.page.click(".one header .ghost")
    page.until(PICKED, codes[0])
    page.page.mouse.click(*page.ask(AT, codes[0]))
    page.page.wait_for_selector(f"[data-open='{codes[0]}'] [data-crew]")
    offered["map"] = page.ask(buttons)
    assert offered["list"] == offered["map"] and {
        "register",
        "filter",
        "ask",
        "tag",
        "crew",
    } <= set(offered["map"])
    for code, action, words, stands in (
        (codes[0], "register", None, "registered"), (codes[1], "filter", "重复投诉，已核", "filtered"),
        (codes[2], "reject", "不在管辖范围", "rejected"), (codes[3], "ask", "请补充照片", "asking"),
    ):  # fmt: skip
        page.until(PICKED, code)
        page.page.mouse.click(*page.ask(AT, code))
        page.page.click(f"[data-open='{code}'] [data-action={action}]", timeout=40_000)
        if words:
            page.page.fill(f"[data-form={action}] textarea", words)
            page.page.click(f"[data-form={action}] [data-send]")
        end = time.monotonic() + 40
        while state(ready, code)["state"] != stands:
            assert time.monotonic() < end, f"{action} from the map did not lead to {stands}"
            time.sleep(0.2)
    page.clean()


def test_a_box_drawn_on_the_map_picks_for_bulk(screen: Any, ready: City) -> None:
    codes = [report(ready, n) for n in range(8, 12)]
    page = desk(screen)
    page.until("codes => codes.every(c => twin.store.rows.value.some(r => r.code === c))", codes)
    around(page)
    page.until("twin.map.loaded()")
    spots = [page.ask(AT, c) for c in codes]
    (x0, y0), (x1, y1) = (
        [min(s[i] for s in spots) - 14 for i in (0, 1)],
        [max(s[i] for s in spots) + 14 for i in (0, 1)],
    )
    page.page.keyboard.down("Shift")
    page.page.mouse.move(x0, y0)
    page.page.mouse.down()
    page.page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.page.mouse.move(x1, y1)
    page.page.mouse.up()
    page.page.keyboard.up("Shift")
    page.until("codes => codes.every(c => twin.store.picked.value.has(c))", codes)
    page.page.click("[data-bulk=tag]")
    page.page.fill("[name=add]", "进博会")
    page.page.click(".dialog .btn.main")
    end = time.monotonic() + 40
    while any("进博会" not in state(ready, c)["tags"] for c in codes):
        assert time.monotonic() < end
        time.sleep(0.2)
    page.until("codes => codes.every(c => twin.store.picked.value.has(c))", codes)
    page.page.click("[data-bulk=register]")
    page.until(
        "codes => codes.every(c => (twin.store.rows.value.find(r => r.code === c)?.stage ?? 0) >= 2)",
        codes,
        20,
    )
    page.clean()


def test_a_view_is_saved_and_brings_its_filters_back(screen: Any, ready: City) -> None:
    page = desk(screen)
    page.page.select_option("[name=severity]", "1")
    page.page.click(".menu summary")
    page.page.uncheck("[name=column-tags]")
    page.page.click("[data-do=save-view]")
    page.page.fill(".dialog [name=name]", "特急件")
    page.page.click(".dialog .btn.main")
    page.page.wait_for_selector(".views >> text=特急件")
    page.page.click(".views li >> nth=0")
    assert page.ask("twin.store.filters.value.severity") == ""
    page.page.click(".views >> text=特急件")
    assert page.ask(
        "[twin.store.filters.value.severity, twin.store.columns.value.includes('tags')]"
    ) == ["1", False]
    page.clean()


def test_a_case_is_replayed_second_by_second(screen: Any, ready: City) -> None:
    code = report(ready, 24, "fallen_tree")
    crew = call(ready, f"/api/v1/events/{code}/proposals")["crews"][0]["code"]
    call(ready, f"/api/v1/events/{code}/actions/dispatch", {"crew": crew})
    page: Screen = screen("commander", f"/console/events/{code}/replay", SIZE)
    page.page.wait_for_selector(".replay .story .now", timeout=30_000)
    first = page.ask("twin.at()")
    page.page.click("text=+1 s")
    assert page.ask("twin.at()") == pytest.approx(first + 1)
    later = page.ask("document.querySelectorAll('.replay .story .later').length")
    assert later >= 1
    page.page.click(".switch >> text=600×")
    page.page.click("[data-do=play]")
    page.until("document.querySelectorAll('.replay .story .later').length === 0", seconds=30)
    page.clean()


def test_a_policy_is_drawn_checked_published_and_taken_back(screen: Any, ready: City) -> None:
    page: Screen = screen("commander", "/console/policies/process/event.city", SIZE)
    page.page.wait_for_selector("[data-state=verifying]", timeout=30_000)
    drawn = page.ask(
        "[...document.querySelectorAll('[data-state]')].map(g => g.dataset.state).sort()"
    )
    doc = call(ready, "/api/v1/policies/process/event.city")
    assert drawn == sorted(doc["document"]["states"])
    before = doc["version"]
    page.page.click("[data-state=verifying]")
    page.page.fill("[name='deadlines.verifying.normal']", "xx")
    page.page.press("[name='deadlines.verifying.normal']", "Tab")
    page.page.wait_for_selector(".faults .wrong")
    assert page.page.is_disabled("[data-do=publish]")
    page.page.fill("[name='deadlines.verifying.normal']", "6h")
    page.page.press("[name='deadlines.verifying.normal']", "Tab")
    page.page.wait_for_selector(".fine")
    page.page.click("[data-do=publish]")
    page.page.fill(".dialog textarea", "审核时限放宽到六小时")
    page.page.click("[data-do=really]")
    page.until("document.querySelector('.dialog') === null", seconds=20)
    now = call(ready, "/api/v1/policies/process/event.city")
    assert (
        now["version"] == before + 1 and now["document"]["deadlines"]["verifying"]["normal"] == "6h"
    )
    page.page.click(".menu summary")
    page.page.click(f"[data-rollback='{before}']")
    end = time.monotonic() + 40
    while (now := call(ready, "/api/v1/policies/process/event.city"))["version"] != before + 2:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert now["document"]["deadlines"]["verifying"]["normal"] == "4h"
    page.clean()


def test_the_scheduling_tried_over_the_past_is_seen_on_the_map(screen: Any, ready: City) -> None:
    page: Screen = screen("commander", "/console/policies/scheduling/city", SIZE)
    page.page.wait_for_selector("[name='limit_min']", timeout=30_000)
    page.page.fill("[name='limit_min']", "5")
    page.page.fill("[name='widen_min']", "5")
    page.page.press("[name='widen_min']", "Tab")
    page.page.click("[data-do=simulate]")
    page.page.wait_for_selector(".trial .big", timeout=60_000)
    assert int(page.page.inner_text(".trial .big")) >= 0
    assert page.page.is_visible(".trial canvas")
    page.clean()


def test_a_road_is_closed_by_drawing_and_opened_again(screen: Any, ready: City) -> None:
    page: Screen = screen("dispatcher", "/console/dispatch/closures", SIZE)
    page.until("window.twin && twin.map.loaded()", seconds=60)
    page.page.click("[data-draw=line]")
    box = page.page.locator(".maphost").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.click(x - 80, y)
    page.page.mouse.click(x + 80, y + 20)
    page.page.keyboard.press("Enter")
    page.page.fill("[name=title]", "树木倒伏占道")
    page.page.click("[data-do=close-road]")
    page.page.wait_for_selector("[data-lift]", timeout=15_000)
    assert len(call(ready, "/api/v1/dispatch/closures")["features"]) == 1
    page.page.click("[data-lift]")
    page.until("document.querySelector('[data-lift]') === null")
    assert call(ready, "/api/v1/dispatch/closures")["features"] == []
    page.clean()
