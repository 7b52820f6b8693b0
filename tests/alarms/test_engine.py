"""The engine over real tables: rung, grouped, acknowledged, silenced, escalated, cleared, stormed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests import minicity
from tests.alarms import devices
from twin import cases, db
from twin.alarms import candidates, published, rule
from twin.alarms.engine import Engine
from twin.scope import SYSTEM, Actor
from twin.telemetry import write as telemetry

WEST, EAST = (121.42, 31.22), (121.47, 31.22)
TITLE = {"zh": "满", "en": "Full"}
KEEPER = Actor(user="dispatcher", clearance=3, acts=frozenset({"alarm.read", "alarm.handle"}))


@pytest.fixture(scope="module", autouse=True)
def bins(database: str) -> list[int]:
    minicity.build()
    return devices.build("bin_level", [WEST, WEST, EAST])


@pytest.fixture(autouse=True)
def clean(bins: list[int]) -> Iterator[None]:
    with db.engine("app").begin() as conn:
        for doc in rule.running(conn).values():
            published.switch(conn, doc.key, False, "test")
        for table in ("candidate", "watch", "alarm", "silence"):
            conn.execute(text(f"delete from iot.{table}"))
        conn.execute(text('update twin."case" set closed_at = now() where closed_at is null'))
    with db.engine("owner").begin() as conn:
        conn.execute(text("truncate iot.up_bin_level, iot.last_bin_level"))
    candidates.forget()
    telemetry.forget()
    yield


def publish(key: str, **words: Any) -> None:
    doc = {"key": key, "title": TITLE, "product": "bin_level", "level": 3, **words}
    with db.engine("app").begin() as conn:
        published.publish(conn, doc, origin="local", actor="test")
    candidates.forget()


def full(**words: Any) -> None:
    publish("t.full", when={"range": {"property": "level_pct", "above": 85, "clear": 60}}, **words)


def say(num: int, level: float, at: float | None = None) -> None:
    devices.say("bin_level", [(num, at or time.time(), {"level_pct": level})])


def run(engine: Engine | None = None) -> int:
    made = engine or Engine()
    return made.once()


def open_cases() -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(
            conn.execute(
                text(
                    "select * from twin.\"case\" where process = 'iot.alarm' and closed_at is null order by num"
                )
            )
        )


def alarms() -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(conn.execute(text("select * from iot.alarm order by raised_at, id")))


def test_a_value_past_the_limit_rings_and_returns_to_normal_and_is_acknowledged(
    bins: list[int],
) -> None:
    full()
    say(bins[0], 90)
    assert run() == 1
    (case,) = open_cases()
    assert (case.state, case.severity, case.district) == ("rung", 3, minicity.WEST)
    assert (case.data["members"], case.data["value"], case.data["unit"]) == (1, 90, "%")
    say(bins[0], 70)
    run()
    assert alarms()[0].cleared_at is None
    say(bins[0], 50)
    run()
    assert alarms()[0].cleared_at is not None
    (case,) = open_cases()
    assert case.state == "returned"
    with db.engine("app").begin() as conn:
        done = cases.perform(conn, case.id, "confirm", actor=KEEPER)
    assert (done["state"], done["holder"]) == ("closed", "dispatcher")


def test_acknowledged_first_then_normal_closes_by_itself(bins: list[int]) -> None:
    full()
    say(bins[0], 90)
    run()
    (case,) = open_cases()
    with db.engine("app").begin() as conn:
        cases.perform(conn, case.id, "acknowledge", actor=KEEPER)
    say(bins[0], 10)
    run()
    assert open_cases() == []


def test_what_must_hold_rings_only_after_it_held(bins: list[int]) -> None:
    full(hold="10m")
    now = time.time()
    say(bins[0], 90, now - 300)
    assert run() == 0
    say(bins[0], 50, now - 200)
    say(bins[1], 90, now - 601)
    run()
    assert [row.num for row in alarms()] == [bins[1]]


def test_late_values_that_came_and_went_are_rung_and_cleared_at_once(bins: list[int]) -> None:
    full(hold="5m")
    now = time.time()
    for level, ago in ((90, 3000), (50, 2000)):
        say(bins[0], level, now - ago)
    run()
    (row,) = alarms()
    assert row.cleared_at.timestamp() == pytest.approx(now - 2000, abs=0.01)
    assert open_cases()[0].state == "returned"


def test_things_of_one_district_share_a_case_and_it_closes_with_the_last(bins: list[int]) -> None:
    full(group={"by": "district"})
    for num in bins:
        say(num, 95)
    run()
    assert sorted(c.data["members"] for c in open_cases()) == [1, 2]
    for num in bins[:1]:
        say(num, 5)
    run()
    assert {c.state for c in open_cases()} == {"rung"}
    say(bins[1], 5)
    run()
    assert sorted(c.state for c in open_cases()) == ["returned", "rung"]
    say(bins[0], 99)
    run()
    again = next(c for c in open_cases() if c.district == minicity.WEST)
    assert (again.state, again.data["members"], again.data["standing"]) == ("rung", 3, 1)


def test_the_same_value_again_is_no_second_alarm(bins: list[int]) -> None:
    full()
    for level in (90, 95, 90, 99):
        say(bins[0], level)
        candidates.forget()
        run()
    assert len(alarms()) == len(open_cases()) == 1


def test_levels_are_asked_of_the_alarm_and_also_keeps_it_quiet(bins: list[int]) -> None:
    full(levels=[{"if": "a.value >= 98.0", "level": 1}], also="has(v.battery_pct)")
    say(bins[0], 99)
    run()
    assert alarms() == []
    now = time.time()
    devices.say("bin_level", [(bins[0], now, {"battery_pct": 50.0})])
    run()
    assert [row.level for row in alarms()] == [1]


def test_a_rule_that_fails_rings_and_says_so(bins: list[int]) -> None:
    full(also="v.nothing > 1.0")
    say(bins[0], 90)
    run()
    assert "nothing" in alarms()[0].detail["fault"]
    assert "fault" in open_cases()[0].data


def test_silence_keeps_and_counts_and_rings_when_it_ends(bins: list[int]) -> None:
    full()
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "insert into iot.silence (num, starts_at, ends_at, reason, actor) values "
                "(:n, now() - interval '1 h', now() + interval '1 h', 'works', 'test')"
            ),
            {"n": bins[0]},
        )
    say(bins[0], 90)
    say(bins[2], 90)
    run()
    assert len(alarms()) == 2
    assert [c.district for c in open_cases()] == [minicity.EAST]
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.silence set ended_by = 'test'"))
    run()
    assert len(open_cases()) == 2
    assert len(alarms()) == 2


def test_nobody_acknowledges_and_it_gets_louder(bins: list[int]) -> None:
    full(escalate=[{"after": "1m", "level": 2}, {"after": "1h", "level": 1}])
    say(bins[0], 90)
    run()
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update twin.\"case\" set opened_at = now() - interval '2 minutes' where closed_at is null"
            )
        )
    run()
    run()
    (case,) = open_cases()
    assert case.severity == 2
    with db.engine("app").connect() as conn:
        steps = [row.action for row in cases.story(conn, case.id)]
    assert steps.count("level") == 1


def test_a_rule_that_is_switched_off_leaves_nothing_ringing(bins: list[int]) -> None:
    full()
    say(bins[0], 90)
    run()
    with db.engine("app").begin() as conn:
        published.switch(conn, "t.full", False, "test")
    run()
    assert alarms()[0].cleared_at is not None
    assert open_cases()[0].state == "returned"


def test_a_storm_of_alarms_is_few_cases(bins: list[int]) -> None:
    nums = devices.build(
        "bin_level", [(121.41 + i % 80 * 0.001, 31.205 + i // 80 * 0.001) for i in range(400)], "s"
    )
    full(group={"by": "thing", "storm": 20})
    now = time.time()
    devices.say("bin_level", [(num, now, {"level_pct": 99.0}) for num in nums])
    assert run() == 400
    assert len(alarms()) == 400
    assert len(open_cases()) == 2
    assert sum(c.data["members"] for c in open_cases()) == 400
    devices.say("bin_level", [(num, now + 1, {"level_pct": 1.0}) for num in nums])
    run()
    assert {(c.state, c.data["standing"]) for c in open_cases()} == {("returned", 0)}


def test_windows_rates_and_expressions(bins: list[int]) -> None:
    publish(
        "t.mean",
        when={"window": {"property": "level_pct", "over": "1h", "of": "mean", "above": 70}},
    )
    publish("t.rate", when={"rate": {"property": "level_pct", "over": "1h", "above": 20}})
    publish("t.expr", when={"expr": "v.level_pct > 90.0 && has(v.temp_c) && v.temp_c > 40.0"})
    now = time.time()
    for i in range(7):
        at = now - 1800 + i * 290
        devices.say(
            "bin_level",
            [(bins[0], at, {"level_pct": 60 + 5.5 * i}), (bins[1], at, {"level_pct": 75})],
        )
    devices.say("bin_level", [(bins[0], now, {"temp_c": 50.0})])
    run()
    found = {(row.rule, row.num) for row in alarms()}
    assert found == {
        ("t.mean", bins[0]),
        ("t.mean", bins[1]),
        ("t.rate", bins[0]),
        ("t.expr", bins[0]),
    }


def test_neighbours_must_agree(bins: list[int]) -> None:
    near = devices.build(
        "bin_level", [(121.43, 31.21), (121.431, 31.21), (121.432, 31.21), (121.49, 31.21)], "n"
    )
    publish(
        "t.near",
        when={"neighbours": {"property": "level_pct", "above": 80, "within_m": 300, "at_least": 3}},
    )
    now = time.time()
    devices.say("bin_level", [(num, now, {"level_pct": 90.0}) for num in near])
    run()
    assert {row.num for row in alarms()} == set(near[:3])


def test_nothing_heard_for_a_given_span(bins: list[int]) -> None:
    publish("t.silent", when={"silence": {"property": "battery_pct", "after": "1h"}})
    now = time.time()
    devices.say(
        "bin_level",
        [(bins[0], now - 7200, {"battery_pct": 50.0}), (bins[1], now, {"battery_pct": 50.0})],
    )
    run()
    assert bins[0] in {row.num for row in alarms()}
    assert bins[1] not in {row.num for row in alarms()}


def test_what_a_device_calls_out_rings_and_clears_by_itself(bins: list[int]) -> None:
    publish("t.fire", when={"event": {"type": "fire"}}, clear_after="1m")
    with db.engine("ingest").begin() as conn:
        raw: Any = conn.connection.driver_connection
        candidates.keep_events(
            raw,
            "bin_level",
            [(bins[0], time.time(), "fire", 1.0), (bins[0], time.time(), "lid", 1.0)],
        )
    run()
    assert [(row.rule, row.cleared_at) for row in alarms()] == [("t.fire", None)]
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update iot.watch set since = since - interval '2 min', "
                "at = at - interval '2 min', "
                "detail = jsonb_set(detail, '{back}', to_jsonb((detail->>'back')::float8 - 120))"
            )
        )
    run()
    assert alarms()[0].cleared_at is not None


def test_cases_are_seen_by_who_may_see_their_place(bins: list[int]) -> None:
    full()
    say(bins[0], 90)
    run()
    (case,) = open_cases()
    stranger = Actor(
        user="x", districts=(minicity.EAST,), clearance=3, acts=frozenset({"alarm.handle"})
    )
    with pytest.raises(Exception, match="outside"), db.engine("app").begin() as conn:
        cases.perform(conn, case.id, "acknowledge", actor=stranger)
    assert SYSTEM.user == "system"
    assert datetime.now(UTC) - case.opened_at < timedelta(minutes=1)


def city_events() -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(
            conn.execute(
                text(
                    "select * from twin.\"case\" where process = 'event.city' and source = 'alarm' "
                    "and closed_at is null order by num"
                )
            )
        )


def test_an_alarm_loud_enough_becomes_one_event_of_the_city(bins: list[int]) -> None:
    full(event={"category": "full_bin", "from_level": 2})
    say(bins[0], 90)
    run()
    assert city_events() == []
    (alarm,) = open_cases()
    with db.engine("app").begin() as conn:
        cases.perform(conn, alarm.id, "level", actor=SYSTEM, params={"level": 1})
    full(event={"category": "full_bin", "from_level": 2}, level=1, escalate=[])
    say(bins[2], 95)
    run()
    (event,) = city_events()
    assert (event.category, event.severity, event.district) == ("full_bin", 1, minicity.EAST)
    assert event.data["reporter_kind"] == "machine"
    told = next(c for c in open_cases() if c.code == event.data["alarm"])
    assert told.data["event"] == event.code
    say(bins[2], 96)
    run()
    assert len(city_events()) == 1


def older(by: timedelta) -> None:
    """Let every open alarm have been opened earlier."""
    with db.engine("app").begin() as conn:
        conn.execute(
            text('update twin."case" set opened_at = opened_at - :by where closed_at is null'),
            {"by": by},
        )


def test_who_does_not_answer_is_followed_by_the_next(bins: list[int], api: Any) -> None:
    """Each step calls its people once; an answer from the phone acknowledges, and nobody else is called."""
    full(
        escalate=[{"after": "1m", "roles": ["dispatcher"]}, {"after": "1h", "roles": ["commander"]}]
    )
    say(bins[0], 90)
    run()
    assert open_cases()[0].data.get("notices") is None
    older(timedelta(minutes=2))
    run()
    run()
    (case,) = open_cases()
    assert [n["user"] for n in case.data["notices"]] == ["dispatcher"]
    called = api.get("/api/v1/alarms/called").json()["alarms"]
    assert [(one["code"], one["waits"]) for one in called] == [(case.code, ["dispatcher"])]

    older(timedelta(hours=1))
    run()
    (case,) = open_cases()
    assert "commander" in [n["user"] for n in case.data["notices"]]
    by_phone = api.post(f"/api/v1/alarms/{case.code}/answer", {"reached": "u:commander"})
    assert by_phone.status_code == 200 and by_phone.json()["state"] == "rung"
    mine = api.post(f"/api/v1/alarms/{case.code}/answer", {"note": "on my way"})
    assert (mine.json()["state"], mine.json()["holder"]) == ("acknowledged", "dispatcher")
    shown = api.get(f"/api/v1/alarms/{case.code}").json()
    assert {n["user"]: n["how"] for n in shown["notices"]} == {
        "dispatcher": "self",
        "commander": "phone",
    }
    assert api.get("/api/v1/alarms/called").json()["alarms"] == []
    assert api.post(f"/api/v1/alarms/{case.code}/answer", {}).status_code == 400
