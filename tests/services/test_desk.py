"""The desk: tags and saved views, each caller's own, bounded and journalled."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.services.conftest import Api
from twin import db


def report(api: Api, lon: float = 121.47) -> str:
    body = {"category": "litter", "description": "一堆垃圾", "lon": lon, "lat": 31.22}
    return str(api.post("/api/v1/events", body).json()["code"])


def tag(api: Api, keys: list[str], user: str = "dispatcher", **said: Any) -> Any:
    return api.post("/api/v1/events/tags", {"keys": keys, **said}, user)


def test_tags_come_and_go_and_are_counted(api: Api) -> None:
    one, two = report(api), report(api)
    done = tag(api, [one, two, "SH-XX-0"], add=["进博会", " 回头看 "]).json()
    assert done["done"] == [one, two]
    assert done["refused"][0]["error"] == "not_found"
    known = {t["tag"]: t["count"] for t in api.get("/api/v1/events/tags").json()}
    assert known["进博会"] == 2 and known["回头看"] == 2
    tag(api, [one], remove=["进博会"])
    assert api.get(f"/api/v1/events/{one}").json()["tags"] == ["回头看"]
    story = api.get(f"/api/v1/events/{one}/timeline").json()["entries"]
    assert [e["actor"] for e in story if e["action"] == "tag"] == ["dispatcher", "dispatcher"]
    before = len(story)
    tag(api, [one], add=["回头看"])
    again = api.get(f"/api/v1/events/{one}/timeline").json()["entries"]
    assert len(again) == before, "what changes nothing is no entry"


@pytest.mark.parametrize("bad", ["", " ", "x" * 25, "a\nb" * 9, "\u202e!"])
def test_a_tag_that_is_none_is_refused(api: Api, bad: str) -> None:
    assert tag(api, [report(api)], add=[bad]).status_code == 400


def test_tags_are_bounded_and_stay_in_scope(api: Api) -> None:
    west, east = report(api, 121.42), report(api)
    tag(api, [east], add=[f"t{i}" for i in range(12)])
    done = tag(api, [east], add=["one more"]).json()
    assert done["done"] == [] and "12" in done["refused"][0]["why"]
    done = tag(api, [west, east], "district-310104", remove=["t0"]).json()
    assert done["done"] == [east] and done["refused"][0]["code"] == west
    assert tag(api, [east], "patrol", add=["x"]).status_code == 403


def test_views_are_kept_shared_and_removed_by_their_owner(api: Api) -> None:
    doc = {"filters": {"state": "open", "late": True}, "columns": ["code", "title"], "sort": "due"}
    made = api.post("/api/v1/views", {"page": "events", "name": "超时", "doc": doc}).json()
    assert made["mine"] and made["doc"] == doc
    assert api.get("/api/v1/views", "commander").json() == []
    again = {"page": "events", "name": "超时", "doc": doc | {"sort": "opened"}, "shared": True}
    shared = api.post("/api/v1/views", again).json()
    assert shared["id"] == made["id"] and shared["doc"]["sort"] == "opened"
    seen = api.get("/api/v1/views", "commander").json()
    assert [(v["name"], v["mine"]) for v in seen] == [("超时", False)]
    path = f"/api/v1/views/{made['id']}"
    assert api.http.delete(path, headers=api.headers("commander")).status_code == 404
    assert api.http.delete(path, headers=api.headers("dispatcher")).status_code == 204
    assert api.get("/api/v1/views").json() == []
    with db.engine("app").connect() as conn:
        kept = conn.execute(
            text("select count(*) from twin.journal where kind = 'view' and actor = 'dispatcher'")
        )
        assert kept.scalar_one() == 3
    large = {"page": "events", "name": "x", "doc": {"a": "b" * 9000}}
    assert api.post("/api/v1/views", large).status_code == 400
