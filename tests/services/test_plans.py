"""Risk plans: a CAP warning suggests, a person confirms, people answer, resources are called, the report counts it."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest
import shapely
from sqlalchemy import text

from ingest import warnings as cap_files
from services import worker
from services.plans import sketch
from tests.services.conftest import Api
from twin import calendar, db
from twin.plans import cap as capxml
from twin.plans import model, resources

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
    red = capxml.parse(cap("p", color="红"))
    assert (red["level"], red["color"], red["exercise"]) == (1, "red", False)


NATIONAL = """<?xml version="1.0" encoding="UTF-8"?>
<Alert><identifier>31000041600000_{id}</identifier><sender>上海中心气象台</sender><senderCode>31000041600000</senderCode>
<sendTime>{sent}</sendTime><status>{status}</status><msgType>{type}</msgType><scope>Public</scope><references>{ref}</references>
<info><language>zh-CN</language><eventType>11B21</eventType><severity>{color}</severity><effective/><expires>{expires}</expires>
<headline>上海中心气象台发布道路结冰预警</headline><description>路面温度低于0℃</description>
<area><areaDesc>徐汇区</areaDesc><polygon/><geocode>310104000000</geocode></area></info></Alert>"""


def national(
    id_: str, color: str = "Yellow", ends: timedelta = timedelta(hours=6), **more: str
) -> bytes:
    now = datetime.now(calendar.ZONE)
    said = {"type": "Alert", "status": "Actual", "ref": "", **more}
    return NATIONAL.format(
        id=id_, color=color, sent=f"{now:%Y-%m-%d %H:%M:%S}",
        expires=f"{now + ends:%Y-%m-%d %H:%M:%S}", **said,
    ).encode()  # fmt: skip


@pytest.fixture
def inbox(api: Api) -> Path:
    return cap_files.folder()


def drop(inbox: Path, name: str, raw: bytes) -> None:
    (inbox / name).write_bytes(raw)
    os.utime(inbox / name, (1, 1))


def test_files_of_the_inbox_are_taken_once_and_broken_ones_kept_aside(
    api: Api, inbox: Path
) -> None:
    drop(inbox, "a.xml", national("f1"))
    drop(inbox, "b.xml", b"<Alert><identifier>half")
    (inbox / "still-written.xml").write_bytes(b"<Al")
    assert cap_files.watch() == 2
    assert {p.name for p in inbox.iterdir()} == {"done", "refused", "still-written.xml"}
    assert (inbox / "done" / "a.xml").exists() and (inbox / "refused" / "b.xml").exists()
    assert "no XML" in (inbox / "refused" / "b.txt").read_text()
    (inbox / "still-written.xml").unlink()
    refused = api.get("/api/v1/warnings").json()["refused"]
    assert [r["file"] for r in refused] == ["b.xml"] and "no XML" in refused[0]["why"]
    assert api.get("/api/v1/warnings", "planner").json()["refused"] == []
    found = next(
        w for w in api.get("/api/v1/warnings").json()["warnings"] if w["event"] == "道路结冰"
    )
    assert (found["level"], found["dialect"], found["districts"]) == (3, "national", ["310104"])
    runs = [r for r in api.get("/api/v1/responses").json()["responses"] if r["plan"] == "snow_ice"]
    assert len(runs) == 1 and runs[0]["headline"] == found["headline"]
    drop(inbox, "again.xml", national("f1"))
    assert cap_files.watch() == 1
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text(
                "select action, count(*) as n from twin.journal where class = 'warning' and "
                "(action = 'refuse' or after->>'dialect' = 'national') group by action"
            )
        )
        said = {row.action: row.n for row in rows}
    assert said == {"alert": 1, "refuse": 1}


def test_an_update_raises_the_level_tells_everybody_and_a_cancel_is_said(
    api: Api, inbox: Path
) -> None:
    code = next(
        r["code"]
        for r in api.get("/api/v1/responses").json()["responses"]
        if r["plan"] == "snow_ice"
    )
    begun = act(api, code, "confirm", level=3).json()
    assert (
        begun["card"]["lines"][0]["by"] == "road"
        and begun["card"]["targets"][0]["code"] == "310104"
    )
    first = len(begun["notices"])
    drop(inbox, "2.xml", national("f2", "Red", type="Update", ref="31000041600000_f1"))
    cap_files.watch()
    raised = api.get(f"/api/v1/responses/{code}").json()
    assert (raised["suggested_level"], raised["severity"], len(raised["warnings"])) == (1, 3, 2)
    assert len(raised["notices"]) == 2 * first
    assert {n["step"] for n in raised["notices"]} == {"notify", "escalate_1"}
    assert {w["identifier"] for w in api.get("/api/v1/warnings").json()["warnings"]} & {
        "31000041600000_f1", "31000041600000_f2"} == {"31000041600000_f2"}  # fmt: skip
    higher = act(api, code, "relevel", level=1, reason="升级").json()
    assert higher["severity"] == 1 and len(higher["notices"]) == 2 * first  # told once already
    worker.sweep()
    assert api.get(f"/api/v1/responses/{code}").json()["over_at"] is None
    drop(inbox, "3.xml", national("f3", type="Cancel", ref="31000041600000_f2"))
    cap_files.watch()
    worker.sweep()
    assert api.get(f"/api/v1/responses/{code}").json()["over_at"] is not None
    act(api, code, "stand_down", reason="解除")


def test_a_warning_expires_by_itself_and_files_may_come_in_any_order(api: Api, inbox: Path) -> None:
    drop(inbox, "c.xml", national("g2", type="Cancel", ref="31000041600000_g1"))
    cap_files.watch()
    drop(inbox, "a.xml", national("g1"))
    cap_files.watch()
    drop(inbox, "e.xml", national("g3", ends=timedelta(seconds=-1)))
    cap_files.watch()
    worker.sweep()
    shown = {w["identifier"] for w in api.get("/api/v1/warnings").json()["warnings"]}
    assert not shown & {"31000041600000_g1", "31000041600000_g3"}
    with db.engine("app").connect() as conn:
        n = conn.scalar(
            text("select count(*) from twin.journal where class = 'warning' and action = 'expire'")
        )
    assert n == 1


def test_plans_are_ranked_for_a_warning_and_a_person_chooses(api: Api) -> None:
    send(api, cap("m-1", event="大风", color="黄"))
    found = api.get("/api/v1/plans/match", warning="m-1").json()
    best, *rest = found["plans"]
    assert best["plan"] == "typhoon_trees" and best["score"] > 0.4
    assert {p["part"] for p in best["parts"]} == {"type", "level", "place", "season", "readiness"}
    ready = next(p for p in best["parts"] if p["part"] == "readiness")
    assert ready["said"]["wanted"] == 6 and ready["value"] == round(ready["said"]["filled"] / 6, 3)
    assert all(one["score"] == 0 for one in rest)  # for other dangers
    chosen = {"warning": "m-1", "level": 3}
    assert api.post("/api/v1/plans/forest_fire/choose", chosen, "planner").status_code == 403
    made = api.post("/api/v1/plans/forest_fire/choose", chosen)
    assert made.status_code == 201 and made.json()["state"] == "suggested"
    assert api.post("/api/v1/plans/forest_fire/choose", chosen).status_code == 400
    assert api.get("/api/v1/plans/match", warning="none").status_code == 404


def test_a_warning_that_only_nears_a_district_has_no_place_there(api: Api) -> None:
    """The box of a triangle meets a district that the triangle does not."""
    corner = shapely.Polygon([(121.40, 31.20), (121.47, 31.20), (121.40, 31.12)])
    wkb = shapely.to_wkb(shapely.set_srid(corner, 4326), hex=True, include_srid=True)
    outside = shapely.to_wkb(
        shapely.set_srid(shapely.box(1, 1, 2, 2), 4326), hex=True, include_srid=True
    )
    with db.engine("app").connect() as conn:
        near = resources.stage(conn, {"area_wkb": wkb, "districts": []})
        far = resources.stage(conn, {"area_wkb": outside, "districts": []})
    for where in (near, far):
        assert where.targets and np.isfinite(where.places).all()
    assert len(far.targets) == 2  # of another place: the whole city stands ready


def test_resources_come_by_road_and_the_far_are_said_to_be_far(api: Api) -> None:
    with db.engine("app").connect() as conn:
        one = {"kind": "crew", "title": {"zh": "班组", "en": "Crews"}, "count": 9, "level": 4}
        where = resources.stage(conn, {"area_wkb": None, "districts": ["310104"]})
        made = resources.card(conn, [{**one, "within": "2h"}], where)
        near = resources.card(conn, [{**one, "within": "1m"}], where)
    times = sorted(r["travel_s"] for r in made["resources"])
    # 36 km/h over a grid of streets: the way is never shorter than the straight line at that speed.
    assert len(times) == 3 and times[0] < times[-1]
    x, y = where.targets[0]["point"]
    for row in made["resources"]:
        metres = ((row["point"][0] - x) * 95_200) ** 2 + ((row["point"][1] - y) * 111_320) ** 2
        assert row["travel_s"] >= metres**0.5 / 10 - 1
    assert near["lines"][0]["filled"] < 3
    assert near["lines"][0]["reasons"][0]["why"]["en"] == "too far for the time"


def test_the_briefing_says_what_stands_at_this_moment(api: Api, tmp_path: Path) -> None:
    code = api.post("/api/v1/plans/typhoon_trees/drill", {"level": 3, "note": "简报演练"}).json()[
        "code"
    ]
    for state in ("suggested", "active"):
        said = api.get(f"/api/v1/responses/{code}/briefing.pdf")
        assert said.status_code == 200 and said.headers["content-type"] == "application/pdf"
        reader = pypdf.PdfReader(io.BytesIO(said.content))
        words = "".join(page.extract_text() for page in reader.pages)
        assert code in words and "演练：不是真实险情" in words and "dispatcher" in words
        drawn = reader.pages[0].images[0].image
        assert drawn is not None and drawn.size == (sketch.WIDTH, sketch.HEIGHT)
        if state == "suggested":
            act(api, code, "confirm", level=3)
    assert "市容巡查班组" in words and "缺 " in words and "通知指挥长与值班员" in words
    assert api.get(f"/api/v1/responses/{code}/briefing.pdf", "planner").status_code == 200
    assert api.get(f"/api/v1/responses/{code}/briefing.pdf", "patrol").status_code == 403
    if folder := os.environ.get("KEEP_PICTURES"):
        Path(folder, "briefing.pdf").write_bytes(said.content)
    act(api, code, "stand_down", reason="结束")
