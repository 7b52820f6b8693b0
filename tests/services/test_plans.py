"""Risk plans: a CAP warning suggests, a person confirms, people answer, resources are called, the report counts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services import worker
from tests.services.conftest import Api
from twin import db
from twin.plans import model, warnings

CAP = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{id}</identifier><sender>qx@sh.gov.cn</sender>
<sent>{sent}</sent><status>{status}</status><msgType>{type}</msgType><scope>Public</scope>{references}
<info><language>zh-CN</language><category>Met</category><event>{event}</event><urgency>Expected</urgency>
<severity>Severe</severity><certainty>Likely</certainty><expires>{expires}</expires>
<headline>上海中心气象台发布{event}{color}色预警</headline><description>阵风可达10级</description>
<area><areaDesc>黄浦区</areaDesc><polygon>31.20,121.40 31.24,121.40 31.24,121.45 31.20,121.45 31.20,121.40</polygon>
<geocode><valueName>district</valueName><value>310101</value></geocode></area></info></alert>"""


LATER = (
    "update twin.\"case\" set data = jsonb_set(data, '{confirmed_at}', "
    "to_jsonb(now() - interval '11 minutes')) where code = :c"
)


def cap(
    id_: str, event: str = "台风", color: str = "橙", type_: str = "Alert", **more: str
) -> bytes:
    now = datetime.now(UTC)
    said = {"references": "", "status": "Actual", **more}
    return CAP.format(
        id=id_, event=event, color=color, type=type_, sent=now.isoformat(),
        expires=(now + timedelta(hours=6)).isoformat(), **said,
    ).encode()  # fmt: skip


def send(api: Api, raw: bytes, user: str = "dispatcher") -> Any:
    return api.http.post("/api/v1/warnings", content=raw, headers=api.headers(user))


def step(api: Api, code: str, what: str, user: str = "dispatcher", **body: str) -> Any:
    return api.post(f"/api/v1/responses/{code}/{what}", body, user)


def act(api: Api, code: str, action: str, user: str = "commander", **body: Any) -> Any:
    return api.post(f"/api/v1/responses/{code}/actions/{action}", body, user)


def test_a_warning_suggests_its_plan_and_only_once(api: Api) -> None:
    first = send(api, cap("w-1"))
    assert first.status_code == 201, first.text
    made = first.json()
    assert (made["new"], made["level"], made["color"], len(made["suggested"])) == (
        True,
        2,
        "orange",
        1,
    )
    assert send(api, cap("w-1")).json() == {**made, "new": False, "suggested": []}
    said = api.get(f"/api/v1/responses/{made['suggested'][0]}").json()
    assert (said["plan"], said["state"], said["suggested_level"], said["drill"]) == (
        "typhoon_trees",
        "suggested",
        2,
        False,
    )
    assert send(api, cap("w-2", event="空气质量")).json()["suggested"] == []
    standing = api.get("/api/v1/warnings").json()["warnings"]
    assert {w["identifier"] for w in standing} == {"w-1", "w-2"}
    assert standing[0]["districts"] == ["310101"]
    assert standing[0]["geometry"]["coordinates"][0][0][0] in (121.4, 121.45)


def test_from_warning_to_report(api: Api) -> None:
    code = send(api, cap("w-3", color="黄")).json()["suggested"][0]
    begun = act(api, code, "confirm", "dispatcher", level=3).json()
    assert (begun["state"], begun["severity"]) == ("active", 3)
    told = {n["user"] for n in begun["notices"]}
    assert {"dispatcher", "commander"} <= told
    lines = {line["skill"] or line["kind"]: line for line in begun["card"]["lines"]}
    # The mini city has two crews of trees: two lines are filled as far as they go, the rest is said to be missing.
    assert (
        lines["绿化"]["count"] == 4 and lines["绿化"]["filled"] == 2 and lines["绿化"]["short"] == 2
    )
    assert lines["市容"]["filled"] == 0
    assert {r["why"]["zh"] for r in lines["市容"]["reasons"]} & {"专业不符", "已列入本预案其他需求"}
    assert step(api, code, "acknowledge").status_code == 200
    assert step(api, code, "acknowledge").status_code == 400  # once
    assert (
        step(api, code, "acknowledge", "planner").status_code == 400
    )  # who was not told has nothing to answer
    crew = begun["card"]["resources"][0]["code"]
    assert step(api, code, "resource", name=crew).json()["card"]["resources"][0]["called_at"]
    assert step(api, code, "resource", name=crew).json()["card"]["resources"][0]["ready_at"]
    assert step(api, code, "step", name="stage", note="到位").status_code == 200
    assert step(api, code, "step", name="stage").status_code == 400
    assert step(api, code, "step", name="nonsense").status_code == 404
    assert act(api, code, "stand_down", "dispatcher", reason="解除").status_code == 403
    assert act(api, code, "stand_down", reason="预警解除").json()["state"] == "review"
    report = api.get(f"/api/v1/responses/{code}/report").json()
    assert report["answers"]["told"] == len(told) and report["answers"]["answered"] == 1
    assert report["resources"] | {"short": 0} == {
        "wanted": 6, "filled": 2, "share": 33.3, "called": 1, "ready": 1, "short": 0,
    }  # fmt: skip
    done = next(s for s in report["steps"] if s["key"] == "stage")
    assert done["by"] == "dispatcher" and done["in_time"] is True
    assert report["lasted_s"] > 0
    assert act(api, code, "close", note="抢险班组不足").json()["state"] == "closed"
    with db.engine("app").connect() as conn:
        n = conn.execute(text('select count(*) from twin.journal j join twin."case" c on c.id = j.subject '
                              "where c.code = :c"), {"c": code}).scalar_one()  # fmt: skip
    assert n >= report["entries"]


