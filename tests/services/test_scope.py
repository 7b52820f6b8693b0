"""What a limited actor may see: district-310104 in list, tile, id, live and past; anonymous L1 only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import mapbox_vector_tile
import pytest
from starlette.websockets import WebSocketDisconnect

from gis.tiles import tile_of
from tests import minicity
from tests.services.conftest import Api

XUHUI = "district-310104"


def report(api: Api, lon: float) -> dict[str, Any]:
    body = {"category": "litter", "description": "x", "lon": lon, "lat": 31.22}
    done = api.post("/api/v1/events", body)
    assert done.status_code == 201, done.text
    return dict(done.json())


def districts(api: Api, user: str | None, path: str, **params: Any) -> set[str]:
    found = api.get(path, user, limit=1000, **params).json()["features"]
    return {f["properties"]["district"] for f in found}


def test_list_and_past_show_only_the_own_district(api: Api) -> None:
    path = "/ogc/collections/toilet/items"
    for params in ({}, {"datetime": datetime.now(UTC).isoformat()}):
        assert districts(api, XUHUI, path, **params) == {minicity.EAST}
        assert districts(api, "dispatcher", path, **params) == {minicity.WEST, minicity.EAST}
        assert districts(api, None, path, **params) == {minicity.WEST, minicity.EAST}


def tile_districts(api: Api, user: str | None, layer: str, **params: str) -> set[str]:
    found: set[str] = set()
    for lon in (121.42, 121.44, 121.46, 121.48):
        z, x, y = tile_of(lon, 31.215, 14)
        answer = api.get(f"/tiles/{layer}/{z}/{x}/{y}.mvt", user, **params)
        assert answer.status_code in (200, 204)
        if answer.content:
            for feature in mapbox_vector_tile.decode(answer.content)[layer]["features"]:
                found.add(feature["properties"]["code"][:6])
    return found


def test_tiles_show_only_the_own_district_now_and_in_the_past(api: Api) -> None:
    now = datetime.now(UTC).isoformat()
    for params in ({}, {"datetime": now}):
        assert tile_districts(api, XUHUI, "toilet", **params) == {minicity.EAST}
        assert tile_districts(api, None, "toilet", **params) == {minicity.WEST, minicity.EAST}
    # Asked in the other order too: a cached tile of one scope is never given to another.
    assert tile_districts(api, "dispatcher", "toilet") == {minicity.WEST, minicity.EAST}
    assert tile_districts(api, XUHUI, "toilet") == {minicity.EAST}


def test_ids_of_other_districts_answer_404(api: Api) -> None:
    west = report(api, 121.42)
    east = report(api, 121.47)
    toilets = api.get("/ogc/collections/toilet/items", limit=1000).json()["features"]
    other = next(t for t in toilets if t["properties"]["district"] == minicity.WEST)
    for path in (
        f"/api/v1/events/{west['code']}", f"/api/v1/events/{west['id']}",
        f"/api/v1/events/{west['code']}/timeline", f"/api/v1/events/{west['code']}/proposals",
        f"/ogc/collections/toilet/items/{other['id']}", f"/api/v1/things/{other['properties']['code']}",
        f"/api/v1/things/{other['properties']['num']}/history",
    ):  # fmt: skip
        assert api.get(path, "dispatcher").status_code == 200, path
        assert api.get(path, XUHUI).status_code == 404, path
    assert api.act(west["code"], "reject", XUHUI, reason="x").status_code == 404
    assert api.get(f"/api/v1/events/{east['code']}", XUHUI).status_code == 200
    listed = api.get("/api/v1/events", XUHUI).json()
    assert {e["district"] for e in listed["events"]} == {minicity.EAST}
    assert listed["total"] == len(listed["events"])
    past = api.get("/api/v1/events", XUHUI, at=datetime.now(UTC).isoformat()).json()["events"]
    assert {e["district"] for e in past} == {minicity.EAST}


def test_a_crew_of_another_district_cannot_be_sent(api: Api) -> None:
    east = report(api, 121.47)
    crews = {m["name"]: m["code"] for m in api.get("/api/v1/movers").json()["movers"]}
    assert api.act(east["code"], "dispatch", XUHUI, crew=crews["西一组"]).status_code == 404
    assert api.act(east["code"], "dispatch", XUHUI, crew=crews["东一组"]).status_code == 200


def test_search_finds_only_what_may_be_seen(api: Api) -> None:
    def found(user: str, word: str) -> set[str]:
        rows = api.get("/api/v1/search", user, q=word, limit=100).json()["results"]
        return {r["district_name"] for r in rows if r["kind"] not in ("district", "road")}

    assert found(XUHUI, "公厕") == {"徐汇区"}
    assert found("dispatcher", "公厕") == {"黄浦区", "徐汇区"}
    assert found(XUHUI, "西一组") == set()


def test_live_sends_only_the_own_district(api: Api) -> None:
    with api.http.websocket_connect("/live", headers=api.headers(XUHUI)) as socket:
        start = json.loads(socket.receive_text())["seq"]
        socket.send_text(
            json.dumps({"subscribe": {"layers": ["events", "things"], "after": start}})
        )
        report(api, 121.42)
        east = report(api, 121.47)
        seen = []
        while not seen or seen[-1]["event"]["code"] != east["code"]:
            said = json.loads(socket.receive_text())
            if said["type"] == "entry":
                seen.append(said)
    assert {e["district"] for e in seen} == {minicity.EAST}


def test_live_needs_a_log_in(api: Api) -> None:
    with pytest.raises(WebSocketDisconnect), api.http.websocket_connect("/live"):
        pass


def test_anonymous_reads_open_kinds_and_nothing_else(api: Api) -> None:
    listed = {c["id"] for c in api.get("/ogc/collections", None).json()["collections"]}
    assert {"toilet", "park", "district"} <= listed
    assert not listed & {"crew", "vehicle", "camera", "sensor"}
    for path in ("/ogc/collections/crew/items", "/tiles/crew/14/1/1.mvt"):
        assert api.get(path, None).status_code == 404
    for path in ("/api/v1/events", "/api/v1/things/310101", "/api/v1/movers", "/api/v1/indicators"):
        assert api.get(path, None).status_code == 401


def test_fields_above_the_clearance_are_not_given(api: Api) -> None:
    def fields(user: str | None) -> set[str]:
        feature = api.get("/ogc/collections/toilet/items", user, limit=1).json()["features"][0]
        return set(feature["properties"])

    assert "phone" in fields("dispatcher")
    assert "phone" not in fields(None)
    assert "phone" not in fields(XUHUI)


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("planner", "/api/v1/events", 200),
        ("auditor", "/api/v1/events", 403),
        ("planner", "/api/v1/search?q=x", 200),
        ("patrol", "/api/v1/tasks", 200),
        ("dispatcher", "/api/v1/tasks", 403),
    ],
)
def test_roles_decide(api: Api, user: str, path: str, status: int) -> None:
    assert api.get(path, user).status_code == status
