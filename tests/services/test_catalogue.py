"""The data resource centre: catalogue, facets, lineage, coverage, failures, Records and DCAT, in scope."""

from __future__ import annotations

from typing import Any

import pytest
import shapely

from tests import minicity
from tests.services.conftest import Api
from twin import bulk, db, inspection, kinds


@pytest.fixture(scope="module", autouse=True)
def checked(api: Api) -> None:
    """A load of toilets of which two fail a rule, checked."""
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        points = [minicity.ewkb(shapely.Point(x, 31.21)) for x in (121.41, 121.42, 121.47)]
        with bulk.Load(conn, kind, actor="t", source="survey", file="厕所.xlsx") as made:
            made.add({"source_key": ["1", "2", "3"], "seats_m": [-1, 2, -3], "geom": points})
    inspection.inspect(kind, why="asked")


def listed(api: Api, user: str = "planner", **params: str) -> dict[str, Any]:
    done = api.get("/api/v1/catalogue", user, **params)
    assert done.status_code == 200, done.text
    return {i["kind"]: i for i in done.json()["items"]}


def test_every_kind_says_who_provides_it_and_how_it_is_shared(api: Api) -> None:
    found = listed(api)
    toilet = found["toilet"]
    assert toilet["things"] == 193
    assert toilet["provider"]["key"] == "sanitation_dept"
    assert toilet["share"] in ("open", "conditional", "closed")
    assert toilet["fresh"] is True
    assert toilet["extent"][0] == pytest.approx(121.401)
    assert toilet["failures"]["error"] == 2
    assert 90 < toilet["score"] < 100
    assert [d["key"] for d in toilet["databases"]] == ["public_toilets"]


def test_facets_and_words_narrow_the_list(api: Api) -> None:
    assert set(listed(api, q="公厕 环卫")) >= {"toilet"}
    assert all(i["topic"] == "forestry" for i in listed(api, topic="forestry").values())
    assert "toilet" in listed(api, database="public_toilets", geometry="point", level="L1")
    assert listed(api, q="no such words") == {}


def test_the_detail_has_fields_rules_sources_and_links(api: Api) -> None:
    said = api.get("/api/v1/catalogue/toilet", "planner").json()
    rule = next(r for r in said["rules"] if r["id"] == "range.seats_m")
    assert (rule["failing"], rule["severity"]) == (2, "error")
    assert {"survey", "mini"} & {s["source"] for s in said["sources"]} == {"survey"}
    assert any(c["rule"] == "range.seats_m" for c in said["cases"])
    assert "phone" in [f["name"] for f in said["field_list"]]
    assert {"items", "tiles"} <= {link["rel"] for link in said["links"]}
    assert said["checked"]["failures"] >= 2


def test_a_district_sees_its_own_share(api: Api) -> None:
    mine = listed(api, "district-310104")["toilet"]
    assert mine["things"] < 193
    assert mine["failures"]["error"] == 1
    said = api.get("/api/v1/catalogue/toilet", "district-310104").json()
    assert "phone" not in [f["name"] for f in said["field_list"]]
    covered = api.get("/api/v1/catalogue/toilet/coverage", "district-310104").json()["districts"]
    assert [d["district"] for d in covered] == ["310104"]
    rows = api.get("/api/v1/catalogue/toilet/failures", "district-310104").json()["failures"]
    assert {r["district"] for r in rows} == {"310104"}
    assert api.get("/api/v1/catalogue/toilet", None).status_code == 401


def test_lineage_leads_from_file_to_products(api: Api) -> None:
    said = api.get("/api/v1/catalogue/toilet/lineage", "planner").json()
    lanes = {n["lane"] for n in said["nodes"]}
    assert lanes == {"source", "load", "kind", "product"}
    ids = {n["id"] for n in said["nodes"]}
    assert all(e["from"] in ids and e["to"] in ids for e in said["edges"])
    written = next(e for e in said["edges"] if e.get("what") == "written")
    assert written["rows"]["out"] == 3


def test_coverage_and_scores_are_layers(api: Api) -> None:
    found = api.get("/api/v1/catalogue/toilet/coverage", "planner", f="geojson").json()
    assert {f["properties"]["district"] for f in found["features"]} == {"310101", "310104"}
    assert all(f["geometry"]["type"].endswith("Polygon") for f in found["features"])
    scores = api.get("/api/v1/quality/scores", "planner", kind="toilet").json()["scores"]
    assert {s["district"] for s in scores} == {"310101", "310104"}
    layer = api.get("/api/v1/quality/scores.geojson", "planner", kind="toilet").json()
    assert layer["features"][0]["properties"]["score"] is not None


def test_failing_things_are_listed_with_their_reason(api: Api) -> None:
    page = api.get(
        "/api/v1/catalogue/toilet/failures", "planner", rule="range.seats_m", limit=1
    ).json()
    assert page["failures"][0]["detail"] == "-1"
    rest = api.get(
        "/api/v1/catalogue/toilet/failures", "planner", rule="range.seats_m", after=page["next"]
    )
    assert [r["detail"] for r in rest.json()["failures"]] == ["-3"]
    points = api.get(
        "/api/v1/catalogue/toilet/failures", "planner", rule="range.seats_m", f="geojson"
    ).json()
    assert len(points["features"]) == 2


def test_records_follow_the_standard(api: Api) -> None:
    head = api.get("/ogc/collections/catalogue").json()
    assert head["itemType"] == "record"
    page = api.get("/ogc/collections/catalogue/items", limit=5).json()
    assert page["numberReturned"] == 5
    assert any(link["rel"] == "next" for link in page["links"])
    one = api.get("/ogc/collections/catalogue/items/toilet").json()
    assert one["type"] == "Feature"
    assert one["properties"]["type"] == "dataset"
    assert one["geometry"]["type"] == "Polygon"
    assert {"title", "description", "created", "updated", "keywords"} <= set(one["properties"])


@pytest.mark.parametrize(
    ("params", "there"),
    [
        ({"q": "公共厕所"}, True),
        ({"q": "天文台,公共厕所"}, True),
        ({"q": "天文台"}, False),
        ({"bbox": "121.4,31.2,121.5,31.3"}, True),
        ({"bbox": "10,10,11,11"}, False),
        ({"datetime": "2020-01-01T00:00:00Z/.."}, True),
        ({"datetime": "../2020-01-01T00:00:00Z"}, False),
        ({"type": "dataset"}, True),
        ({"type": "service"}, False),
        ({"ids": "toilet,bin"}, True),
        ({"externalIds": "kind:toilet"}, True),
        ({"externalIds": "kind:bin"}, False),
    ],
)
def test_records_are_found(api: Api, params: dict[str, str], there: bool) -> None:
    page = api.get("/ogc/collections/catalogue/items", limit="1000", **params)
    assert page.status_code == 200, page.text
    assert ("toilet" in [f["id"] for f in page.json()["features"]]) is there


def test_records_refuse_what_they_do_not_know(api: Api) -> None:
    assert api.get("/ogc/collections/catalogue/items", colour="red").status_code == 400
    assert api.get("/ogc/collections/catalogue/items/nothing").status_code == 404


def test_dcat_is_linked_data(api: Api) -> None:
    done = api.get("/api/v1/catalogue.dcat.jsonld")
    assert done.headers["content-type"] == "application/ld+json"
    said = done.json()
    toilet = next(d for d in said["dcat:dataset"] if d["dct:identifier"] == "toilet")
    assert toilet["@type"] == "dcat:Dataset"
    assert toilet["dcat:distribution"]
    assert toilet["dct:publisher"]["foaf:name"]
