"""The doors of alarms, rules, shadows and commands, over HTTP and as the device doors call them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from tests import minicity
from tests.alarms import devices
from tests.services.conftest import Api
from twin import db, shadow
from twin.alarms import candidates
from twin.alarms.engine import Engine
from twin.shadow import commands

WEST, EAST = (121.42, 31.22), (121.47, 31.22)
RULE = {"title": {"zh": "试", "en": "Try"}, "product": "bin_level", "level": 2,
        "when": {"range": {"property": "level_pct", "above": 85, "clear": 60}}}  # fmt: skip


@pytest.fixture(scope="module")
def bins(api: Api) -> list[int]:
    return devices.build("bin_level", [WEST, EAST])


def code_of(num: int) -> str:
    with db.engine("app").connect() as conn:
        return str(conn.scalar(text("select code from twin.thing where num = :n"), {"n": num}))


def door(what: Any, *args: Any) -> Any:
    with db.engine("ingest").begin() as conn:
        return what(conn.connection.driver_connection, *args)


def test_a_rule_is_tried_over_the_past_published_rings_and_is_acknowledged(
    api: Api,
    bins: list[int],
) -> None:
    now = time.time()
    devices.say("bin_level", [(bins[0], now - 7200 + i * 600, {"level_pct": v})
                              for i, v in enumerate((50, 90, 95, 70, 50, 88))])  # fmt: skip
    tried = api.post("/api/v1/rules/simulate", {"rule": {"key": "x.try", **RULE}}, "planner").json()
    assert (tried["alarms"], tried["devices"], tried["values"]) == (2, 1, 6)
    assert [one["cleared_at"] is None for one in tried["found"]] == [False, True]
    wrong = {"key": "x.try", **RULE, "also": "v.level_pct >"}
    refused = api.post("/api/v1/rules/check", wrong, "planner")
    assert (refused.status_code, refused.json()["key"]) == (422, "also")
    put = api.http.put("/api/v1/rules/x.try", json=RULE, headers=api.headers("planner"))
    assert put.json() == {"key": "x.try", "version": 1, "changed": True}
    assert (
        api.http.put(
            "/api/v1/rules/x.try", json=RULE, headers=api.headers("dispatcher")
        ).status_code
        == 403
    )
    candidates.forget()
    devices.say("bin_level", [(bins[0], now, {"level_pct": 99.0})])
    Engine().once()
    said = api.get("/api/v1/alarms", rule="x.try").json()
    (one,) = said["alarms"]
    assert (one["state"], one["severity"], one["members"]) == ("rung", 2, 1)
    assert "acknowledge" in one["actions"]
    there = api.get("/api/v1/alarms.geojson").json()["features"]
    assert [f["properties"]["code"] for f in there if f["properties"]["rule"] == "x.try"] == [
        one["code"]
    ]
    assert api.get("/api/v1/alarms", "district-310104", rule="x.try").json()["alarms"] == []
    assert api.get(f"/api/v1/alarms/{one['code']}", "district-310104").status_code == 404
    done = api.post(f"/api/v1/alarms/{one['code']}/actions/acknowledge", {"note": "已派人"})
    assert done.json()["state"] == "acknowledged"
    shown = api.get(f"/api/v1/alarms/{one['code']}").json()
    assert [step["action"] for step in shown["story"]] == ["open", "acknowledge"]
    assert shown["things"][0]["code"] == code_of(bins[0])
    switched = api.post("/api/v1/rules/x.try/enabled", {"enabled": False}, "planner")
    assert switched.json()["enabled"] is False


def test_a_silence_is_made_and_ended(api: Api, bins: list[int]) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = api.post(
        "/api/v1/silences", {"thing": code_of(bins[1]), "ends_at": ends, "reason": "检修"}
    )
    assert made.status_code == 201
    assert len(api.get("/api/v1/silences").json()["silences"]) == 1
    assert api.post("/api/v1/silences", {"ends_at": ends, "reason": "检修"}).status_code == 400
    gone = api.http.delete(
        f"/api/v1/silences/{made.json()['id']}", headers=api.headers("dispatcher")
    )
    assert gone.status_code == 204
    assert api.get("/api/v1/silences").json()["silences"] == []


def test_a_shadow_is_desired_delivered_and_reported(api: Api, bins: list[int]) -> None:
    code = code_of(bins[0])
    first = api.get(f"/api/v1/shadow/{code}")
    assert (first.headers["etag"], first.json()["desired"]) == ('"0"', {})

    def patch(body: Any, **headers: str) -> Any:
        return api.http.patch(
            f"/api/v1/shadow/{code}", json=body, headers=api.headers("dispatcher") | headers
        )

    assert patch({"report_s": 600}, **{"If-Match": '"0"'}).json()["desired_rev"] == 1
    assert patch({"report_s": 900}, **{"If-Match": '"0"'}).status_code == 412
    assert patch({"nothing": 1}).json()["code"] == "bad_request"
    assert patch({"report_s": 1}).status_code == 400
    (sent,) = door(shadow.due, [bins[0], bins[1]])
    assert (sent.topic_suffix, orjson.loads(sent.payload)) == (
        "shadow/desired",
        {"report_s": 600, "version": 1},
    )
    assert door(shadow.due, [bins[0]]) == []
    door(shadow.acknowledged, sent.id)
    assert api.get(f"/api/v1/shadow/{code}").json()["delivered"] is True
    door(shadow.uplink, bins[0], "shadow/reported", b'{"report_s": 600, "fw": "1.2", "version": 1}')
    said = api.get(f"/api/v1/shadow/{code}").json()
    assert (said["reported"], said["lacking"], said["reported_rev"]) == (
        {"report_s": 600, "fw": "1.2"},
        {},
        1,
    )
    for bad in (
        b"[1]",
        b"{",
        b'{"version": "x"}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'{"a":"\\u0000"}',
    ):
        with pytest.raises(shadow.Refused):
            door(shadow.uplink, bins[0], "shadow/reported", bad)


def test_what_was_not_acknowledged_is_sent_again(api: Api, bins: list[int]) -> None:
    given = api.post(
        "/api/v1/commands",
        {"product": "bin_level", "name": "measure", "devices": [code_of(bins[1])]},
    )
    assert given.status_code == 201
    (first,) = door(shadow.due, bins)
    assert door(shadow.due, bins) == []
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.command set next_at = now()"))
    (again,) = door(shadow.due, bins)
    assert again.id == first.id
    door(shadow.acknowledged, first.id)
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.command set next_at = now()"))
    assert door(shadow.due, bins) == []
    reply = orjson.dumps({"id": first.id[2:], "ok": True, "result": {"level_pct": 50}})
    with pytest.raises(shadow.Refused, match="no such command"):
        door(shadow.uplink, bins[0], "command/reply", reply)
    door(shadow.uplink, bins[1], "command/reply", reply)
    door(shadow.uplink, bins[1], "command/reply", reply)
    (row,) = api.get("/api/v1/commands", batch=given.json()["batch"]).json()["commands"]
    assert (row["state"], row["attempts"], row["result"]) == ("done", 2, {"level_pct": 50})


def test_commands_go_by_area_within_the_scope_and_expire(api: Api, bins: list[int]) -> None:
    area = {
        "type": "Polygon",
        "coordinates": [
            [[121.4, 31.2], [121.5, 31.2], [121.5, 31.24], [121.4, 31.24], [121.4, 31.2]]
        ],
    }
    order = {"product": "bin_level", "name": "measure", "area": area, "ttl_s": 60}
    made = api.post("/api/v1/commands", order).json()
    assert made["devices"] == 2
    assert (
        api.post("/api/v1/commands", {"product": "bin_level", "name": "measure"}).status_code == 400
    )
    assert api.post("/api/v1/commands", {**order, "name": "explode"}).status_code == 400
    assert api.post("/api/v1/commands", order, "patrol").status_code == 403
    assert (
        api.post(
            "/api/v1/commands",
            {**order, "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}},
        ).status_code
        == 400
    )
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update iot.command set expires_at = now() where batch = :b"), {"b": made["batch"]}
        )
    assert door(shadow.due, bins) == []
    with db.engine("app").begin() as conn:
        assert commands.expire(conn) == 2
        assert commands.tally(conn, made["batch"]) == {"expired": 2}
    later = api.post("/api/v1/commands", {**order, "district": minicity.EAST}).json()
    assert later["devices"] == 1
    gone = api.http.delete(f"/api/v1/commands/{later['batch']}", headers=api.headers("dispatcher"))
    assert gone.json() == {"cancelled": 1}
