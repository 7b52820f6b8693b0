"""Loading data in the console: the whole way from a dropped file to things, by mouse and by keyboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import City

pytestmark = pytest.mark.timeout(240)
DESK = {"width": 1440, "height": 900}
CSV = "公厕名称,经度,纬度,等级,女厕位,谁管,编号\n" + "".join(
    f"控制台公厕{i},{121.46 + i / 1000},{31.22 + i / 2000},{'九类' if i == 3 else '一类'},"
    f"{'四' if i == 6 else 4},环卫一队,C{i}\n"
    for i in range(12)
)


def console(screen: Any, path: str = "/console/data", user: str = "planner") -> Any:
    made = screen(user, path, DESK)
    made.page.wait_for_selector(".pastloads")
    return made


def things(made: Any, city: City) -> list[dict[str, Any]]:
    said = made.page.request.get(
        f"{city.url}/ogc/collections/toilet/items",
        params={"filter": "source = 'console'", "limit": "50"},
    )
    return [f["properties"] for f in json.loads(said.text())["features"]]


def test_a_file_becomes_things_and_is_taken_back(screen: Any, city: City, tmp_path: Path) -> None:
    made = console(screen)
    page = made.page
    path = tmp_path / "console.csv"
    path.write_bytes(CSV.encode("gb18030"))
    page.set_input_files("input[type=file]", str(path))
    page.wait_for_selector(".mapping tbody tr")
    assert page.is_visible("text=gb18030")
    assert page.input_value("tr[data-column=等级] select") == "grade"
    assert page.input_value("tr[data-column=经度] select") == "@x"
    page.select_option("tr[data-column=谁管] select", "manager")
    page.select_option("tr[data-column=编号] select", "@key")
    page.click("[data-do=check]")
    page.wait_for_selector("[data-count='load.n.refused'].refused")
    assert page.inner_text("[data-count='load.n.new'] b") == "10"
    assert page.inner_text("[data-count='load.n.refused'] b") == "2"
    assert "“九类”不在代码表中" in page.inner_text("[data-row='4']")
    made.until("document.querySelector('.checkmap canvas') !== null")
    page.select_option("[data-row='4'] .bad select", "二类")
    page.click("[data-row='7'] .line")
    page.fill("[data-row='7'] .bad input", "5")
    assert page.is_disabled("[data-do=commit]")
    page.click(".bar [data-do=check]")
    made.until("document.querySelector(\"[data-count='load.n.new'] b\")?.innerText === '12'")
    page.click("[data-do=commit]")
    page.wait_for_selector(".done", timeout=60_000)
    found = things(made, city)
    assert len(found) == 12 and {f["manager"] for f in found} == {"环卫一队"}
    assert sorted(f["grade"] for f in found) == ["1"] * 11 + ["2"]
    page.goto(f"{city.url}/console/data")
    page.wait_for_selector(".pastloads tbody tr")
    assert page.inner_text(".pastloads tbody tr >> nth=0").startswith("") and page.is_visible(
        "text=console.csv"
    )
    page.click("[data-undo] >> nth=0")
    page.click(".sureask .bad")
    page.wait_for_selector("text=planner 已撤销")
    assert things(made, city) == []
    made.clean()


def test_the_same_file_again_is_mapped_as_last_time_and_shows_what_changed(
    screen: Any, tmp_path: Path
) -> None:
    path = tmp_path / "twice.csv"
    for grade, new, changed in (("一类", "1", "0"), ("三类", "0", "1")):
        made = console(screen)
        page = made.page
        path.write_text(f"名称,lon,lat,档次,no\n两次,121.47,31.23,{grade},1\n", encoding="utf-8")
        page.set_input_files("input[type=file]", str(path))
        page.wait_for_selector(".mapping tbody tr")
        page.click(".options .kindpicker input")
        page.keyboard.type("公共厕所")
        page.keyboard.press("Enter")
        made.until(
            "!document.querySelector('.kindpicker ul') && document.querySelector('tr[data-column=档次]') !== null"
        )
        if new == "1":
            page.select_option("tr[data-column=档次] select", "grade")
            page.select_option("tr[data-column=no] select", "@key")
        else:
            page.wait_for_selector("text=沿用上次")
            assert page.input_value("tr[data-column=档次] select") == "grade"
        page.click("[data-do=check]")
        page.wait_for_selector(".counters")
        assert page.inner_text("[data-count='load.n.new'] b") == new
        assert page.inner_text("[data-count='load.n.changed'] b") == changed
        if changed == "1":
            said = page.inner_text(".diff tbody")
            assert "一类" in said and "三类" in said and "等级" in said
        page.click("[data-do=commit]")
        page.wait_for_selector(".done", timeout=60_000)
        made.clean()


def test_a_file_that_is_no_data_says_why(screen: Any, tmp_path: Path) -> None:
    made = console(screen)
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"%PDF-1.7 " + bytes(300))
    made.page.set_input_files("input[type=file]", str(path))
    made.page.wait_for_selector("[role=alert] >> text=PDF")
    assert made.page.is_visible(".drop")


def test_keyboard_languages_and_names_of_controls(screen: Any, tmp_path: Path) -> None:
    made = console(screen)
    page = made.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    path = tmp_path / "names.csv"
    path.write_text(CSV, encoding="utf-8")
    page.set_input_files("input[type=file]", str(path))
    page.wait_for_selector(".mapping tbody tr")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, a, input, select')].filter(e => !(e.innerText || e.ariaLabel || "
        "e.labels?.length || e.title)).map(e => e.outerHTML.slice(0, 120))"
    )
    assert nameless == []
    page.click("text=English")
    page.wait_for_selector("text=Column of the file")
    # Chinese words of the file and of its columns stay; the console's own are English.
    assert page.inner_text(".bar [data-do=check]") == "Check"
    page.click("text=中文")
    page.wait_for_selector("text=文件中的列")
    made.clean()


def test_who_may_not_load_is_told(screen: Any, city: City) -> None:
    made = screen("dispatcher", "/console/data", DESK)
    made.page.wait_for_selector("[role=alert]:has-text('data.')")
    assert made.page.locator("nav a[href='/console/data']").count() == 0
    anonymous = screen(None, "/console/data", DESK)
    anonymous.page.wait_for_selector("input[name=password]")
    assert "next=/console/data" in anonymous.page.url.replace("%2F", "/")
