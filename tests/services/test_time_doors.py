"""Time at the door: history of a feature, difference of two moments, undo, split and merge, in scope."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import shapely

from tests import minicity
from tests.services.conftest import Api
from tests.twin.test_lineage import LINE, WHOLE
from twin import db


def write(kind: str, **columns: list[Any]) -> None:
    with db.engine("app").begin() as conn:
        minicity.write(conn, kind, columns)


def toilet(key: str, lon: float, seats: int, **more: Any) -> None:
    said = {k: [v] for k, v in more.items()}
    write("toilet", source_key=[key], name=[f"厕{key}"], seats_m=[seats],
          geom=[minicity.ewkb(shapely.Point(lon, 31.21))], **said)  # fmt: skip


def item(api: Api, key: str, user: str = "dispatcher") -> Any:
    return api.get("/ogc/collections/toilet/items", user, name=f"厕{key}").json()["features"][0]


@pytest.fixture(scope="module")
def moment(api: Api) -> str:
    """Things before and after a moment: h moves and changes, n comes, r goes."""
    toilet("h", 121.41, 1, phone="123")
    toilet("r", 121.42, 1)
    at = datetime.now(UTC).isoformat()
    toilet("h", 121.47, 2, phone="456")
    toilet("n", 121.41, 5)
    gone = item(api, "r")["properties"]
    assert (
        api.post(f"/api/v1/things/{gone['code']}/undo", {"version": 1}, "planner").status_code
        == 200
    )
    return at


def test_every_version_is_a_feature_with_who_and_when(api: Api, moment: str) -> None:
    code = item(api, "h")["properties"]["code"]
    done = api.get(f"/ogc/collections/toilet/items/{code}/history")
    assert done.headers["content-type"] == "application/geo+json"
    new, old = done.json()["features"]
    assert (new["properties"]["seats_m"], old["properties"]["seats_m"]) == (2, 1)
    assert old["properties"]["valid_to"] == new["properties"]["valid_from"]
    assert (new["properties"]["actor"], new["properties"]["action"]) == ("test", "update")
    assert new["geometry"]["coordinates"][0] == 121.47
    assert new["properties"]["valid_to"] is None
    assert {"parents", "children"} <= set(done.json()["lineage"])


def test_history_shows_what_the_caller_may_see(api: Api, moment: str) -> None:
    code = item(api, "h")["properties"]["code"]
    whole = api.get(f"/ogc/collections/toilet/items/{code}/history").json()["features"]
    mine = api.get(f"/ogc/collections/toilet/items/{code}/history", "district-310104").json()[
        "features"
    ]
    assert [f["properties"]["version"] for f in mine] == [2]
    assert "phone" in whole[0]["properties"]
    assert "phone" not in mine[0]["properties"]
    assert api.get("/ogc/collections/toilet/items/310101-TO-999999/history").status_code == 404
    assert api.get(f"/ogc/collections/bin/items/{code}/history").status_code == 404


def test_a_removed_thing_keeps_its_history(api: Api, moment: str) -> None:
    said = api.get("/api/v1/diff/toilet", **{"from": moment}).json()
    gone = next(f for f in said["features"] if f["properties"]["change"] == "removed")
    done = api.get(f"/ogc/collections/toilet/items/{gone['properties']['code']}/history").json()
    assert done["removed"]["actor"] == "planner"
    assert done["features"][0]["properties"]["valid_to"] is not None


def test_the_difference_of_two_moments(api: Api, moment: str) -> None:
    said = api.get("/api/v1/diff/toilet", **{"from": moment}).json()
    assert said["counts"] == {"added": 1, "changed": 1, "removed": 1, "moved": 1}
    changed = next(f for f in said["features"] if f["properties"]["change"] == "changed")
    assert {"key": "seats_m", "before": 1, "after": 2} in changed["properties"]["fields"]
    assert changed["properties"]["was"]["coordinates"][0] == 121.41
    pages = []
    after = 0
    while after is not None:
        page = api.get("/api/v1/diff/toilet", **{"from": moment, "limit": 1, "after": after}).json()
        pages += [f["id"] for f in page["features"]]
        after = page["next"]
    assert pages == [f["id"] for f in said["features"]]


def test_the_difference_takes_box_filter_and_scope(api: Api, moment: str) -> None:
    def counts(user: str = "dispatcher", **more: str) -> dict[str, int]:
        done = api.get("/api/v1/diff/toilet", user, **{"from": moment, **more})
        assert done.status_code == 200, done.text
        return {k: v for k, v in done.json()["counts"].items() if v}

    assert counts(bbox="121.46,31.2,121.48,31.3") == {"changed": 1, "moved": 1}
    assert counts(filter="seats_m >= 2") == {"added": 1, "changed": 1, "moved": 1}
    # What moved in from a district that the caller does not see has come.
    assert counts("district-310104") == {"added": 1}
    now = datetime.now(UTC).isoformat()
    assert api.get("/api/v1/diff/toilet", **{"from": now, "to": moment}).status_code == 400
    assert api.get("/api/v1/diff/toilet", **{"from": moment, "filter": "x = 1"}).status_code == 400


def test_undo_needs_the_act_and_the_last_version(api: Api, moment: str) -> None:
    code = item(api, "h")["properties"]["code"]
    assert api.post(f"/api/v1/things/{code}/undo", {"version": 2}, "dispatcher").status_code == 403
    done = api.post(
        f"/api/v1/things/{code}/undo", {"version": 2}, "planner", **{"Idempotency-Key": "k1"}
    )
    assert done.json()["restored"] == 1
    again = api.post(
        f"/api/v1/things/{code}/undo", {"version": 2}, "planner", **{"Idempotency-Key": "k1"}
    )
    assert again.json() == done.json()
    late = api.post(f"/api/v1/things/{code}/undo", {"version": 2}, "planner")
    assert (late.status_code, late.json()["code"]) == (409, "changed_since")
    said = api.get(f"/api/v1/things/{code}/history").json()["versions"]
    assert [v["version"] for v in said] == [3, 2, 1]
    assert said[0]["note"] == {"undo": 2}


def test_a_polygon_is_split_by_a_line_and_merged_again(api: Api) -> None:
    write("sub_compartment", source_key=["s"], species=["香樟"], geom=[minicity.ewkb(WHOLE)])
    found = api.get("/ogc/collections/sub_compartment/items").json()["features"]
    code = found[0]["properties"]["code"]
    body = {"line": shapely.geometry.mapping(LINE), "keep": "largest"}
    assert api.post(f"/api/v1/things/{code}/split", body, "dispatcher").status_code == 403
    done = api.post(f"/api/v1/things/{code}/split", body, "planner")
    assert done.status_code == 200, done.text
    first, second = done.json()["children"]
    assert first["code"] == code
    card = api.get(f"/api/v1/things/{second['code']}").json()
    assert [p["code"] for p in card["lineage"]["parents"]] == [code]
    back = api.post(
        f"/api/v1/things/{code}/merge", {"others": [second["code"]], "keep": code}, "planner"
    )
    assert back.json()["child"]["code"] == code
    assert api.get(f"/api/v1/things/{second['code']}").status_code == 404
    wrong = api.post(f"/api/v1/things/{code}/split", {"line": {"type": "Point"}}, "planner")
    assert wrong.status_code == 400
