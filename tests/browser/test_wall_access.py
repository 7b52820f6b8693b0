"""Contrast, names, roles and reduced motion of every screen by axe, night and day; no inline script, no other host."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE
from tests.support import City

pytestmark = pytest.mark.timeout(400)
AXE = Path(__file__).parents[2] / "ui" / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
RUN = """tags => axe.run({exclude: ['.maplibregl-canvas-container', '.maplibregl-control-container', '.watermark']},
  {runOnly: tags, resultTypes: ['violations']}).then(r => r.violations.map(v =>
  [v.id, v.impact, v.help, v.nodes.slice(0, 4).map(n =>
    n.target.join(' ') + ' — ' + n.any.map(a => a.message).join('; '))]))"""
WIDE = {"width": 1920, "height": 1080}


def faults(made: Any) -> list[Any]:
    """What axe finds wrong on the page as it is now."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed; npm ci in ui/web brings it")
    made.ask(AXE.read_text(encoding="utf-8") + ";true")
    return list(made.ask(RUN, RULES))


def opened(screen: Any, user: str | None, path: str, size: Any = None, **more: Any) -> Any:
    made = screen(user, path, size or WIDE, reduced_motion="reduce", **more)
    if path.startswith(("/wall", "/patrol")):
        made.until("window.twin && twin.map.loaded()", seconds=90)
    made.page.wait_for_timeout(1500)
    return made


DAY = pytest.param("day", marks=pytest.mark.long)


@pytest.mark.parametrize(("name", "theme"), [
    ("main", "night"), ("a", "day"), ("b", "night"), ("c", "day"),
    *(pytest.param(*pair, marks=pytest.mark.long)
      for pair in (("main", "day"), ("a", "night"), ("b", "day"), ("c", "night"))),
])  # fmt: skip
def test_each_screen_of_the_wall(screen: Any, name: str, theme: str) -> None:
    made = opened(screen, "dispatcher", f"/wall?screen={name}&room=axe&theme={theme}")
    assert faults(made) == []
    made.clean()


@pytest.mark.parametrize("theme", ["night", DAY])
def test_each_panel_of_the_wall(screen: Any, theme: str) -> None:
    made = opened(screen, "dispatcher", f"/wall?theme={theme}")
    for tool in ("layers", "topic", "select", "cameras", "measure", "plot", "compare", "screens"):
        made.page.click(f"[data-tool={tool}]")
        made.page.wait_for_timeout(700)
        assert faults(made) == [], tool
    made.page.click("[data-side=alarms]")
    assert faults(made) == []
    made.ask("twin.store.showMoment(twin.store.serverNow() - 600e3)")
    made.page.wait_for_timeout(800)
    assert faults(made) == []


@pytest.mark.parametrize(
    ("user", "path", "size"),
    [(None, "/login", WIDE), ("patrol", "/patrol", PHONE), ("planner", "/console/catalogue", WIDE),
     ("commander", "/board", PHONE)],
)  # fmt: skip
def test_other_screens(screen: Any, user: str | None, path: str, size: Any) -> None:
    assert faults(opened(screen, user, path, size)) == []


@pytest.mark.parametrize("path", ["/wall", "/patrol", "/console", "/login", "/board"])
def test_no_inline_script_and_a_policy_that_forbids_it(city: City, path: str) -> None:
    with urllib.request.urlopen(city.url + path, timeout=20) as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = answer.read().decode()
    script = re.search(r"script-src ([^;]+)", policy)
    assert script and "unsafe-inline" not in script[1]
    for tag in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.S):
        assert "src=" in tag[0] and not tag[1].strip()
    assert not re.search(r"\son\w+=", page)
