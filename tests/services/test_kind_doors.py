"""Kinds at the door: plans, changes as jobs of the worker, who may, and what is told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.conftest import Api
from twin import alter, catalogue, db, identity, jobs, pastnames

STOOL = """
kind: stool
topic: greening
title: {zh: 座凳, en: Stool}
geometry: point
code: ZZA
fields:
  seats: {type: integer, title: {zh: 座位, en: Seats}}
  built: {type: date, title: {zh: 建成, en: Built}}
  note: {type: text, title: {zh: 备注, en: Note}}
"""


@pytest.fixture(scope="module")
def admin(api: Api) -> str:
    with db.engine("app").begin() as conn:
        api.tokens["admin"] = identity.issue_token(conn, "admin", 1, "t")
    return "admin"


def post(api: Api, path: str, source: str, user: str = "admin", **params: Any) -> Any:
    return api.http.post(path, content=source.encode(), headers=api.headers(user), params=params)


def work() -> None:
    for task in (alter.TASK, pastnames.TASK):
        while jobs.run_next(task=task):
            pass
    catalogue.forget()


def test_a_kind_is_planned_asked_for_made_and_read(api: Api, admin: str) -> None:
    plan = post(api, "/api/v1/kinds/plan", STOOL).json()
    assert (plan["new"], plan["loses"], plan["steps"][0]["action"]) == (True, 0, "make")
    asked = post(api, "/api/v1/kinds", STOOL)
    assert asked.status_code == 202, asked.text
    said = asked.json()
    assert api.get(said["follow"], admin).json()["state"] == "waiting"
    work()
    assert api.get(said["follow"], admin).json()["state"] == "done"
    assert api.get(said["follow"], "dispatcher").status_code == 404
    fields = api.get("/api/v1/kinds/stool").json()["fields"]
    assert list(fields) == ["seats", "built", "note"]
    assert api.get("/ogc/collections/stool/items").json()["numberMatched"] == 0
    tree = api.get("/ogc/collections/stool/queryables").json()
    assert "seats" in tree["properties"]


def test_what_would_lose_data_needs_the_word(api: Api, admin: str) -> None:
    post(api, "/api/v1/kinds", STOOL)
    work()
    less = STOOL.replace("  note: {type: text, title: {zh: 备注, en: Note}}\n", "")
    refused = post(api, "/api/v1/kinds", less)
    assert refused.status_code == 409
    assert refused.json()["code"] == "would_lose_data"
    assert refused.json()["plan"]["steps"][0]["what"] == "note"
    assert post(api, "/api/v1/kinds", less, allow_loss=True).status_code == 202
    work()
    assert "note" not in api.get("/api/v1/kinds/stool").json()["fields"]


@pytest.mark.parametrize(
    ("source", "key", "line"),
    [
        (STOOL.replace("geometry: point", "geometry: blob"), "geometry", 5),
        (STOOL.replace("type: integer", "type: whole"), "fields.seats.type", 8),
        (STOOL.replace("code: ZZA", "code: TO"), "code", 6),
    ],
)
def test_a_wrong_declaration_is_a_problem_with_line_and_key(
    api: Api, admin: str, source: str, key: str, line: int
) -> None:
    said = post(api, "/api/v1/kinds/plan", source)
    assert said.status_code == 422
    assert (said.json()["key"], said.json()["line"]) == (key, line)


def test_only_system_administrators_change_kinds(api: Api) -> None:
    for path in ("/api/v1/kinds", "/api/v1/kinds/plan"):
        assert post(api, path, STOOL, "dispatcher").status_code == 403
        assert api.http.post(path, content=STOOL.encode()).status_code == 401
    huge = post(api, "/api/v1/kinds/plan", "#" * 300_000)
    assert huge.status_code == 400
