"""Figures of the wall, measured in the browser: `./test tests/browser/bench_wall.py -s`.

No test asserts a time; these print what was measured, for docs/benchmarks.md.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from tests.alarms import devices
from tests.browser.conftest import wall
from tests.browser.test_whole_way import (
    LISTED,
    NOTE_FIXES,
    a_vehicle,
    moved_after_s,
    post_report,
)
from tests.support import City, environment
from twin import cases, db, positions
from twin.alarms.raising import PROCESS as ALARM
from twin.scope import SYSTEM

pytestmark = pytest.mark.timeout(900)
# The browser notes by its own clock (this machine's) when a row came: asking costs time on a busy machine.
NOTE_ROWS = """() => { window.cameAt = {}; new MutationObserver(() => document.querySelectorAll('.row[data-code]')
  .forEach(r => window.cameAt[r.dataset.code] ??= Date.now()))
  .observe(document.querySelector('.rows'), {childList: true, subtree: true}) }"""


def tell(name: str, took: list[float], unit: str) -> None:
    """Print median, 95th percentile and worst of what was measured."""
    took = sorted(took)
    p95 = took[max(0, round(0.95 * len(took)) - 1)]
    figures = f"p50 {statistics.median(took):.2f}, p95 {p95:.2f}, worst {took[-1]:.2f} {unit}"
    print(f"{name}: {figures} ({len(took)} runs)")


def test_position_to_pixel(screen: Any, city: City) -> None:
    vehicle = a_vehicle(city)
    with wall(screen, place="14/31.23/121.47") as desk:
        desk.ask(NOTE_FIXES, vehicle["num"])
        took = [moved_after_s(desk, city, vehicle, step) for step in range(1, 101)]
    tell("position published to drawn on the wall", took, "s")
    assert len(took) == 100


def test_report_to_list_and_proposals(screen: Any, city: City) -> None:
    took, proposed = [], []
    with wall(screen, place="14/31.23/121.47") as desk:
        desk.ask(NOTE_ROWS)
        for step in range(20):
            code, began = post_report(city, 121.46 + step * 1e-3, 31.23)
            desk.until(LISTED, code, 15)
            took.append(desk.ask("code => cameAt[code]", code) / 1000 - began)
            token = city.token()
            answer = city.get(f"/api/v1/events/{code}/proposals", token)
            assert answer["crews"]
            proposed.append(answer["computed_ms"])
    tell("Open311 report to row on the wall", took, "s")
    tell("proposals of crews", proposed, "ms")


WIDE = {"width": 1920, "height": 1080}
MANY = 10_000
MESSAGES = 100_000
BATCH = 500


@contextmanager
def database(city: City) -> Iterator[None]:
    """The database of the installation, as this process's own."""
    ports = {"TWIN_HOME": str(city.home), "TWIN_DB_PORT": str(city.db_port)}
    with environment(**ports, TWIN_DATABASE_URL=None):
        yield


def metric(session: Any, name: str) -> float:
    """A figure of Chromium's own performance counters."""
    said = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in said if one["name"] == name))


def test_first_picture_from_a_cold_cache(screen: Any) -> None:
    took, drawn = [], []
    for _ in range(6):
        desk = screen("dispatcher", "/wall#m=11.9/31.2265/121.4720", WIDE)
        desk.until("performance.getEntriesByName('wall.picture').length > 0", seconds=90)
        took.append(desk.ask("performance.getEntriesByName('wall.picture')[0].startTime") / 1000)
        desk.until("performance.getEntriesByName('wall.full').length > 0", seconds=90)
        drawn.append(desk.ask("performance.getEntriesByName('wall.full')[0].startTime") / 1000)
        desk.page.context.close()
    tell("first picture (map and panels) from a cold cache at 1920x1080", took[1:], "s")
    tell("every tile of the view drawn", drawn[1:], "s")


def fleet() -> tuple[np.ndarray, np.ndarray]:
    """Ten thousand vehicles in the database, with their places."""
    place = np.random.default_rng(5).uniform((121.35, 31.1), (121.6, 31.35), (MANY, 2))
    with db.engine("app").begin() as conn:
        keys = [f"v{i}" for i in range(MANY)]
        shapes = [minicity.ewkb(shapely.Point(p)) for p in place]
        minicity.write(conn, "vehicle", {"source_key": keys, "name": keys, "geom": shapes})
        nums = conn.execute(
            sa.text("select source_key, num from sanitation.vehicle where source_key = any(:k)"),
            {"k": keys},
        )
        known = dict(nums.all())
    return np.array([known[k] for k in keys]), place


