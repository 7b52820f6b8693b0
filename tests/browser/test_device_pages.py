"""Pages of devices in a real browser: wall layers, linkages, reports, dictionary, workbook, an area."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.browser.conftest import wall
from tests.support import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
DRAWN = "k => document.querySelector(`[data-product=${k}] label .muted`)?.textContent"


def ask(city: City, path: str) -> Any:
    asked = urllib.request.Request(
        city.url + path, headers={"Authorization": f"Bearer {city.token()}"}
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_devices_are_layers_of_the_wall_now_and_then(screen: Any, city: City) -> None:
    """A product is switched on, coloured by state, picked to its card; a past moment is asked for."""
    there = ask(city, "/api/v1/devices/map?product=bin_level")["points"]
    with wall(screen) as desk:
        desk.page.click("[data-tool=devices]")
        desk.page.click("[data-product=bin_level] input")
        desk.page.wait_for_selector("[data-product=bin_level] .devlegend")
        assert number(desk.ask(DRAWN, "bin_level")) == len(there)
        desk.page.click("[data-by=state]")
        desk.page.wait_for_selector("[data-product=bin_level] .swatch.never")
        counts = desk.page.locator("[data-product=bin_level] .devlegend b").all_inner_texts()
        assert sum(map(number, counts)) == len(there)
        at = [there[0]["lon"], there[0]["lat"]]
        desk.ask("at => twin.map.jumpTo({center: at, zoom: 17})", at)
        find = """at => { const p = twin.map.project(at);
            return twin.pick(p.x, p.y, ['devices-bin_level-dots'])?.object?.num ?? 0 }"""
        desk.until(f"at => ({find})(at) > 0", at)
        asked: list[str] = []
        desk.page.on("request", lambda r: asked.append(r.url))
        with desk.page.expect_response(lambda r: "/devices/map" in r.url and "&at=" in r.url):
            desk.ask("twin.store.showMoment(Date.now() - 3 * 3600e3)")


def test_a_linkage_is_declared_and_started_by_hand(screen: Any, city: City) -> None:
    """Declared by form, tried, published; started by hand, it says what it did."""
    desk = screen("admin", "/console/alarms/linkages")
    page = desk.page
    page.click("[data-do=new]")
    page.fill(".lnkform [name=zh]", "演练通知")
    page.fill(".lnkform [name=key]", "drill.call")
    page.click("[data-form=manual]")
    page.select_option(".lnkaction select >> nth=0", "notice")
    page.click(".lnkform .btn.main")
    page.wait_for_selector("[data-do=run]")
    page.click("[data-do=run]")
    page.wait_for_selector(".lnkruns li.done")
    (run,) = ask(city, "/api/v1/linkages/runs?key=drill.call")["runs"]
    assert run["state"] == "done" and run["did"][0]["people"] > 0
    desk.clean()


def test_a_report_opens_what_it_counts(screen: Any, city: City) -> None:
    """From all products to the districts of one; the file is the page's own report."""
    desk = screen("admin", "/console/devices/reports")
    page = desk.page
    page.wait_for_selector("tbody tr")
    page.click("tbody tr >> nth=0")
    page.wait_for_selector("[data-by=district][aria-pressed=true]")
    page.wait_for_selector(".rangebar, tbody td .muted")
    said = page.request.get(city.url + page.get_attribute("[data-file=xlsx]", "href"))
    book = openpyxl.load_workbook(io.BytesIO(said.body()))
    assert book.active is not None and book.active.cell(4, 1).value == "分组"
    page.goto(city.url + "/console/devices/dictionary")
    page.fill("#dict-search", "bin_level temp")
    page.wait_for_selector("tbody tr")
    page.click("tbody tr >> nth=0")
    assert "temp_c" in page.inner_text(".dictside")
    desk.clean()


def test_a_workbook_becomes_devices_with_their_passwords(
    screen: Any, city: City, tmp_path: Path
) -> None:
    """Tried first: the wrong line is named; then made, and the secrets are in a file this once."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ("产品标识", "设备标识", "名称", "经度", "纬度"),
        ("bin_level", "WB-1", "一号", 121.47, 31.23),
    ):
        sheet.append(row)
    book.save(tmp_path / "good.xlsx")
    sheet.append(("no_such", "WB-2", "二号", 121.47, 31.23))
    book.save(tmp_path / "bad.xlsx")
    desk = screen("admin", "/console/devices/provision")
    page = desk.page
    page.wait_for_selector(".provdrop")
    page.set_input_files("#prov-file", str(tmp_path / "bad.xlsx"))
    page.wait_for_selector("td .wrong")
    assert page.locator("[data-do=make]").count() == 0
    page.set_input_files("#prov-file", str(tmp_path / "good.xlsx"))
    page.click("[data-do=make]")
    page.wait_for_selector("#prov-secrets")
    assert ask(city, "/api/v1/devices/bin_level/WB-1")["name"] == "一号"
    desk.clean()


def test_an_area_of_the_map_is_commanded(screen: Any, city: City) -> None:
    """What lies in a drawn area is counted on the map and commanded by the server alike."""
    desk = screen("admin", "/console/devices/map")
    page = desk.page
    page.wait_for_selector(".devlegend")
    page.click("[data-do=area]")
    for x, y in ((620, 200), (900, 200), (900, 520), (620, 520)):
        page.mouse.click(x, y)
    page.keyboard.press("Enter")
    page.wait_for_selector(".areacard")
    inside = number(page.inner_text(".areacard .big"))
    assert inside > 0
    page.fill(".areacard input", "演练")
    with page.expect_response(lambda r: r.url.endswith("/api/v1/commands")) as answer:
        page.click("[data-do=command]")
    assert answer.value.json()["devices"] == inside
    desk.clean()
