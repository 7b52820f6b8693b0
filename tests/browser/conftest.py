"""Fixtures: one headless Chromium, logged-in pages, and a watch over every request that leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import City

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--no-first-run",
]  # fmt: skip
# Software GL: small scenes, or a page spends its time on pixels nobody looks at.
WALL = {"width": 1280, "height": 760}
PHONE = {"width": 390, "height": 844}
# What a browser without a graphics card, or one on a busy machine, says of itself.
NOT_OURS = ("GPU stall due to ReadPixels", "preloaded using link preload but not used")
CENTRE = "12.5/31.2304/121.4737"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; the tests are skipped with the reason where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("/usr/bin/chromium is absent; ./test installs it")
    with api.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Screen:
    """A page with its errors and the foreign hosts it asked for."""

    def __init__(self, page: Any, own: str) -> None:
        self.page = page
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.refused: list[str] = []
        page.on("request", lambda r: self._asked(r.url, own))
        page.on("websocket", lambda w: self._asked(w.url, own))
        page.on(
            "response",
            lambda r: self.refused.append(f"{r.status} {r.url}") if r.status >= 400 else None,
        )
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        if message.type == "error" or (
            message.type == "warning" and not any(word in message.text for word in NOT_OURS)
        ):
            self.errors.append(message.text)

    def _asked(self, url: str, own: str) -> None:
        said = urlsplit(url)
        if said.scheme not in ("blob", "data") and said.netloc != urlsplit(own).netloc:
            self.foreign.append(url)

    def ask(self, script: str, value: Any = None) -> Any:
        """Evaluate in the page."""
        return self.page.evaluate(script, value)

    def until(self, script: str, value: Any = None, seconds: float = 20) -> None:
        """Wait until the expression is true; asked from here, for the page's policy forbids eval."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(script, value):
            assert time.monotonic() < end, (
                f"not within {seconds} s: {script} {value or ''}; {self.said()}"
            )
            time.sleep(0.03)

    def said(self) -> str:
        """Return what the page has told so far, for the sentence of a failure."""
        toasts = self.page.evaluate(
            "[...document.querySelectorAll('[role=alert], [role=status]')].map(e => e.textContent)"
        )
        return f"errors {self.errors}, refused {self.refused}, told {toasts}"

    def clean(self) -> None:
        """Nothing failed and nothing left the installation."""
        assert self.foreign == []
        assert self.errors == []


@pytest.fixture
def screen(chromium: Any, city: City) -> Iterator[Any]:
    """Open pages as a user: `screen(user, path, size)`; all are closed after the test."""
    opened: list[Any] = []

    def opener(
        user: str | None, path: str, size: dict[str, int] | None = None, **more: Any
    ) -> Screen:
        context = chromium.new_context(
            viewport=size or WALL, locale="zh-CN", timezone_id="Asia/Shanghai", **more
        )
        opened.append(context)
        if user:
            said = {"user": user, "password": city.logins()[user]}
            assert context.request.post(f"{city.url}/api/v1/session", data=said).ok
        made = Screen(context.new_page(), city.url)
        made.page.goto(city.url + path)
        return made

    yield opener
    for context in opened:
        context.close()


@contextmanager
def wall(screen: Any, user: str = "dispatcher", place: str = CENTRE) -> Iterator[Screen]:
    """A wall with its map drawn and its socket open; checked for errors at the end."""
    made = screen(user, f"/wall#m={place}")
    made.until(
        "window.twin && twin.map.loaded() && twin.map.areTilesLoaded() && twin.store.live.value.open",
        seconds=60,
    )
    yield made
    made.clean()
