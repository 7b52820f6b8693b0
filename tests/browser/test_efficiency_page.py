"""The page of efficiency, supervision, the closing report and the duty list tried on the map, in a real browser."""

from __future__ import annotations

import re
import urllib.request
from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.browser.test_events_desk import SIZE, apart, call, crew_on_duty, report
from tests.support import City

pytestmark = pytest.mark.timeout(300)


def page_of(screen: Any, tab: str) -> Screen:
    made: Screen = screen("commander", f"/console/efficiency/{tab}", SIZE)
    made.page.wait_for_selector("[role=tabpanel] > *", timeout=60_000)
    return made


@pytest.fixture(scope="module")
def worked(city: City) -> str:
    """Close one event and leave others open; return the code of the closed one."""
    crew_on_duty(city)
    apart(city)
    codes = [report(city, 40 + n) for n in range(3)]
    crew = call(city, "/api/v1/tasks", user="patrol")["crew"]["code"]
    code = codes[0]
    point = call(city, f"/api/v1/events/{code}")["point"]
    photo = upload(city)
    call(city, f"/api/v1/events/{code}/actions/dispatch", {"crew": crew})
    for action, body in (("accept", {}), ("arrive", {"position": point}),
                         ("finish", {"note": "已清运", "photos": [photo], "position": point})):  # fmt: skip
        call(city, f"/api/v1/events/{code}/actions/{action}", body, "patrol")
    call(city, f"/api/v1/events/{code}/actions/close", {"note": "复核合格"})
    call(city, f"/api/v1/events/{code}/actions/complain", {"reason": "边上还有一袋"})
    return code


def upload(city: City) -> str:
    import io
    import json

    from PIL import Image

    raw = io.BytesIO()
    Image.new("RGB", (320, 240), "green").save(raw, "JPEG")
    headers = {"Authorization": f"Bearer {city.token('patrol')}"}
    asked = urllib.request.Request(f"{city.url}/api/v1/files", raw.getvalue(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return str(json.load(answer)["url"])


def test_numbers_open_their_cases_and_the_sheet_says_the_same(
    screen: Any, city: City, worked: str
) -> None:
    page = page_of(screen, "table")
    page.page.wait_for_selector("tr.whole [data-opens=closed]")
    said = {
        row[0]: row[1:]
        for row in page.ask(
            "[...document.querySelectorAll('.table tbody tr:not(.whole)')]"
            ".map(r => [r.querySelector('th').innerText, ...[...r.querySelectorAll('td')].map(d => d.innerText)])"
        )
    }
    with page.page.expect_download() as got:
        page.page.click("text=CSV")
    lines = got.value.path().read_text("utf-8-sig").splitlines()
    heads = lines[0].split(",")
    sheet = {cells[heads.index("name")]: cells for line in lines[1:] if (cells := line.split(","))}
    for name, cells in said.items():
        assert [cells[0], cells[1]] == [
            sheet[name][heads.index(h)] for h in ("opened", "closed")
        ], name
    many = int(page.page.inner_text("tr.whole [data-opens=closed]").replace(",", ""))
    page.page.click("tr.whole [data-opens=closed]")
    page.page.wait_for_selector(f"tr[data-code='{worked}']", timeout=30_000)
    assert "/console/events" in page.page.url
    listed = page.ask("twin.store.rows.value.filter(r => r.state === 'closed').length")
    assert listed == min(many, listed) > 0
    page.clean()


def test_rates_funnel_and_heat_are_drawn(screen: Any, worked: str) -> None:
    page = page_of(screen, "board")
    page.page.wait_for_selector(".rate", timeout=30_000)
    words = page.page.inner_text("[role=tabpanel]")
    assert "回访满意率" in words and "自主发现率" in words
    page.page.click("#tab-funnel")
    page.page.wait_for_selector(".funnel li >> nth=5")
    counts = [
        int(re.sub(r"\\D", "", x)) for x in page.page.locator(".funnel li button").all_inner_texts()
    ]
    assert counts[0] >= counts[5] > 0
    page.page.click("#tab-heat")
    page.page.wait_for_selector("canvas", timeout=30_000)
    page.clean()


def test_a_complaint_is_asked_about_and_answered(screen: Any, city: City, worked: str) -> None:
    page = page_of(screen, "supervision")
    page.page.wait_for_selector(f".lines [data-code='{worked}']", timeout=30_000)
    assert "投诉" in page.page.inner_text(f".lines [data-code='{worked}']")
    found = call(city, "/api/v1/supervision", user="commander")["running"]
    asked = next(r for r in found if r["about"] == worked)
    page.page.click(f"[data-code='{asked['code']}'] [data-action=reply]")
    page.page.fill("[data-form=reply] textarea", "已补清")
    page.page.click("[data-form=reply] [data-send]")
    page.page.wait_for_selector(f"[data-code='{asked['code']}'] .reply")
    page.clean()


def test_the_closing_report_of_the_event_page_is_a_pdf_with_its_steps(
    screen: Any, worked: str
) -> None:
    page: Screen = screen("commander", f"/console/events/{worked}", SIZE)
    page.page.wait_for_selector(f"[data-open='{worked}'] .outs", timeout=60_000)
    href = page.page.get_attribute(".outs a[href$='report.pdf']", "href")
    answer = page.page.context.request.get(page.page.url.split("/console")[0] + href)
    raw = answer.body()
    assert answer.headers["content-type"] == "application/pdf" and raw[:5] == b"%PDF-"
    assert len(raw) > 4_000 and b"%%EOF" in raw[-1024:]
    assert "不满意" in page.page.inner_text(f"[data-open='{worked}']")
    page.clean()


def test_a_duty_list_is_tried_over_the_past_and_seen_on_the_map(
    screen: Any, city: City, worked: str
) -> None:
    page: Screen = screen("commander", "/console/policies/duty/event.city", SIZE)
    page.page.wait_for_selector("[role=tab]", timeout=60_000)
    page.page.click("[role=tab] >> nth=-1")
    doc = call(city, "/api/v1/policies/duty/event.city", user="commander")["document"]
    rows = [{"category": ["litter"], "to": "landscape-dept", "hours": 8}, *doc["rows"]]
    import json

    page.page.fill("textarea.code", json.dumps({**doc, "rows": rows}, ensure_ascii=False))
    page.page.wait_for_selector(".fine, .faults", timeout=20_000)
    page.page.click("[data-do=simulate]")
    page.page.wait_for_selector(".trial .moves li", timeout=60_000)
    assert int(page.page.inner_text(".trial .big")) >= 3
    assert "landscape-dept" in page.page.inner_text(".trial .pairs")
    box = page.page.locator(".trial canvas").first.bounding_box()
    assert box and box["width"] > 200
    page.page.hover(".trial .moves li >> nth=0")
    page.page.wait_for_selector(".trial .moves li.on")
    page.clean()
