"""Bounds on every parameter, sessions and origins, paging, TileJSON, health."""

from __future__ import annotations

import pytest

from tests import minicity
from tests.services.conftest import Api
from twin import db, identity


@pytest.mark.parametrize(
    "path",
    [
        "/ogc/collections/toilet/items?bbox=1,2,3",
        "/ogc/collections/toilet/items?bbox=a,b,c,d",
        "/ogc/collections/toilet/items?bbox=nan,1,2,3",
        "/ogc/collections/toilet/items?limit=0",
        "/ogc/collections/toilet/items?limit=x",
        "/ogc/collections/toilet/items?datetime=2026-11-20T08:00:00",
        "/ogc/collections/toilet/items?datetime=yesterday",
        "/ogc/collections/toilet/items?colour=red",
        "/tiles/toilet/3/9/0.mvt",
        "/tiles/toilet/99/0/0.mvt",
        "/api/v1/events?cursor=!!!",
        "/api/v1/events?limit=100000",
        "/api/v1/events?at=2026-11-20",
        "/api/v1/timeline?from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z",
        "/api/v1/search?q=",
        "/api/v1/tracks/99999999999999",
    ],
)
def test_a_bad_parameter_is_refused_with_a_problem(api: Api, path: str) -> None:
    done = api.get(path)
    assert done.status_code == 400, done.text[:300]
    assert done.headers["content-type"] == "application/problem+json"
    said = done.json()
    assert said["code"]
    assert "Traceback" not in done.text


def test_paging_by_next_links_gives_every_feature_once(api: Api) -> None:
    seen: list[str] = []
    path = "/ogc/collections/toilet/items?limit=37"
    while path:
        page = api.get(path).json()
        seen += [f["id"] for f in page["features"]]
        links = [link["href"] for link in page["links"] if link["rel"] == "next"]
        path = links[0].split("/ogc", 1)[1] if links else ""
        path = f"/ogc{path}" if path else ""
    assert len(seen) == len(set(seen)) == page["numberMatched"] == 190


def test_bbox_and_property_filters(api: Api) -> None:
    page = api.get(
        "/ogc/collections/toilet/items", bbox="121.40,31.20,121.45,31.24", limit=1000
    ).json()
    assert {f["properties"]["district"] for f in page["features"]} == {minicity.WEST}
    one = api.get("/ogc/collections/toilet/items", name="公厕7").json()
    assert one["numberMatched"] == 1


def log_in(api: Api, **headers: str) -> int:
    body = {"user": "commander", "password": "a-password-of-this-test"}
    return int(api.http.post("/api/v1/session", json=body, headers=headers).status_code)


def test_a_cookie_changes_things_only_from_our_own_page(api: Api) -> None:
    with db.engine("app").begin() as conn:
        identity.set_password(conn, "commander", "a-password-of-this-test", "t")
    assert log_in(api, Origin="http://evil.example") == 403
    assert log_in(api, Origin="http://testserver") == 200
    try:
        assert api.http.get("/api/v1/session").json()["user"] == "commander"
        body = {"category": "litter", "description": "x", "lon": 121.47, "lat": 31.22}
        for origin, status in (
            ("http://evil.example", 403),
            (None, 403),
            ("http://testserver", 201),
        ):
            headers = {"Origin": origin} if origin else {}
            assert api.http.post("/api/v1/events", json=body, headers=headers).status_code == status
        gone = api.http.delete("/api/v1/session", headers={"Origin": "http://testserver"})
        assert gone.status_code == 204
        assert api.http.get("/api/v1/session").status_code == 401
    finally:
        api.http.cookies.clear()


def test_an_unknown_token_is_told_so(api: Api) -> None:
    done = api.http.get("/api/v1/events", headers={"Authorization": "Bearer nonsense"})
    assert (done.status_code, done.json()["code"]) == (401, "unauthorized")


def test_tiles_are_revalidated_and_change_with_the_thing(api: Api) -> None:
    from gis.tiles import tile_of

    z, x, y = tile_of(121.42, 31.215, 14)
    path = f"/tiles/toilet/{z}/{x}/{y}.mvt"
    first = api.get(path)
    tag = first.headers["etag"]
    again = api.http.get(path, headers=api.headers("dispatcher") | {"If-None-Match": tag})
    assert again.status_code == 304
    about = api.get("/tiles/toilet.json").json()
    assert about["tilejson"] == "3.0.0"
    assert about["vector_layers"][0]["id"] == "toilet"


def test_the_card_of_a_thing_and_its_history(api: Api) -> None:
    found = api.get("/ogc/collections/crew/items", name="东一组").json()["features"][0]
    card = api.get(f"/api/v1/things/{found['properties']['code']}").json()
    assert card["kind_title"]["zh"] == "作业班组"
    assert card["district_name"] == "徐汇区"
    skills = next(f for f in card["fields"] if f["key"] == "skills")
    assert skills["text"]["zh"] == "环卫、绿化"
    versions = api.get(f"/api/v1/things/{found['properties']['num']}/history").json()["versions"]
    assert [v["action"] for v in versions] == ["insert"]


def test_indicators_count_what_the_lists_show(api: Api) -> None:
    cards = {c["key"]: c for c in api.get("/api/v1/indicators").json()["cards"]}
    assert len(cards) == 6
    listed = api.get("/api/v1/events", state="open").json()["total"]
    assert cards["events.open"]["value"] == listed
    bins = api.get("/api/v1/timeline", bins=24).json()["bins"]
    assert len(bins) == 24
    assert sum(b["opened"] for b in bins) == api.get("/api/v1/events", state="all").json()["total"]


def test_health_and_readiness(api: Api) -> None:
    assert api.get("/healthz", None).json() == {"status": "ok"}
    assert api.get("/readyz", None).json()["kinds"] >= 15
    assert "python_info" in api.get("/metrics", None).text


@pytest.mark.parametrize(
    ("said", "first"),
    [("厕7", "公厕7"), ("公厕18", "公厕18"), ("东二", "东二组"), ("t", None), ("%", None)],
)
def test_names_are_found_by_any_part(api: Api, said: str, first: str | None) -> None:
    found = api.get("/api/v1/search", q=said).json()["results"]
    assert (found[0]["name"] if found else None) == first


def test_codes_are_found_by_their_beginning(api: Api) -> None:
    found = api.get("/api/v1/search", q="310101-to-00000").json()["results"]
    assert found and all(r["code"].startswith("310101-TO-00000") for r in found)
