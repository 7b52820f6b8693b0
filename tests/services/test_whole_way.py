"""From a citizen's report to a closed case, through the doors that people and systems use."""

from __future__ import annotations

import json
from typing import Any

from tests.services.conftest import Api

EAST = {"lat": "31.2211", "long": "121.4712"}


def submit(api: Api, **more: str) -> str:
    form = {"service_code": "litter", "description": "绿化带有一堆垃圾", **EAST, **more}
    done = api.http.post("/open311/v2/requests.json", data=form)
    assert done.status_code == 201, done.text
    return str(done.json()[0]["service_request_id"])


def status(api: Api, code: str) -> tuple[str, str]:
    said = api.http.get(f"/open311/v2/requests/{code}.json").json()[0]
    return said["status"], said["status_notes"]


def test_report_dispatch_handle_verify_close(api: Api, photo: str) -> None:
    code = submit(api)
    assert status(api, code) == ("open", "待受理")
    proposals = api.get(f"/api/v1/events/{code}/proposals").json()
    best = proposals["crews"][0]
    assert best["name"] == "东一组"
    assert best["travel_s"] > 0
    assert best["reasons"]
    assert best["route"][-1] == [121.4712, 31.2211]
    assert {s["code"]: s["count"] for s in proposals["shortfall"]} == {"no_skill": 1}

    done = api.act(code, "dispatch", version=1, crew=best["code"]).json()
    assert (done["state"], done["holder_name"]) == ("dispatched", "东一组")
    tasks = api.get("/api/v1/tasks", "patrol").json()
    assert [t["code"] for t in tasks["tasks"]] == [code]
    assert [a["action"] for a in tasks["tasks"][0]["actions"]] == ["accept", "return"]
    for action, body in (
        ("accept", {}),
        ("arrive", {}),
        ("finish", {"note": "已清理", "photos": [photo], "position": [121.4712, 31.2211]}),
    ):
        done = api.act(code, action, "patrol", **body)
        assert done.status_code == 200, done.text
    assert done.json()["photos"][0]["url"] == photo
    assert status(api, code) == ("open", "待审核")
    assert api.get(photo, "dispatcher").headers["content-type"] == "image/jpeg"
    assert api.get(photo + "?w=64", "dispatcher").status_code == 200
    closed = api.act(code, "close").json()
    assert closed["final"]
    assert closed["closed_at"]
    assert status(api, code) == ("closed", "已办结")

    story = api.get(f"/api/v1/events/{code}/timeline").json()["entries"]
    assert [e["action"] for e in story] == [
        "open", "register", "dispatch", "accept", "arrive", "finish", "close",
    ]  # fmt: skip
    assert all(e["title"]["zh"] for e in story)
    assert story[5]["photos"][0]["url"] == photo
    updates = api.http.get(f"/open311/v2/servicerequestupdates/{code}.json").json()
    assert "王巡查" not in json.dumps(updates, ensure_ascii=False), (
        "a citizen sees no names of staff"
    )


def test_a_repeat_with_the_same_key_has_one_effect(api: Api) -> None:
    body = {"category": "litter", "description": "一次", "lon": 121.47, "lat": 31.22}
    key = {"Idempotency-Key": "0d1f9d6e"}
    first = api.post("/api/v1/events", body, **key).json()
    again = api.post("/api/v1/events", body, **key).json()
    assert first["code"] == again["code"]
    other = api.post("/api/v1/events", body | {"description": "另一件"}, **key)
    assert other.status_code == 400
    act = {"version": first["version"], "reason": "重复"}
    path = f"/api/v1/events/{first['code']}/actions/reject"
    results = [api.post(path, act, **{"Idempotency-Key": "k2"}) for _ in range(2)]
    assert [r.status_code for r in results] == [200, 200]
    assert results[0].json()["version"] == results[1].json()["version"]


