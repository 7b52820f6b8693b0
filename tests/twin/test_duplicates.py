"""Duplicates: five generated weeks with known truth; candidates, repeats and merging by itself in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests import minicity
from tests.twin.test_cases import DISPATCHER, HERE, act, report, to_handling
from tests.twin.test_engine import CREW, PHOTO
from twin import db, declarations, merging, policies
from twin.errors import DeclarationError
from twin.scope import SYSTEM, Actor
from ui.terminal.benchmarks import reports

WEST = Actor(user="w", acts=DISPATCHER.acts, clearance=2, districts=(minicity.WEST,))


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def shipped() -> dict[str, Any]:
    return declarations.read_yaml(declarations.DATA / "merge" / "event_city.yaml")[0]


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_shipped_rule_finds_the_duplicates_of_a_generated_week(seed: int) -> None:
    doc = shipped()
    made = reports.city(seed)
    assert len(made.reports) > 4_500
    said = reports.linked(made, doc["weights"], doc["suggest"], auto=0.95)
    assert said.f1 >= 0.85, said
    assert said.top3 >= 0.99, said
    assert said.auto_precision >= 0.95, said


def test_the_weights_are_those_that_seed_seven_gives() -> None:
    fitted = reports.fit(7)
    for name, value in fitted.items():
        if name != "thing":  # the generated city names no things; this one is set by hand
            assert shipped()["weights"][name] == pytest.approx(value, abs=0.01)


def ranked(case: dict[str, Any], actor: Actor = SYSTEM) -> list[dict[str, Any]]:
    with db.engine("app").connect() as conn:
        return merging.ranked(conn, actor, case)


def data(words: str) -> dict[str, Any]:
    return {"data": {"description": words, "reporter_kind": "citizen"}}


def test_the_likeliest_report_stands_first_with_what_says_so() -> None:
    same = report(lon=121.4100, lat=31.2100, **data("宜山路便利店门口有一堆垃圾"))
    report(lon=121.4115, lat=31.2101, category="lamp_out", **data("景观灯不亮"))
    far = report(lon=121.4180, lat=31.2100, **data("宜山路便利店门口有一堆垃圾"))
    new = report(lon=121.4101, lat=31.2100, **data("便利店门口垃圾没人清，宜山路"))
    found = ranked(new)
    assert found[0]["code"] == same["code"]
    assert found[0]["score"] > 0.5 > found[1]["score"]
    assert far["code"] not in {f["code"] for f in found}
    parts = found[0]["parts"]
    assert parts["distance_m"] == pytest.approx(9.5, abs=0.5)
    assert parts["text"] > 0.3


def test_nobody_is_shown_a_report_outside_their_districts() -> None:
    report(lon=121.4501, lat=31.2300, **data("一堆垃圾"))
    new = report(lon=121.4499, lat=31.2300, **data("一堆垃圾"))
    assert len(ranked(new)) == 1
    assert ranked(new, WEST) == []


def test_the_same_spot_again_is_a_repeat_and_no_duplicate() -> None:
    old = to_handling()
    act(old, "finish", CREW, note="清了", photos=PHOTO, position=HERE)
    act(old, "close", DISPATCHER)
    new = report(**data("又有一堆垃圾"))
    with db.engine("app").connect() as conn:
        again = merging.earlier(conn, SYSTEM, new)
    assert old["code"] in {r["code"] for r in again}
    assert all(r["repeat"] for r in again)
    assert old["code"] not in {f["code"] for f in ranked(new)}


def test_an_old_report_is_no_candidate() -> None:
    old = report(lon=121.4300, lat=31.2300, **data("一堆垃圾"))
    with db.engine("owner").begin() as conn:
        conn.execute(
            text('update twin."case" set opened_at = :t where id = :id'),
            {"t": datetime.now(UTC) - timedelta(hours=49), "id": old["id"]},
        )
    new = report(lon=121.4300, lat=31.2300, **data("一堆垃圾"))
    assert ranked(new) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"auto": [{"category": "nothing", "score": 0.95}]}, "no category"),
        ({"auto": [{"category": "litter", "score": 0.5}], "suggest": 0.6}, "at least as likely"),
        ({"weights": {"bias": 0, "colour": 1}}, "no feature"),
        ({"candidates": {"radius_m": 1e9, "hours": 1}}, "maximum"),
        ({"sigma_m": {"map": 5}}, "other"),
    ],
)
def test_a_rule_that_cannot_be_is_not_published(change: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why), db.engine("app").begin() as conn:
        policies.publish(conn, "merge", "event.city", shipped() | change, actor="t")


def test_trying_a_rule_tells_what_would_have_been_merged_by_itself() -> None:
    report(lon=121.4050, lat=31.2050, **data("莲花路小区门口建筑垃圾"))
    new = report(lon=121.4050, lat=31.2050, **data("莲花路小区门口建筑垃圾一大堆"))
    doc = shipped() | {"auto": [{"category": "litter", "score": 0.5}]}
    with db.engine("app").connect() as conn:
        said = policies.simulate(conn, "merge", SYSTEM, doc, 2)
    moved = {m["code"]: (m["from"], m["to"]) for m in said["moved"]}
    assert moved[new["code"]] == ("suggest", "auto")
    assert said["read"] >= said["changed"] > 0
