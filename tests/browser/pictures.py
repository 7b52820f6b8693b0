"""Remake the pictures of docs/pictures from an installation: `python -m tests.browser.pictures URL LOGINS [NAME ...]`.

URL is a running installation with the demo city and some life (`twin simulate --answer
--reports-per-minute 3`), LOGINS its `secrets/demo-logins`. The pictures are what a browser shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, PHONE

OUT = Path(__file__).parents[2] / "docs" / "pictures"
WIDE = {"width": 1920, "height": 1080}
DESK = {"width": 1440, "height": 900}
CITY = "#m=11.9/31.2265/121.4720"
Steps = Callable[[Any], None]


def _settled(page: Any, wait_ms: int = 2500) -> None:
    """Wait until the map is drawn and the first fixes have come."""
    for _ in range(200):
        if page.evaluate("!!window.twin && twin.map.loaded() && twin.map.areTilesLoaded()"):
            break
        page.wait_for_timeout(300)
    page.wait_for_timeout(wait_ms)


def _hour(page: Any) -> None:
    page.evaluate("twin.store.range.value = '1h'; void twin.store.loadBins()")


def _dispatch(page: Any) -> None:
    """Choose an urgent event that waits for a crew, and show who could go."""
    _hour(page)
    # The one nearest to the bend of the river, where the city is known by its shape.
    chosen = page.evaluate(
        "twin.store.events.value.filter(e => e.stage <= 2 && e.severity <= 2)"
        ".map(e => [Math.hypot(e.point[0] - 121.492, e.point[1] - 31.236), e.id]).sort((a, b) => a[0] - b[0])[0][1]"
    )
    page.evaluate("id => twin.store.openEvent(id)", chosen)
    page.wait_for_timeout(1500)
    if page.is_visible("[data-action=register]"):
        page.click("[data-action=register]")
        page.wait_for_timeout(1500)
    page.click("[data-action=dispatch]")
    page.wait_for_selector("[data-crew]")
    page.wait_for_timeout(1500)
    _settled(page, 3000)


def _city(page: Any) -> None:
    _hour(page)
    page.wait_for_timeout(2500)


def _in_3d(page: Any) -> None:
    _hour(page)
    page.keyboard.press("d")
    page.wait_for_timeout(1500)
    _settled(page, 3500)


def _past(page: Any) -> None:
    _hour(page)
    page.evaluate("twin.store.showMoment(twin.store.serverNow() - 12 * 60e3)")
    page.wait_for_timeout(2500)
    _settled(page, 2500)


def _thing(page: Any) -> None:
    _hour(page)
    page.click(".fold")
    num = page.evaluate("twin.map.queryRenderedFeatures({layers: ['park']})[0]?.id")
    page.evaluate("n => twin.store.openThing(String(n))", num)
    page.wait_for_timeout(3000)


def _task(page: Any) -> None:
    page.wait_for_selector(".tasks button", timeout=20_000)
    page.click(".tasks button >> nth=0")
    page.wait_for_timeout(1000)
    _settled(page)


def _card(page: Any) -> None:
    """Open an old tree with its records, and the layer tree."""
    _hour(page)
    page.click(".fold")
    page.evaluate(
        "fetch('/ogc/collections/ancient_tree/items?limit=1').then(r => r.json())"
        ".then(r => twin.store.openThing(r.features[0].properties.code))"
    )
    page.wait_for_timeout(4000)


def _still(page: Any) -> None:
    page.wait_for_timeout(4000)


def _coverage(page: Any) -> None:
    page.wait_for_timeout(2500)
    page.get_by_text("覆盖", exact=True).click()
    page.wait_for_timeout(5000)


def _code_page(page: Any) -> None:
    """Go on to the public page of an old tree."""
    code = page.evaluate(
        "fetch('/ogc/collections/ancient_tree/items?limit=1').then(r => r.json())"
        ".then(r => r.features[0].properties.code)"
    )
    page.goto(page.url.split("/login")[0] + f"/c/{code}")


def _fences(page: Any) -> None:
    """Draw a fence in the city, as a hand does, and leave it in the list."""
    _hour(page)
    page.click("[data-tool=fences]")
    page.wait_for_timeout(1500)
    if not page.locator(".plots li").count():
        page.click("[data-do=fence]")
        page.click("[data-mode=circle]")
        page.wait_for_timeout(400)
        page.mouse.move(800, 420)
        page.mouse.down()
        page.mouse.move(900, 490, steps=4)
        page.mouse.up()
        page.fill(".fenceform [name=title]", "豫园禁停区")
        page.click(".fenceform .btn.main")
        page.wait_for_timeout(4000)
    page.click("[data-tool=fences]")
    page.click("[data-tool=fences]")
    page.wait_for_timeout(2500)


def _nothing(_page: Any) -> None:
    return


# name: user, path, viewport, pixels per CSS pixel, what is done before the picture is taken
PICTURES: dict[str, tuple[str | None, str, dict[str, int], int, Steps]] = {
    "wall": ("dispatcher", f"/wall{CITY}", WIDE, 1, _dispatch),
    "wall-4k": ("dispatcher", f"/wall{CITY}", WIDE, 2, _dispatch),
    "wall-city": ("dispatcher", "/wall#m=10.4/31.18/121.50", WIDE, 1, _city),
    "wall-3d": ("dispatcher", "/wall#m=15.1/31.2345/121.4930", WIDE, 1, _in_3d),
    "wall-past": ("dispatcher", f"/wall{CITY}", WIDE, 1, _past),
    "wall-day": ("dispatcher", "/wall?theme=day#m=15/31.2290/121.4760", WIDE, 1, _thing),
    "wall-english": ("dispatcher", f"/wall?lang=en{CITY}", WIDE, 1, _dispatch),
    "wall-a": ("dispatcher", f"/wall?screen=a{CITY}", WIDE, 1, _still),
    "wall-b": ("dispatcher", f"/wall?screen=b{CITY}", WIDE, 1, _still),
    "wall-c": ("commander", f"/wall?screen=c{CITY}", WIDE, 1, _still),
    "wall-fences": ("dispatcher", "/wall#m=13/31.2304/121.4737", WIDE, 1, _fences),
    "wall-topic": ("dispatcher", f"/wall?panel=topic&topic=sanitation{CITY}", WIDE, 1, _still),
    "board": ("commander", "/board", PHONE, 2, _still),
    "board-tablet": (
        "commander",
        "/board?topic=sanitation",
        {"width": 1024, "height": 768},
        1,
        _still,
    ),
    "console-boards": ("commander", "/console/boards/sanitation", WIDE, 1, _still),
    "console-layers": ("commander", "/console/layers", WIDE, 1, _still),
    "patrol": ("patrol", "/patrol?theme=day", PHONE, 2, _nothing),
    "patrol-task": ("patrol", "/patrol?theme=day", PHONE, 2, _task),
    "patrol-night": ("patrol", "/patrol?theme=night", PHONE, 2, _task),
    "wall-card": ("dispatcher", "/wall#m=15/31.2290/121.4760", WIDE, 1, _card),
    "console-data": ("planner", "/console/data", DESK, 1, _still),
    "console-catalogue": ("planner", "/console/catalogue", DESK, 1, _still),
    "console-coverage": ("planner", "/console/catalogue/toilet", DESK, 1, _coverage),
    "console-accounts": ("admin", "/console/accounts", DESK, 1, _still),
    "console-audit": ("auditor", "/console/audit", DESK, 1, _still),
    "console-devices": ("planner", "/console/devices", DESK, 1, _still),
    "console-device-map": ("planner", "/console/devices/map", DESK, 1, _still),
    "console-products": ("planner", "/console/products", DESK, 1, _still),
    "console-alarms": ("dispatcher", "/console/alarms", DESK, 1, _still),
    "features-page": ("planner", "/ogc/collections/park/items?f=html&limit=50", DESK, 1, _still),
    "code-page": (None, "/login", PHONE, 2, _code_page),
    "login": (None, "/login", PHONE, 2, _nothing),
    "login-wide": (None, "/login?theme=night", WIDE, 1, _nothing),
}


def take(browser: Any, url: str, logins: dict[str, str], name: str) -> None:
    """Take one picture."""
    user, path, size, ratio, steps = PICTURES[name]
    context = browser.new_context(
        viewport=size, device_scale_factor=ratio, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    if user:
        said = {"user": user, "password": logins[user]}
        assert context.request.post(f"{url}/api/v1/session", data=said).ok
    page = context.new_page()
    page.goto(url + path)
    if path.startswith(("/wall", "/patrol")):
        _settled(page)
    else:
        page.wait_for_timeout(1500)
    steps(page)
    page.screenshot(path=str(OUT / f"{name}.png"), timeout=120_000)
    context.close()


def main(url: str, logins: str, *names: str) -> None:
    """Take the named pictures, or all."""
    known = dict(
        line.split(" ", 1) for line in Path(logins).read_text(encoding="utf-8").splitlines()
    )
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        for name in names or PICTURES:
            take(browser, url, known, name)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
