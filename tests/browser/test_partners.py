"""A partner system joined in the console: its events go there and come back, and it stops when it is stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Screen
from tests.browser.test_events_desk import SIZE, state, step
from tests.support import City, free_port
from ui.terminal.paths import ROOT

pytestmark = pytest.mark.timeout(300)
KEY = "k1"  # what the small server lets in
PANEL = ".partnerstate[data-partner=water_partner]"


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[str]:
    """A small Open311 server of somebody else."""
    port = free_port()
    words = [sys.executable, "-m", "tests.services.open311_peer", str(port), str(tmp_path)]
    running = subprocess.Popen(words, cwd=ROOT)
    yield f"http://127.0.0.1:{port}/open311/v2"
    running.kill()
    running.wait(10)


def floating(city: City) -> str:
    """Report what the operator of water sanitation clears, and accept it."""
    body = {
        "service_code": "floating_waste",
        "lat": 31.2391,
        "long": 121.5302,
        "description": "河面一片垃圾",
    }
    asked = urllib.request.Request(
        f"{city.url}/open311/v2/requests.json", urllib.parse.urlencode(body).encode()
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        code = str(json.load(answer)[0]["service_request_id"])
    step(city, code, "register")
    return code


def test_a_partner_is_joined_gets_its_events_and_is_stopped(
    screen: Any, city: City, partner: str, tmp_path: Path
) -> None:
    page: Screen = screen("commander", "/console/policies/outgoing/water_partner", SIZE)
    page.page.wait_for_selector(".partnerstate[data-partner=none]")
    page.page.click("[data-do=join]")
    page.page.fill("[name=url]", partner)
    page.page.fill("[name=key]", KEY)
    page.page.click("[data-do=joined]")
    page.page.wait_for_selector(PANEL)
    assert f">{KEY}<" not in page.page.content() and f'"{KEY}"' not in page.page.content()

    code = floating(city)
    page.until(f"document.querySelector('{PANEL} dd').textContent !== '0'", seconds=60)
    kept = [json.loads(one.read_text("utf-8")) for one in tmp_path.glob("*.json")]
    assert len(kept) == 1 and kept[0]["service_code"] == "FLOATING_WASTE"
    end = time.monotonic() + 30
    while "water_partner" not in (state(city, code)["partners"] or {}):
        assert time.monotonic() < end
        time.sleep(0.2)

    page.page.click("[data-do=stop]")
    page.until(f"document.querySelector('{PANEL} [data-do=stop]') === null")
    page.clean()
