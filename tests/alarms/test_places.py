"""Rules about places over real fixes: inside, near, off the route, standing, unloading; rung and cleared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
from sqlalchemy import text

from tests import minicity
from tests.alarms import devices
from twin import db, positions, rules
from twin.alarms import candidates, published, rule
from twin.alarms.engine import Engine
from twin.telemetry import write as telemetry

# The truck's approved way runs along 31.21 north; the dock lies at its western end.
HOME, ON_ROUTE, OFF_ROUTE = (121.44, 31.22), (121.43, 31.2101), (121.43, 31.225)
DOCK = (121.41, 31.21)
TITLE = {"zh": "位置", "en": "Place"}


@pytest.fixture(scope="module")
def trucks(database: str) -> dict[str, int]:
    minicity.build()
    with db.engine("app").begin() as conn:
        minicity.write(conn, "vehicle", {
            "source_key": ["muck", "other", "sweeper"], "name": ["渣土一", "渣土二", "清扫一"],
            "plate": ["沪A·10001", "沪A·10002", "沪A·10003"], "type": ["muck", "muck", "sweeper"],
            "permit_no": ["P1", "P2", None],
            "geom": [minicity.ewkb(shapely.Point(HOME))] * 3,
        })  # fmt: skip
        line = shapely.MultiLineString([shapely.LineString([(121.40, 31.21), (121.46, 31.21)])])
        minicity.write(conn, "permit_route", {
            "source_key": ["r1"], "name": ["路线一"], "permit_no": ["P1"], "status": ["valid"],
            "geom": [minicity.ewkb(line)],
        })  # fmt: skip
        minicity.write(conn, "dock", {
            "source_key": ["d1"], "name": ["码头"], "geom": [minicity.ewkb(shapely.Point(DOCK))],
        })  # fmt: skip
        said = text("select source_key, num from sanitation.vehicle where source = 'mini'")
        return dict(conn.execute(said).all())


@pytest.fixture(scope="module")
def barge(trucks: dict[str, int]) -> int:
    return devices.build("vessel_terminal", [DOCK])[0]


@pytest.fixture(autouse=True)
def clean(trucks: dict[str, int]) -> Iterator[None]:
    with db.engine("app").begin() as conn:
        for doc in rule.running(conn).values():
            published.switch(conn, doc.key, False, "test")
        for table in ("candidate", "watch", "alarm"):
            conn.execute(text(f"delete from iot.{table}"))
    with db.engine("owner").begin() as conn:
        conn.execute(text("truncate twin.position, twin.last_position"))
    candidates.forget()
    telemetry.forget()
    yield


def _rule(key: str, **words: Any) -> None:
    with db.engine("app").begin() as conn:
        doc = {"key": key, "title": TITLE, "level": 3, **words}
        published.publish(conn, doc, origin="local", actor="test")
    candidates.forget()


def _move(num: int, place: tuple[float, float], ago: float = 0.0) -> None:
    at = datetime.fromtimestamp(time.time() - ago, UTC)
    fix = positions.Fix(num, at, *place, 0.0, 0.0, minicity.WEST, 2)
    with db.engine("ingest").begin() as conn:
        positions.write(conn, [fix], datetime.now(UTC))


def _ringing() -> dict[int, Any]:
    Engine().once()
    with db.engine("app").connect() as conn:
        rows = conn.execute(text("select * from iot.alarm where cleared_at is null")).all()
    return {row.num: row for row in rows}


def test_inside_a_zone_rings_and_clears_outside(trucks: dict[str, int]) -> None:
    inside = {"zone": {"of": "district", "where": {"ring": "core"}}}
    with db.engine("app").begin() as conn:
        minicity.write(conn, "district", {"source_key": [minicity.WEST], "ring": ["core"]})
    _rule("t.zone", kind="vehicle", among={"type": "muck"}, when=inside)
    _move(trucks["muck"], HOME)
    _move(trucks["sweeper"], HOME)
    assert set(_ringing()) == {trucks["muck"]}
    _move(trucks["muck"], (121.48, 31.22))
    assert _ringing() == {}


def test_outside_of_every_district_rings(trucks: dict[str, int]) -> None:
    _rule("t.out", kind="vehicle", when={"zone": {"of": "district", "is": "outside"}})
    _move(trucks["muck"], (121.60, 31.30))
    _move(trucks["other"], HOME)
    assert set(_ringing()) == {trucks["muck"]}


def test_near_is_measured_in_metres(trucks: dict[str, int]) -> None:
    _rule("t.near", kind="vehicle", when={"near": {"of": "dock", "within_m": 200}})
    # At 31.21 north a degree of longitude is 95.2 km: 0.002° is 190 m, 0.0022° is 209 m.
    _move(trucks["muck"], (DOCK[0] + 0.0020, DOCK[1]))
    _move(trucks["other"], (DOCK[0] + 0.0022, DOCK[1]))
    assert set(_ringing()) == {trucks["muck"]}


def test_off_the_route_rings_only_who_has_one_and_tells_how_far(trucks: dict[str, int]) -> None:
    _rule(
        "t.route", kind="vehicle", among={"type": "muck"},
        when={"route": {"of": "permit_route", "match": {"permit_no": "permit_no"},
                        "where": {"status": "valid"}, "within_m": 300}},
    )  # fmt: skip
    for name in ("muck", "other"):
        _move(trucks[name], OFF_ROUTE)
    ringing = _ringing()
    assert set(ringing) == {trucks["muck"]}
    # 0.015° of latitude are 1,663 m.
    assert ringing[trucks["muck"]].value == pytest.approx(1_663, rel=0.01)
    _move(trucks["muck"], ON_ROUTE)
    assert _ringing() == {}


def test_standing_rings_after_so_long_and_not_where_it_is_allowed(trucks: dict[str, int]) -> None:
    _rule(
        "t.stop", kind="vehicle", among={"type": "muck"},
        when={"stop": {"longer": "20m", "within_m": 40, "allowed": ["dock"], "allowed_m": 150}},
    )  # fmt: skip
    for minutes in (26, 20, 10, 0):
        _move(trucks["muck"], HOME, 60 * minutes)
        _move(trucks["other"], DOCK, 60 * minutes)
    ringing = _ringing()
    assert set(ringing) == {trucks["muck"]}
    assert ringing[trucks["muck"]].value == pytest.approx(26, abs=0.2)
    _move(trucks["muck"], ON_ROUTE)
    assert _ringing() == {}


def test_a_short_stop_is_no_alarm(trucks: dict[str, int]) -> None:
    _rule("t.stop", kind="vehicle", when={"stop": {"longer": "20m", "within_m": 40}})
    _move(trucks["muck"], ON_ROUTE, 60 * 19)
    for minutes in (15, 5, 0):
        _move(trucks["muck"], HOME, 60 * minutes)
    assert _ringing() == {}


@pytest.mark.parametrize(("place", "rings"), [(OFF_ROUTE, True), (DOCK, False)])
def test_a_load_that_falls_rings_where_unloading_is_not_allowed(
    barge: int, place: tuple[float, float], rings: bool
) -> None:
    _rule(
        "t.unload", product="vessel_terminal",
        when={"unload": {"property": "load_t", "drop": 20, "over": "30m",
                         "allowed": ["dock"], "allowed_m": 200}},
    )  # fmt: skip
    now = time.time()
    for load, ago in ((180, 900), (178, 600), (90, 60)):
        _move(barge, place, ago)
        devices.say("vessel_terminal", [(barge, now - ago, {"load_t": load})])
    ringing = _ringing()
    assert (set(ringing) == {barge}) is rings
    if rings:
        assert ringing[barge].value == pytest.approx(90)
    with db.engine("owner").begin() as conn:
        conn.execute(text("truncate iot.up_vessel_terminal, iot.last_vessel_terminal"))


def _as_shipped(key: str) -> None:
    """Let a shipped rule run as it stands in its file."""
    doc = next(one for one in rule.shipped() if one["key"] == key)
    with db.engine("app").begin() as conn:
        published.publish(conn, {**doc, "enabled": True}, origin="local", actor="test")
        published.switch(conn, key, True, "test")
    candidates.forget()


def test_the_shipped_rule_of_routes_rings_after_two_minutes(trucks: dict[str, int]) -> None:
    """Off its approved route: not at once, but when it stays off."""
    _as_shipped("muck.route")
    for name in ("muck", "other", "sweeper"):
        _move(trucks[name], OFF_ROUTE)
    assert _ringing() == {}
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.watch set since = since - interval '3 minutes'"))
    assert set(_ringing()) == {trucks["muck"]}


def test_the_shipped_rule_of_stops_rings_where_it_may_not_stand(trucks: dict[str, int]) -> None:
    """Twenty minutes on the spot, and no site, station or depot near; sweepers are not judged."""
    _as_shipped("muck.stop")
    for minutes in (26, 20, 10, 0):
        for name in ("muck", "sweeper"):
            _move(trucks[name], HOME, 60 * minutes)
        _move(trucks["other"], HOME if minutes else ON_ROUTE, 60 * minutes)
    assert set(_ringing()) == {trucks["muck"]}


@pytest.mark.parametrize(("place", "rings"), [(OFF_ROUTE, True), (DOCK, False)])
def test_the_shipped_rule_of_unloading_rings_away_from_docks(
    barge: int, place: tuple[float, float], rings: bool
) -> None:
    """Twenty tonnes less within half an hour: at a dock that is its work, elsewhere an alarm."""
    _as_shipped("vessel.unload")
    now = time.time()
    for load, ago in ((180, 900), (178, 600), (150, 60)):
        _move(barge, place, ago)
        devices.say("vessel_terminal", [(barge, now - ago, {"load_t": load})])
    assert (set(_ringing()) == {barge}) is rings
    with db.engine("owner").begin() as conn:
        conn.execute(text("truncate iot.up_vessel_terminal, iot.last_vessel_terminal"))


def test_a_condition_is_compiled_once_however_often_it_is_asked(trucks: dict[str, int]) -> None:
    """The engine asks a condition of every candidate; it is read and compiled only the first time."""
    said = "v.load_t > 10.0 && t.kind == 'vessel' && a.value > 0.5"
    names = {"v": {"load_t": 12.0}, "t": {"kind": "vessel"}, "a": {"value": 1.0}}
    assert rules.holds(said, names, rule.NAMES)
    before = rules.compile_rule.cache_info().misses
    assert all(rules.holds(said, names, rule.NAMES) for _ in range(200))
    assert rules.compile_rule.cache_info().misses == before
