"""The whole of the engine: evidence, limits on repeating, pause and delay, reviews, merging, children, bulk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests import minicity
from tests.twin.test_cases import CREW, DISPATCHER, HERE, OTHER, PHOTO, act, report, to_handling
from twin import calendar, cases, db, declarations, policies
from twin.errors import BadRequest, DeclarationError, NotAllowedNow, NotFound
from twin.process import migration
from twin.scope import SYSTEM, Actor

CHIEF = Actor(user="chief", acts=DISPATCHER.acts | {"event.supervise"}, clearance=3)
DISTRICT = Actor(user="w", acts=frozenset({"event.handle", "event.read"}), clearance=2,
                 organisation="d-310101", districts=(minicity.WEST,))  # fmt: skip
LEFT_OUT = ("version",)


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def now(case: cases.Case) -> cases.Case:
    with db.engine("app").connect() as conn:
        return cases.find(conn, SYSTEM, case["code"])


def run(sql: str, **params: Any) -> None:
    with db.engine("owner").begin() as conn:
        conn.execute(text(sql), params)


def bulk(keys: list[str], action: str, actor: Actor, **p: Any) -> dict[str, list[Any]]:
    with db.engine("app").begin() as conn:
        return cases.bulk(conn, keys, action, actor=actor, params=p)


def whole(case: cases.Case) -> dict[str, Any]:
    """Return a case as bytes would tell it, all but its version."""
    return {k: v for k, v in cases.snapshot(now(case)).items() if k not in LEFT_OUT}


# --- who holds it


def test_a_department_holds_a_case_and_hands_it_on() -> None:
    case = act(report(), "assign", DISPATCHER, department="d-310101")
    assert (case["state"], case["holder"]) == ("assigned", "d-310101")
    with pytest.raises(NotAllowedNow):
        act(case, "accept", CREW)
    assert act(case, "accept", DISTRICT)["state"] == "handling"
    case = act(case, "transfer", DISPATCHER, department="d-310104", reason="不属本区")
    assert (case["state"], case["holder"], case["data"]["transfers"]) == ("assigned", "d-310104", 1)
    assert act(case, "dispatch", DISPATCHER, crew="CREW-1")["state"] == "dispatched"


def test_a_department_that_is_not_in_the_tree_is_refused() -> None:
    with pytest.raises(BadRequest, match="no organisation"):
        act(report(), "assign", DISPATCHER, department="d-999999")


# --- evidence


@pytest.mark.parametrize(
    ("position", "error"),
    [
        ([121.4203, 31.2202], None),  # 36 m away
        ({"lon": 121.42, "lat": 31.22}, None),
        ([121.4206, 31.2200], "57 m"),
        ([31.22, 121.42], "degrees"),
        ("here", "lon, lat"),
    ],
)
def test_arriving_is_proven_within_fifty_metres(position: Any, error: str | None) -> None:
    case = to_handling()
    if error is None:
        assert act(case, "arrive", CREW, position=position)["data"]["arrived_at"]
        return
    with pytest.raises(BadRequest, match=error):
        act(case, "arrive", CREW, position=position)


def test_a_photo_of_before_or_of_last_week_proves_nothing() -> None:
    old, new = ("/api/v1/files/" + sign * 64 for sign in "ab")
    for sign, age in (("a", "8 days"), ("b", "1 hour")):
        run(
            "insert into twin.file (hash, bytes, type, owner, created_at) "
            f"values (:h, 1, 'image/jpeg', 'p', now() - interval '{age}') on conflict do nothing",
            h=sign * 64,
        )
    case = to_handling()
    with pytest.raises(BadRequest, match="older than 24h"):
        act(case, "finish", CREW, note="好了", photos=[old], position=HERE)
    assert (
        act(case, "finish", CREW, note="好了", photos=[new], position=HERE)["state"] == "verifying"
    )
    case = act(case, "rework", DISPATCHER, reason="没清干净")
    with pytest.raises(BadRequest, match="photo of before"):
        act(case, "finish", CREW, note="好了", photos=[new], position=HERE)


def test_a_result_without_a_position_says_why_and_takes_a_second_review() -> None:
    case = to_handling()
    with pytest.raises(BadRequest, match="position .* or no_position"):
        act(case, "finish", CREW, note="好了", photos=PHOTO)
    with pytest.raises(BadRequest, match="57 m"):
        act(case, "finish", CREW, note="好了", photos=PHOTO, position=[121.4206, 31.22])
    case = act(case, "finish", CREW, note="好了", photos=PHOTO, no_position="地下车库无信号")
    assert case["data"]["unplaced"] == "地下车库无信号"
    with pytest.raises(NotAllowedNow, match="second review"):
        act(case, "close", DISPATCHER)
    case = act(case, "pass", DISPATCHER)
    assert act(case, "endorse", CHIEF)["state"] == "closed"
    placed = to_handling()
    act(placed, "finish", CREW, note="好了", photos=PHOTO, no_position="无信号")
    placed = act(placed, "rework", DISPATCHER, reason="再拍")
    placed = act(placed, "finish", CREW, note="好了", photos=[PHOTO[0][:-1] + "1"], position=HERE)
    assert act(placed, "close", DISPATCHER)["state"] == "closed"


def test_what_was_filled_in_is_confirmed_or_corrected_by_a_person() -> None:
    filled = {
        "thing": {"value": "T1", "from": "toilet", "m": 8.0},
        "street": {"value": "310101001", "from": "street"},
    }
    data = {
        "description": "一堆",
        "reporter_kind": "citizen",
        "thing": "T1",
        "thing_name": "公厕1",
        "filled": filled,
    }
    case = act(report(data=data), "review", DISPATCHER)
    assert "filled" not in case["data"] and case["data"]["thing"] == "T1"
    kept = case["data"]["reviews"][0]
    assert (kept["by"], kept["as_found"], kept["filled"]) == ("d", True, filled)
    with pytest.raises(NotAllowedNow, match="waits for a check"):
        act(case, "review", DISPATCHER)
    case = act(report(data=data), "review", DISPATCHER, wrong="thing", address="天山路8号")
    assert (case["data"]["thing"], case["data"]["thing_name"], case["data"]["address"]) == (
        "",
        "",
        "天山路8号",
    )
    assert case["data"]["reviews"][0]["as_found"] is False
    case = report(data=data)
    with pytest.raises(BadRequest, match="no thing"):
        act(case, "review", DISPATCHER, thing="T-none")
    moved = act(case, "review", DISPATCHER, position=[121.47, 31.22])
    assert (moved["district"], moved["lon"]) == (minicity.EAST, 121.47)


def test_a_closed_case_is_visited_complained_about_and_opened_again() -> None:
    case = to_handling()
    case = act(case, "finish", CREW, note="好了", photos=PHOTO, position=HERE)
    with pytest.raises(NotAllowedNow):
        act(case, "visit", DISPATCHER, verdict="satisfied")
    case = act(case, "close", DISPATCHER)
    with pytest.raises(BadRequest, match="choose one"):
        act(case, "visit", DISPATCHER, verdict="unsatisfied")
    case = act(case, "visit", DISPATCHER, verdict="satisfied", note="很快")
    assert (case["state"], case["data"]["satisfaction"]) == ("closed", "satisfied")
    case = act(case, "complain", DISPATCHER, reason="又脏了")
    assert (case["data"]["satisfaction"], case["data"]["complaints"]) == ("unsatisfied", 1)
    with db.engine("app").connect() as conn:
        child = conn.execute(
            text('select category, data from twin."case" where parent = :p'), {"p": case["id"]}
        ).one()
    assert (child.category, child.data["why"]) == ("complained", "complained")
    case = act(case, "reopen", DISPATCHER, reason="未清净")
    assert (case["state"], case["closed_at"], case["holder"]) == ("registered", None, None)
    assert "on_time" not in case["data"]


def test_resources_used_are_kept_in_order() -> None:
    case = to_handling()
    act(case, "use", CREW, what="压缩车", amount=1, unit="辆")
    case = act(case, "use", CREW, what="人工", amount=4, unit="人")
    assert [(r["what"], r["amount"], r["by"]) for r in case["data"]["resources"]] == [
        ("压缩车", 1, "p"), ("人工", 4, "p"),
    ]  # fmt: skip
    with pytest.raises(BadRequest, match="from 0"):
        act(case, "use", CREW, what="人工", amount=-1, unit="人")


# --- going back, and how often


def test_a_case_is_returned_twice_and_not_again() -> None:
    case = report()
    for _ in range(2):
        act(case, "dispatch", DISPATCHER, crew="CREW-1")
        case = act(case, "return", CREW, reason="忙")
    act(case, "dispatch", DISPATCHER, crew="CREW-1")
    with pytest.raises(NotAllowedNow, match="2 times"):
        act(case, "return", CREW, reason="忙")


def test_asking_for_more_stops_the_clock_to_the_second() -> None:
    case = report()
    run('update twin."case" set clock_from = clock_from - interval \'10 minutes\', '
        "due_at = due_at - interval '10 minutes' where id = :id", id=case["id"])  # fmt: skip
    case = act(case, "ask", DISPATCHER, reason="在几号楼")
    assert case["due_at"] is None
    assert 1198 <= case["remaining_s"] <= 1200
    run(
        "update twin.\"case\" set entered_at = entered_at - interval '3 hours' where id = :id",
        id=case["id"],
    )
    case = act(case, "answer", DISPATCHER, note="3号楼")
    left = (case["due_at"] - datetime.now(UTC)).total_seconds()
    assert 1195 <= left <= 1200
    assert case["data"]["description"] == "一堆垃圾；3号楼"


def test_a_delay_is_granted_once_and_on_working_time() -> None:
    case = to_handling()
    with db.engine("app").connect() as conn:
        days = calendar.load(conn, "sh-workday")
    asked = act(case, "ask_delay", CREW, reason="要吊车", hours=16)
    assert asked["due_at"] is None
    granted = act(asked, "grant", DISPATCHER)
    assert granted["state"] == "handling"
    assert days.between(case["due_at"], granted["due_at"]) == pytest.approx(16 * 3600, abs=3)
    with pytest.raises(NotAllowedNow, match="1 times"):
        act(granted, "ask_delay", CREW, reason="还要", hours=8)


def test_a_refused_delay_leaves_what_was_left() -> None:
    case = to_handling()
    asked = act(case, "ask_delay", CREW, reason="要吊车", hours=16)
    refused = act(asked, "refuse", DISPATCHER, reason="不同意")
    with db.engine("app").connect() as conn:
        days = calendar.load(conn, "sh-workday")
    assert days.between(case["due_at"], refused["due_at"]) <= 3
    assert abs((refused["due_at"] - case["due_at"]).total_seconds()) < 24 * 3600


@pytest.mark.parametrize("hours", [0.5, 121, "8", True, None])
def test_a_delay_has_bounds(hours: Any) -> None:
    with pytest.raises(BadRequest):
        act(to_handling(), "ask_delay", CREW, reason="要吊车", hours=hours)


# --- reviews


def test_a_severe_case_is_reviewed_by_two_people() -> None:
    case = report(severity=1)
    act(case, "dispatch", DISPATCHER, crew="CREW-1")
    act(case, "accept", CREW)
    act(case, "finish", CREW, note="好了", photos=PHOTO, position=HERE)
    with pytest.raises(NotAllowedNow, match="second review"):
        act(case, "close", DISPATCHER)
    act(case, "pass", CHIEF, note="初审通过")
    with pytest.raises(NotAllowedNow, match="Another person"):
        act(case, "endorse", CHIEF)
    second = Actor(user="deputy", acts=CHIEF.acts, clearance=3)
    assert act(case, "endorse", second)["state"] == "closed"


# --- supervision as a child case


def test_supervision_is_a_case_of_its_own_and_keeps_the_event_open() -> None:
    case = to_handling()
    case = act(case, "supervise", CHIEF, reason="群众多次反映")
    assert case["state"] == "handling"
    with db.engine("app").connect() as conn:
        child = conn.execute(
            text('select id, code, state, process, data from twin."case" where parent = :p'),
            {"p": case["id"]},
        ).one()
    assert (child.process, child.state) == ("event.supervise", "asked")
    assert child.data["about"] == case["code"]
    act(case, "finish", CREW, note="好了", photos=PHOTO, position=HERE)
    with pytest.raises(NotAllowedNow, match="supervision"):
        act(case, "close", DISPATCHER)
    said = {"id": child.id}
    act(said, "reply", DISPATCHER, note="已增派班组")
    act(said, "again", CHIEF, reason="说明原因")
    act(said, "reply", DISPATCHER, note="机械故障")
    assert len(act(said, "close", CHIEF)["data"]["replies"]) == 2
    assert act(case, "close", DISPATCHER)["state"] == "closed"


def test_half_as_late_again_opens_supervision_once() -> None:
    case = report()
    run(
        "update twin.\"case\" set clock_from = now() - interval '50 minutes', next_at = now() where id = :id",
        id=case["id"],
    )
    for _ in range(3):
        with db.engine("app").begin() as conn:
            cases.escalate_due(conn)
    with db.engine("app").connect() as conn:
        children = conn.execute(
            text('select category, data from twin."case" where parent = :p'), {"p": case["id"]}
        ).all()
        told = conn.execute(
            text("select action, note from twin.journal where subject = :s order by version"),
            {"s": case["id"]},
        ).all()
    assert [c.category for c in children] == ["overdue"]
    assert [(t.action, t.note.get("levels")) for t in told][1:] == [("supervise", [0.8, 1.0, 1.5])]


# --- filtering and merging


def test_what_was_filtered_out_comes_back_with_both_reasons() -> None:
    case = act(report(), "filter", DISPATCHER, reason="广告")
    assert (case["state"], case["closed_at"] is None) == ("filtered", False)
    case = act(case, "restore", DISPATCHER, reason="误判")
    assert (case["state"], case["closed_at"]) == ("collected", None)
    with db.engine("app").connect() as conn:
        story = [(e.action, (e.note or {}).get("reason")) for e in cases.story(conn, case["id"])]
    assert story[-2:] == [("filter", "广告"), ("restore", "误判")]


def test_undoing_a_merge_restores_both_cases_byte_for_byte() -> None:
    master, second, third = report(), report(), report()
    before = [whole(c) for c in (master, second, third)]
    act(second, "merge", DISPATCHER, master=master["code"], score=0.93)
    joined = now(second)
    assert (joined["state"], joined["parent"]) == ("merged", master["id"])
    assert now(master)["data"]["reports"] == 2
    act(third, "merge", DISPATCHER, master=master["code"])
    assert [m["code"] for m in now(master)["data"]["merged"]] == [second["code"], third["code"]]
    act(third, "unmerge", DISPATCHER, reason="两处")
    act(second, "unmerge", DISPATCHER, reason="两处")
    assert [whole(c) for c in (master, second, third)] == before


@pytest.mark.parametrize(
    ("pair", "why"), [("self", "itself"), ("closed", "closed"), ("chain", "itself joined"), ("none", "no case")]
)  # fmt: skip
def test_a_merge_that_cannot_be_is_refused(pair: str, why: str) -> None:
    case, other = report(), report()
    master = {"self": case["code"], "none": "SH-XX-20200101-0001"}.get(pair, other["code"])
    if pair == "closed":
        act(other, "reject", DISPATCHER, reason="重复")
    if pair == "chain":
        act(other, "merge", DISPATCHER, master=report()["code"])
    with pytest.raises((BadRequest, NotAllowedNow), match=why):
        act(case, "merge", DISPATCHER, master=master)
    assert now(case)["state"] == "collected"


# --- many at once


def test_bulk_does_what_can_be_done_and_says_why_not() -> None:
    ready = [report()["code"] for _ in range(5)]
    gone = act(report(), "reject", DISPATCHER, reason="无效")["code"]
    done = bulk(
        [*ready, gone, "SH-NO-20260101-0001", ready[0]], "dispatch", DISPATCHER, crew="CREW-2"
    )
    assert sorted(done["done"]) == sorted(ready)
    assert {(r["code"], r["error"]) for r in done["refused"]} == {
        (gone, "not_allowed_now"), ("SH-NO-20260101-0001", "not_found"),
    }  # fmt: skip
    with db.engine("app").connect() as conn:
        entries = [e.action for e in cases.story(conn, cases.find(conn, SYSTEM, ready[0])["id"])]
    assert entries == ["open", "register", "dispatch"]


def test_bulk_merges_many_into_one_and_sees_only_what_the_actor_sees() -> None:
    master, others = report(), [report() for _ in range(3)]
    east = report(lon=121.47)
    west = Actor(user="w", acts=DISPATCHER.acts, clearance=2, districts=(minicity.WEST,))
    done = bulk([c["code"] for c in (*others, east)], "merge", west, master=master["code"])
    assert len(done["done"]) == 3
    assert [r["error"] for r in done["refused"]] == ["not_found"]
    assert now(master)["data"]["reports"] == 4


def test_bulk_and_single_actions_leave_the_same_journal() -> None:
    one, two = report(), report()
    act(one, "register", DISPATCHER)
    bulk([two["code"]], "register", DISPATCHER)
    bulk([report()["code"], report()["code"], report()["code"]], "register", DISPATCHER)
    with db.engine("app").connect() as conn:
        different = conn.execute(
            text(
                'select count(*) from twin."case" c join lateral (select after from twin.journal '
                "where subject = c.id order by version desc limit 1) j on true where "
                "(j.after->>'state', (j.after->>'version')::int, j.after->>'holder', j.after->'data', "
                "(j.after->>'due_at')::timestamptz, (j.after->>'next_at')::timestamptz, j.after->>'clock_s') "
                "is distinct from (c.state, c.version, c.holder, c.data, c.due_at, c.next_at, c.clock_s::text)"
            )
        ).scalar_one()
    assert different == 0


# --- versions of the process


def edition(**change: Any) -> dict[str, Any]:
    doc = policies.clean(declarations.read_yaml(declarations.DATA / "processes/event_city.yaml")[0])
    return doc | change


def publish(doc: dict[str, Any]) -> int:
    with db.engine("app").begin() as conn:
        return int(policies.publish(conn, "process", doc["key"], doc, actor="t")["version"])


def test_a_new_version_disturbs_no_running_case_and_migration_is_taken_back() -> None:
    running = [report() for _ in range(50)]
    looped = to_handling()
    for _ in range(2):
        act(looped, "finish", CREW, note="好了", photos=PHOTO, position=HERE)
        act(looped, "rework", DISPATCHER, reason="再来")
        run(
            'update twin."case" set data = data || \'{"photos": []}\' where id = :i', i=looped["id"]
        )
    old = now(running[0])["process_version"]
    doc = edition()
    doc["deadlines"] = {**doc["deadlines"], "collected": {"normal": "90m"}}
    new = publish(doc)
    assert {now(c)["process_version"] for c in running} == {old}
    assert report()["process_version"] == new
    before = [whole(c) for c in (*running, looped)]
    with db.engine("app").begin() as conn:
        dry = migration.migrate(conn, "event.city", new, actor=CHIEF, dry_run=True)
        moved = migration.migrate(conn, "event.city", new, actor=CHIEF, dry_run=False)
    assert dry["moved"] == moved["moved"] >= 51
    assert now(looped)["process_version"] == new
    with db.engine("app").begin() as conn:
        back = migration.undo(conn, "event.city", moved["batch"], actor=CHIEF)
    assert back["moved"] == moved["moved"]
    assert [whole(c) for c in (*running, looped)] == before


def test_cases_that_a_version_cannot_hold_are_listed_and_stay() -> None:
    case = act(report(), "ask", DISPATCHER, reason="在哪")
    doc = edition()
    doc["states"] = {k: v for k, v in doc["states"].items() if k != "asking"}
    kept = {k: v for k, v in doc["actions"].items() if k not in ("ask", "answer")}
    doc["actions"] = {
        k: {**v, "from": [state for state in v["from"] if state != "asking"]}
        for k, v in kept.items()
    }
    new = publish(doc)
    with db.engine("app").begin() as conn:
        said = migration.migrate(conn, "event.city", new, actor=CHIEF, dry_run=False)
    assert case["code"] in {r["code"] for r in said["refused"]}
    assert now(case)["state"] == "asking"
    assert act(case, "answer", DISPATCHER, note="东门")["state"] == "collected"
    publish(edition())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"calendar": "nowhere"}, "no calendar"),
        ({"initial": "nowhere"}, "no state"),
        ({"escalate": [{"at": 1.0, "do": "late"}, {"at": 0.8, "do": "warn"}]}, "lower before"),
        ({"deadlines": {"asking": {"normal": "8h"}}}, "stands still"),
        ({"deadlines": {"closed": {"normal": "8h"}}}, "stands still"),
        ({"deadlines": {"handling": {"normal": "8h", "hours": "c.("}}}, "compile"),
    ],
)
def test_a_definition_that_cannot_run_is_not_published(change: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        publish(edition(**change))


def test_deadlines_that_open_each_other_are_not_published() -> None:
    child = {"process": "event.city", "category": "litter", "title": {"zh": "再开", "en": "Again"}}
    other = policies.clean(
        declarations.read_yaml(declarations.DATA / "processes/supervise.yaml")[0]
    )
    other["escalate"] = [{"at": 1.0, "do": "late", "child": child}]
    with pytest.raises(DeclarationError, match="for ever"):
        publish(other)
    other["escalate"][0]["child"] = child | {"process": "event.supervise", "category": "overdue"}
    with pytest.raises(DeclarationError, match="for ever"):
        publish(other)


def test_a_clock_that_jumps_gives_no_time_away_and_tells_nothing_twice() -> None:
    case = report()
    # Set back by two hours: what was entered lies in the future now.
    run(
        "update twin.\"case\" set clock_from = clock_from + interval '2 hours', "
        "entered_at = entered_at + interval '2 hours' where id = :id",
        id=case["id"],
    )
    case = act(case, "ask", DISPATCHER, reason="哪里")
    assert case["used_s"] == 0 and case["remaining_s"] == case["clock_s"]
    case = act(case, "answer", DISPATCHER, note="东侧")
    assert (case["due_at"] - datetime.now(UTC)).total_seconds() <= case["clock_s"]
    # Set forward by three days, and back again: each level is told once.
    for sign in "-+":
        run(
            f"update twin.\"case\" set clock_from = clock_from {sign} interval '3 days', next_at = "
            "case when next_at is null then null else now() end where id = :id",
            id=case["id"],
        )
        for _ in range(3):
            with db.engine("app").begin() as conn:
                cases.escalate_due(conn)
    with db.engine("app").connect() as conn:
        told = conn.execute(
            text(
                "select count(*) from twin.journal where subject = :i "
                "and action in ('warn', 'late', 'supervise', 'report')"
            ),
            {"i": case["id"]},
        ).scalar_one()
    assert told == 1


def test_automatic_steps_that_go_round_are_not_published() -> None:
    doc = edition()
    doc["actions"] = {**doc["actions"], "back": {
        "title": {"zh": "退", "en": "Back"}, "from": ["registered"], "to": "collected",
        "act": "event.register", "auto": "true"}}  # fmt: skip
    with pytest.raises(DeclarationError, match="leads back"):
        publish(doc)


def test_an_act_that_no_role_has_is_not_published() -> None:
    doc = edition()
    doc["actions"] = {**doc["actions"], "close": {**doc["actions"]["close"], "act": "event.fly"}}
    with pytest.raises(DeclarationError, match="no role"):
        publish(doc)


# --- calendars


def test_provisional_deadlines_are_reckoned_anew_when_the_year_is_published() -> None:
    case = to_handling()
    begun = datetime(2026, 12, 31, 16, 0, tzinfo=calendar.ZONE)
    with db.engine("owner").begin() as conn:
        made = calendar.load(conn, "sh-workday").add(begun, 8 * 3600)
        conn.execute(
            text(
                'update twin."case" set clock_from = :f, due_at = :d, provisional = true, warn_at = :d, '
                "next_at = :d where id = :id"
            ),
            {"f": begun, "d": made.at, "id": case["id"]},
        )
    assert made.provisional
    assert made.at == datetime(2027, 1, 4, 16, 0, tzinfo=calendar.ZONE)
    doc, _ = declarations.read_yaml(declarations.DATA / "calendars/sh-workday.yaml")
    doc["years"]["2027"] = {"source": "通知", "rest": ["01-01", "01-04"], "work": ["01-03"]}
    with db.engine("app").begin() as conn:
        done = policies.publish(conn, "calendar", "sh-workday", doc, actor="t")
    assert done["recomputed"] >= 1
    after = now(case)
    assert not after["provisional"]
    assert after["due_at"] == datetime(2027, 1, 3, 16, 0, tzinfo=calendar.ZONE)
    with db.engine("app").connect() as conn:
        last = cases.story(conn, case["id"])[-1]
    assert (last.action, last.note["calendar"]) == ("deadline", "sh-workday")
    with db.engine("app").begin() as conn:
        policies.rollback(conn, "calendar", "sh-workday", 1, actor="t")
    assert now(case)["provisional"]


def test_a_case_of_another_crew_is_still_not_mine() -> None:
    with pytest.raises(NotAllowedNow):
        act(to_handling(), "use", OTHER, what="车", amount=1, unit="辆")
    with pytest.raises(NotFound):
        act(to_handling(), "fly", CREW)
    assert timedelta(0) < now(to_handling())["due_at"] - datetime.now(UTC)
