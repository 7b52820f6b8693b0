"""The desk in a real browser: three clicks to dispatch, list actions from the map too, replay, policies."""

from __future__ import annotations

import io
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import Screen, wall
from tests.support import City

pytestmark = pytest.mark.timeout(300)
SIZE = {"width": 1440, "height": 860}
PLACE = (121.4737, 31.2304)
AT = """code => { const r = twin.store.rows.value.find(r => r.code === code), p = twin.map.project(r.point),
  b = twin.map.getCanvas().getBoundingClientRect(); return [p.x + b.x, p.y + b.y] }"""
PICKED = """code => { const r = twin.store.rows.value.find(r => r.code === code); if (!r) return false;
  const p = twin.map.project(r.point); return twin.pick(p.x, p.y, ['events'])?.object?.code === code }"""


@lru_cache(maxsize=8)
def token(home: Path, user: str) -> str:
    """Return a token of an account, made once: each costs a program of its own."""
    return str(_cities[home].token(user))


_cities: dict[Path, City] = {}


def call(city: City, path: str, body: Any = None, user: str = "dispatcher") -> Any:
    _cities[city.home] = city
    headers = {
        "Authorization": f"Bearer {token(city.home, user)}",
        "Content-Type": "application/json",
    }
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(
        urllib.request.Request(city.url + path, data, headers), timeout=30
    ) as got:
        return json.load(got)


