"""Every number of every board equals an independent SQL, opens its things, and keeps to the scope."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.indicators import plain
from tests.indicators.conftest import follow
from tests.services.conftest import Api
from twin import calendar, catalogue, db, declarations, jobs, things
from twin.indicators import measuring
from twin.indicators.model import evaluate, references

SETS = {p.stem: declarations.read("indicators", p)[0]
        for p in declarations.shipped_files("indicators")}  # fmt: skip
DECLARED = {f"{key}.{name}": said for key, doc in SETS.items() for name, said in doc["indicators"].items()}  # fmt: skip
COUNTED = sorted(key for key, said in DECLARED.items() if "of" in said)


@pytest.fixture(scope="module")
def board(city: Api) -> dict[str, Any]:
    said = city.get("/api/v1/indicators/board", "commander").json()
    return {one["key"]: one for one in said["indicators"]}


def _plain(key: str) -> float | None:
    with db.engine("owner").connect() as conn:
        topics = {name: kind.topic for name, kind in catalogue.all_kinds(conn).items()}
        said = plain.sql(DECLARED[key], topics)
        value = conn.exec_driver_sql(said).scalar()
    return None if value is None else float(value)


def test_there_are_enough_of_them() -> None:
    assert len(DECLARED) >= 120
    assert {doc["topic"] for doc in SETS.values()} >= {
        "greening", "forestry", "sanitation", "appearance", "landscape", "activity", "events",
    }  # fmt: skip


@pytest.mark.parametrize("key", COUNTED)
def test_a_number_is_what_plain_sql_says(board: dict[str, Any], key: str) -> None:
    shown, expected = board[key], _plain(key)
    if expected is None:
        assert shown["value"] is None
    else:
        assert shown["value"] == pytest.approx(expected, abs=0.51 * 10 ** -shown["decimals"])


@pytest.mark.parametrize("key", sorted(set(DECLARED) - set(COUNTED)))
def test_a_formula_is_what_its_parts_say(board: dict[str, Any], key: str) -> None:
    said = DECLARED[key]["formula"]
    parts = {name: _plain(name) for name in references(said)}
    expected = evaluate(said, parts)
    assert expected is None or math.isfinite(expected)
    if expected is None:
        assert board[key]["value"] is None
    else:
        assert board[key]["value"] == pytest.approx(expected, abs=0.51 * 10 ** -board[key]["decimals"])  # fmt: skip


@pytest.mark.parametrize(
    "key", [k for k in COUNTED if DECLARED[k].get("measure", "count") == "count"]
)
def test_a_count_opens_exactly_its_things(city: Api, board: dict[str, Any], key: str) -> None:
    said = city.get(f"/api/v1/indicators/{key}/things", "commander", limit=5).json()
    assert said["total"] == board[key]["value"]
    assert len(said["things"]) == min(5, said["total"])


def test_a_share_opens_both_sides(city: Api, board: dict[str, Any]) -> None:
    key = "sanitation.toilets_open"
    met = city.get(f"/api/v1/indicators/{key}/things", "commander").json()["total"]
    short = city.get(f"/api/v1/indicators/{key}/things", "commander", counted="false").json()[
        "total"
    ]
    assert met + short == board["sanitation.toilets"]["value"]
    assert round(100 * met / (met + short), 1) == board[key]["value"]


def test_districts_add_up(city: Api, board: dict[str, Any]) -> None:
    said = city.get("/api/v1/indicators/sanitation.toilets", "commander").json()
    assert sum(p["value"] for p in said["by_district"]) <= board["sanitation.toilets"]["value"]
    assert {p["code"] for p in said["by_district"]} <= {f"3101{n:02}" for n in range(1, 60)}
    assert said["lineage"][0]["name"] == "toilet"


def test_a_district_account_gets_the_numbers_of_its_district(city: Api) -> None:
    mine = city.get("/api/v1/indicators/sanitation.toilets", "district-310104").json()
    all_ = city.get("/api/v1/indicators/sanitation.toilets", "commander", district="310104").json()
    assert mine["value"] == all_["value"] > 0
    assert [p["code"] for p in mine["by_district"]] == ["310104"]
    things = city.get("/api/v1/indicators/sanitation.toilets/things", "district-310104", limit=1000)
    assert {t["district"] for t in things.json()["things"]} == {"310104"}
    assert things.json()["total"] == mine["value"]
    other = city.get("/api/v1/indicators/sanitation.toilets", "district-310104", district="310101")
    assert other.json()["value"] == 0


def test_checks_between_numbers_hold(city: Api) -> None:
    said = city.get("/api/v1/indicators/checks", "commander").json()["checks"]
    assert len(said) >= 5
    assert [c["id"] for c in said if c["holds"] is False] == []


def test_acceptance_shows_each_number_of_the_documents(city: Api) -> None:
    items = {
        i["key"]: i for i in city.get("/api/v1/indicators/acceptance", "commander").json()["items"]
    }
    assert items["districts"]["value"] == 16 and items["districts"]["reached"] is True
    assert all(
        i["value"] is not None or i.get("missing") or i.get("indicator") for i in items.values()
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("nothing.here", 404), ("greening.parks/things?limit=0", 422), ("board?topic=x", 422),
     ("board?at=yesterday", 400), ("greening", 422), ("greening.green_per_park/things", 400)],
)  # fmt: skip
def test_bad_questions_get_one_clear_answer(city: Api, path: str, status: int) -> None:
    said = city.get(f"/api/v1/indicators/{path}", "commander")
    assert said.status_code in (status, 400 if status == 422 else status)
    assert said.headers["content-type"] == "application/problem+json"


def _counted_at() -> dict[str, Any]:
    with db.engine("app").connect() as conn:
        rows = conn.exec_driver_sql(
            "select indicator, max(computed_at) from twin.indicator_cell group by 1"
        ).all()
    return {row[0]: row[1] for row in rows}


def _value(city: Api, key: str) -> float:
    return float(city.get(f"/api/v1/indicators/{key}", "commander").json()["value"])


def test_a_correction_counts_again_what_depends_on_it_and_nothing_else(city: Api) -> None:
    before, was = _counted_at(), _value(city, "sanitation.toilets_all_day")
    with db.engine("app").begin() as conn:
        kind = catalogue.all_kinds(conn)["toilet"]
        row = conn.exec_driver_sql(
            "select source_key, source from sanitation.toilet where all_day limit 1"
        ).one()
        things.write(conn, kind, {"source_key": [row.source_key], "all_day": [False]},
                     actor="test", source=row.source)  # fmt: skip
    follow()
    now = _counted_at()
    touched = {key for key in now if now[key] != before.get(key) and key in COUNTED}
    assert {k for k in touched if DECLARED[k]["of"].get("kind")} == {
        k for k in COUNTED if DECLARED[k]["of"].get("kind") == "toilet"
    }
    assert _value(city, "sanitation.toilets_all_day") < was


def test_late_data_change_the_day_they_belong_to(city: Api) -> None:
    key = "sanitation.toilet_reviews_30d"
    was = _value(city, key)
    late = datetime.now(UTC) - timedelta(days=9)
    with db.engine("app").begin() as conn:
        kind = catalogue.all_kinds(conn)["toilet_review"]
        things.write(conn, kind, {"source_key": ["late"], "reviewed_at": [late], "score": [3.0]},
                     actor="test", source="late")  # fmt: skip
    follow()
    assert _value(city, key) == was + 1
    with db.engine("app").connect() as conn:
        said = "select sum(num) from twin.indicator_cell where indicator = %s and day = %s"
        day = late.astimezone(calendar.ZONE).date()
        kept = conn.exec_driver_sql(said, (key, day)).scalar_one()
    assert kept == _plain_day(key, day)


def _plain_day(key: str, day: Any) -> float:
    with db.engine("owner").connect() as conn:
        return float(conn.exec_driver_sql(
            "select count(*) from sanitation.toilet_review where (reviewed_at at time zone "
            "'Asia/Shanghai')::date = %s", (day,)
        ).scalar_one())  # fmt: skip


def test_a_new_event_is_counted(city: Api) -> None:
    was = _value(city, "events.opened_today")
    new = {"category": "litter", "lon": 121.475, "lat": 31.23, "description": "x"}
    assert city.post("/api/v1/events", new, "commander").status_code == 201
    follow()
    assert _value(city, "events.opened_today") == was + 1


def test_a_recount_by_hand_mends_a_number_and_says_what_it_changed(city: Api) -> None:
    key, day = "sanitation.toilets", measuring.today()
    asked = {"from": day.isoformat(), "to": day.isoformat(), "reason": "核对"}
    path = f"/api/v1/indicators/{key}/recount"
    assert city.post(path, asked, "planner").status_code == 403
    late = {**asked, "from": "2020-01-01"}
    assert city.post(path, late, "commander").status_code == 400
    value = city.get(f"/api/v1/indicators/{key}", "commander").json()["value"]
    with db.engine("app").begin() as conn:
        said = text("update twin.indicator_cell set num = num + 7 where indicator = :k and day = :d "
                    "and district = '310101'")  # fmt: skip
        assert conn.execute(said, {"k": key, "d": day}).rowcount == 1 or value
    wrong = city.get(f"/api/v1/indicators/{key}", "commander").json()["value"]
    assert wrong != value
    job = city.post(path, asked, "commander").json()["job"]
    done = jobs.run_next(only=job)
    assert done is not None and done.result is not None and done.result["changed"] == 1
    assert city.get(f"/api/v1/jobs/{job}", "commander").json()["state"] == "done"
    assert city.get(f"/api/v1/indicators/{key}", "commander").json()["value"] == value
    kept = city.get(f"/api/v1/indicators/{key}/recounts", "commander").json()["recounts"]
    assert [(r["done"], r["by"], r["reason"]) for r in kept] == [
        (True, "commander", "核对"), (False, "commander", "核对"),
    ]  # fmt: skip
