"""The phone without a network: the page opens, a deed is kept, delivered once, and never called sent before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE
from tests.browser.test_whole_way import crew_of, photo, post_report
from tests.support import City

pytestmark = pytest.mark.timeout(240)


def dispatched_task(screen: Any, city: City) -> str:
    crew = crew_of(city, "patrol")
    code, _ = post_report(city, crew["point"][0] + 0.001, crew["point"][1])
    desk = screen("dispatcher", "/wall")
    for action in ("register", "dispatch"):
        said = desk.ask(
            """async ([code, action, crew]) => { const e = await (await fetch(`/api/v1/events/${code}`)).json();
            const body = {version: e.version, ...(action === 'dispatch' ? {crew} : {})};
            return (await fetch(`/api/v1/events/${e.id}/actions/${action}`,
              {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})).status }""",
            [code, action, crew["code"]],
        )
        assert said == 200
    return code


def test_offline_deeds_arrive_once(screen: Any, city: City, tmp_path: Path) -> None:
    code = dispatched_task(screen, city)
    phone = screen("patrol", "/patrol", PHONE)
    phone.page.wait_for_selector(f"[data-code='{code}']", timeout=30_000)
    phone.ask("navigator.serviceWorker.ready.then(() => true)")
    phone.page.reload()
    phone.page.wait_for_selector(f"[data-code='{code}']", timeout=30_000)
    phone.page.context.set_offline(True)
    phone.page.reload()
    phone.page.click(f"[data-code='{code}']", timeout=30_000)
    phone.page.click("[data-action=accept]")
    phone.page.click("[data-action=finish]")
    phone.page.set_input_files("input[type=file]", str(photo(tmp_path / "p.png")))
    phone.page.fill("textarea", "离线处置完毕")
    # This phone finds no position: it says why, and the result takes a second review.
    phone.page.fill("[name=no_position]", "室内没有信号")
    phone.page.click("[data-action=finish]")
    phone.until("twin.jobs.value.length === 2")
    assert "2" in phone.page.inner_text(".status .queue")
    assert city.get(f"/api/v1/events/{code}", city.token())["stage"] == 3
    phone.page.context.set_offline(False)
    phone.until("twin.jobs.value.length === 0", seconds=40)
    event = city.get(f"/api/v1/events/{code}", city.token())
    assert event["stage"] == 5 and len(event["photos"]) == 1
    assert event["unplaced"] == "室内没有信号"
    assert phone.foreign == []
