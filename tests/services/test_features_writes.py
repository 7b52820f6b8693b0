"""Changing features: versions, scope, rules of the kind, once for each key, the journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyproj
import pytest
from sqlalchemy import text

from tests.services.conftest import Api
from twin import db, identity

ITEMS = "/ogc/collections/toilet/items"
HERE = {"type": "Point", "coordinates": [121.42, 31.22]}
THERE = {"type": "Point", "coordinates": [121.47, 31.22]}
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


@pytest.fixture(scope="module")
def east(api: Api) -> Iterator[str]:
    """An account that may write, in Xuhui alone."""
    with db.engine("app").begin() as conn:
        identity.add_account(
            conn, user="east", name={"zh": "东", "en": "East"}, password=None, roles=["planner"],
            districts=["310104"], clearance=2, crew=None, actor="t",
        )  # fmt: skip
        api.tokens["east"] = identity.issue_token(conn, "east", 1, "t")
    yield "east"


def send(
    api: Api, method: str, path: str, body: Any = None, user: str = "planner", **headers: str
) -> Any:
    said = {k.replace("_", "-"): v for k, v in headers.items()}
    return api.http.request(method, path, json=body, headers={**api.headers(user), **said})


def feature(name: str, shape: Any = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": shape or HERE,
        "properties": {"name": name, **properties},
    }


def create(
    api: Api, name: str, user: str = "planner", shape: Any = None, **properties: Any
) -> tuple[str, str]:
    done = send(api, "POST", ITEMS, feature(name, shape, **properties), user)
    assert done.status_code == 201, done.text
    return "/ogc" + done.headers["location"].partition("/ogc")[2], done.headers["etag"]


def test_a_feature_lives_from_creation_to_removal(api: Api) -> None:
    path, first = create(
        api, "新厕", grade="1", seats_f=4, features=["热水"], built_on="2026-05-01"
    )
    made = api.get(path).json()["properties"]
    assert (made["district"], made["grade"], made["features"]) == ("310101", "1", ["热水"])
    assert made["code"].startswith("310101-TO-") and made["source"] == "ogc"

    patched = send(
        api, "PATCH", path, {"properties": {"grade": "2", "seats_f": None}}, If_Match=first
    )
    assert patched.status_code == 200, patched.text
    assert patched.headers["etag"] != first
    now = patched.json()["properties"]
    assert (now["grade"], now["seats_f"], now["name"], now["features"]) == (
        "2",
        None,
        "新厕",
        ["热水"],
    )

    replaced = send(api, "PUT", path, feature("另厕", THERE), If_Match=patched.headers["etag"])
    now = replaced.json()["properties"]
    assert (now["name"], now["grade"], now["district"]) == ("另厕", None, "310104")

    gone = send(api, "DELETE", path, If_Match=replaced.headers["etag"])
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.get(path).status_code == 404
    told = api.get(f"{path}/history").json()["features"]
    assert [f["properties"]["version"] for f in told] == [3, 2, 1]


def test_every_change_is_an_entry_of_who_did_it(api: Api) -> None:
    path, etag = create(api, "记厕")
    send(api, "PATCH", path, {"properties": {"note": "a"}}, If_Match=etag)
    key = path.rpartition("/")[2]
    with db.engine("app").begin() as conn:
        rows = conn.execute(text("select action, actor, after ->> 'note' as note from twin.journal "
                                 "where subject = :k order by id"), {"k": key}).all()  # fmt: skip
    assert [tuple(r) for r in rows] == [("insert", "planner", None), ("update", "planner", "a")]


def test_a_change_names_the_version_that_it_changes(api: Api) -> None:
    path, etag = create(api, "版厕")
    body = {"properties": {"note": "x"}}
    for method in ("PATCH", "PUT", "DELETE"):
        done = send(api, method, path, body if method == "PATCH" else feature("版厕"))
        assert (done.status_code, done.json()["code"]) == (428, "if_match_missing")
    assert send(api, "PATCH", path, body, If_Match=etag).status_code == 200
    late = send(api, "PATCH", path, body, If_Match=etag)
    assert (late.status_code, late.json()["code"], late.json()["version"]) == (
        412,
        "if_match_failed",
        2,
    )
    assert send(api, "DELETE", path, If_Match=f"W/{etag}").status_code == 412
    assert send(api, "DELETE", path, If_Match="*").status_code == 204


def test_a_repeated_request_is_done_once(api: Api) -> None:
    body = feature("一厕")
    first = send(api, "POST", ITEMS, body, Idempotency_Key="once-1")
    again = send(api, "POST", ITEMS, body, Idempotency_Key="once-1")
    assert first.headers["location"] == again.headers["location"]
    assert api.get(ITEMS, name="一厕").json()["numberMatched"] == 1
    other = send(api, "POST", ITEMS, feature("二厕"), Idempotency_Key="once-1")
    assert other.status_code == 400


def test_nobody_writes_outside_their_place(api: Api, east: str) -> None:
    refused = send(api, "POST", ITEMS, feature("西厕"), east)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    path, etag = create(api, "东厕", east, THERE)
    moved = send(api, "PATCH", path, {"geometry": HERE}, east, If_Match=etag)
    assert moved.status_code == 403
    assert api.get(path).json()["properties"]["district"] == "310104"
    assert api.get(ITEMS, name="西厕").json()["numberMatched"] == 0
    foreign, tag = create(api, "他厕")
    for method in ("PATCH", "DELETE"):
        done = send(api, method, foreign, {"properties": {}}, east, If_Match=tag)
        assert (done.status_code, done.json()["code"]) == (404, "not_found")


def test_what_all_may_see_not_all_may_change(api: Api, east: str) -> None:
    road = next(
        f
        for f in api.get("/ogc/collections/road/items", bbox="121.40,31.20,121.41,31.21").json()[
            "features"
        ]
    )
    path = f"/ogc/collections/road/items/{road['id']}"
    assert api.get(path, east).status_code == 200
    done = send(api, "PATCH", path, {"properties": {"name": "我的路"}}, east, If_Match="*")
    assert done.status_code == 403


def test_who_may_not_write_is_refused_and_hidden_fields_stay(api: Api, east: str) -> None:
    assert send(api, "POST", ITEMS, feature("x"), "dispatcher").status_code == 403
    assert send(api, "POST", ITEMS, feature("x"), "district-310104").status_code == 403
    assert api.http.post(ITEMS, json=feature("x")).status_code == 401
    path, etag = create(api, "话厕", shape=THERE, phone="13800000000")
    hidden = send(api, "PATCH", path, {"properties": {"phone": "1"}}, east, If_Match=etag)
    assert (hidden.status_code, hidden.json()["code"]) == (422, "feature_invalid")
    done = send(api, "PUT", path, feature("话厕二", THERE), east, If_Match=etag)
    assert "phone" not in done.json()["properties"]
    assert api.get(path).json()["properties"]["phone"] == "13800000000"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (feature("x", grade="9"), "codes.grade"),
        (feature("x", seats_f=-1), "range.seats_f"),
        (feature("x", seats_f=1.5), "seats_f"),
        (feature("x", seats_f="4"), "seats_f"),
        (feature("x", accessible="yes"), "accessible"),
        (feature("x", built_on="May"), "built_on"),
        (feature("x", features="a"), "features"),
        (feature("x", colour="red"), "colour"),
        (feature("x", located_in="310101-PK-999999"), "located_in"),
        (feature("x", state="asleep"), "state"),
        (feature("x" * 500), "name"),
        (feature("a\0b"), "name"),
        (feature("x", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 0]]]}), "geometry"),
        (feature("x", {"type": "Point", "coordinates": [500, 0]}), "geometry"),
        (feature("x", {"type": "Point", "coordinates": ["a", "b"]}), "geometry"),
        ({"type": "Feature", "geometry": None, "properties": {}}, "geometry"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_kind_is_named(api: Api, body: Any, named: str) -> None:
    before = api.get(ITEMS, limit=1).json()["numberMatched"]
    done = send(api, "POST", ITEMS, body)
    assert (done.status_code, done.json()["code"]) == (422, "feature_invalid"), done.text
    assert named in [f["property"] for f in done.json()["failures"]], done.text
    assert api.get(ITEMS, limit=1).json()["numberMatched"] == before


@pytest.mark.parametrize(
    ("raw", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b'{"a":' * 50_000, "application/geo+json", 400, "bad_request"),
        (b"[]", "application/json", 422, "feature_invalid"),
        (b'{"type":"FeatureCollection","features":[]}', "application/json", 422, "feature_invalid"),
        (b'{"type":"Feature","geometry":null,"properties":7}', "application/json", 422, "feature_invalid"),
        (b"\xff\xfe", "application/json", 400, "bad_request"),
        (b"", "application/json", 400, "bad_request"),
        (b"<a/>", "text/xml", 415, "unsupported_media_type"),
        (b"x" * (8 * 1024 * 1024 + 1), "application/json", 413, "too_large"),
    ],
)  # fmt: skip
def test_bodies_that_are_none(api: Api, raw: bytes, media: str, status: int, code: str) -> None:
    headers = {**api.headers("planner"), "Content-Type": media}
    done = api.http.post(ITEMS, content=raw, headers=headers)
    assert (done.status_code, done.json()["code"]) == (status, code), done.text


def test_bodies_come_in_other_references(api: Api) -> None:
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:4549", always_xy=True).transform(
        121.42, 31.22
    )
    shape = {"type": "Point", "coordinates": [y, x]}
    done = send(api, "POST", ITEMS, feature("米厕", shape), Content_Crs=f"<{EPSG}4549>")
    assert done.json()["geometry"]["coordinates"] == pytest.approx([121.42, 31.22], abs=1e-6)
    wrong = send(api, "POST", ITEMS, feature("米厕", shape), Content_Crs="<moon>")
    assert wrong.json()["code"] == "bad_request"


def test_options_say_what_a_door_takes(api: Api) -> None:
    path, _ = create(api, "问厕")
    done = api.http.options(path)
    assert (done.status_code, done.headers["allow"]) == (
        204,
        "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
    )
    assert api.http.options(ITEMS).headers["allow"] == "GET, POST, HEAD, OPTIONS"


def test_read_only_properties_may_come_back_as_they_were(api: Api) -> None:
    path, etag = create(api, "回厕", grade="3")
    whole = api.get(path).json()
    whole["properties"]["grade"] = "1"
    done = send(api, "PUT", path, whole, If_Match=etag)
    assert done.status_code == 200, done.text
    assert done.json()["properties"]["code"] == whole["properties"]["code"]
