"""A citizen in a real browser: reports without an account, is asked, answers, and says what came of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import PHONE, Screen
from tests.browser.test_events_desk import call, photo, state, step
from tests.support import City

pytestmark = pytest.mark.timeout(300)
HERE = {"longitude": 121.5213, "latitude": 31.2147}


def finish(city: City, code: str) -> None:
    """Let the desk and a crew carry an event to its end."""
    step(city, code, "register")
    crew = call(city, "/api/v1/tasks", user="patrol")["crew"]["code"]
    step(city, code, "dispatch", crew=crew)
    step(city, code, "accept", "patrol")
    point = state(city, code)["point"]
    step(city, code, "finish", "patrol", note="已清", photos=[photo(city)], position=point)
    step(city, code, "close")


def test_a_citizen_is_asked_answers_and_judges(screen: Any, city: City) -> None:
    page: Screen = screen(None, "/report", PHONE, geolocation=HERE, permissions=["geolocation"])
    page.page.select_option("[name=category]", "litter")
    page.page.fill("[name=description]", "弄堂口堆了几袋垃圾")
    page.page.click("#here")
    page.until("document.getElementById('lon').value !== ''")
    page.page.click("form[method=post] button:not([type=button])")
    page.page.wait_for_selector("p.number code")
    code = page.page.inner_text("p.number code")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.page.click(f"a[href*='/report/{code}']")
    own = page.page.url

    step(city, code, "ask", reason="请说明大约有几袋")
    page.page.reload()
    assert "请说明大约有几袋" in page.page.inner_text("main")
    page.page.fill("[name=note]", "五六袋，堵住了门")
    page.page.click("form[action*='/answer'] button:not([type=button])")
    page.page.wait_for_selector("[role=status]")
    assert "五六袋" in state(city, code)["description"]

    finish(city, code)
    page.page.goto(own)
    page.page.check("[name=verdict] >> nth=0")
    page.page.fill("[name=note]", "清得很快")
    page.page.click("form[action*='/visit'] button")
    page.page.wait_for_selector("[role=status]")
    assert state(city, code)["satisfaction"]
    page.clean()


def test_who_has_only_the_number_sees_the_steps_and_no_question(screen: Any, city: City) -> None:
    page: Screen = screen(None, "/report?lang=en", PHONE)
    page.page.fill("[name=code]", "SH-XX-20260101-9999")
    page.page.click("form[action='/report/find'] button")
    page.page.wait_for_selector("h1")
    assert page.page.locator("form[action*='/answer']").count() == 0
    assert page.errors == [
        "Failed to load resource: the server responded with a status of 404 (Not Found)"
    ]
