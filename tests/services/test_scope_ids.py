"""No door gives away a thing of another place: every GET door × every actor, and planted words nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
from sqlalchemy import text

from services.citizens import endpoints as citizens
from services.web import auth, meters
from services.web.limits import Rate
from tests import minicity
from tests.services.conftest import Api
from twin import access, db, identity, keys, organisations

# Words that stand only in things of the west, and in a field above the clearance of the callers.
SECRET_NAME, SECRET_PHONE = "机密西侧公厕甲", "13900001234"
PASSWORD = "Correct-horse-4"


@pytest.fixture(scope="module")
def planted(api: Api) -> Iterator[dict[str, Any]]:
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", {
            "source_key": ["west", "east"], "name": [SECRET_NAME, "东侧公厕甲"],
            "phone": [SECRET_PHONE] * 2,
            "geom": [minicity.ewkb(shapely.Point(p)) for p in (minicity.IN_WEST, minicity.IN_EAST)],
        })  # fmt: skip
        people = {"east": "d-310104", "street": "s-310104014", "grid": "g-310104014-01",
                  "contractor": "c-demo"}  # fmt: skip
        for user, place in people.items():
            identity.add_account(
                conn, user=f"t-{user}", name={"zh": user, "en": user}, password=PASSWORD,
                roles=["dispatcher", "planner"], districts=None, clearance=2, crew=None,
                organisation=place, actor="t",
            )  # fmt: skip
            api.tokens[user] = identity.issue_token(conn, f"t-{user}", 1, "t")
        wanted = keys.Wanted(
            name="p", districts=[minicity.EAST], clearance=2, burst=5000, rate_per_s=5000
        )
        api.tokens["key"] = keys.issue(conn, wanted, "t")[1]
    report = {"category": "litter", "description": "机密描述", "lon": 121.42, "lat": 31.22}
    event = api.post("/api/v1/events", report).json()
    with db.engine("app").connect() as conn:
        west = conn.execute(
            text("select id, num, code from twin.thing where name = :n"), {"n": SECRET_NAME}
        ).one()
        crew = conn.execute(text("select code, num from twin.thing where name = '西一组'")).one()
    organisations.forget()
    auth.forget_all()
    meters.forget()
    yield {"west": west, "crew": crew, "event": event}


def filled(template: str, kind: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: ids.get(m[1], kind), template)


def paths(planted: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each GET door with the ids of what lies in the west put in everywhere."""
    west, event = planted["west"], planted["event"]
    for rule in access.rules():
        # Whole pages of the browser, and what is public to every citizen by its nature.
        if rule.method != "GET" or rule.template.startswith(
            ("/ui/", "/c/", "/open311", "/metrics")
        ):
            continue
        for one in (
            str(west.id),
            west.code,
            str(west.num),
            event["code"],
            event["id"],
            planted["crew"].code,
        ):
            # The z/x/y of the west, so that a tile would show it.
            ids = {"z": "14", "x": "13717", "y": "6693", "form": "json", "ending": "geojson",
                   "key": one, "code": one, "thing_id": one, "featureId": one, "num": str(west.num),
                   "collectionId": "toilet", "name": "toilet", "kind": "toilet", "layer": "toilet"}  # fmt: skip
            yield rule.template, filled(rule.template, "toilet", ids)


@pytest.mark.parametrize("user", ["east", "street", pytest.param("grid", marks=pytest.mark.long),
                                  pytest.param("contractor", marks=pytest.mark.long), "key"])  # fmt: skip
def test_no_door_gives_away_what_lies_elsewhere(
    api: Api, planted: dict[str, Any], user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever asks too often is refused without being told what is there: here the answers count.
    monkeypatch.setattr(citizens, "_reads", Rate(per_minute=1e6, burst=1e6))
    west, event = planted["west"], planted["event"]
    telling = [
        SECRET_NAME,
        SECRET_PHONE,
        "机密描述",
        str(west.id),
        west.code,
        event["code"],
        event["id"],
    ]
    seen = 0
    for path in dict.fromkeys(path for _, path in paths(planted)):
        for query in ("", "?limit=1000", f"?q={SECRET_NAME}", "?f=csv"):
            answer = api.get(path + query, user)
            assert answer.status_code < 500, path
            said = answer.content.decode("utf-8", "replace")
            if answer.status_code == 200:
                seen += 1
                # What was asked for comes back in links of the answer itself: not a leak.
                said = said.replace(path, "")
                found = [word for word in telling if word in said and word not in path + query]
                assert not found, (path + query, found)
            if any(str(one) in path for one in (west.id, west.code, event["code"], event["id"])):
                assert answer.status_code in (400, 401, 403, 404), (path, answer.status_code)
    assert seen > 20


@pytest.mark.parametrize("user", ["east", "street", "grid", "contractor"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/things/{code}/undo", {"version": 1}),
        ("/api/v1/things/{code}/merge", {"with": ["{code}"]}),
        ("/api/v1/things/{id}/split", {"shapes": []}),
        ("/api/v1/events/{event}/actions/reject", {"reason": "x"}),
        ("/api/v1/events/{event}/actions/dispatch", {"crew": "x"}),
    ],
)
def test_nothing_elsewhere_can_be_changed(
    api: Api, planted: dict[str, Any], user: str, path: str, body: Any
) -> None:
    ids = {
        "code": planted["west"].code,
        "id": str(planted["west"].id),
        "event": planted["event"]["code"],
    }
    done = api.post(path.format(**ids), body, user)
    assert done.status_code in (400, 404), done.text


def test_the_own_place_is_seen_by_each(api: Api, planted: dict[str, Any]) -> None:
    found = api.get("/ogc/collections/toilet/items", "east", limit=1000).json()["features"]
    names = {f["properties"]["name"] for f in found}
    assert "东侧公厕甲" in names and SECRET_NAME not in names
    assert all("phone" not in f["properties"] for f in found)
    # Streets are not known in this small city, and no grid holds a toilet: nothing, and no error.
    for user in ("street", "contractor"):
        assert api.get("/ogc/collections/toilet/items", user).json()["features"] == []