def test_who_does_not_answer_lets_the_next_be_called(api: Api) -> None:
    code = api.post("/api/v1/plans/typhoon_trees/drill", {"level": 4, "note": "演练"}).json()[
        "code"
    ]
    act(api, code, "confirm", level=4)
    before = {n["user"] for n in api.get(f"/api/v1/responses/{code}").json()["notices"]}
    with db.engine("app").begin() as conn:
        conn.execute(
            text(LATER),
            {"c": code},
        )  # fmt: skip
    worker.sweep()
    after = api.get(f"/api/v1/responses/{code}").json()
    more = {n["user"] for n in after["notices"]} - before
    assert any(user.startswith("district") for user in more)
    assert next(s for s in after["steps"] if s["key"] == "ack")["by"] == "system"
    worker.sweep()
    assert api.get(f"/api/v1/responses/{code}").json()["version"] == after["version"]  # once
    assert after["drill"] and after["title"].startswith("【演练】")


def test_an_exercise_is_a_drill_and_a_cancel_ends_the_warning(api: Api) -> None:
    made = send(api, cap("w-5", status="Exercise")).json()
    assert api.get(f"/api/v1/responses/{made['suggested'][0]}").json()["drill"] is True
    ref = f"<references>qx@sh.gov.cn,w-5,{datetime.now(UTC).isoformat()}</references>"
    assert send(api, cap("w-6", type_="Cancel", references=ref)).json()["suggested"] == []
    assert "w-5" not in {w["identifier"] for w in api.get("/api/v1/warnings").json()["warnings"]}


@pytest.mark.parametrize(
    "raw",
    [b"", b"<a/>", b"{}", b'<!DOCTYPE x [<!ENTITY a "b">]>' + cap("x"), cap("x", type_="Nonsense"),
     cap("x").replace(b"31.20,121.40", b"here"), cap("x").replace(b"<identifier>x</identifier>", b""),
     cap("x").replace(b"31.20,121.40", b"999,999"), b"\xff\xfe" + cap("x")],
)  # fmt: skip
def test_bad_warnings_are_refused(api: Api, raw: bytes) -> None:
    done = send(api, raw)
    assert done.status_code == 400 and done.json()["detail"], done.text


def test_who_may_what(api: Api) -> None:
    assert send(api, cap("w-9"), "planner").status_code == 403
    assert (
        api.post(
            "/api/v1/plans/typhoon_trees/drill", {"level": 4, "note": "x2"}, "planner"
        ).status_code
        == 403
    )
    assert api.post("/api/v1/plans/none/drill", {"level": 4, "note": "x2"}).status_code == 404
    assert api.get("/api/v1/responses", "patrol").status_code == 403


def test_every_plan_and_scene_holds_and_is_a_policy(api: Api) -> None:
    plans = api.get("/api/v1/plans").json()["plans"]
    assert {p["key"] for p in plans} >= {"typhoon_trees", "forest_fire", "snow_ice"}
    scenes = api.get("/api/v1/scenes").json()["scenes"]
    assert {s["key"] for s in scenes} >= {"flood_typhoon", "expo", "forest_fire", "national_day"}
    broken = {**next(p for p in plans if p["key"] == "typhoon_trees"), "zones": ["nothing"]}
    said = api.post(
        "/api/v1/policies/plan/typhoon_trees/check", {"document": broken}, "commander"
    ).json()
    assert "no kind is called nothing" in said["faults"][0]["why"]
    own = {"key": "my_scene", "title": {"zh": "自建", "en": "Own"}, "show": ["toilet"]}
    done = api.post("/api/v1/policies/scene/my_scene/publish", {"document": own}, "commander")
    assert done.status_code == 200, done.text
    assert "my_scene" in {s["key"] for s in api.get("/api/v1/scenes").json()["scenes"]}


def test_levels_follow_colours_and_sensors_only_hint() -> None:
    doc = {"levels": [{"level": 3, "when": "w.level == 4 && has(m.air_c) && m.air_c < -5.0"},
                      {"level": 4, "when": "w.level == 4"}]}  # fmt: skip
    blue = {"level": 4, "event": "道路结冰", "headline": ""}
    assert model.level(doc, blue, {}) == 4
    assert model.level(doc, blue, {"air_c": -8.0}) == 3
    assert model.level(doc, {**blue, "level": 1}, {}) is None
    red = warnings.parse(cap("p", color="红"))
    assert (red["level"], red["color"], red["exercise"]) == (1, "red", False)
