"""The doors of reports: citizen page, Open311, map; custom fields, missing places, what became of it."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import text

from ingest import reports
from services.citizens import endpoints as citizens
from services.web.limits import Rate
from tests.services.conftest import Api
from twin import cases, db, policies
from twin.scope import SYSTEM, Actor

HERE = {"lat": "31.22", "long": "121.42"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(citizens, "_reports", Rate(per_minute=6000, burst=1000))


def picture() -> bytes:
    raw = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(raw, "JPEG")
    return raw.getvalue()


# Apart from each other, or one report would be taken for a second one of another.
SPOTS = ((121.404 + 0.003 * (i % 14), 31.204 + 0.003 * (i // 14 % 11)) for i in itertools.count())


def send(api: Api, files: Any = None, **said: Any) -> Any:
    lon, lat = next(SPOTS)
    form = {
        "category": "litter",
        "description": "路口有一堆垃圾",
        "lon": f"{lon:.4f}",
        "lat": f"{lat:.4f}",
    }
    return api.http.post("/report", data=form | said, files=files or {"photo": ("", b"")})


def case_of(page: Any) -> dict[str, Any]:
    code = re.search(r"SH-[A-Z]{2}-\d{8}-\d{4}", page.text)
    assert code, page.text
    with db.engine("app").connect() as conn:
        return cases.find(conn, SYSTEM, code[0])


def open311(api: Api, **said: str) -> Any:
    form = {"service_code": "litter", "description": "一堆垃圾"} | said
    return api.http.post("/open311/v2/requests.json", data=form)


def test_a_citizen_reports_with_a_photo_and_follows_the_number(api: Api) -> None:
    page = api.http.get("/report")
    assert page.status_code == 200
    assert "unsafe-inline" not in page.headers["content-security-policy"].split("script-src")[1]
    done = send(api, {"photo": ("a.jpg", picture())}, once="abc")
    assert done.status_code == 201
    case = case_of(done)
    assert (case["source"], case["data"]["reporter_kind"]) == ("citizen", "citizen")
    assert len(case["data"]["photos"]) == 1
    assert case_of(send(api, {"photo": ("a.jpg", picture())}, once="abc"))["code"] == case["code"]
    shown = api.http.get(f"/report/{case['code']}")
    assert "待受理" in shown.text
    api.act(case["code"], "register")
    assert "已派单位" in api.http.get(f"/report/find?code={case['code']}").text


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"category": "nothing"}, 400),
        ({"description": ""}, 400),
        ({"description": "x" * 1001}, 400),
        ({"lon": "", "lat": ""}, 400),
        ({"lon": "121.99", "lat": "31.99"}, 400),
        ({"lon": "east", "lat": "31.2"}, 400),
    ],
)
def test_a_page_that_cannot_be_taken_says_why(api: Api, said: dict[str, str], status: int) -> None:
    assert send(api, **said).status_code == status
    assert send(api, {"photo": ("a.jpg", b"no picture")}).status_code == 400


def test_an_address_alone_is_queued_for_a_person(api: Api) -> None:
    case = case_of(send(api, lon="", lat="", address="衡山路8号"))
    assert case["data"]["missing"] == ["place"]
    refused = api.act(case["code"], "register")
    assert refused.status_code == 409
    done = api.act(case["code"], "complete", position=[121.42, 31.22]).json()
    assert done["district_name"] == "黄浦区"
    assert api.act(case["code"], "register").status_code == 200


def test_a_staff_case_has_no_public_page(api: Api) -> None:
    new = api.post(
        "/api/v1/events", {"category": "litter", "description": "x", "lon": 121.42, "lat": 31.22}
    )
    assert api.http.get(f"/report/{new.json()['code']}").status_code == 404


def test_a_merged_report_tells_what_became_of_its_master(api: Api) -> None:
    first, second = (case_of(send(api, description=f"垃圾{i}")) for i in range(2))
    assert api.act(second["code"], "merge", master=first["code"]).status_code == 200
    api.act(first["code"], "reject", reason="不是问题")
    assert "不予受理" in api.http.get(f"/report/{second['code']}").text


def test_one_address_cannot_flood_the_door(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(citizens, "_reports", Rate(per_minute=6, burst=3))
    assert [send(api).status_code for _ in range(5)] == [201, 201, 201, 429, 429]


# --- Open311


def test_open311_tells_what_more_may_be_said_and_takes_it(api: Api) -> None:
    services = {s["service_code"]: s for s in api.http.get("/open311/v2/services.json").json()}
    assert services["fallen_tree"]["metadata"] is True
    assert services["litter"]["metadata"] is False
    said = api.http.get("/open311/v2/services/fallen_tree.json").json()
    assert {a["code"]: a["datatype"] for a in said["attributes"]} == {
        "blocks_road": "singlevaluelist", "girth_cm": "number", "harm": "singlevaluelist",
    }  # fmt: skip
    assert "<attribute>" in api.http.get("/open311/v2/services/fallen_tree.xml").text
    assert api.http.get("/open311/v2/services/nothing.json").status_code == 404
    done = open311(api, service_code="fallen_tree", **HERE,
                   **{"attribute[harm]": "car", "attribute[blocks_road]": "true"})  # fmt: skip
    assert done.status_code == 201
    with db.engine("app").connect() as conn:
        case = cases.find(conn, SYSTEM, done.json()[0]["service_request_id"])
    assert case["data"]["fields"] == {"harm": "car", "blocks_road": True}
    assert (
        open311(api, service_code="fallen_tree", **HERE, **{"attribute[harm]": "?"}).status_code
        == 400
    )


def test_open311_requests_and_updates_tell_each_step(api: Api) -> None:
    place = {"lat": "31.2375", "long": "121.4015"}
    code = open311(api, **place, media_url="https://example.org/a.jpg").json()[0][
        "service_request_id"
    ]
    api.act(code, "register")
    one = api.http.get(f"/open311/v2/requests/{code}.json").json()[0]
    assert (one["status"], one["status_notes"], one["media_url"]) == (
        "open", "已派单位", "https://example.org/a.jpg",
    )  # fmt: skip
    updates = api.http.get(f"/open311/v2/servicerequestupdates/{code}.json").json()
    assert [u["description"] for u in updates] == ["待受理", "待派发", "已派单位"]
    twice = open311(api, **place).json()[0]["service_request_id"]
    if case_of(api.http.get(f"/report/{twice}"))["state"] != "merged":
        assert api.act(twice, "merge", master=code).status_code == 200
    path = f"/open311/v2/requests/{twice}.json"
    assert api.http.get(path).json()[0]["status"] == "open", "it stands as its master does"
    api.act(code, "reject", reason="重复")
    assert api.http.get(f"/open311/v2/requests/{code}.json").json()[0]["status"] == "closed"
    assert api.http.get(path).json()[0]["status"] == "closed"
    pages = [api.http.get(f"/open311/v2/requests.json?page_size=1&page={n}").json() for n in (1, 2)]
    assert pages[0][0]["service_request_id"] != pages[1][0]["service_request_id"]


def test_open311_takes_an_address_and_says_that_it_must_be_found(api: Api) -> None:
    done = open311(api, address_string="衡山路8号")
    assert done.status_code == 201
    assert "位置" in done.json()[0]["service_notice"]
    assert open311(api).status_code == 400
    assert open311(api, lat="31.99", long="121.99").status_code == 400


# --- staff


def test_staff_fill_the_form_of_a_type(api: Api) -> None:
    body = {"category": "fallen_tree", "description": "倒了", "lon": 121.42, "lat": 31.22,
            "fields": {"girth_cm": 30}, "source": "patrol"}  # fmt: skip
    done = api.post("/api/v1/events", body)
    assert done.status_code == 201
    assert done.json()["source"] == "patrol"
    assert api.post("/api/v1/events", body | {"fields": {"girth_cm": -1}}).status_code == 400
    forms = {c["key"]: c.get("form") for c in api.get("/api/v1/categories").json()}
    assert [f["id"] for f in forms["fallen_tree"]] == ["blocks_road", "girth_cm", "harm"]


def test_a_form_edited_and_published_is_what_the_next_report_is_asked(api: Api) -> None:
    doc = api.get("/api/v1/policies/process/event.city").json()["document"]
    doc["categories"]["litter"]["form"] = [
        {"id": "bags", "type": "number", "title": {"zh": "袋数", "en": "Bags"}, "required": True}
    ]
    path = "/api/v1/policies/process/event.city"
    assert api.post(f"{path}/check", {"document": doc}, "commander").json()["faults"] == []
    assert api.post(f"{path}/publish", {"document": doc}, "dispatcher").status_code == 403
    assert api.post(f"{path}/publish", {"document": doc}, "commander").json()["changed"]
    body = {"category": "litter", "description": "一堆", "lon": 121.42, "lat": 31.22, "fields": {}}
    assert api.post("/api/v1/events", body | {"fields": {"bags": "many"}}).status_code == 400
    assert api.post("/api/v1/events", body | {"fields": {"bags": 3}}).status_code == 201
    versions = api.get(path).json()["versions"]
    back = api.post(f"{path}/rollback", {"version": versions[-1]["version"]}, "commander").json()
    assert back["changed"]
    with db.engine("app").connect() as conn:
        assert (
            "form"
            not in policies.one(conn, "process", "event.city", None)["document"]["categories"][
                "litter"
            ]
        )


def test_lists_narrow_sort_and_act_in_bulk(api: Api) -> None:
    codes = [
        api.post("/api/v1/events", {"category": "graffiti", "description": f"第{i}处涂写", "lon": 121.42,
                                    "lat": 31.21 + 0.004 * i, "severity": 4}).json()["code"]
        for i in range(3)
    ]  # fmt: skip

    def listed(**said: Any) -> set[str]:
        found = api.get("/api/v1/events", **said)
        assert found.status_code == 200, found.text
        return {e["code"] for e in found.json()["events"]}

    assert set(codes) == listed(category="graffiti")
    assert listed(category="graffiti", text="第1处") == {codes[1]}
    assert listed(category="graffiti", text="100%") == set()
    assert listed(category="graffiti", severity="4", stage="3", source="map") == set(codes)
    assert listed(category="graffiti", stage="1") == set()
    assert listed(category="graffiti", late=True) == set()
    assert listed(category="graffiti", opened_from="2030-01-01T00:00:00Z") == set()
    assert api.get("/api/v1/events", sort="due").status_code == 200
    assert api.get("/api/v1/events", sort="colour").status_code == 400
    done = api.post("/api/v1/events/bulk", {"filter": {"category": ["graffiti"]}, "action": "transfer",
                                            "params": {"department": "zoo", "reason": "改派"}}).json()  # fmt: skip
    assert sorted(done["done"]) == sorted(codes)
    assert listed(department="zoo") >= set(codes)
    again = api.post("/api/v1/events/bulk", {"keys": codes, "action": "close"}).json()
    assert {r["error"] for r in again["refused"]} == {"not_allowed_now"}
    assert api.post("/api/v1/events/bulk", {"action": "close"}).status_code == 400


def test_duplicates_are_ranked_for_who_may_see_them(api: Api) -> None:
    one, two = (
        api.post("/api/v1/events", {"category": "lamp_out", "description": "衡山路景观灯不亮", "lon": 121.43 + d,
                                    "lat": 31.23}).json()["code"]
        for d in (0, 0.0001)
    )  # fmt: skip
    found = api.get(f"/api/v1/events/{two}/duplicates").json()
    assert found[0]["code"] == one
    assert set(found[0]["parts"]) == {"distance_m", "hours", "text", "category", "thing"}
    assert api.get(f"/api/v1/events/{two}/duplicates", "district-310104").status_code == 404


def test_the_dispatcher_sees_whom_the_duty_list_proposes(api: Api) -> None:
    new = {"category": "lamp_out", "description": "不亮", "lon": 121.42, "lat": 31.22}
    code = api.post("/api/v1/events", new).json()["code"]
    said = api.get(f"/api/v1/events/{code}/duty").json()
    assert (said["department"], said["name"], said["hours"]) == ("landscape-dept", "景观管理处", 24)


def test_the_process_tells_how_it_lives_and_cases_are_moved_and_taken_back(api: Api) -> None:
    path = "/api/v1/policies/process/event.city"
    said = api.get(f"{path}/flow").json()
    states = {s["state"]: s for s in said["states"]}
    assert states["assigned"]["open"] > 0
    assert states["collected"]["median_s"] >= 0
    assert any(a["action"] == "register" and a["n"] > 0 for a in said["arcs"])
    doc = api.get(path).json()["document"]
    doc["deadlines"]["registered"] = {"normal": "45m"}
    number = api.post(f"{path}/publish", {"document": doc}, "commander").json()["version"]
    dry = api.post(f"{path}/migrate", {"version": number, "dry_run": True}, "commander").json()
    moved = api.post(f"{path}/migrate", {"version": number, "dry_run": False}, "commander").json()
    assert dry["moved"] == moved["moved"] > 0
    back = api.post(f"{path}/migrate/undo", {"batch": moved["batch"]}, "commander").json()
    assert back["moved"] == moved["moved"]
    tried = api.post(f"{path}/simulate", {"document": doc, "days": 7}, "commander").json()
    assert tried["read"] > 0


def test_a_duty_list_goes_out_and_comes_in_as_a_sheet(api: Api) -> None:
    path = "/api/v1/policies/duty/event.city"
    raw = api.get(f"{path}.xlsx").content
    sent = {"file": ("duty.xlsx", raw)}
    done = api.http.post(f"{path}/import", files=sent, headers=api.headers("commander"))
    assert done.status_code == 200, done.text
    assert (done.json()["faults"], len(done.json()["document"]["rows"])) == ([], 9)
    assert (
        api.http.post(f"{path}/import", files=sent, headers=api.headers("dispatcher")).status_code
        == 403
    )
    assert {p["kind"] for p in api.get("/api/v1/policies").json()} >= {
        "process", "duty", "filter", "merge", "intake", "calendar",
    }  # fmt: skip


# --- asked back, and what citizens say of the result


def link(page: Any) -> str:
    found = re.search(r"\?k=([0-9a-f]{24})", page.text)
    assert found, page.text
    return found[1]


def closed(api: Api, photo: str, **said: str) -> tuple[str, str]:
    """Report as a citizen, have it handled and closed; return its number and the link's proof."""
    page = send(api, **said)
    code, proof = case_of(page)["code"], link(page)
    with db.engine("app").begin() as conn:
        case = cases.find(conn, SYSTEM, code)
        for action, given in (("dispatch", {"crew": "CREW-1"}),):
            case = cases.perform(conn, case["id"], action, actor=SYSTEM, params=given)
        crew = Actor(user="p", acts=frozenset({"event.handle"}), clearance=2, crew="CREW-1")
        cases.perform(conn, case["id"], "accept", actor=crew)
        done = {"note": "清了", "photos": [photo], "position": [case["lon"], case["lat"]]}
        cases.perform(conn, case["id"], "finish", actor=crew, params=done)
    assert api.act(code, "close").status_code == 200
    return code, proof


