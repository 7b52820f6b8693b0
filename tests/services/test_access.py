"""data/access.yaml: every route has a line and every line a route; role by route; what is unknown is closed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from services.app import create_app
from tests.services.conftest import Api
from twin import access, identity
from twin.errors import Forbidden, KeyNotAllowed, StepUpNeeded, Unauthorized
from twin.scope import ANONYMOUS, Actor
from ui.server import compose

# What stands for a parameter when a door is asked for in tests.
VALUES = {"z": "14", "x": "13722", "y": "6694", "w": "100", "num": "1", "number": "0", "job_id": "1",
          "job": "1", "load": "1", "form": "json", "ending": "csv", "kind": "toilet", "name": "toilet",
          "layer": "toilet", "theme": "night", "layer_id": "events",
          "collectionId": "toilet"}  # fmt: skip


def doors() -> set[str]:
    """Return `METHOD /template` of every route of the whole application."""
    found = set()
    for context in iter_route_contexts(compose(create_app()).router.routes):
        route: Any = context
        path = route.path
        methods = getattr(route, "methods", None) or {"WS"}
        found |= {f"{m} {path}" for m in methods if m != "HEAD"}
    return found


def test_every_route_has_a_line_and_every_line_a_route() -> None:
    said = {f"{r.method} {r.template}" for r in access.rules()}
    assert doors() - said == set(), "add these to data/access.yaml"
    assert said - doors() == set(), "these lines lead nowhere"


def filled(template: str) -> str:
    """Return a path that fits a template."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: VALUES.get(m[1], "abc"), template)


def test_each_line_is_found_by_a_path_of_its_own() -> None:
    table = access.table()
    for rule in access.rules():
        if rule.method == "WS":
            continue
        assert table.find(rule.method, filled(rule.template)) == rule, rule.template


def test_every_act_is_held_by_a_role_and_every_role_act_is_known() -> None:
    held = {act for role in identity.roles().values() for act in role["acts"]}
    asked = {act for rule in access.rules() for act in rule.acts}
    assert asked <= held


@pytest.mark.parametrize(
    "user", ["dispatcher", "patrol", "planner", "auditor", "district-310104", None]
)
def test_route_by_role_is_what_the_table_says(api: Api, user: str | None) -> None:
    acts: set[str] = set()
    if user:
        acts = set(api.get("/api/v1/session", user).json()["acts"])
    for rule in access.rules():
        if rule.method == "WS" or rule.template.startswith("/api/v1/session") or rule.step_up:
            continue
        if rule.method == "POST" and rule.open:
            continue
        done = api.http.request(rule.method, filled(rule.template), headers=api.headers(user),
                                follow_redirects=False)  # fmt: skip
        door = f"{rule.method} {rule.template}"
        if rule.open:
            assert done.status_code not in (401, 403), door
        elif user is None:
            assert done.status_code == 401, door
        elif rule.acts and not acts & set(rule.acts):
            assert done.status_code == 403, door
            assert done.json()["code"] == "forbidden"
        else:
            assert done.status_code not in (401, 403, 500), door


def test_what_has_no_line_is_closed(api: Api) -> None:
    assert api.get("/api/v1/nothing-here").status_code == 404
    assert api.get("/api/v1/session/../../etc/passwd").status_code == 404
    assert api.http.put("/api/v1/events", headers=api.headers("dispatcher")).status_code == 405
    assert api.http.request("TRACE", "/healthz").status_code == 405
    assert api.http.request("PROPFIND", "/no").status_code == 404


def test_a_refusal_is_written_once_a_minute(api: Api) -> None:
    from sqlalchemy import text

    from services.web import audit
    from twin import db

    audit._told.clear()
    count = text("select count(*) from twin.journal where action = 'refused' and actor = 'auditor'")
    with db.engine("owner").connect() as conn:
        before = conn.scalar(count)
    for _ in range(5):
        assert api.get("/api/v1/events", "auditor").status_code == 403
    with db.engine("owner").connect() as conn:
        assert conn.scalar(count) == before + 1


def rule(**said: Any) -> access.Rule:
    return access.Rule(method="GET", template="/x", **said)


def test_the_words_of_the_table() -> None:
    person = Actor(user="a", acts=frozenset({"map.read"}))
    key = Actor(user="key:a", acts=frozenset({"map.read"}), key_id="a")
    rule(open=True).check(ANONYMOUS, 0)
    for asks, actor, error in [
        (rule(), ANONYMOUS, Unauthorized),
        (rule(acts=("map.read",)), key, KeyNotAllowed),
        (rule(acts=("map.read",), key=("data.write",)), key, Forbidden),
        (rule(acts=("data.write", "user.read")), person, Forbidden),
        (rule(step_up=True), person, StepUpNeeded),
        (rule(), Actor(user="a", wants="password"), Forbidden),
    ]:
        with pytest.raises(error):
            asks.check(actor, 100.0)
    rule(acts=("map.read", "data.write"), key=("kinds",)).check(key, 0)
    rule(first=True).check(Actor(user="a", wants="totp"), 0)
    rule(step_up=True).check(Actor(user="a", strong_until=101.0), 100.0)