def drive(nums: np.ndarray, place: np.ndarray, stop: threading.Event) -> None:
    """Move all of them a little every second, as one batch of the ingest does."""
    while not stop.is_set():
        began = time.monotonic()
        place += np.random.default_rng().uniform(-1e-4, 1e-4, place.shape)
        now = datetime.now(UTC)
        fixes = [positions.Fix(int(n), now, float(x), float(y), 30.0, 45.0, "310101", 2)
                 for n, (x, y) in zip(nums, place, strict=True)]  # fmt: skip
        with db.engine("ingest").begin() as conn:
            positions.write(conn, fixes, now)
        stop.wait(max(0.0, 1.0 - (time.monotonic() - began)))


def test_ten_thousand_movers_script_a_second(screen: Any, city: City) -> None:
    stop = threading.Event()
    with database(city), wall(screen, place="11/31.23/121.47") as desk:
        session = desk.page.context.new_cdp_session(desk.page)
        # Time of the thread, not of the clock: what else runs on the machine is not counted.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        idle = spent(desk, session, 20)
        nums, place = fleet()
        driver = threading.Thread(target=drive, args=(nums, place, stop))
        driver.start()
        try:
            desk.until(f"twin.movers.size > {MANY * 0.98}", seconds=120)
            took = [spent(desk, session, 10) for _ in range(4)]
            frames, drawings = desk.ask("[twin.store.spent.frames, twin.store.spent.drawings]")
        finally:
            stop.set()
            driver.join()
    tell(
        f"script of movers, {MANY} at 1 Hz (unpack, apply, pack, draw)",
        [t[0] for t in took],
        "ms/s",
    )
    tell("script of the whole page meanwhile", [t[1] for t in took], "ms/s")
    tell("of it beyond the page without them", [t[1] - idle[1] for t in took], "ms/s")
    print(f"whole page without them: {idle[1]:.1f} ms/s; {frames} frames, {drawings} drawings")


def spent(desk: Any, session: Any, seconds: int) -> tuple[float, float]:
    """Milliseconds of script a second: of the movers by the page's own clock, and of the whole page."""
    before, mine = metric(session, "ScriptDuration"), desk.ask("twin.store.spent.movers_ms")
    desk.page.wait_for_timeout(seconds * 1000)
    whole = (metric(session, "ScriptDuration") - before) * 1000 / seconds
    return (desk.ask("twin.store.spent.movers_ms") - mine) / seconds, whole


# How long the page waited for what a moment is made of.
ANSWERS = """(() => {
  const found = {};
  for (const e of performance.getEntriesByType('resource')) {
    const name = new URL(e.name).pathname;
    const wanted = ['/api/v1/positions', '/api/v1/events', '/api/v1/indicators'].includes(name);
    if (wanted && e.name.includes('at=')) (found[name] ??= []).push(e.duration);
  }
  return found;
})()"""
MOMENT = """at => new Promise(done => {
  performance.clearMarks('wall.moment');
  const began = performance.now();
  twin.store.showMoment(at);
  const look = () => {
    const mark = performance.getEntriesByName('wall.moment')[0];
    const said = mark && [mark.startTime - began, performance.now() - began];
    if (said && twin.store.settled.value === at && twin.map.areTilesLoaded()) done(said);
    else requestAnimationFrame(look);
  };
  look();
})"""


def test_a_moment_of_yesterday(screen: Any, city: City) -> None:
    """The slider goes to a moment of yesterday: vehicles and events as they were, then every tile."""
    with database(city):
        nums, place = fleet()
        then = datetime.now(UTC) - timedelta(days=1)
        for step in range(0, 3600, 600):
            at = then + timedelta(seconds=step)
            fixes = [positions.Fix(int(n), at, float(x), float(y), 30.0, 45.0, "310101", 2)
                     for n, (x, y) in zip(nums, place, strict=True)]  # fmt: skip
            with db.engine("ingest").begin() as conn:
                positions.write(conn, fixes, at)
        with wall(screen, place="12/31.23/121.47") as desk:
            took = []
            for step in range(60, 3600, 180):
                took.append(desk.ask(MOMENT, (then.timestamp() + step) * 1000))
            shown = desk.ask("twin.movers.size")
            asked = desk.ask(ANSWERS)
    assert shown >= MANY
    tell("a moment of yesterday: vehicles and events shown", [t[0] / 1000 for t in took], "s")
    tell("the same with every tile of that moment", [t[1] / 1000 for t in took], "s")
    for name, spent_ms in asked.items():
        tell(f"of it: the answer of {name}", [one / 1000 for one in spent_ms], "s")


