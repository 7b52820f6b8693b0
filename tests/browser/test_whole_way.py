"""The whole way in one test: a citizen's report → wall → crew → phone → verified, closed, and seen by the citizen."""

from __future__ import annotations

import json
import struct
import time
import urllib.parse
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from tests.browser.conftest import PHONE, Screen, wall
from tests.support import City

pytestmark = pytest.mark.timeout(420)
DRAWN = "code => twin.events().some(e => e.code === code)"
LISTED = "code => document.querySelector(`[data-code='${code}']`) !== null"
# The event as its pixels: a pick reads the picture that deck.gl has drawn.
PICKED = """code => { const e = twin.events().find(e => e.code === code); if (!e) return false;
  const p = twin.map.project(e.point); return twin.pick(p.x, p.y, ['events'])?.object?.code === code }"""


SERVICES = {
    "绿化": "fallen_tree",
    "环卫": "road_spill",
    "市容": "dangerous_sign",
    "林业": "forest_fire",
}


def service_for(crew: dict[str, Any]) -> str:
    """Return a kind of event that this crew can be sent to."""
    skills = next(f["value"] for f in crew["fields"] if f["key"] == "skills")
    return next(SERVICES[s] for s in skills if s in SERVICES)


def post_report(
    city: City, lon: float, lat: float, service: str = "fallen_tree"
) -> tuple[str, float]:
    body = {
        "service_code": service,
        "lat": lat,
        "long": lon,
        "description": "大树倒在路上，挡住一条车道",
    }
    asked = urllib.request.Request(
        f"{city.url}/open311/v2/requests.json", urllib.parse.urlencode(body).encode(), method="POST"
    )
    began = time.time()
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return str(json.load(answer)[0]["service_request_id"]), began


def seen_by_citizen(city: City, code: str) -> dict[str, Any]:
    said: dict[str, Any] = city.get(f"/open311/v2/requests/{code}.json")[0]
    return said


def crew_of(city: City, user: str) -> dict[str, Any]:
    token = city.token(user)
    code = city.get("/api/v1/tasks", token)["crew"]["code"]
    card: dict[str, Any] = city.get(f"/api/v1/things/{code}", token)
    return card


def photo(path: Path) -> Path:
    """Write a small PNG: 640 × 480 of one colour, made here."""
    rows = b"".join(b"\x00" + bytes((90, 140, 100)) * 640 for _ in range(480))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def report_appears(
    desk: Screen, city: City, place: tuple[float, float], service: str = "fallen_tree"
) -> str:
    code, _ = post_report(city, *place, service)
    desk.until(LISTED, code, 15)
    desk.until(DRAWN, code, 5)
    desk.until(PICKED, code, 20)
    assert seen_by_citizen(city, code)["status"] == "open"
    return code


def dispatch(desk: Screen, code: str, crew: str) -> None:
    desk.page.click(f"[data-code='{code}'] button")
    desk.page.click("[data-action=register]")
    desk.page.click("[data-action=dispatch]")
    desk.page.wait_for_selector("[data-crew]")
    proposals = desk.ask("twin.store.proposals.value.data")
    assert all(c["travel_s"] > 0 for c in proposals["crews"])
    assert len(proposals["crews"][0]["route"]) > 1
    desk.page.click(f"[data-crew='{crew}']")
    desk.until("code => twin.events().find(e => e.code === code)?.stage === 3", code)


def handle(phone: Screen, code: str, picture: Path) -> None:
    phone.page.click(f"[data-code='{code}']", timeout=15_000)
    phone.page.click("[data-action=accept]")
    phone.page.wait_for_selector("[data-action=finish]", timeout=15_000)
    phone.until("() => twin.jobs.value.length === 0")
    phone.page.click("[data-action=finish]")
    phone.page.set_input_files("input[type=file]", str(picture))
    phone.page.fill("textarea", "已锯断清运，恢复通行")
    phone.page.click("[data-action=finish]")
    phone.until("() => twin.jobs.value.length === 0")


def review(desk: Screen, city: City, code: str) -> None:
    """Close on the wall; what is severe is passed there and endorsed by another person."""
    desk.page.wait_for_selector("[data-action=close], [data-action=pass]")
    if desk.page.is_visible("[data-action=close]"):
        desk.page.click("[data-action=close]")
        return
    desk.page.click("[data-action=pass]")
    desk.until("code => twin.events().find(e => e.code === code)?.state === 'reviewing'", code)
    head = {
        "Authorization": f"Bearer {city.token('commander')}",
        "Content-Type": "application/json",
    }
    asked = f"{city.url}/api/v1/events/{code}/actions/endorse"
    with urllib.request.urlopen(urllib.request.Request(asked, b"{}", head), timeout=20) as answer:
        assert json.load(answer)["state"] == "closed"


