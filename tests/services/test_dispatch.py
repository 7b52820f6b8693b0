"""Dispatch: modes, reasons and lacks, closed roads, shifts and rest, silent crews, arrival times, reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.dispatch import rolling
from tests.services.conftest import Api
from twin import db, declarations, scheduling
from twin.roads import roads

EAST = {"lon": 121.4712, "lat": 31.2211}
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean(api: Api) -> Iterator[None]:
    yield
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update twin.\"case\" set closed_at = now(), state = 'rejected' where closed_at is null"
            )
        )
        conn.execute(text("update twin.road_closure set lifted_at = now() where lifted_at is null"))
        conn.execute(
            text(
                "update twin.crew_state set team = null, resting_until = null, range_km = null, off_reason = null"
            )
        )
        conn.execute(text("delete from twin.roster"))
    roads.changed()


def report(api: Api, severity: int = 3, category: str = "litter", **at: float) -> str:
    body = {"category": category, "description": "一堆垃圾", "severity": severity, **(EAST | at)}
    return str(api.post("/api/v1/events", body).json()["code"])


def crews(api: Api) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in api.get("/api/v1/dispatch/crews").json()["crews"]}


def lacks(api: Api, code: str) -> dict[str, int]:
    said = api.get(f"/api/v1/events/{code}/proposals").json()
    return {s["code"]: s["count"] for s in said["shortfall"]}


def turn(now: datetime | None = None) -> rolling.Round:
    return rolling.run(now)


def event(api: Api, code: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/v1/events/{code}").json()
    return found


def test_the_critical_go_by_themselves_the_others_are_suggested(api: Api) -> None:
    ordinary, critical = report(api), report(api, 1, lon=121.42)
    done = turn()
    assert [code for code, _ in done.sent] == [critical]
    assert event(api, critical)["holder_name"] == "西一组"
    board = {e["code"]: e for e in api.get("/api/v1/dispatch/board").json()["waiting"]}
    plan = board[ordinary]["plan"]
    assert plan["mode"] == "suggest"
    assert plan["picks"][0] | {"travel_s": 0} == {
        "code": crews(api)["东一组"]["code"], "name": "东一组", "travel_s": 0, "free_in_s": 0,
        "chosen": True,
    }  # fmt: skip
    assert {s["code"] for s in plan["shortfall"]} == {"no_skill"}
    story = api.get(f"/api/v1/events/{critical}/timeline").json()["entries"]
    sent = next(e for e in story if e["action"] == "dispatch")
    assert sent["actor"] == "system" and "自动派发" in sent["note"]


def test_every_lack_is_told(api: Api) -> None:
    code, both = report(api), crews(api)
    east = both["东一组"]["code"]
    now = datetime.now(UTC)
    for said, reason in (
        ({"off_reason": "车辆送修"}, "off_duty"),
        (
            {"off_reason": None, "resting_until": (now + timedelta(minutes=20)).isoformat()},
            "resting",
        ),
        ({"resting_until": None, "range_km": 3.0}, "no_fuel"),
    ):
        api.http.patch(
            f"/api/v1/dispatch/crews/{east}", json=said, headers=api.headers("dispatcher")
        )
        assert lacks(api, code).get(reason) == 1, reason
    api.http.patch(
        f"/api/v1/dispatch/crews/{east}", json={"range_km": None}, headers=api.headers("dispatcher")
    )
    day = api.get("/api/v1/dispatch/crews").json()["days"][0]["day"]
    body = {"shifts": [{"crew": east, "day": day, "shift": "off"}]}
    put = api.http.put("/api/v1/dispatch/shifts", json=body, headers=api.headers("dispatcher"))
    assert put.json() == {"set": 1, "cleared": 0}
    assert lacks(api, code)["off_shift"] == 1
    urgent = report(api, 1)
    with db.engine("app").connect() as conn:
        entries = conn.execute(text("select count(*) from twin.journal where class = 'dispatch'"))
        assert entries.scalar_one() >= 5
    assert lacks(api, urgent)["off_shift"] == 1, "a shift binds the critical too"


def test_nobody_able_is_a_suggestion_with_reasons_not_an_error(api: Api) -> None:
    code = report(api, category="forest_fire")
    assert turn().sent == []
    board = {e["code"]: e for e in api.get("/api/v1/dispatch/board").json()["waiting"]}
    assert board[code]["plan"]["picks"] == []
    assert board[code]["plan"]["shortfall"][0]["count"] == 3


def test_a_closed_road_is_gone_round_and_opened_again(api: Api) -> None:
    code = report(api, lon=121.4851, lat=31.2211)
    before = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]
    line = {"type": "LineString", "coordinates": [[121.4775, 31.2105], [121.4775, 31.2345]]}
    made = api.post("/api/v1/dispatch/closures", {"title": "沿线施工", "geometry": line})
    assert made.status_code == 201, made.text
    assert made.json()["properties"]["district"] == "310104"
    after = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]
    assert after["travel_s"] > before["travel_s"] + 60
    number = made.json()["id"]
    listed = api.get("/api/v1/dispatch/closures").json()["features"]
    assert [f["id"] for f in listed] == [number]
    for _ in range(2):
        done = api.http.delete(
            f"/api/v1/dispatch/closures/{number}", headers=api.headers("dispatcher")
        )
        assert done.status_code == 200
    assert api.get("/api/v1/dispatch/closures").json()["features"] == []
    again = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]
    assert again["travel_s"] == before["travel_s"]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [121.47, 31.22]},
        {"type": "LineString", "coordinates": [[121.47, 31.22], [122.47, 31.22]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        {"type": "LineString", "coordinates": "x"},
        {"type": "Nothing"},
    ],
)
def test_a_drawing_that_is_no_road_is_refused(api: Api, geometry: dict[str, Any]) -> None:
    done = api.post("/api/v1/dispatch/closures", {"title": "x", "geometry": geometry})
    assert done.status_code == 400
    assert len(done.json()["detail"]) > 20


def test_a_district_closes_only_its_own_roads(api: Api) -> None:
    line = {"type": "LineString", "coordinates": [[121.42, 31.21], [121.42, 31.23]]}
    body = {"title": "x", "geometry": line}
    assert api.post("/api/v1/dispatch/closures", body, "district-310104").status_code == 404
    made = api.post("/api/v1/dispatch/closures", body).json()
    seen = api.get("/api/v1/dispatch/closures", "district-310104").json()["features"]
    assert made["id"] not in [f["id"] for f in seen]


def test_a_silent_crew_is_replaced_and_not_asked_again(api: Api) -> None:
    code = report(api, 1)
    assert turn().sent == [(code, crews(api)["东一组"]["code"])]
    later = datetime.now(UTC) + timedelta(minutes=6)
    done = turn(later)
    assert [c for c, _ in done.taken_back] == [code]
    assert done.sent == [(code, crews(api)["西一组"]["code"])], (
        "the next best goes in the same round"
    )
    story = [e["action"] for e in api.get(f"/api/v1/events/{code}/timeline").json()["entries"]]
    assert story[-4:] == ["dispatch", "recall", "silent", "dispatch"]


def test_a_crew_in_work_is_waited_for_when_that_is_quicker(api: Api) -> None:
    busy = report(api, 1)
    turn()
    near = report(api, 1)
    done = turn()
    assert [c for c, _ in done.sent] in ([], [near])
    said = api.get(f"/api/v1/events/{near}/proposals").json()
    east = next(c for c in said["crews"] if c["name"] == "东一组")
    assert east["load"] >= 1 and east["free_in_s"] > 0
    assert event(api, busy)["holder_name"] == "东一组"


def test_arrival_times_of_those_on_their_way(api: Api) -> None:
    code = report(api, 1, lon=121.4851)
    turn()
    said = api.get("/api/v1/dispatch/tasks").json()["tasks"]
    task = next(t for t in said if t["code"] == code)
    assert task["travel_s"] > 0 and len(task["route"]) > 2
    assert task["arrives_at"] > said[0]["sent_at"]
    assert 0 < task["silent_s"] <= 300
    hidden = api.get("/api/v1/dispatch/tasks", "auditor")
    assert hidden.status_code == 403


def test_isochrones_grow_and_hold_what_is_near(api: Api) -> None:
    import shapely

    said = api.get("/api/v1/dispatch/isochrones", lon=121.45, lat=31.22, minutes="2,4,6").json()
    shapes = [shapely.geometry.shape(f["geometry"]) for f in said["features"]]
    assert [f["properties"]["to_min"] for f in said["features"]] == [2, 4, 6]
    assert shapes[0].buffer(1e-4).covers(shapely.Point(121.45, 31.22))
    reached = [shapely.unary_union(shapes[: i + 1]).area for i in range(3)]
    assert reached[0] < reached[1] < reached[2]
    # 4 minutes at 36 km/h are 2.4 km: along the grid, east and north together.
    east = shapely.Point(121.45 + 0.8 * 2400 / (111_320 * 0.855), 31.22)
    assert shapely.unary_union(shapes[:2]).covers(east)
    for bad in ("0", "x", "1,2,3,4,5,6,7", "200"):
        asked = api.get("/api/v1/dispatch/isochrones", lon=121.45, lat=31.22, minutes=bad)
        assert asked.status_code == 400, bad


def test_a_rule_that_fails_leaves_the_event_to_a_person_with_the_reason(api: Api) -> None:
    with db.engine("app").begin() as conn:
        doc = dict(scheduling.current(conn).doc)
        number = doc.pop("_version")
        doc["modes"] = [{"when": "c.nothing.like.this == 1", "mode": "auto"}]
        declarations.publish(conn, "scheduling", "city", doc, origin="local", actor="test")
    try:
        code = report(api, 1)
        assert turn().sent == []
        board = {e["code"]: e for e in api.get("/api/v1/dispatch/board").json()["waiting"]}
        assert board[code]["plan"]["mode"] == "manual"
        assert "modes[0]" in board[code]["plan"]["fault"]
    finally:
        with db.engine("app").begin() as conn:
            old = declarations.version(conn, "scheduling", "city", number)
            old.pop("_version")
            declarations.publish(conn, "scheduling", "city", old, origin="local", actor="test")


def test_scheduling_says_what_is_wrong_with_it() -> None:
    doc = scheduling.shipped()[0]
    assert scheduling.faults(doc) == []
    broken = doc | {
        "modes": [{"when": "c.severity ==", "mode": "auto"}],
        "default_profile": "tank",
        "widen_min": 5,
        "shifts": {"day": {"title": {"zh": "日", "en": "d"}, "from": "06:00", "to": "06:00"}},
    }
    assert {".".join(map(str, where)) for where, _ in scheduling.faults(broken)} == {
        "modes.0.when", "default_profile", "widen_min", "shifts.day",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shift", "hour", "runs"),
    [("day", 5, False), ("day", 6, True), ("day", 18, False), ("night", 18, True),
     ("night", 5, True), ("night", 6, False), ("all", 3, True), ("off", 12, False), (None, 3, True)],
)  # fmt: skip
def test_shifts_over_midnight(shift: str | None, hour: int, runs: bool) -> None:
    said = scheduling.Scheduling(scheduling.shipped()[0])
    moment = datetime(2026, 11, 20, hour, 0, tzinfo=UTC) - timedelta(hours=8)
    assert said.on_shift(shift, moment) is runs