def test_a_day_of_messages_leaves_the_heap_as_it_was(screen: Any, city: City) -> None:
    """A hundred thousand changes of things come through journal, hub and socket; the heap is looked at on the way."""
    with database(city), wall(screen) as desk:
        session = desk.page.context.new_cdp_session(desk.page)
        session.send("HeapProfiler.enable")
        session.send("Performance.enable")
        heaps, heard = [], []
        for part in range(10):
            first = desk.ask("twin.store.spent.entries")
            for batch in range(MESSAGES // 10 // BATCH):
                change(part * 1000 + batch)
                desk.page.wait_for_timeout(60)
            desk.until(f"twin.store.spent.entries >= {first + MESSAGES // 10 * 0.999}", seconds=200)
            heard.append(desk.ask("twin.store.spent.entries"))
            session.send("HeapProfiler.collectGarbage")
            heaps.append(metric(session, "JSHeapUsedSize") / 2**20)
    growth = (heaps[-1] / heaps[0] - 1) * 100
    print(
        f"heap after each 10,000 messages: {', '.join(f'{h:.1f}' for h in heaps)} MiB; {heard[-1]} heard"
    )
    print(f"heap growth over {MESSAGES} messages: {growth:.1f} %")


def change(step: int) -> None:
    """Change five hundred things in one transaction: a journal entry and a live message each."""
    with db.engine("app").begin() as conn:
        keys = [f"heap{i}" for i in range(BATCH)]
        spots = [minicity.ewkb(shapely.Point(121.4 + i * 1e-4, 31.2)) for i in range(BATCH)]
        minicity.write(
            conn,
            "toilet",
            {"source_key": keys, "name": [f"厕{step}-{i}" for i in range(BATCH)], "geom": spots},
        )


def test_an_alarm_with_five_hundred_clients(screen: Any, city: City) -> None:
    """Five hundred sockets listen; an alarm rings; when does the browser show its card?"""
    sockets = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.many_sockets", city.url, city.token(), "500"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    took = []
    try:
        assert sockets.stdout is not None
        assert "open 500" in sockets.stdout.readline()
        with database(city), wall(screen) as desk:
            desk.page.click("[data-side=alarms]")
            desk.ask(NOTE_ALARMS)
            nums = devices.build("smoke", [(121.45 + i * 1e-3, 31.23) for i in range(60)], "lat")
            for num in nums:
                raised = ring(num)
                desk.until("code => window.cameAt?.[code] > 0", raised[0], 30)
                took.append(desk.ask("code => cameAt[code]", raised[0]) / 1000 - raised[1])
    finally:
        sockets.terminate()
    took.sort()
    tell("alarm committed to card on the wall, with 500 other clients", took, "s")
    print(f"p99 {took[max(0, round(0.99 * len(took)) - 1)]:.2f} s")


NOTE_ALARMS = """() => { window.cameAt = {}; const note = () => document.querySelectorAll('[data-alarm]')
  .forEach(r => window.cameAt[r.dataset.alarm] ??= Date.now());
  new MutationObserver(note).observe(document.querySelector('.side'), {childList: true, subtree: true}) }"""


def ring(num: int) -> tuple[str, float]:
    """Open an alarm of a device as the engine does; return its code and the moment of the commit."""
    with db.engine("app").begin() as conn:
        row = conn.execute(
            sa.text(
                "select code, name, st_x(point) as lon, st_y(point) as lat from twin.thing where num = :n"
            ),
            {"n": num},
        ).one()
        case = cases.open_case(
            conn, ALARM, actor=SYSTEM, category="environment", title="烟感火警", lon=row.lon, lat=row.lat,
            source="bench", severity=1,
            # A rule each: many alarms of one rule in one district are one card.
            data={"rule": f"bench.{num}", "thing": row.code, "thing_name": row.name, "members": 1, "standing": 1},
        )  # fmt: skip
    return str(case["code"]), time.time()


def test_a_storm_of_ten_thousand_alarms(screen: Any, city: City) -> None:
    """Ten thousand devices ring in a minute, by the engine; at most 200 cards, every device counted."""
    with database(city), wall(screen) as desk:
        desk.page.click("[data-side=alarms]")
        before = desk.ask("twin.standing().length")
        rng = np.random.default_rng(3).uniform((121.35, 31.1), (121.6, 31.35), (MANY, 2))
        nums = devices.build("bin_level", [tuple(p) for p in rng], "storm")
        began = time.monotonic()
        for i in range(0, MANY, 1000):
            devices.say(
                "bin_level", [(n, time.time(), {"level_pct": 99.0}) for n in nums[i : i + 1000]]
            )
        said = time.monotonic() - began
        desk.until(f"twin.standing().length >= {before + MANY}", seconds=180)
        shown = time.monotonic() - began
        cards = desk.ask(
            "document.querySelectorAll('.alarms [data-card], .alarms [data-alarm]').length"
        )
        counted = desk.ask("twin.standing().length") - before
    print(
        f"storm of {MANY}: said in {said:.1f} s, all on the wall after {shown:.1f} s; {cards} cards, {counted} devices"
    )
    assert cards <= 200 and counted == MANY
