"""Defects become cases: opened once, grown, closed by themselves; the worker's reader and nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from twin import cases, db, inspection, jobs, kinds, ledger
from twin.errors import NotAllowedNow
from twin.scope import SYSTEM


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def write(rows: dict[str, int]) -> None:
    columns = {"source_key": list(rows), "seats_f": list(rows.values()), "seats_m": [1] * len(rows),
               "geom": [minicity.ewkb(shapely.Point(121.41, 31.21))] * len(rows)}  # fmt: skip
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", columns)


def check() -> None:
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "toilet")
    inspection.inspect(kind, why="asked")


def found(rule: str = "range.seats_f") -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(
            conn.execute(
                sa.text(
                    "select c.id, c.state, c.version, c.data, c.holder, c.process, c.severity "
                    "from twin.\"case\" c where c.process = :p and c.data->>'rule' = :r order by num"
                ),
                {"p": "quality.defect", "r": rule},
            )
        )


def seal() -> None:
    with db.engine("app").connect() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            conn.commit()


def test_one_case_opens_grows_and_closes_by_itself() -> None:
    write({"bad1": -1})
    check()
    check()
    (case,) = found()
    assert (case.state, case.data["failing"], case.holder, case.severity) == (
        "open",
        1,
        "sanitation_dept",
        2,
    )
    assert len(case.data["things"]) == 1
    write({"bad2": -5})
    check()
    (case,) = found()
    assert case.data["failing"] == len(case.data["things"]) == 2
    with pytest.raises(NotAllowedNow), db.engine("app").begin() as conn:
        cases.perform(conn, case.id, "close", actor=SYSTEM)
    write({"bad1": 3})
    check()
    assert found()[0].data["failing"] == 1
    write({"bad2": 3})
    check()
    (case,) = found()
    assert (case.state, case.data["failing"]) == ("fixed", 0)
    write({"bad1": -1})
    check()
    assert [c.state for c in found()] == ["fixed", "open"]


def test_a_remark_opens_no_case() -> None:
    write({"few": 0})
    check()
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "toilet")
        infos = {r["id"] for r in kind.quality if r.get("severity") == "info"}
        assert infos
        rules = set(
            conn.scalars(sa.text("select rule from twin.quality_result where severity = 'info'"))
        )
    assert rules & infos
    assert all(found(rule) == [] for rule in infos)


def test_defects_are_no_events_of_the_city() -> None:
    assert found()
    with db.engine("app").connect() as conn:
        assert cases.at_moment(conn, SYSTEM, datetime.now(UTC)) == []


def test_what_changes_is_looked_at_by_following_the_journal() -> None:
    seal()
    while inspection.follow():
        pass
    write({"late": -7})
    seal()
    assert inspection.follow() > 0
    assert inspection.follow() == 0
    with db.engine("app").connect() as conn:
        run = conn.execute(sa.text("select * from twin.quality_run order by id desc limit 1")).one()
        failing = conn.scalar(sa.text(
            "select count(*) from twin.quality_result r join sanitation.toilet t on t.num = r.num "
            "where t.source_key = 'late' and r.rule = 'range.seats_f'"))  # fmt: skip
    assert (run.why, failing) == ("change", 1)
    assert run.things < 10


def test_every_night_has_one_job_and_a_new_installation_is_checked_at_once() -> None:
    with db.engine("app").begin() as conn:
        conn.execute(sa.text("delete from twin.job"))
    now = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
    inspection.plan_tonight(now)
    inspection.plan_tonight(now + timedelta(minutes=10))
    with db.engine("app").connect() as conn:
        due = list(conn.scalars(sa.text("select due_at from twin.job")))
    assert due == [datetime(2026, 11, 21, 18, 0, tzinfo=UTC)]
    with db.engine("app").begin() as conn:
        conn.execute(sa.text("update twin.job set due_at = now()"))
    done = jobs.run_next()
    assert done is not None
    assert done.result is not None
    assert done.result["broken"] == []
    assert done.result["kinds"] > 10


def test_a_job_that_fails_is_tried_again_later_and_says_why() -> None:
    @jobs.task("test.fails")
    def fails(_job: jobs.Job) -> None:
        raise OSError("no paper")

    with db.engine("app").begin() as conn:
        one = jobs.enqueue(conn, "test.fails", {}, key="once")
        assert jobs.enqueue(conn, "test.fails", {}, key="once") is None
    assert jobs.run_next(task="test.fails") is not None
    assert jobs.run_next(task="test.fails") is None
    with db.engine("app").connect() as conn:
        said = jobs.state(conn, one or 0)
    assert (said["state"], said["error"]) == ("waiting", "no paper")
