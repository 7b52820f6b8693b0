"""People, places, keys, one's own account and the audit: by keyboard, in both languages, as they are used."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.support import City
from twin import secondfactor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
DESK = {"width": 1440, "height": 900}


def opened(screen: Any, user: str, path: str, lang: str = "zh-CN") -> Screen:
    made: Screen = screen(user, f"/console/{path}?lang={lang}", DESK)
    made.page.wait_for_selector("main .page h1")
    return made


def test_the_tree_is_walked_by_keys_and_says_what_is_seen(screen: Any) -> None:
    desk = opened(screen, "admin", "accounts")
    page = desk.page
    page.get_by_role("treeitem").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    desk.until(
        "document.querySelector('[role=treeitem][aria-selected=true]').getAttribute('aria-level') === '3'"
    )
    assert (
        page.locator(".place h2").inner_text()
        == page.locator("[aria-selected=true] .grow").inner_text()
    )
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    desk.until("document.querySelectorAll('.acc tbody tr').length >= 10")
    desk.clean()


def test_a_person_comes_signs_in_and_sets_everything_up(screen: Any, city: City) -> None:
    desk = opened(screen, "admin", "accounts", "en")
    page = desk.page
    page.get_by_role("button", name="Add a person").click()
    page.locator("[name=user]").fill(f"fresh.{int(time.time())}")
    page.locator("[name=zh]").fill("新人")
    page.locator("[name=organisation]").select_option("d-310104")
    page.get_by_label("Planner").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector(".secret code")
    user, password = page.locator(".secret code").inner_text().split()
    page.get_by_role("button", name="Noted").click()
    desk.clean()

    fresh = screen(None, "/login", DESK)
    enter(fresh, user, password)
    fresh.page.wait_for_url("**/console/me")
    fresh.until("document.querySelectorAll('.nav ul li').length === 1")
    assert "徐汇区绿化市容局" in fresh.page.locator(".head").inner_text()
    for name, text in (
        ("old", password),
        ("new", "Fresh-and-new-7"),
        ("repeat", "Fresh-and-new-7"),
    ):
        fresh.page.locator(f"[name={name}]").fill(text)
    fresh.page.keyboard.press("Enter")
    fresh.page.get_by_role("button", name="启用二次验证").click()
    secret = fresh.page.locator(".scan code").inner_text().replace(" ", "")
    fresh.page.keyboard.type(secondfactor.code_at(secret, int(time.time() // 30)))
    fresh.page.keyboard.press("Enter")
    fresh.page.wait_for_selector(".codes li")
    recovery = fresh.page.locator(".codes li").first.inner_text()
    fresh.clean()

    again = screen(None, "/login?next=/console/me", DESK)
    enter(again, user, "Fresh-and-new-7")
    again.page.locator("[name=code]").fill(recovery)
    again.page.keyboard.press("Enter")
    again.page.wait_for_selector(".sessions li")
    again.until("document.querySelectorAll('.sessions li').length === 2")
    again.page.get_by_role("button", name="其他全部下线").click()
    again.until("document.querySelectorAll('.sessions li').length === 1")
    assert again.foreign == []


def enter(made: Screen, user: str, password: str) -> None:
    made.page.locator("[name=user]").fill(user)
    made.page.locator("[name=password]").fill(password)
    made.page.keyboard.press("Enter")


def test_a_key_is_made_used_and_revoked(screen: Any, city: City) -> None:
    desk = opened(screen, "admin", "accounts/keys", "en")
    page = desk.page
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("Partner system").fill("Tax office")
    page.get_by_label("Kinds; empty").fill("toilet")
    page.get_by_role("button", name="Make", exact=True).click()
    token = page.locator(".secret code").inner_text()
    headers = {"Authorization": f"Bearer {token}"}
    where = f"{city.url}/ogc/collections/toilet/items?limit=1"
    other = screen(None, "/login", DESK).page.request
    assert other.get(where, headers=headers).ok
    assert other.get(f"{city.url}/ogc/collections/park/items", headers=headers).status == 404
    page.get_by_role("button", name="Noted").click()
    page.locator("tbody tr").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Revoke").click()
    page.wait_for_selector("text=Revoked")
    assert other.get(where, headers=headers).status == 401
    desk.clean()


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_the_auditor_reads_and_narrows(screen: Any, lang: str) -> None:
    desk = opened(screen, "auditor", "audit", lang)
    desk.until("document.querySelectorAll('.aud tbody tr').length > 5")
    page = desk.page
    page.locator(".aud tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    desk.until("document.querySelectorAll('.aud .facts dt').length > 0")
    page.locator(".asks select").select_option("account.add")
    actions = "new Set([...document.querySelectorAll('.aud tbody tr td:nth-child(2)')].map(e => e.innerText)).size"
    desk.until(f"{actions} === 1")
    assert not page.get_by_role("link", name="People and rights").count()
    desk.clean()
