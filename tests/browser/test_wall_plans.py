"""A drill in a real browser, from a warning file to briefing and after-action report; the address book; scenes."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import psycopg
import pypdf
import pytest

from tests.browser.conftest import WALL
from tests.browser.test_wall_access import faults as axe
from tests.services.test_plans import cap
from tests.support import City

pytestmark = pytest.mark.timeout(300)


def opened(screen: Any, user: str = "commander", path: str = "/wall?screen=c&room=plans") -> Any:
    made = screen(user, path, WALL)
    made.until("window.twin && twin.store.live.value.open", seconds=90)
    return made


def arrives(city: City, name: str, raw: bytes) -> None:
    """Let a warning file arrive in the watched folder, whole at once."""
    inbox = city.home / "inbox" / "cap"
    until(lambda: inbox.is_dir())
    new = inbox / f"{name}.new"
    new.write_bytes(raw)
    new.chmod(0o644)
    os.utime(new, (1, 1))
    new.rename(inbox / f"{name}.xml")


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (said := holds()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return said


def response_of(city: City, plan: str) -> Any:
    found = city.get("/api/v1/responses", city.token("commander"))["responses"]
    return next((r for r in found if r["plan"] == plan and r["drill"]), None)


def later(city: City, code: str, minutes: int) -> None:
    """Let minutes have passed since a response was started."""
    address = (
        f"postgresql://postgres:{quote(city.secret('db-super'))}@127.0.0.1:{city.db_port}/twin"
    )
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute(
            "update twin.\"case\" set data = jsonb_set(data, '{confirmed_at}', to_jsonb(now() - "
            "make_interval(mins => %s))) where code = %s",
            (minutes, code),
        )


def test_a_drill_from_a_warning_file_to_the_briefing_and_the_report(
    screen: Any, city: City
) -> None:
    desk, name = opened(screen), f"drill-{time.time_ns()}"
    page = desk.page
    arrives(city, name, cap(name, event="道路结冰", color="橙", status="Exercise"))
    code = until(lambda: response_of(city, "snow_ice"))["code"]
    page.click(f"[data-open='{code}'].suggested", timeout=20_000)
    page.wait_for_selector(".drill")
    assert page.locator(".score [data-part]").count() == 5
    assert int(page.inner_text("[data-score]").rstrip("%").split(".")[0]) > 40
    page.click("[data-action=confirm]")
    page.click(".ask .btn.main")
    page.wait_for_selector(".plansteps [data-step=notify].done")
    # The other one who was told answers on a screen of their own; who has no screen is called.
    other = opened(screen, "dispatcher")
    other.page.click(f"[data-open='{code}']", timeout=20_000)
    other.page.click("[data-action=acknowledge]")
    page.click("[data-action=acknowledge]")
    page.wait_for_selector(".notices [data-notice='u:commander'].good")
    who = page.get_attribute("[data-reached^='c:'] >> nth=0", "data-reached")
    page.click(f"[data-reached='{who}']")
    page.wait_for_selector(f"[data-notice='{who}'].good")
    told = page.locator("[data-notice]").count()
    later(city, code, 11)
    page.wait_for_selector("[data-step=ack].done", timeout=30_000)
    assert page.locator("[data-notice]").count() > told  # the next were called
    page.click("details.group:has([data-resource]) >> nth=0")
    crew = page.get_attribute("[data-resource] >> nth=0", "data-resource")
    page.click(f"[data-resource='{crew}']")
    page.click(f"[data-resource='{crew}']:has-text('到位')")
    page.click("[data-step=salt] .btn")
    page.wait_for_selector("[data-step=salt].done")
    ref = f"<references>qx@sh.gov.cn,{name},2026-11-21T00:00:00+08:00</references>"
    arrives(city, f"{name}-end", cap(f"{name}-end", type_="Cancel", references=ref))
    page.wait_for_selector("[data-over]", timeout=30_000)
    done = page.context.request.get(city.url + page.get_attribute("[data-briefing]", "href"))
    words = "".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(done.body())).pages)
    assert code in words and "演练：不是真实险情" in words and "commander" in words
    page.click("[data-action=stand_down]")
    page.fill(".ask textarea", "演练结束")
    page.click(".ask .btn.main")
    page.wait_for_selector(".report")
    report = city.get(f"/api/v1/responses/{code}/report", city.token("commander"))
    shown = page.inner_text("[data-report='plan.report.answers']")
    assert shown.startswith(f"{report['answers']['answered']}/{report['answers']['told']}")
    assert page.inner_text("[data-report='plan.report.ready']") == "1"
    page.click("[data-action=close]")
    page.fill(".ask textarea", "除雪车辆集结偏慢")
    page.click(".ask .btn.main")
    page.wait_for_selector(f"[data-response='{code}']", state="detached")
    kept = city.get(f"/api/v1/responses/{code}", city.token("commander"))
    assert (kept["state"], kept["drill"]) == ("closed", True)
    desk.clean()


def test_a_warning_appears_as_a_suggestion_by_itself(screen: Any, city: City) -> None:
    desk = opened(screen)
    name = f"browser-{time.time_ns()}"
    done = desk.page.context.request.post(
        f"{city.url}/api/v1/warnings", data=cap(name, event="森林火险", color="红"),
        headers={"Content-Type": "application/cap+xml", "Origin": city.url},
    )  # fmt: skip
    assert done.status == 201, done.text()
    code = done.json()["suggested"][0]
    desk.page.wait_for_selector(f"[data-open='{code}'].suggested", timeout=20_000)
    # Opened, a warning shows how well each plan fits it.
    desk.page.click(f"[data-warning='{name}'] button")
    best = desk.page.locator(".matching details").first
    assert best.get_attribute("data-plan") == "forest_fire"
    desk.page.select_option("[name=plan]", "typhoon_trees")
    desk.page.click(".drillform .btn")
    desk.page.wait_for_selector(".drill:has-text('演练')")


def test_the_address_book_on_wall_and_console(screen: Any, city: City) -> None:
    desk = screen("commander", "/wall?screen=main", WALL)
    desk.until("window.twin && twin.store.live.value.open", seconds=90)
    page = desk.page
    page.click("[data-tool=contacts]")
    page.wait_for_selector(".people .tag.duty")
    page.click("[data-group=tree_rescue]")
    page.wait_for_selector(".people li:has-text('抢险队长')")
    page.click(".people [data-reveal] >> nth=0")
    page.wait_for_selector(".people a.phone[href^='tel:199']")
    page.goto(f"{city.url}/console/contacts")
    page.wait_for_selector(".con .groupsof [data-group=duty_desk]")
    page.click("text=新增人员")
    page.fill("[name=name]", "浏览器测试")
    page.fill("[name=unit]", "试验处")
    page.click(".dialog .btn.main")
    page.fill(".con input[type=search]", "浏览器测试")
    page.wait_for_selector(".con tr:has-text('浏览器测试')")
    page.click(".con .tabs a:has-text('值班表')")
    page.wait_for_selector(".con .bar.now")
    assert axe(desk) == []
    desk.clean()


def test_a_scene_sets_the_wall(screen: Any) -> None:
    desk = opened(screen, path="/wall?screen=main")
    desk.page.click("[data-tool=scenes]")
    desk.page.click("[data-scene=expo]")
    desk.until("!twin.store.hidden.value.has('toilet') && twin.store.topic.value === 'appearance'")
    desk.until("Math.abs(twin.map.getCenter().lng - 121.3045) < 0.01")
    assert "进博会" in desk.page.inner_text(".top .scene")
