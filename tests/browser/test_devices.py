"""A product and a device made in the console, a value by mosquitto_pub, seen, alarmed, acknowledged."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.support import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
DESK = {"width": 1440, "height": 900}


def opened(screen: Any, path: str, user: str = "admin") -> Screen:
    made: Screen = screen(user, f"/console/{path}?lang=zh-CN", DESK)
    made.page.wait_for_selector("main h1, main .mapfull")
    return made


def asked(desk: Screen, method: str, path: str, body: Any = None) -> Any:
    """Ask a door of the API as the page's user."""
    return desk.page.evaluate(
        "([m, p, b]) => fetch(p, {method: m, headers: {'Content-Type': 'application/json'}, "
        "body: b === null ? undefined : JSON.stringify(b)}).then(r => r.json())",
        [method, path, body],
    )


def make_product(desk: Screen, key: str) -> None:
    page = desk.page
    page.get_by_role("button", name="新建产品").click()
    page.fill("#prod-zh", "试验温度计")
    page.fill("#prod-en", "Test thermometer")
    page.fill("#prod-key", key)
    page.fill("[data-cell=name-0]", "heat_c")
    page.fill("[data-cell=zh-0]", "温度")
    page.fill("[data-cell=unit-0]", "Cel")
    page.fill("[data-cell=low-0]", "-40")
    page.fill("[data-cell=high-0]", "150")
    page.get_by_role("button", name="检查").click()
    page.wait_for_selector(".checked")
    page.get_by_role("button", name="发布").click()
    page.wait_for_url(f"**/console/products/{key}", timeout=60_000)
    page.wait_for_selector("main h1 >> text=试验温度计")


def add_device(desk: Screen, key: str, device: str) -> tuple[str, str]:
    page = desk.page
    page.get_by_role("button", name="添加设备").click()
    page.wait_for_selector(f"#add-product option[value={key}]", state="attached")
    page.select_option("#add-product", key)
    page.fill("#add-device", device)
    page.fill("#add-name", "一号温度计")
    page.wait_for_selector(".addform .placemap canvas")
    page.locator(".addform .placemap").click(position={"x": 200, "y": 200})
    page.locator(".addform .btn.main").click()
    page.wait_for_selector("#made-password")
    return page.locator("#made-user").inner_text(), page.locator("#made-password").inner_text()


def publish(city: City, user: str, password: str, value: float) -> None:
    """Send a value with a client that nobody here wrote."""
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(city.mqtt_port), "-q", "1", "-u", user, "-P", password,
         "-i", user.split("/")[1], "-t", f"twin/v1/{user}/telemetry", "-m", json.dumps({"values": {"heat_c": value}})],
        check=True, timeout=30,
    )  # fmt: skip


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto-clients are not installed")
def test_from_a_new_product_to_an_acknowledged_alarm(screen: Any, city: City) -> None:
    """Made in the console, spoken to by mosquitto_pub, seen on map and chart, alarmed, acknowledged."""
    key, device = f"thermo_{int(time.time())}", "T1"
    desk = opened(screen, "products")
    make_product(desk, key)
    desk.page.goto(f"{city.url}/console/devices?lang=zh-CN")
    user, password = add_device(desk, key, device)
    desk.page.get_by_role("button", name="打开设备").click()
    desk.page.wait_for_selector(".stands.never")

    publish(city, user, password, 21.5)
    desk.page.wait_for_selector(".tile >> text=21.5")
    desk.until("document.querySelectorAll('.chart .dot, .chart .line').length > 0")
    desk.page.wait_for_selector(".stands.live")

    rule = {
        "key": f"{key}.hot", "title": {"zh": "过热", "en": "Too hot"}, "product": key, "level": 2,
        "when": {"range": {"property": "heat_c", "above": 80, "clear": 60}},
    }  # fmt: skip
    said = asked(desk, "PUT", f"/api/v1/rules/{key}.hot", rule)
    assert "detail" not in said, said
    # Writers hear of a new rule by the journal; a device reports again and again.
    end = time.monotonic() + 30
    while time.monotonic() < end and not desk.page.locator(".alarms li").count():
        publish(city, user, password, 95.0)
        desk.page.wait_for_timeout(1500)
        publish(city, user, password, 96.0)
        desk.page.wait_for_timeout(1500)
    desk.page.wait_for_selector(".alarms >> text=过热")

    code = desk.page.locator(".alarms a").first.get_attribute("href").rsplit("/", 1)[-1]
    asked(desk, "POST", "/api/v1/alarms/acknowledge", {"codes": [code], "note": "试验"})
    alarm = asked(desk, "GET", f"/api/v1/alarms/{code}")
    assert alarm["state"] != "ringing" and alarm["acknowledged_at"], alarm

    desk.page.goto(f"{city.url}/console/devices/map?lang=zh-CN")
    desk.page.wait_for_selector(f"#map-product option[value={key}]", state="attached")
    desk.page.select_option("#map-product", key)
    desk.until("document.querySelector('.devscale')?.getAttribute('aria-label') === '温度'")
    desk.clean()


def test_the_simulator_goes_the_real_way(screen: Any) -> None:
    """Acknowledged means stored; every hop of the message is shown with its time."""
    desk = opened(screen, "devices")
    page = desk.page
    page.locator(".table tbody tr").first.click()
    page.locator("#tab-trace").click()
    page.locator(".tracing .btn.main").click()
    page.wait_for_selector(".tracing .ok")
    desk.until("document.querySelectorAll('.way li.done').length >= 5")
    page.locator("#tab-ledger").click()
    page.wait_for_selector(".equation .closes:not(.bad)")
    desk.clean()


def test_payloads_are_debugged_step_by_step(screen: Any) -> None:
    """A golden vector from bytes to checked values; a broken payload says what is wrong."""
    desk = opened(screen, "products/toilet_odour")
    page = desk.page
    page.locator("#tab-codec").click()
    page.locator(".vectors button").first.click()
    page.wait_for_selector(".steps .good")
    page.fill("#debug-payload", "0199")
    page.get_by_role("button", name="解码").click()
    page.wait_for_selector(".steps .bad")
    desk.clean()
