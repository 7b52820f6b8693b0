"""The process engine: guards, versions, racing, returning, deadlines; the journal is the history."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests import minicity
from twin import cases, db
from twin.errors import BadRequest, Forbidden, NotAllowedNow, NotFound, VersionConflict
from twin.eventview import PROCESS
from twin.scope import ANONYMOUS, Actor

DISPATCHER = Actor(
    user="d", roles=frozenset({"dispatcher"}), clearance=3,
    acts=frozenset({"event.read", "event.report", "event.register", "event.dispatch", "event.verify"}),
)  # fmt: skip
CREW = Actor(user="p", acts=frozenset({"event.handle", "event.read"}), clearance=2, crew="CREW-1")
OTHER = Actor(user="q", acts=frozenset({"event.handle"}), clearance=2, crew="CREW-2")
XUHUI = Actor(user="x", acts=DISPATCHER.acts, clearance=2, districts=(minicity.EAST,))
PHOTO = ["/api/v1/files/" + "0" * 64]
HERE = [121.42, 31.22]


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def report(actor: Actor = DISPATCHER, **more: Any) -> cases.Case:
    said: dict[str, Any] = {"category": "litter", "title": "暴露垃圾", "lon": 121.42, "lat": 31.22,
                            "source": "map",
                            "data": {"description": "一堆垃圾", "reporter_kind": "citizen"}}  # fmt: skip
    with db.engine("app").begin() as conn:
        return cases.open_case(conn, PROCESS, actor=actor, **(said | more))


def act(
    case: cases.Case, action: str, actor: Actor, version: int | None = None, **p: Any
) -> cases.Case:
    with db.engine("app").begin() as conn:
        return cases.perform(conn, case["id"], action, actor=actor, params=p, version=version)


def to_handling() -> cases.Case:
    case = act(report(), "dispatch", DISPATCHER, crew="CREW-1")
    return act(case, "accept", CREW)


def test_the_whole_way_from_report_to_close() -> None:
    case = report()
    assert (case["state"], case["district"]) == ("collected", minicity.WEST)
    assert case["code"].startswith("SH-SA-")
    case = act(case, "dispatch", DISPATCHER, crew="CREW-1")
    assert (case["state"], case["holder"], case["version"]) == ("dispatched", "CREW-1", 3)
    case = act(case, "accept", CREW)
    case = act(case, "arrive", CREW)
    case = act(case, "finish", CREW, note="已清除", photos=PHOTO, position=HERE)
    assert case["state"] == "verifying"
    case = act(case, "close", DISPATCHER)
    assert case["closed_at"] is not None
    assert case["due_at"] is None


def test_a_report_of_staff_registers_and_goes_to_its_department_by_itself() -> None:
    case = report(data={"description": "x", "reporter_kind": "staff"})
    assert (case["state"], case["version"], case["holder"]) == ("assigned", 3, "d-310101")
    case = report(category="other", data={"description": "x", "reporter_kind": "staff"})
    assert (case["state"], case["version"]) == ("registered", 2), (
        "what is unsure waits for a person"
    )


def test_return_rework_and_recall_lead_back() -> None:
    case = act(to_handling(), "return", CREW, reason="不属本组")
    assert (case["state"], case["holder"]) == ("registered", None)
    case = act(case, "dispatch", DISPATCHER, crew="CREW-1")
    case = act(case, "recall", DISPATCHER, reason="改派")
    case = act(case, "dispatch", DISPATCHER, crew="CREW-1")
    case = act(case, "accept", CREW)
    case = act(case, "finish", CREW, note="好了", photos=PHOTO, position=HERE)
    case = act(case, "rework", DISPATCHER, reason="仍有残留")
    assert (case["state"], case["data"]["reworks"]) == ("handling", 1)


@pytest.mark.parametrize(
    ("action", "actor", "params", "error"),
    [
        (
            "finish",
            OTHER,
            {"note": "x", "photos": PHOTO, "position": HERE},
            NotAllowedNow,
        ),  # another crew
        ("finish", CREW, {"note": "x", "photos": [], "position": HERE}, BadRequest),  # no photo
        ("finish", CREW, {"photos": PHOTO, "position": HERE}, BadRequest),  # no note
        ("finish", CREW, {"note": "x", "photos": PHOTO}, BadRequest),  # no position and no reason
        ("close", DISPATCHER, {}, NotAllowedNow),  # not in this state
        ("close", CREW, {}, Forbidden),  # not in this role
        ("finish", ANONYMOUS, {}, NotFound),  # not cleared for cases at all
        ("finish", XUHUI, {}, NotFound),  # outside the district
        ("explode", DISPATCHER, {}, NotFound),  # no such action
        (
            "finish",
            CREW,
            {"note": "好了", "photos": PHOTO, "position": HERE},
            None,
        ),  # the same set-up, and it works
    ],
)
def test_who_may_finish(action: str, actor: Actor, params: dict[str, Any], error: Any) -> None:
    case = to_handling()
    if error is None:
        assert act(case, action, actor, **params)["state"] == "verifying"
        return
    with pytest.raises(error):
        act(case, action, actor, **params)
    assert act(case, "arrive", CREW)["version"] == case["version"] + 1, (
        "a refusal must change nothing"
    )


def test_an_old_version_is_refused() -> None:
    case = report()
    act(case, "register", DISPATCHER, version=1)
    with pytest.raises(VersionConflict):
        act(case, "dispatch", DISPATCHER, version=1, crew="CREW-1")


def test_eight_racers_have_exactly_one_success() -> None:
    case = report()
    results: list[str] = []

    def race(i: int) -> None:
        try:
            act(case, "dispatch", DISPATCHER, version=1, crew=f"CREW-{i}")
            results.append("won")
        except (VersionConflict, NotAllowedNow):
            results.append("lost")

    threads = [threading.Thread(target=race, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["lost"] * 7 + ["won"]


def test_the_journal_alone_tells_every_state() -> None:
    to_handling()
    with db.engine("app").connect() as conn:
        different = conn.execute(
            text(
                'select count(*) from twin."case" c join lateral (select after from twin.journal '
                "where subject = c.id order by version desc limit 1) j on true where "
                "(j.after->>'state', (j.after->>'version')::int, j.after->>'holder', j.after->'data') "
                "is distinct from (c.state, c.version, c.holder, c.data)"
            )
        ).scalar_one()
        steps = conn.execute(
            text(
                'select count(*) from twin."case" c where version <> (select count(*) '
                "from twin.journal where subject = c.id)"
            )
        ).scalar_one()
    assert (different, steps) == (0, 0)


def test_the_past_shows_the_case_as_it_stood() -> None:
    before = datetime.now(UTC)
    case = report()
    reported = datetime.now(UTC)
    act(case, "reject", DISPATCHER, reason="重复")
    with db.engine("app").connect() as conn:
        codes = [
            [c["code"] for c in cases.at_moment(conn, DISPATCHER, t)] for t in (before, reported)
        ]
        now = [c["code"] for c in cases.at_moment(conn, DISPATCHER, datetime.now(UTC))]
        other = [c["code"] for c in cases.at_moment(conn, XUHUI, reported)]
    assert case["code"] not in codes[0]
    assert case["code"] in codes[1]
    assert case["code"] not in now
    assert case["code"] not in other


def test_deadlines_escalate_each_level_once() -> None:
    case = report()
    levels = []
    for minutes in (0, 25, 31, 31, 46, 46):
        with db.engine("owner").begin() as conn:
            conn.execute(
                text(
                    'update twin."case" set entered_at = now() - make_interval(mins => :m), '
                    "warn_at = now() - make_interval(mins => :m) + interval '24 minutes', "
                    "due_at = now() - make_interval(mins => :m) + interval '30 minutes', "
                    "clock_from = now() - make_interval(mins => :m), next_at = now() where id = :id"
                ),
                {"m": minutes, "id": case["id"]},
            )
        with db.engine("app").begin() as conn:
            levels.append(
                [c["escalated"] for c in cases.escalate_due(conn) if c["id"] == case["id"]]
            )
    assert levels == [[], [0.8], [1.0], [], [1.5], []]


def test_the_same_source_id_is_one_case() -> None:
    first = report(source="12345", source_id="A1")
    again = report(source="12345", source_id="A1")
    assert first["code"] == again["code"]


def test_a_point_in_no_district_is_kept_for_a_person_to_see() -> None:
    case = report(lon=121.9, lat=31.9)
    assert case["district"] is None
    with db.engine("app").connect() as conn:
        assert cases.find(conn, DISPATCHER, case["code"])["id"] == case["id"]
        with pytest.raises(NotFound):
            cases.find(conn, XUHUI, case["code"])