def test_a_question_reaches_the_reporter_and_the_answer_the_case(api: Api) -> None:
    page = send(api, lon="", lat="", address="某小区南门", lang="zh")
    code, proof = case_of(page)["code"], link(page)
    assert api.act(code, "ask", reason="请说明是哪一侧，并标出位置").status_code == 200
    assert "哪一侧" not in api.http.get(f"/report/{code}").text, "the number alone opens nothing"
    assert "哪一侧" in api.http.get(f"/report/{code}?k={proof}").text
    said = {"k": proof, "note": "东侧第二棵树旁", "lon": "121.4012", "lat": "31.2101"}
    for wrong in ({"k": ""}, {"k": "0" * 24}):
        refused = api.http.post(
            f"/report/{code}/answer", data=said | wrong, files={"photo": ("", b"")}
        )
        assert refused.status_code == 403
    done = api.http.post(
        f"/report/{code}/answer", data=said, files={"photo": ("a.jpg", picture(), "image/jpeg")}
    )
    assert done.status_code == 200, done.text
    case = case_of(done)
    assert (case["state"], case["district"], case["lon"]) == ("collected", "310101", 121.4012)
    assert "东侧第二棵树" in case["data"]["description"]
    assert len(case["data"]["photos"]) == 1 and "missing" not in case["data"]
    assert case["data"]["filled"]["street" if case["street"] else "district"]
    again = api.http.post(f"/report/{code}/answer", data=said, files={"photo": ("", b"")})
    assert again.status_code == 409


