"""Doors of command: fences that ring as alarms, the address book with its audit, groups and roster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest import people
from tests import minicity
from tests.services.conftest import Api
from twin import contacts, db, positions
from twin.alarms import places
from twin.alarms.engine import Engine

SQUARE = [[121.41, 31.21], [121.43, 31.21], [121.43, 31.23], [121.41, 31.23], [121.41, 31.21]]
INSIDE, OUTSIDE = (121.42, 31.22), (121.45, 31.22)
FENCE = {"title": "核心区", "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
         "breach": "enter", "kinds": ["crew"], "level": 2}  # fmt: skip


@pytest.fixture
def crew(api: Api) -> Iterator[int]:
    with db.engine("app").connect() as conn:
        yield int(
            conn.scalar(text("select num from twin.thing where kind = 'crew' and name = '西一组'"))
            or 0
        )
    for one in api.get("/api/v1/fences", "commander").json()["fences"]:
        done = api.http.delete(f"/api/v1/fences/{one['id']}", headers=api.headers("commander"))
        assert done.status_code == 204


def move(num: int, place: tuple[float, float]) -> None:
    """Let a crew be somewhere, and the rules look once."""
    fix = positions.Fix(num, datetime.now(UTC), *place, 0.0, 0.0, minicity.WEST, 2)
    with db.engine("ingest").begin() as conn:
        positions.write(conn, [fix], datetime.now(UTC))
    Engine().once()


def standing(api: Api, key: str, user: str = "dispatcher") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/api/v1/alarms", user, rule=key).json()["alarms"]
    return [one for one in found if one["standing"]]


def draw(api: Api, user: str = "commander", **more: Any) -> Any:
    return api.post("/api/v1/fences", {**FENCE, **more}, user)


def test_a_fence_rings_while_a_crew_is_inside_and_ends_with_it(api: Api, crew: int) -> None:
    move(crew, INSIDE)
    assert api.post("/api/v1/fences/try", FENCE).json()["inside"] == 1
    made = draw(api)
    assert made.status_code == 201, made.text
    key = made.json()["id"]
    assert standing(api, key) == []
    move(crew, INSIDE)
    alarm = standing(api, key)[0]
    assert (alarm["rule_title"]["zh"], alarm["severity"], alarm["point"]) == (
        "核心区", 2, list(INSIDE),
    )  # fmt: skip
    assert api.get("/api/v1/fences").json()["fences"][0]["standing"] == 1
    move(crew, OUTSIDE)
    assert standing(api, key) == []
    move(crew, INSIDE)
    assert standing(api, key)
    gone = api.http.delete(f"/api/v1/fences/{key}", headers=api.headers("commander"))
    assert gone.status_code == 204
    move(crew, INSIDE)
    assert standing(api, key) == [] and api.get("/api/v1/fences").json()["fences"] == []
    assert key not in {r["key"] for r in api.get("/api/v1/rules").json()["rules"]}
    with db.engine("app").connect() as conn:
        said = text("select count(*) from twin.journal where kind = :k and class = 'declaration'")
        assert conn.scalar(said, {"k": f"alarm:{key}"}) == 2


def test_leaving_staying_and_whom_it_watches(api: Api, crew: int) -> None:
    away = draw(api, breach="leave").json()
    rested = draw(api, breach="stay", minutes=10).json()
    others = draw(api, codes=["nobody"]).json()
    move(crew, OUTSIDE)
    assert standing(api, away["id"]) and not standing(api, rested["id"])
    move(crew, INSIDE)
    assert not standing(api, away["id"])
    assert not standing(api, rested["id"])  # ten minutes have not passed
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.watch set since = since - interval '11 minutes'"))
    move(crew, INSIDE)
    assert standing(api, rested["id"]) and not standing(api, others["id"])
    # Whom a fence no longer watches does not ring on for ever.
    body = {**FENCE, "breach": "stay", "minutes": 10, "codes": ["nobody"], "version": 1}
    path = f"/api/v1/fences/{rested['id']}"
    assert api.http.put(path, json=body, headers=api.headers("commander")).json()["version"] == 2
    again = api.http.put(path, json=body, headers=api.headers("commander"))
    assert again.status_code == 409
    move(crew, INSIDE)
    assert not standing(api, rested["id"])


@pytest.mark.parametrize(
    ("hours", "at", "watches"),
    [
        (None, "2026-11-23T03:00:00+08:00", True),
        ({"from": "07:00", "to": "19:00"}, "2026-11-23T06:59:00+08:00", False),
        ({"from": "07:00", "to": "19:00"}, "2026-11-23T07:00:00+08:00", True),
        ({"from": "07:00", "to": "19:00", "days": [6, 7]}, "2026-11-23T08:00:00+08:00", False),
        # Monday's night reaches into Tuesday, and Sunday's into Monday.
        ({"from": "22:00", "to": "05:00", "days": [1]}, "2026-11-24T04:00:00+08:00", True),
        ({"from": "22:00", "to": "05:00", "days": [1]}, "2026-11-23T04:00:00+08:00", False),
        ({"from": "22:00", "to": "05:00", "days": [7]}, "2026-11-23T04:00:00+08:00", True),
    ],
)
def test_hours_of_a_fence(hours: Any, at: str, watches: bool) -> None:
    assert places._in_hours(hours, datetime.fromisoformat(at)) is watches


@pytest.mark.parametrize(
    "more",
    [{"kinds": ["nonsense"]}, {"kinds": []}, {"breach": "stay"}, {"minutes": 1441}, {"level": 5},
     {"hours": {"from": "25:00", "to": "05:00"}}, {"geometry": {"type": "Point", "coordinates": [1, 2]}},
     {"geometry": {"type": "Polygon", "coordinates": [[[121.4, 31.2]]]}}, {"title": ""},
     {"among": {"type": "muck"}, "kinds": ["crew", "vehicle"]}, {"area": "all"}],
)  # fmt: skip
def test_a_fence_that_does_not_hold_is_refused(api: Api, more: dict[str, Any]) -> None:
    done = draw(api, **more)
    assert done.status_code in (400, 422) and done.json()["detail"], done.text


def test_who_may_draw_and_see_fences(api: Api, crew: int) -> None:
    made = draw(api).json()
    path = f"/api/v1/fences/{made['id']}"
    assert draw(api, "planner").status_code == 403
    assert api.get("/api/v1/fences", "patrol").status_code == 403
    # A district sees and changes fences of its own place only.
    assert api.get("/api/v1/fences", "district-310104").json()["fences"] == []
    assert api.http.delete(path, headers=api.headers("district-310104")).status_code == 404
    assert draw(api, "district-310104").status_code == 400
    east = [[x + 0.05, y] for x, y in SQUARE]
    own = draw(api, "district-310104", geometry={"type": "Polygon", "coordinates": [east]})
    assert own.status_code == 201 and own.json()["district"] == minicity.EAST
    shown = api.get("/api/v1/fences.geojson", "commander").json()["features"]
    assert {f["id"] for f in shown} == {made["id"], own.json()["id"]}


@pytest.fixture(scope="module")
def book(api: Api) -> dict[str, Any]:
    assert people.demo() > 60 and people.demo() == 0
    said: dict[str, Any] = api.get("/api/v1/contacts").json()
    return said


def test_the_address_book_masks_and_a_number_shown_is_audited(
    api: Api, book: dict[str, Any]
) -> None:
    one = next(c for c in book["contacts"] if c["post"] == "总值班长")
    assert one["phone"].startswith("199****") and len(one["phone"]) == 11
    path = f"/api/v1/contacts/{one['id']}/reveal"
    said = api.post(path)
    assert said.status_code == 200 and "*" not in said.json()["phone"]
    assert api.post(path, user="auditor").status_code == 403
    found = api.get("/api/v1/audit", "auditor", action="contact.reveal").json()["entries"]
    assert [(e["actor"], e["note"]["name"]) for e in found] == [("dispatcher", one["name"])]
    # A district sees its own people, and not their numbers: its clearance is L2.
    own = api.get("/api/v1/contacts", "district-310104").json()
    assert {c["district"] for c in own["contacts"]} == {"310104"} and not own["may_reveal"]
    mine = own["contacts"][0]["id"]
    assert api.post(f"/api/v1/contacts/{mine}/reveal", user="district-310104").status_code == 403
    assert api.post(path, user="district-310104").status_code == 404


def test_who_is_on_duty_and_who_belongs_to_a_group(api: Api, book: dict[str, Any]) -> None:
    now = api.get("/api/v1/contacts", on_duty=True).json()["contacts"]
    assert {c["duty"]["post"] for c in now} == {"总值班长", "值班员", "抢险队长"}
    shown = {s["name"] for s in api.get("/api/v1/roster").json()["shifts"] if s["now"]}
    assert shown == {c["name"] for c in now}
    found = {g["key"]: g for g in api.get("/api/v1/groups").json()["groups"]}
    desk = found["duty_desk"]["members"]
    assert desk and all(m["duty"] for m in desk)  # on duty, not all who ever are
    assert len(found["tree_rescue"]["members"]) == 16
    assert any(m["user"] == "commander" for m in found["flood_command"]["members"])
    group = api.get("/api/v1/contacts", group="tree_rescue").json()
    assert {c["post"] for c in group["contacts"]} == {"抢险队长"}
    assert api.get("/api/v1/contacts", group="none").status_code == 404


def test_people_and_shifts_are_written_journalled_and_taken_out(
    api: Api, book: dict[str, Any]
) -> None:
    new = {"name": "测试员", "post": "联络员", "unit": "试验处", "phone": "19900001234"}
    assert api.post("/api/v1/contacts", new, "dispatcher").status_code == 403
    bad = {**new, "phone": "<script>"}
    assert api.post("/api/v1/contacts", bad, "commander").status_code == 400
    made = api.post("/api/v1/contacts", new, "commander").json()
    path, boss = f"/api/v1/contacts/{made['id']}", api.headers("commander")
    put = api.http.put(path, json={"version": 1, "post": "组长"}, headers=boss)
    assert (put.json()["post"], put.json()["version"]) == ("组长", 2)
    late = api.http.put(path, json={"version": 1, "post": "别的"}, headers=boss)
    assert late.status_code == 409
    start = datetime.now(UTC) - timedelta(minutes=1)
    shift = {"contact": made["id"], "starts_at": start.isoformat(),
             "ends_at": (start + timedelta(hours=1)).isoformat()}  # fmt: skip
    put_shift = api.post("/api/v1/roster", shift, "commander")
    assert put_shift.status_code == 201
    found = api.get("/api/v1/contacts", q="测试").json()["contacts"][0]
    assert found["duty"]["until"]
    backwards = {**shift, "ends_at": shift["starts_at"]}
    assert api.post("/api/v1/roster", backwards, "commander").status_code == 400
    number = put_shift.json()["id"]
    assert api.http.delete(f"/api/v1/roster/{number}", headers=boss).status_code == 204
    assert api.http.delete(f"/api/v1/roster/{number}", headers=boss).status_code == 404
    assert api.http.delete(path, headers=boss).status_code == 204
    assert api.get("/api/v1/contacts", q="测试").json()["contacts"] == []
    with db.engine("app").connect() as conn:
        said = text("select action from twin.journal where subject = cast(:id as uuid) order by id")
        actions = conn.scalars(said, {"id": made["id"]}).all()
    assert actions == ["insert", "update", "shift", "unshift", "remove"]


def test_a_file_of_people_is_taken_once_and_bad_rows_are_named(
    api: Api, book: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "姓名,职务,单位,电话\n甲,员,某处,021-1234567\n,员,某处,1\n乙,员,某处,abc\n", "utf-8"
    )
    first = people.load(file, "t")
    assert (first["read"], first["written"], [r["line"] for r in first["refused"]]) == (
        3,
        1,
        [3, 4],
    )
    assert people.load(file, "t")["written"] == 0


@pytest.mark.parametrize(
    ("phone", "shown"),
    [("13812345678", "138****5678"), ("021-12345678", "021-****5678"), ("1234567", "****567"), ("12", "**"), ("", "")],
)  # fmt: skip
def test_masks(phone: str, shown: str) -> None:
    assert contacts.masked(phone) == shown
