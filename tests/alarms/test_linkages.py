"""Linkages: fired once by value, alarm, hour or hand; loops refused; tried over the past; all of it or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.alarms import devices
from tests.services.conftest import Api
from twin import db, declarations, identity, policies
from twin.alarms import candidates, published
from twin.alarms.engine import Engine
from twin.calendar import ZONE
from twin.errors import DeclarationError
from twin.linkages import engine, model, trial
from twin.scope import SYSTEM
from twin.telemetry import write as telemetry

PLACES = [(121.42, 31.22), (121.4205, 31.22), (121.47, 31.22)]
TITLE = {"zh": "联动", "en": "Linkage"}
FAN = {"product": "toilet_odour", "name": "fan", "args": {"on": True}, "to": {"same": True}}
SMELLS = {"value": {"product": "toilet_odour", "property": "nh3_ppm", "above": 1.0, "clear": 0.6}}


@pytest.fixture(scope="module")
def smells(api: Api) -> list[int]:
    """Three detectors of smell, two of them side by side."""
    with db.engine("app").begin() as conn:
        for user in ("admin", "commander"):
            api.tokens[user] = identity.issue_token(conn, user, 1, "t")
    return devices.build("toilet_odour", PLACES)


@pytest.fixture(autouse=True)
def clean(smells: list[int]) -> Iterator[None]:
    """Nothing has fired, and none of the shipped linkages runs."""
    with db.engine("owner").begin() as conn:
        conn.execute(text("truncate iot.linkage_state, iot.linkage_run"))
        conn.execute(text("truncate iot.up_toilet_odour, iot.last_toilet_odour"))
        conn.execute(text("delete from iot.command"))
        conn.execute(text("delete from iot.alarm"))
        conn.execute(text("delete from twin.declaration where kind_of = 'linkage'"))
        conn.execute(text('update twin."case" set closed_at = now() where closed_at is null'))
    telemetry.forget()
    candidates.forget()
    yield


def publish(key: str, trigger: dict[str, Any], *actions: dict[str, Any], **more: Any) -> None:
    doc = {"key": key, "title": TITLE, "trigger": trigger, "actions": list(actions), **more}
    with db.engine("app").begin() as conn:
        policies.publish(conn, "linkage", key, doc, actor="admin")


def say(num: int, ppm: float, ago: float = 0) -> None:
    devices.say("toilet_odour", [(num, time.time() - ago, {"nh3_ppm": ppm})])


def commands() -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(conn.execute(text("select * from iot.command order by num, created_at")))


def runs() -> list[dict[str, Any]]:
    with db.engine("app").connect() as conn:
        return engine.runs(conn, None, 100)


def test_a_value_past_its_limit_fires_once_until_it_is_back(smells: list[int]) -> None:
    """Past the limit it fires; while it stays there, or quiets, it does not fire again."""
    publish("t.fan", SMELLS, {"command": FAN | {"changes": []}}, quiet="0s")
    say(smells[0], 2.0, 30)
    assert [engine.once(), engine.once()] == [1, 0]
    say(smells[0], 0.8, 20)  # below the limit, above where it is back
    say(smells[0], 1.4, 15)
    assert engine.once() == 0
    say(smells[0], 0.5, 10)
    assert engine.once() == 0
    say(smells[0], 1.2, 5)
    assert engine.once() == 1
    assert [(c.num, c.name, c.args) for c in commands()] == [(smells[0], "fan", {"on": True})] * 2
    assert [(r["state"], r["cause"]["value"]) for r in runs()] == [("done", 1.2), ("done", 2.0)]


def test_a_condition_and_the_neighbours(smells: list[int]) -> None:
    """The condition reads other values of the device; near means near."""
    near = {"command": FAN | {"to": {"near_m": 200}, "changes": []}}
    publish("t.near", SMELLS, near, when="v.nh3_ppm > 1.5 && t.kind == 'sensor'")
    say(smells[0], 1.2)
    assert engine.once() == 0
    say(smells[2], 1.8)
    assert engine.once() == 1
    assert [c.num for c in commands()] == [smells[2]]
    say(smells[1], 1.9)
    assert engine.once() == 1
    assert [c.num for c in commands()] == [*smells[:2], smells[2]]


def test_an_alarm_fires_notices_on_its_own_card(smells: list[int]) -> None:
    """What an alarm fires hangs on that alarm; alarms of before the first look fire nothing."""
    rule = {"key": "t.smell", "title": TITLE, "product": "toilet_odour", "level": 3,
            "when": {"range": {"property": "nh3_ppm", "above": 1, "clear": 0.6}}}  # fmt: skip
    with db.engine("app").begin() as conn:
        published.publish(conn, rule, origin="local", actor="test")
    candidates.forget()
    engine.once()
    publish(
        "t.alarm", {"alarm": {"rule": "t.smell", "level": 3}},
        {"notice": {"roles": ["dispatcher"]}}, {"alarm": {"level": 1}},
        {"case": {"category": "dirty_toilet", "severity": 3}},
    )  # fmt: skip
    engine.once()
    say(smells[0], 2.0)
    Engine().once()
    assert engine.once() == 1
    with db.engine("app").connect() as conn:
        case = conn.execute(
            text(
                "select severity, data from twin.\"case\" where process = 'iot.alarm' and closed_at is null"
            )
        ).one()
    assert case.severity == 1 and [n["user"] for n in case.data["notices"]] == ["dispatcher"]
    (run,) = runs()
    assert [d["action"] for d in run["did"]] == ["notice", "alarm", "case"]
    assert run["did"][2]["event"].startswith("SH-") and engine.once() == 0


def test_an_hour_fires_once_a_day_and_the_hand_when_asked(api: Api, smells: list[int]) -> None:
    """Published after its hour, it waits for tomorrow; by hand only what waits for a hand."""
    off = {"command": FAN | {"to": {"all": True}}}
    publish("t.hour", {"at": {"time": "04:30"}}, off)
    publish("t.hand", {"manual": True}, off)
    today = datetime.now(ZONE).date()
    due = datetime(today.year, today.month, today.day, 4, 30, tzinfo=ZONE)
    seen = [due + timedelta(minutes=m) for m in (5, 24 * 60 - 1, 24 * 60 + 1, 24 * 60 + 9)]
    assert [engine.once(at) for at in seen] == [0, 0, 1, 0]
    assert len(commands()) == len(smells)

    assert api.post("/api/v1/linkages/t.hour/run", {}, "commander").status_code == 400
    done = api.post("/api/v1/linkages/t.hand/run", {}, "commander")
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert len(commands()) == 2 * len(smells)
    listed = {one["key"]: one for one in api.get("/api/v1/linkages").json()["linkages"]}
    assert listed["t.hand"]["done"] == 1 and listed["t.hour"]["form"] == "at"
    assert api.get("/api/v1/linkages/runs?key=t.hand").json()["runs"][0]["actor"] == "commander"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [(None, True), (["nh3_ppm"], True), ([], False), (["h2s_ppm"], False)],
    ids=["unsaid", "its own", "nothing", "another"],
)
def test_a_loop_is_refused(smells: list[int], changes: list[str] | None, refused: bool) -> None:
    """A command that may change what the linkage waits for closes a loop, unless it says otherwise."""
    said = {"command": FAN | ({} if changes is None else {"changes": changes})}
    if not refused:
        publish("t.loop", SMELLS, said)
        return
    with pytest.raises(DeclarationError, match=r"t\.loop → t\.loop"):
        publish("t.loop", SMELLS, said)


def test_a_loop_over_two_is_refused(smells: list[int]) -> None:
    """The loop is found across linkages and across the alarms of a product."""
    light = {"product": "lamp_controller", "name": "switch", "to": {"all": True}}
    publish("t.one", {"alarm": {"rule": "lamp.failed"}}, {"command": FAN})
    with pytest.raises(DeclarationError, match=r"t\.two → t\.one → t\.two"):
        publish("t.two", SMELLS, {"command": light})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"when": "v.nh3_ppm >"}, "does not compile"),
        ({"trigger": {"alarm": {"rule": "no.such"}}}, "no alarm rule"),
        ({"trigger": {"value": {"product": "toilet_odour", "property": "nh3_ppm"}}}, "exactly one"),
        ({"trigger": {"manual": True}}, "has no thing"),
        ({"actions": [{"command": FAN | {"name": "dance"}}]}, "declares no command"),
        ({"actions": [{"case": {"category": "none_such"}}]}, "no category"),
        ({"actions": [{"notice": {"groups": ["nobody"]}}]}, "no group"),
    ],
)  # fmt: skip
def test_what_would_never_work_is_not_published(
    smells: list[int], words: dict[str, Any], why: str
) -> None:
    """A linkage that is wrong names what is wrong."""
    with pytest.raises(DeclarationError, match=why):
        publish("t.bad", **{"trigger": SMELLS, **_split(words)})


def _split(words: dict[str, Any]) -> dict[str, Any]:
    more = {k: v for k, v in words.items() if k in ("trigger", "when")}
    return more | {"actions": words.get("actions", [{"command": FAN | {"changes": []}}])}


def test_an_action_that_fails_leaves_nothing_half_done(smells: list[int]) -> None:
    """The command of a firing whose second command is gone since is not given; the firing says why."""
    one = FAN | {"changes": []}
    publish("t.half", SMELLS, {"command": one})
    with db.engine("app").begin() as conn:
        doc = model.running(conn)["t.half"].doc
        broken = {**doc, "actions": [{"command": one}, {"command": one | {"name": "gone_since"}}]}
        declarations.publish(conn, "linkage", "t.half", broken, origin="local", actor="test")
    say(smells[0], 3.0)
    assert engine.once() == 0 and commands() == []
    (run,) = runs()
    assert run["state"] == "failed" and "gone_since" in run["fault"]


def test_more_than_it_may_is_held(smells: list[int]) -> None:
    """A linkage that fires more often in an hour than it may stops itself, and says so."""
    publish("t.much", SMELLS, {"command": FAN | {"changes": []}}, most_per_hour=2)
    for num in smells:
        say(num, 3.0)
    assert engine.once() == 2
    assert sorted(r["state"] for r in runs()) == ["done", "done", "held"]


def test_tried_over_the_past_it_fires_as_it_would_have(smells: list[int]) -> None:
    """The trial finds the moments that the engine would have fired at, and does nothing."""
    for ago, ppm in [(7200, 2.0), (6900, 0.5), (6800, 1.5), (3000, 0.2), (2500, 1.1), (100, 1.2)]:
        say(smells[0], ppm, ago)
    doc = {"key": "t.try", "title": TITLE, "trigger": SMELLS, "quiet": "10m",
           "actions": [{"command": FAN | {"changes": []}}]}  # fmt: skip
    with db.engine("app").connect() as conn:
        found = trial.simulate(conn, SYSTEM, doc, 1)
        hourly = doc | {"trigger": {"at": {"time": "04:30", "days": [1, 3, 5]}}}
        weeks = trial.simulate(conn, SYSTEM, hourly, 28)
    assert (found["read"], found["changed"]) == (3, 2)  # 400 s after the first: still quiet
    assert found["moved"][0]["to"] == "command fan × 1"
    assert weeks["changed"] == 12 and commands() == [] and runs() == []


def test_what_is_shipped_runs_here(smells: list[int]) -> None:
    """Every shipped linkage fits the shipped products, rules, groups and categories, without a loop."""
    with db.engine("app").begin() as conn:
        assert policies.publish_shipped(conn, "set-up") >= 7
        for one in model.running(conn).values():
            assert model.known(conn, one.doc) == [], one.key
