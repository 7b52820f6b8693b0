"""Efficiency: rates reckoned by hand over a few events, the funnel, the hotline's days, supervision, replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.services.conftest import Api
from twin import cases, db
from twin.scope import SYSTEM

WEST, EAST = (121.42, 31.22), (121.4712, 31.2211)


def opened(source: str, at: tuple[float, float] = EAST, severity: int = 3, **data: Any) -> str:
    """Open an event as a source reports it."""
    with db.engine("app").begin() as conn:
        case = cases.open_case(
            conn, cases.CITY, actor=SYSTEM, category="litter", title="暴露垃圾", lon=at[0], lat=at[1],
            source=source, severity=severity, data={"description": "一堆垃圾", **data},
        )  # fmt: skip
    return str(case["code"])


def close(api: Api, code: str, photo: str, *, rework: bool = False) -> None:
    crew = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]["code"]
    here = api.get(f"/api/v1/events/{code}").json()["point"]
    assert api.act(code, "dispatch", crew=crew).status_code == 200
    for action, body in (
        ("accept", {}),
        ("arrive", {}),
        ("finish", {"note": "好了", "photos": [photo], "position": here}),
    ):
        assert api.act(code, action, "patrol", **body).status_code == 200
    if rework:
        assert api.act(code, "rework", reason="未清净").status_code == 200
        again = api.act(code, "finish", "patrol", note="再清", photos=[fresh(api)], position=here)
        assert again.status_code == 200, again.text
    done = api.act(code, "close")
    assert done.status_code == 200, done.text


def fresh(api: Api) -> str:
    import io

    from PIL import Image

    out = io.BytesIO()
    shade = int(datetime.now(UTC).timestamp() * 1000) % 255
    Image.new("RGB", (32, 24), (shade, 9, 9)).save(out, "JPEG")
    done = api.http.post("/api/v1/files", content=out.getvalue(), headers=api.headers("patrol"))
    return str(done.json()["url"])


@pytest.fixture(scope="module")
def told(api: Api) -> dict[str, str]:
    """Six events: two closed (one after rework), one late, one filtered, hotline and camera among them."""
    made = {
        "patrol": opened("patrol"), "camera": opened("camera"), "citizen": opened("open311", WEST),
        "hotline": opened("hotline"), "late": opened("open311"), "spam": opened("open311"),
    }  # fmt: skip
    close(api, made["patrol"], fresh(api))
    close(api, made["camera"], fresh(api), rework=True)
    api.act(made["spam"], "filter", reason="无效")
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.\"case\" set due_at = now() - interval '1 hour' where code = :c"),
            {"c": made["late"]},
        )
    return made


def test_the_report_by_district_adds_up(api: Api, told: dict[str, str]) -> None:
    said = api.get("/api/v1/efficiency", by="district").json()
    rows = {r["code"]: r for r in said["rows"]}
    whole = rows.pop(None)
    assert (whole["opened"], whole["valid"], whole["closed"]) == (6, 5, 2)
    assert whole["on_time_rate"] == 100.0 and whole["rework_rate"] == 50.0
    assert whole["late_now"] == 1 and whole["at_once_rate"] == 50.0
    assert sum(r["opened"] for r in rows.values()) == 6
    assert rows["310104"]["name"] == "徐汇区" and rows["310101"]["opened"] == 1
    mine = api.get("/api/v1/efficiency", "district-310104", by="district").json()["rows"]
    assert mine[0]["opened"] == 5, "a district sees its own"
    sheet = api.get("/api/v1/efficiency", by="category", f="csv")
    assert sheet.text.startswith("\ufeffcode,name,opened") and "暴露垃圾" in sheet.text


def test_discovery_counts_who_found_it(api: Api, told: dict[str, str]) -> None:
    said = api.get("/api/v1/efficiency/rates").json()
    rates = {r["key"]: r for r in said["rates"]}
    assert (rates["machine"]["part"], rates["machine"]["whole"], rates["machine"]["value"]) == (
        1,
        5,
        20.0,
    )
    assert (rates["own"]["part"], rates["own"]["value"], rates["own"]["level"]) == (2, 40.0, "bad")
    assert {len(said["early"]), len(said["most"])} == {4, 5}
    hotline = {r["key"]: r for r in said["hotline"]}
    assert hotline["hotline_1"]["whole"] == 0, "what still has time is no failure"


def test_hotline_days_are_working_days(api: Api, told: dict[str, str]) -> None:
    code = opened("hotline")
    with db.engine("app").begin() as conn:
        conn.execute(
            text('update twin."case" set opened_at = :t where code = :c'),
            {"t": datetime.now(UTC) - timedelta(days=40), "c": code},
        )
    said = api.get(
        "/api/v1/efficiency/rates", **{"from": (datetime.now(UTC) - timedelta(days=50)).isoformat()}
    )
    hotline = {r["key"]: r for r in said.json()["hotline"]}
    assert [hotline[f"hotline_{n}"]["whole"] for n in (1, 5, 15)] == [1, 1, 1]
    assert hotline["hotline_15"]["value"] == 0.0
    with db.engine("app").begin() as conn:
        conn.execute(text("delete from twin.suggestion"))
        conn.execute(
            text(
                "update twin.\"case\" set opened_at = now() - interval '300 days' where code = :c"
            ),
            {"c": code},
        )


def test_the_funnel_only_narrows(api: Api, told: dict[str, str]) -> None:
    said = api.get("/api/v1/efficiency/funnel").json()
    counts = [s["count"] for s in said["steps"]]
    assert counts[0] == 6 and counts[-1] == 2
    assert counts == sorted(counts, reverse=True)
    assert said["out"] == {"filtered": 1, "merged": 0, "rejected": 0}


def test_heat_holds_every_event_once(api: Api, told: dict[str, str]) -> None:
    said = api.get("/api/v1/efficiency/heat.geojson", cell_m=500).json()
    assert sum(f["properties"]["n"] for f in said["features"]) == 5
    assert all(len(f["geometry"]["coordinates"][0]) == 7 for f in said["features"])


@pytest.mark.parametrize("bad", [{"by": "moon"}, {"from": "2020-01-01T00:00:00Z"}, {"from": "x"}])
def test_bad_questions_are_refused(api: Api, bad: dict[str, str]) -> None:
    assert api.get("/api/v1/efficiency", **bad).status_code in (400, 422)


def test_supervision_names_the_reasons_and_takes_replies(api: Api, told: dict[str, str]) -> None:
    said = api.get("/api/v1/supervision").json()
    worth = {e["code"]: e["reasons"] for e in said["worth"]}
    assert worth[told["late"]] == ["overdue"]
    crew = api.get(f"/api/v1/events/{told['late']}/proposals").json()["crews"][0]["code"]
    api.act(told["late"], "dispatch", crew=crew)
    asked = api.act(told["late"], "supervise", "commander", reason="今日内办结并回复")
    assert asked.status_code == 200, asked.text
    running = api.get("/api/v1/supervision").json()["running"]
    mine = next(c for c in running if c["about"] == told["late"])
    assert mine["state"] == "asked"
    reply = api.act(mine["code"], "reply", note="已到场，今晚清完")
    assert reply.status_code == 200, reply.text
    after = next(
        c for c in api.get("/api/v1/supervision").json()["running"] if c["code"] == mine["code"]
    )
    assert after["replies"][0]["note"] == "已到场，今晚清完"
    assert api.act(mine["code"], "close", "commander").status_code == 200


def test_replay_holds_every_step_and_the_way_of_the_crew(api: Api, told: dict[str, str]) -> None:
    said = api.get(f"/api/v1/events/{told['camera']}/replay").json()
    actions = [s["action"] for s in said["steps"]]
    assert actions[0] == "open" and actions[-1] == "close" and "rework" in actions
    times = [s["at"] for s in said["steps"]]
    assert times == sorted(times) and said["from"] < times[0] and said["to"] > times[-1]
    assert said["tracks"][0]["name"] == "东一组"
    west = api.get(f"/api/v1/events/{told['citizen']}/replay", "district-310104")
    assert west.status_code == 404