def recall_all(city: City) -> None:
    """Take from the patrol's crew what tests before left in its hands: a crew that is full is not proposed."""
    head = {"Authorization": f"Bearer {city.token()}", "Content-Type": "application/json"}
    for task in city.get("/api/v1/tasks", city.token("patrol"))["tasks"]:
        if task["state"] not in ("assigned", "dispatched", "handling"):
            continue
        asked = f"{city.url}/api/v1/events/{task['code']}/actions/recall"
        body = json.dumps({"reason": "改派"}).encode()
        urllib.request.urlopen(urllib.request.Request(asked, body, head), timeout=20).close()


def test_the_whole_way(screen: Any, city: City, tmp_path: Path) -> None:
    recall_all(city)
    crew = crew_of(city, "patrol")
    # A place of its own, seen from near: what other tests have left about must not gather with it.
    lon, lat = crew["point"][0] + 0.0047, crew["point"][1] - 0.0036
    with wall(screen, place=f"16/{lat}/{lon}") as desk:
        code = report_appears(desk, city, (lon, lat), service_for(crew))
        dispatch(desk, code, crew["code"])
        phone = screen(
            "patrol", "/patrol", PHONE, has_touch=True, is_mobile=True, permissions=["geolocation"],
            geolocation={"longitude": lon + 0.0001, "latitude": lat, "accuracy": 8},
        )  # fmt: skip
        phone.until("window.twin && twin.map.loaded()", seconds=60)
        handle(phone, code, photo(tmp_path / "after.png"))
        desk.until("code => twin.events().find(e => e.code === code)?.stage === 5", code)
        desk.page.wait_for_selector(".photos img")
        review(desk, city, code)
        desk.until("code => !twin.events().some(e => e.code === code)", code)
        assert seen_by_citizen(city, code)["status"] == "closed"
    phone.clean()


def publish(city: City, code: str, lon: float, lat: float) -> None:
    """Send one position as any MQTT client does (mosquitto_pub sends the same bytes)."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.username_pw_set(*city.broker_login())
    client.connect("127.0.0.1", city.mqtt_port)
    client.loop_start()
    said = {
        "t": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "lon": lon,
        "lat": lat,
        "speed_kmh": 20,
        "heading_deg": 90,
    }
    client.publish(f"twin/v1/vehicle/{code}/position", json.dumps(said), qos=1).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()


def a_vehicle(city: City) -> dict[str, Any]:
    movers = city.get("/api/v1/movers", city.token())["movers"]
    found: dict[str, Any] = next(m for m in movers if m["kind"] == "vehicle")
    return found


THERE = """([num, lon, lat]) => { const p = twin.movers.where(num);
  return p && Math.abs(p[0] - lon) + Math.abs(p[1] - lat) < 2e-5 }"""


def test_the_slider_shows_the_map_as_it_was(screen: Any, city: City) -> None:
    vehicle = a_vehicle(city)
    with wall(screen, place="13/31.23/121.47") as desk:
        publish(city, vehicle["code"], 121.4700, 31.2300)
        desk.until(THERE, [vehicle["num"], 121.4700, 31.2300])
        time.sleep(1.5)
        before = desk.ask("twin.store.serverNow()")
        time.sleep(1.5)
        publish(city, vehicle["code"], 121.4760, 31.2330)
        code = report_appears(desk, city, (121.4731, 31.2312))
        desk.until(THERE, [vehicle["num"], 121.4760, 31.2330])
        desk.ask("at => twin.store.showMoment(at)", before)
        desk.until("code => !twin.events().some(e => e.code === code)", code)
        desk.until(THERE, [vehicle["num"], 121.4700, 31.2300])
        assert desk.page.is_visible(".pastframe .moment")
        desk.page.keyboard.press("l")
        desk.until(DRAWN, code)
        desk.until(THERE, [vehicle["num"], 121.4760, 31.2330])
        assert not desk.page.is_visible(".pastframe")


# The browser notes by its own clock when it has drawn a fix of one thing.
NOTE_FIXES = """num => { const apply = twin.movers.apply.bind(twin.movers); window.fixes = [];
  twin.movers.apply = (frame, ...more) => { apply(frame, ...more); const i = frame.num.indexOf(num);
    if (i >= 0) requestAnimationFrame(() => fixes.push([frame.lon[i], Date.now()])) } }"""
CAME = "lon => fixes.find(([x]) => Math.abs(x - lon) < 2e-5)?.[1] ?? 0"


def moved_after_s(desk: Screen, city: City, vehicle: dict[str, Any], step: int) -> float:
    """Publish a position; return the seconds until the browser has drawn it."""
    lon = 121.4700 + step * 1e-4
    began = time.time()
    publish(city, vehicle["code"], lon, 31.2300)
    desk.until(f"async lon => ({CAME})(lon)", lon, 10)
    return float(desk.ask(CAME, lon)) / 1000 - began


def test_a_published_position_moves_the_vehicle(screen: Any, city: City) -> None:
    vehicle = a_vehicle(city)
    with wall(screen, place="14/31.23/121.47") as desk:
        desk.ask(NOTE_FIXES, vehicle["num"])
        assert moved_after_s(desk, city, vehicle, 1) > 0
