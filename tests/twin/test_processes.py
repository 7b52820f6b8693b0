"""Process definitions: faults are named with file, line and key; every way ends."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from twin import declarations, processes
from twin.errors import DeclarationError

EVENT = declarations.DATA / "processes" / "event_city.yaml"


def broken(tmp_path: Path, find: str, put: str) -> Path:
    text = EVENT.read_text(encoding="utf-8")
    assert find in text
    path = tmp_path / "broken.yaml"
    path.write_text(text.replace(find, put, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("find", "put", "key", "why"),
    [
        ("initial: collected", "initial: nowhere", "initial", "no state"),
        ("to: dispatched", "to: lost", "actions.dispatch", "no state"),
        ("    to: reviewing\n", "    to: handling\n", "states.reviewing", "no action leads here"),
        ("guard: \"actor.crew == c.holder || ", 'guard: "crow == ', "actions.accept.guard", "compile"),
        ("via: register", "via: nothing", "actions.assign.via", "no action"),
        ("auto: ", "otto: ", "actions.register.otto", "unexpected"),
        ("key: event.city", "key: event.city\nkey: event.twice", "key", "twice"),
        ("handling:   {normal: 8h", "handling:   {normal: soon", "deadlines.handling.normal", "match"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_file_line_and_key(
    tmp_path: Path, find: str, put: str, key: str, why: str
) -> None:
    path = broken(tmp_path, find, put)
    with pytest.raises(DeclarationError) as caught:
        processes.read_file(path)
    assert caught.value.extra["key"] == key
    assert caught.value.extra["line"]
    assert why in caught.value.detail
    assert "broken.yaml" in caught.value.detail


def test_a_random_walk_visits_every_state_and_action_and_always_ends() -> None:
    for doc in processes.shipped():
        chance = random.Random(7)
        states, actions = set(), set()
        for _ in range(4000):
            state = doc["initial"]
            states.add(state)
            for _step in range(1000):
                ways = [n for n, a in doc["actions"].items() if state in a["from"]]
                # A case that was filtered out or merged may come back; some end there.
                if doc["states"][state].get("final") and (not ways or chance.random() < 0.5):
                    break
                name = chance.choice(ways)
                state = processes.target(doc["actions"][name], state)
                actions.add(name)
                states.add(state)
            assert doc["states"][state].get("final"), "a walk of a thousand steps did not end"
        assert states == set(doc["states"])
        assert actions == set(doc["actions"])


def test_every_act_of_an_action_belongs_to_a_role_or_to_the_engines_alone() -> None:
    declared = yaml.safe_load((declarations.DATA / "roles.yaml").read_text(encoding="utf-8"))
    known = {act for role in declared["roles"].values() for act in role["acts"]}
    for doc in processes.shipped():
        assert {a["act"] for a in doc["actions"].values()} <= known | {processes.SYSTEM_ACT}
    assert processes.SYSTEM_ACT not in known