def test_the_reporter_of_the_phone_is_asked_there(api: Api) -> None:
    new = {"category": "litter", "description": "一堆", "lon": 121.472, "lat": 31.237}
    code = api.post("/api/v1/events", new, "patrol").json()["code"]
    with db.engine("app").begin() as conn:
        case = cases.find(conn, SYSTEM, code)
        conn.execute(
            text("update twin.\"case\" set state = 'collected' where id = :i"), {"i": case["id"]}
        )
    assert api.act(code, "ask", reason="多大一堆").status_code == 200
    asked = api.get("/api/v1/tasks", "patrol").json()["asked"]
    assert [(e["code"], e["asked"]) for e in asked] == [(code, "多大一堆")]
    assert "supply" in {a["action"] for a in asked[0]["actions"]}
    assert api.act(code, "supply", "dispatcher", note="不是我").status_code == 409
    assert api.act(code, "supply", "patrol", note="两平方米").status_code == 200
    assert api.get("/api/v1/tasks", "patrol").json()["asked"] == []


def test_an_unsatisfied_citizen_is_supervised_and_counted(api: Api, photo: str) -> None:
    code, proof = closed(api, photo, description="垃圾没人管")
    assert "满意" in api.http.get(f"/report/{code}?k={proof}").text
    where = f"/report/{code}/visit"
    said = {"k": proof, "verdict": "unsatisfied", "note": ""}
    sent = {"photo": ("", b"")}
    assert api.http.post(where, data=said, files=sent).status_code == 400, "why is needed"
    assert api.http.post(where, data=said | {"verdict": "x"}, files=sent).status_code == 400
    assert api.http.post(where, data=said | {"k": "f" * 24}, files=sent).status_code == 403
    assert api.http.post(where, data=said | {"note": "只清了一半"}, files=sent).status_code == 200
    assert api.http.post(where, data=said | {"note": "再说一次"}, files=sent).status_code == 409
    shown = api.get("/api/v1/supervision", "commander").json()
    worth = {e["code"]: e for e in shown["worth"]}
    assert worth[code]["reasons"] == ["complained"] and worth[code]["asked"] == 1
    assert shown["counts"]["complained"] >= 1
    assert any(r["about"] == code and r["category"] == "complained" for r in shown["running"])
    assert api.act(code, "reopen", reason="没有清完").json()["stage"] <= 3
    rate = next(
        r for r in api.get("/api/v1/efficiency/rates").json()["rates"] if r["key"] == "satisfied"
    )
    assert (rate["part"], rate["whole"]) == (0, 1)


def test_visits_of_the_hotline_come_as_a_sheet(api: Api, photo: str, tmp_path: Path) -> None:
    code, proof = closed(api, photo, description="南门垃圾")
    path = tmp_path / "回访.csv"
    heads = ("回访编号", "工单编号", "满意度", "回访意见", "回访时间")
    at = "2026/11/20 09:00:00"
    rows = [heads, ("H1", code, "满意", "很快", at), ("H2", code, "不满意", "又有了", at),
            ("H3", "SH-XX-1", "满意", "", at), ("H4", code, "说不清", "", at)]  # fmt: skip
    path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    done = reports.load(path, "hotline_visits")
    assert (done.read, done.accepted, done.refused) == (4, 2, 2), done
    assert reports.load(path, "hotline_visits").duplicates == 2
    case = case_of(api.http.get(f"/report/{code}?k={proof}"))
    assert [v["verdict"] for v in case["data"]["visits"]] == ["satisfied", "unsatisfied"]
    assert case["data"]["complaints"] == 1