def test_open311_speaks_xml_and_json(api: Api) -> None:
    code = submit(api)
    assert "<service_code>litter</service_code>" in api.http.get("/open311/v2/services.xml").text
    assert (
        f"<service_request_id>{code}</service_request_id>"
        in api.http.get(f"/open311/v2/requests/{code}.xml").text
    )
    listed = api.http.get("/open311/v2/requests.json", params={"service_request_id": code}).json()
    assert [r["service_request_id"] for r in listed] == [code]
    assert api.http.get("/open311/v2/discovery.json").json()["endpoints"]


def test_bad_reports_get_one_clear_sentence(api: Api) -> None:
    good = {"service_code": "litter", "description": "x", **EAST}
    for change in (
        {"lat": "abc"}, {"lat": "nan"}, {"lat": "95"}, {"long": "0"}, {"service_code": "nothing"},
        {"description": ""}, {"description": "x" * 5000},
    ):  # fmt: skip
        done = api.http.post("/open311/v2/requests.json", data=good | change)
        assert done.status_code == 400, change
        assert done.json()[0]["description"].endswith((".", "list."))
    huge = api.http.post("/open311/v2/requests.json", data=good | {"media_url": "x" * 70000})
    assert huge.status_code == 429
    assert api.http.get("/open311/v2/requests/NOPE.json").status_code == 404


def test_an_outside_address_is_kept_and_never_fetched(api: Api) -> None:
    code = submit(api, media_url="http://127.0.0.1:1/picture.jpg")
    assert api.get(f"/api/v1/events/{code}").json()["photos"] == []
    refused = api.post("/api/v1/events", {"category": "litter", "description": "x", "lon": 121.47,
                                          "lat": 31.22, "photos": ["http://evil/x.jpg"]})  # fmt: skip
    assert refused.status_code == 400


def test_files_are_pictures_or_refused(api: Api) -> None:
    for raw in (b"", b"<svg onload=alert(1)>", b"\xff\xd8\xff\xe0 not a picture"):
        done = api.http.post("/api/v1/files", content=raw, headers=api.headers("patrol"))
        assert done.status_code == 400
    assert api.http.post("/api/v1/files", content=b"x").status_code == 401


def live_entries(socket: Any, code: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        said = json.loads(socket.receive_text())
        if said["type"] == "entry" and said["event"]["code"] == code:
            found.append(said)
    return found


def test_live_tells_each_step_once_and_a_returning_client_misses_nothing(api: Api) -> None:
    with api.http.websocket_connect("/live", headers=api.headers("dispatcher")) as socket:
        start = json.loads(socket.receive_text())["seq"]
        socket.send_text(json.dumps({"subscribe": {"layers": ["events"], "after": start}}))
        code = submit(api)
        first = live_entries(socket, code, 1)[0]
        assert first["event"]["actions"]
    api.act(code, "register")
    api.act(code, "reject", reason="测试")
    with api.http.websocket_connect("/live", headers=api.headers("dispatcher")) as socket:
        socket.receive_text()
        socket.send_text(json.dumps({"subscribe": {"layers": ["events"], "after": first["seq"]}}))
        rest = live_entries(socket, code, 3)
    assert [e["action"] for e in rest] == ["register", "by_duty", "reject"]
    assert [e["seq"] for e in rest] == sorted(e["seq"] for e in rest)
    assert rest[0]["seq"] > first["seq"] > start - 1


def test_live_answers_nonsense_with_an_error_and_goes_on(api: Api) -> None:
    with api.http.websocket_connect("/live", headers=api.headers("dispatcher")) as socket:
        socket.receive_text()
        for nonsense in (
            "{",
            "[]",
            '{"subscribe": {"bbox": ["a"]}}',
            '{"subscribe": {"bbox": [1, 2]}}',
            "x" * 5000,
        ):
            socket.send_text(nonsense)
            said = json.loads(socket.receive_text())
            while said["type"] == "tick":
                said = json.loads(socket.receive_text())
            assert said["type"] == "error"
