"""The data resource centre: list, facets, keyboard, detail with its four parts, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.support import City

pytestmark = pytest.mark.timeout(240)
DESK = {"width": 1440, "height": 900}
# Contrast of text against the nearest painted ground, worst first (WCAG 2 asks 4.5 of small text).
CONTRAST = """() => {
  const lum = c => { const [r, g, b] = c.map(v => { v /= 255;
    return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
    return .2126 * r + .7152 * g + .0722 * b };
  const rgb = s => (s.match(/[\\d.]+/g) ?? []).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length && (c.length < 4 || c[3] > .9)) return c.slice(0, 3) } return [255, 255, 255] };
  const found = [];
  for (const e of document.querySelectorAll(
      '.cat td, .cat th, .cat dt, .cat dd, .cat button, .cat .muted, .cat h1, .cat .level, .cat .tag')) {
    if (!e.innerText?.trim() || e.closest('.sr')) continue;
    const [a, b] = [lum(rgb(getComputedStyle(e).color).slice(0, 3)), lum(ground(e))];
    found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className, e.innerText.slice(0, 20)]);
  }
  return found.sort((a, b) => a[0] - b[0])[0] }"""


def opened(screen: Any, path: str = "catalogue") -> Screen:
    made: Screen = screen("planner", f"/console/{path}", DESK)
    made.page.wait_for_selector(".cat .tablebox, .cat .lineage svg")
    return made


def test_the_list_narrows_by_words_database_and_state(screen: Any) -> None:
    desk = opened(screen)
    rows = "document.querySelectorAll('.cat tbody tr').length"
    desk.until(f"{rows} > 150")
    desk.page.get_by_role("searchbox").fill("公厕")
    desk.until(f"{rows} < 20 && {rows} > 0")
    assert desk.page.is_visible('tr[data-id="toilet"]')
    desk.page.get_by_role("button", name="清除条件").click()
    desk.page.get_by_role("button", name="公厕", exact=False).first.click()
    desk.until(f"{rows} < 12 && {rows} > 0")
    desk.page.get_by_role("button", name="清除条件").click()
    desk.page.get_by_label("图形").select_option("none")
    desk.until(f"{rows} > 20 && {rows} < 140")
    desk.clean()


def test_columns_sort_and_rows_open_by_keyboard(screen: Any) -> None:
    desk = opened(screen)
    desk.until("document.querySelectorAll('.cat tbody tr').length > 150")
    desk.page.get_by_role("button", name="条数").click()
    counts = desk.ask(
        "[...document.querySelectorAll('.cat tbody tr td:nth-child(4)')].slice(0, 9)"
        ".map(e => +e.innerText.replaceAll(',', ''))"
    )
    assert counts == sorted(counts, reverse=True)
    desk.page.locator(".cat tbody tr").first.focus()
    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_selector("[role=tablist]")
    desk.page.locator("[role=tab][aria-selected=true]").focus()
    for tab in ("quality", "lineage", "coverage", "fields"):
        desk.page.keyboard.press("ArrowRight")
        desk.until(f"location.pathname.endsWith('/{tab}')")
        desk.until(f"document.activeElement.id === 'tab-{tab}'")
    desk.page.go_back()
    desk.until("location.pathname.endsWith('/coverage')")
    desk.clean()


def test_a_kind_shows_fields_rules_lineage_and_coverage(screen: Any, city: City) -> None:
    city.twin("quality", "run", "sub_compartment")
    desk = opened(screen, "catalogue/sub_compartment")
    assert desk.page.is_visible("text=优势树种")
    desk.page.get_by_role("tab", name="质量").click()
    desk.page.wait_for_selector("text=条规则全部通过")
    desk.page.get_by_role("tab", name="血缘").click()
    desk.page.wait_for_selector(".lineage .box.kind")
    assert desk.ask("document.querySelectorAll('.lineage .flow path').length") >= 4
    desk.page.get_by_role("tab", name="覆盖").click()
    desk.page.wait_for_selector(".coverage tbody tr >> nth=15")
    for measure in ("密度", "质量分", "新鲜度"):
        desk.page.locator(".measures label", has_text=measure).click()
        desk.until(f"document.querySelector('.measures .on').innerText === '{measure}'")
    desk.clean()


@pytest.mark.parametrize("theme", ["day", "night"])
def test_english_and_contrast(screen: Any, theme: str) -> None:
    for path in ("catalogue", "catalogue/toilet/fields", "catalogue/toilet/quality"):
        desk: Screen = screen("planner", f"/console/{path}?lang=en&theme={theme}", DESK)
        desk.page.wait_for_selector(".cat .tablebox")
        worst = desk.ask(CONTRAST)
        assert worst[0] >= 4.5, worst
        assert desk.ask("document.title").startswith("Data resources")
        desk.clean()
