"""A walker that plays every shipped definition on the real engine: every state, every action, and always an end."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from tests import minicity
from twin import cases, db, processes
from twin.errors import TwinError
from twin.process import rows
from twin.scope import SYSTEM, Actor

CREW = "CREW-1"
WALKS, STEPS = 200, 60


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def given(need: dict[str, Any], chance: random.Random, other: str) -> Any:
    kind = need["type"]
    if kind in ("number", "hours"):
        return chance.choice([need.get("min", 1), need.get("max", 4), 2])
    return {
        "text": "走查", "crew": CREW, "department": "d-310101", "organisation": "d-310101",
        "case": other, "thing": minicity.WEST, "category": "litter",
        "position": [121.42, 31.22], "photos": [f"/api/v1/files/{chance.getrandbits(256):064x}"],
        "choice": (need.get("choices") or [{"key": "x"}])[0]["key"],
    }[kind]  # fmt: skip


def opened(doc: dict[str, Any], chance: random.Random) -> cases.Case:
    with db.engine("app").begin() as conn:
        return cases.open_case(
            conn, doc["key"], actor=SYSTEM, category=chance.choice(sorted(doc["categories"])),
            title="走查", lon=121.42, lat=31.22, source="walk", severity=chance.choice([1, 2, 3, 4]),
            data={"description": "走查", "reporter_kind": "citizen", "failing": 0, "members": 1, "standing": 1,
                  "reporter": "a", "filled": {"street": {"value": "1", "from": "street"}}},
        )  # fmt: skip


def actor(doc: dict[str, Any], holder: str | None, chance: random.Random) -> Actor:
    acts = {a["act"] for a in doc["actions"].values()}
    return Actor(user=chance.choice("abc"), acts=frozenset(acts), clearance=3, crew=holder or CREW,
                 organisation=holder)  # fmt: skip


def settle_children(case: cases.Case) -> None:
    """Answer what is asked beside the case, as people would before it ends."""
    with db.engine("app").connect() as conn:
        open_ones = conn.execute(
            text('select id from twin."case" where parent = :p and closed_at is null and process <> :o'),
            {"p": case["id"], "o": case["process"]},
        ).scalars().all()  # fmt: skip
    for child in open_ones:
        with db.engine("app").begin() as conn:
            cases.perform(conn, child, "withdraw", actor=SYSTEM, params={"reason": "走查"})


@pytest.mark.parametrize("doc", processes.shipped(), ids=lambda d: d["key"])
def test_every_state_and_action_is_reached_and_every_walk_can_end(doc: dict[str, Any]) -> None:
    chance = random.Random(11)
    states, actions, ended = set(), set(), 0
    done: Counter[str] = Counter()
    for _ in range(WALKS):
        if states == set(doc["states"]) and actions == set(doc["actions"]) and ended > 20:
            break
        case, other = opened(doc, chance), opened(doc, chance)
        states.add(case["state"])
        for _step in range(STEPS):
            ways = [n for n, a in doc["actions"].items() if case["state"] in a["from"]]
            if case["closed_at"] is not None:
                ended += 1
                if not ways or chance.random() < 0.5:
                    break
            # What was done least goes first, most of the time: deep states need many right steps.
            rare = min(ways, key=lambda n: (done[n], chance.random()))
            name = rare if chance.random() < 0.7 else chance.choice(ways)
            if name in ("close", "endorse"):
                settle_children(case)
            who = (
                SYSTEM
                if doc["actions"][name]["act"] == "system"
                else actor(doc, case["holder"], chance)
            )
            params = {
                key: given(need, chance, other["code"])
                for key, need in doc["actions"][name].get("need", {}).items()
                if need.get("required") or chance.random() < 0.5
            }
            try:
                with db.engine("app").begin() as conn:
                    case = cases.perform(conn, case["id"], name, actor=who, params=params)
            except TwinError:
                with db.engine("app").connect() as conn:
                    same = cases.find(conn, SYSTEM, case["code"])
                assert same["version"] == case["version"], "a refusal must change nothing"
                continue
            actions.add(name)
            done[name] += 1
            states.add(case["state"])
    automatic = {n for n, a in doc["actions"].items() if "auto" in a and a["act"] == "system"}
    assert states == set(doc["states"])
    assert actions | automatic >= set(doc["actions"])
    assert ended


def test_after_all_walks_the_journal_folds_to_the_very_rows() -> None:
    with db.engine("app").connect() as conn:
        found = conn.execute(
            text(f"select {rows.COLUMNS} from twin.\"case\" where source = 'walk'")
        ).all()
        last = dict(
            conn.execute(
                text(
                    "select distinct on (subject) subject, after from twin.journal where class = 'case' "
                    "order by subject, version desc"
                )
            ).tuples().all()
        )  # fmt: skip
    assert len(found) > 100
    different = [
        row.code for row in found
        if rows.revived(last[row.id]) != rows.revived(rows.snapshot(dict(row._mapping)))
    ]  # fmt: skip
    assert different == []