def spot(n: int) -> tuple[float, float]:
    """Return the place of a report: four in a column, columns to the east, each hundred in a row of its own."""
    return PLACE[0] + 0.005 * (n % 100 // 4), PLACE[1] + 0.004 * (n % 4) + 0.02 * (n // 100)


def report(city: City, n: int = 0, service: str = "litter") -> str:
    """Report as a citizen does; each a little apart, so that no two marks cover each other."""
    lon, lat = spot(n)
    body = {"service_code": service, "lat": lat, "long": lon,
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
    apart(city)
    return city


def apart(city: City) -> None:
    """Let no report join another by itself: each of these tests means a case of its own."""
    path = "/api/v1/policies/merge/event.city"
    doc = call(city, path, user="commander")["document"]
    call(city, f"{path}/publish", {"document": doc | {"auto": []}, "note": "走查"}, "commander")


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


def photo(city: City) -> str:
    """Upload a picture of its own as the crew."""
    raw = io.BytesIO()
    shade = time.monotonic_ns() // 1000 % 0xFFFFFF
    Image.new("RGB", (48, 32), f"#{shade:06x}").save(raw, "PNG")
    headers = {"Authorization": f"Bearer {token(city.home, 'patrol')}"}
    asked = urllib.request.Request(f"{city.url}/api/v1/files", raw.getvalue(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return str(json.load(answer)["url"])


def step(city: City, code: str, action: str, user: str = "commander", **body: Any) -> None:
    call(city, f"/api/v1/events/{code}/actions/{action}", body, user)


def bring(city: City, stands: str, n: int) -> str:
    """Report an event and bring it to a state; return its code."""
    severe = stands == "reviewing"
    code = report(
        city, n, "fallen_tree" if severe else "other" if stands == "registered" else "litter"
    )
    crew = call(city, "/api/v1/tasks", user="patrol")["crew"]["code"]
    point = call(city, f"/api/v1/events/{code}")["point"]
    reason = {"reason": "逐项走查"}
    ways: dict[str, tuple[Callable[[], None], ...]] = {
        "collected": (), "filtered": (lambda: step(city, code, "filter", **reason),),
        "rejected": (lambda: step(city, code, "reject", **reason),),
        "asking": (lambda: step(city, code, "ask", **reason),),
        "registered": (lambda: step(city, code, "register"),),
        "assigned": (lambda: step(city, code, "register"),),
        "merged": (lambda: step(city, code, "merge", master=report(city, n + 40)),),
    }  # fmt: skip
    sent = (lambda: step(city, code, "dispatch", crew=crew),)
    taken = (*sent, lambda: step(city, code, "accept", "patrol"))

    def finish() -> None:
        where = {"no_position": "没有信号"} if stands == "unplaced" else {"position": point}
        body = {"note": "已清", "photos": [photo(city)], **where}
        step(city, code, "finish", "patrol", **body)

    done = (*taken, finish)
    ways |= {
        "dispatched": sent, "handling": taken, "verifying": done, "unplaced": done,
        "delaying": (*taken, lambda: step(city, code, "ask_delay", "patrol", hours=4, **reason)),
        "reviewing": (*done, lambda: step(city, code, "pass", "dispatcher")),
        "closed": (*done, lambda: step(city, code, "close")),
    }  # fmt: skip
    for one in ways[stands]:
        one()
    assert state(city, code)["state"] == ("verifying" if stands == "unplaced" else stands)
    return code


STATES = ("collected", "asking", "registered", "assigned", "dispatched", "handling", "delaying", "verifying",
          "unplaced", "reviewing", "closed", "filtered", "rejected", "merged")  # fmt: skip
BUTTONS = """() => ['action', 'crew', 'do', 'review'].flatMap(x => [...document.querySelectorAll(`.one [data-${x}]`)])
  .map(b => b.dataset.action ?? b.dataset.do ?? (b.dataset.review ? 'review' : 'crew')).sort()"""
FAR, SIX, MANY = 100, 200, 300  # where these stand nobody else reports anything


def far(page: Screen, first: int) -> None:
    """Look at the events of a walk, whatever has become of them."""
    page.ask("twin.store.set({state: 'all'})")
    lon, lat = spot(first)
    page.ask(f"twin.map.jumpTo({{center: [{lon + 0.012}, {lat + 0.006}], zoom: 13}})")
    page.until("twin.map.loaded()")


def opened_from(page: Screen, code: str, where: str) -> list[str]:
    """Open an event by its row or by its mark, and return what is offered."""
    if page.ask("document.querySelector('.one header .ghost') !== null"):
        page.page.click(".one header .ghost")
    if where == "list":
        page.page.click(f"tr[data-code='{code}']")
    else:
        page.until(PICKED, code)
        page.page.mouse.click(*page.ask(AT, code))
    page.page.wait_for_selector(f"[data-open='{code}']")
    # Crews come when the roads were asked; without them the lists could differ for a moment.
    page.until(
        """() => !document.querySelector('.one .who')
          || document.querySelector('.one .who li, .one .who .muted:not(:empty)') !== null"""
    )
    page.page.wait_for_timeout(150)
    return list(page.ask(BUTTONS))


def test_every_action_of_the_list_is_offered_from_the_map_in_every_state(
    screen: Any, ready: City
) -> None:
    page = desk(screen)
    codes = {stands: bring(ready, stands, FAR + i) for i, stands in enumerate(STATES)}
    far(page, FAR)
    page.until(
        "codes => codes.every(c => twin.store.rows.value.some(r => r.code === c))",
        list(codes.values()),
        40,
    )
    offered: set[str] = set()
    for stands, code in codes.items():
        by_list, by_map = (opened_from(page, code, where) for where in ("list", "map"))
        assert by_list == by_map, stands
        assert len(by_list) > 1, f"nothing can be done in {stands}"
        offered |= set(by_map)
    doc = call(ready, "/api/v1/policies/process/event.city")["document"]
    phone = {"accept", "arrive", "finish", "use", "ask_delay", "return", "supply"}
    hands = {n for n, a in doc["actions"].items() if a["act"] != "system"} - phone
    assert offered >= hands - {"dispatch", "merge"} and "crew" in offered
    page.clean()


FILLS: dict[str, dict[str, str]] = {
    "complete": {"description": "补充说明"}, "assign": {"department": "landscape-dept"},
    "transfer": {"department": "landscape-dept", "reason": "改由景观"}, "visit": {"verdict": "satisfied"},
}  # fmt: skip
FROM = {
    "register": "collected", "complete": "collected", "ask": "collected", "filter": "collected",
    "reject": "collected", "answer": "asking", "assign": "registered", "transfer": "assigned",
    "recall": "dispatched", "supervise": "handling", "grant": "delaying", "refuse": "delaying", "rework": "verifying",
    "close": "verifying", "pass": "unplaced", "endorse": "reviewing", "visit": "closed",
    "complain": "closed", "reopen": "closed",
    "restore": "filtered", "unmerge": "merged", "review": "collected", "crew": "assigned",
}  # fmt: skip


def carry_out(page: Screen, code: str, action: str) -> None:
    """Do an action from the card that the mark on the map has opened."""
    if action == "crew":
        page.page.click(f"[data-open='{code}'] [data-crew]")
        return
    if action == "review":
        page.page.click(f"[data-open='{code}'] [data-review=confirm]")
        return
    page.page.click(f"[data-open='{code}'] [data-action={action}]")
    page.page.wait_for_timeout(150)
    if page.page.locator(f"[data-form={action}]").count() == 0:
        return
    said = FILLS.get(action, {})
    for name, value in said.items():
        field = page.page.locator(f"[data-form={action}] [name={name}]")
        if field.evaluate("x => x.tagName") == "SELECT":
            page.page.wait_for_selector(
                f"[data-form={action}] option[value='{value}']", state="attached"
            )
            field.select_option(value)
        else:
            field.fill(value)
    for field in page.page.locator(f"[data-form={action}] textarea[required]").all():
        if not field.input_value():
            field.fill("从地图办理")
    page.page.click(f"[data-form={action}] [data-send]")


def from_the_map(screen: Any, city: City, actions: tuple[str, ...], first: int) -> None:
    page = desk(screen)
    codes = {a: bring(city, FROM[a], first + i) for i, a in enumerate(actions)}
    far(page, first)
    page.until(
        "codes => codes.every(c => twin.store.rows.value.some(r => r.code === c))",
        list(codes.values()),
        40,
    )
    for action, code in codes.items():
        before = state(city, code)["version"]
        opened_from(page, code, "map")
        carry_out(page, code, action)
        end = time.monotonic() + 30
        while state(city, code)["version"] <= before:
            assert time.monotonic() < end, f"{action} from the map changed nothing"
            time.sleep(0.1)
    page.clean()


def test_actions_are_carried_out_from_the_map(screen: Any, ready: City) -> None:
    from_the_map(screen, ready, ("filter", "assign", "close", "complain", "restore", "crew"), SIX)


@pytest.mark.long
def test_every_action_of_the_list_is_carried_out_from_the_map(screen: Any, ready: City) -> None:
    from_the_map(screen, ready, tuple(FROM), MANY)


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
    later = page.ask("document.querySelectorAll('.replay .story .later').length")
    assert later >= 1
    page.page.click("text=+1 s")
    assert page.ask("twin.at()") == pytest.approx(first + 1)
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
    late: list[Any] = []
    page.page.route("**/api/v1/policies", lambda route: late.append(route))
    page.page.reload()
    page.page.wait_for_selector("[name='limit_min']", timeout=30_000)
    page.page.fill("[name='limit_min']", "5")
    page.page.fill("[name='widen_min']", "5")
    page.page.press("[name='widen_min']", "Tab")
    page.page.click("[data-do=simulate]")
    page.until("document.querySelector('.trial .big') !== null", seconds=60)
    assert int(page.page.inner_text(".trial .big")) >= 0
    assert page.page.is_visible(".trial canvas")
    # The list that comes late brings no second reading: what was edited and tried stands.
    late.pop().continue_()
    page.page.wait_for_selector("nav.rail [aria-current=page]")
    assert page.page.input_value("[name='limit_min']") == "5"
    assert page.page.is_visible(".trial .big")
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
