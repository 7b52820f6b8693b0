"""The look ahead over real tables: tickets written, revised, confirmed, wrong, unforeseen, maintained."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from tests import minicity
from tests.alarms import devices
from twin import db
from twin.alarms import candidates, published
from twin.alarms.engine import Engine
from twin.predictions import outlook, silences, tickets
from twin.scope import SYSTEM

NOW = datetime.now(UTC)
DAY = 86400.0


@pytest.fixture(scope="module", autouse=True)
def trees(database: str) -> list[int]:
    minicity.build()
    return devices.build("tree_tilt", [(121.42, 31.22), (121.47, 31.22)])


def test_a_leaning_tree_is_foretold_and_confirmed_by_its_alarm(trees: list[int]) -> None:
    now = time.time()
    gen = np.random.default_rng(1)
    rows = [
        (num, now - 9 * DAY + i * 3600, {"tilt_deg": start + rate * i / 24 + gen.normal(0, 0.05)})
        for num, start, rate in ((trees[0], 4.0, 0.6), (trees[1], 4.0, 0.0))
        for i in range(9 * 24)
    ]
    devices.say("tree_tilt", [(n, at, {"tilt_deg": float(v["tilt_deg"])}) for n, at, v in rows])
    with db.engine("app").begin() as conn:
        assert outlook.thresholds(conn, NOW) == 1
        assert outlook.thresholds(conn, NOW) == 0
        (one,) = tickets.listed(conn, SYSTEM, kind="threshold", state="open", thing=None, limit=10)
    assert one["num"] == trees[0]
    assert one["due_from"] <= one["due_at"] <= one["due_to"]
    left = (one["due_at"] - NOW).total_seconds() / DAY
    assert left == pytest.approx((12 - 9.4) / 0.6, abs=1.0)
    assert one["evidence"]["per_day"] == pytest.approx(0.6, abs=0.05)
    candidates.forget()
    devices.say("tree_tilt", [(n, time.time(), {"tilt_deg": 13.0}) for n in trees])
    Engine().once()
    with db.engine("app").begin() as conn:
        assert outlook.score(conn, datetime.now(UTC)) == 1
        outlook.score(conn, datetime.now(UTC))
        record = {r["kind"]: r for r in tickets.record(conn)}
    assert record["threshold"]["confirmed"] == 1
    assert record["threshold"]["unforeseen"] == 1
    assert (record["threshold"]["precision"], record["threshold"]["recall"]) == (1.0, 0.5)


def test_a_ticket_whose_time_has_passed_was_wrong(trees: list[int]) -> None:
    long_ago = NOW - timedelta(days=9)
    with db.engine("app").begin() as conn:
        tickets.put(
            conn,
            [
                tickets.Ticket(
                    kind="threshold",
                    key="tree.tilt 0",
                    num=trees[0],
                    confidence=0.9,
                    due_from=long_ago,
                    due_at=long_ago,
                    due_to=long_ago,
                    evidence={},
                )
            ],
        )
        conn.execute(
            text("update iot.ticket set predicted_at = :t where key = 'tree.tilt 0'"),
            {"t": long_ago},
        )
        assert outlook.score(conn, NOW) == 1
        record = {r["kind"]: r for r in tickets.record(conn)}
    assert record["threshold"]["false"] == 1


def test_silence_is_learned_and_rings(trees: list[int]) -> None:
    now = time.time()
    devices.say(
        "tree_tilt", [(trees[0], now - 5000 + i * 100, {"sap_cmh": 1.0}) for i in range(48)]
    )
    with db.engine("app").begin() as conn:
        published.publish(
            conn,
            {
                "key": "t.sap",
                "title": {"zh": "失联", "en": "Silent"},
                "product": "tree_tilt",
                "level": 4,
                "when": {"silence": {"property": "sap_cmh"}},
            },
            origin="local",
            actor="t",
        )
        assert outlook.learn(conn, NOW) >= 1
    Engine().once()
    with db.engine("app").connect() as conn:
        period = conn.scalar(text("select period_s from iot.cadence where property = 'sap_cmh'"))
        rang = conn.scalars(text("select num from iot.alarm where rule = 't.sap'")).all()
    assert period == pytest.approx(100)
    assert rang == [trees[0]]


def test_maintenance_by_wear_and_by_time() -> None:
    gen: Any = np.random.default_rng(2)
    (truck,) = devices.build("onboard_scale", [(121.42, 31.22)])
    (car,) = devices.build("lamp_current", [(121.43, 31.22)])
    now = time.time()
    devices.say(
        "lamp_current",
        [(car, now - 10 * DAY + i * 3600, {"energy_kwh": 18000 + i * 5.0}) for i in range(240)],
    )
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.thing set created_at = now() - interval '175 days' where num = :n"),
            {"n": truck},
        )
        outlook.maintenance(conn, NOW)
        found = {
            t["key"]: t
            for t in tickets.listed(
                conn, SYSTEM, kind="maintenance", state="open", thing=None, limit=50
            )
        }
        assert f"scale_check {truck}" in found
        wear = found[f"lamp_energy {car}"]
        assert (wear["due_at"] - NOW).total_seconds() / DAY == pytest.approx(
            (20000 - 19195) / 120, abs=0.5
        )
        outlook.maintained(conn, car, "lamp_energy", actor="x", reading=19195.0, note=None, now=NOW)
        assert outlook.maintenance(conn, NOW) == 0
        assert {r["kind"]: r["confirmed"] for r in tickets.record(conn)}["maintenance"] == 1
    assert gen is not None


def test_a_receiver_that_falls_behind_has_a_ticket_before_anything_is_lost() -> None:
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "insert into iot.subscription (id, name, kind, target, created_by, seq) values "
                "(gen_random_uuid(), 'far', 'webhook', 'http://127.0.0.1:9', 'x', 0)"
            )
        )
        conn.execute(
            text(
                "insert into iot.lag (subscription, at, entries, oldest_s) select s.id, now() - n * interval '1 min', "
                "100, 600 - n * 60 from iot.subscription s cross join generate_series(0, 9) n"
            )
        )
        assert outlook.northbound(conn, datetime.now(UTC)) == 1
        (one,) = tickets.listed(conn, SYSTEM, kind="northbound", state="open", thing=None, limit=10)
        assert 70 < (one["due_at"] - datetime.now(UTC)).total_seconds() / 3600 < 72
        conn.execute(
            text(
                "insert into iot.lag (subscription, at, entries, oldest_s) "
                "select id, now() + interval '1 s', 0, 0 from iot.subscription"
            )
        )
        outlook.northbound(conn, datetime.now(UTC))
        assert {r["kind"]: r["averted"] for r in tickets.record(conn)}["northbound"] == 1


def test_a_silence_is_foretold_by_the_learned_period() -> None:
    """Late is not yet gone: the ticket comes true, or was wrong when the device spoke; gone unseen counts."""
    now = datetime.now(UTC).replace(microsecond=0)
    nums = devices.build("bin_level", [(121.42 + i / 1000, 31.22) for i in range(4)], prefix="s")
    last = {nums[0]: 900, nums[1]: 900, nums[2]: 3600, nums[3]: 120}  # seconds ago
    rows = [
        (num, now.timestamp() - ago - 300 * i, {"level_pct": 40.0})
        for num, ago in last.items() for i in range(30)
    ]  # fmt: skip
    devices.say("bin_level", rows)
    with db.engine("app").begin() as conn:
        outlook.learn(conn, now)
        assert silences.look(conn, now) == 2
        assert silences.look(conn, now) == 0
        found = tickets.listed(conn, SYSTEM, kind="silence", state="open", thing=None, limit=10)
    assert {one["num"] for one in found} == set(nums[:2])
    assert found[0]["due_at"] == now - timedelta(seconds=900) + timedelta(seconds=1800)
    assert (found[0]["evidence"]["period_s"], found[0]["confidence"]) == (300.0, 0.667)
    devices.say("bin_level", [(nums[1], now.timestamp() + 60, {"level_pct": 41.0})])
    with db.engine("app").begin() as conn:
        assert silences.score(conn, now + timedelta(seconds=70)) == 1
        assert silences.score(conn, now + timedelta(seconds=901)) == 1
        record = {r["kind"]: r for r in tickets.record(conn)}["silence"]
    assert (record["confirmed"], record["false"], record["unforeseen"]) == (1, 1, 1)
    assert (record["precision"], record["recall"]) == (0.5, 0.5)
