"""Filters at the door: CQL2 on items, CRS of its shapes, queryables, and who may filter by what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.conftest import Api

ITEMS = "/ogc/collections/toilet/items"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


def matched(api: Api, user: str = "dispatcher", **params: Any) -> int:
    done = api.get(ITEMS, user, **{k.replace("_", "-"): v for k, v in params.items()})
    assert done.status_code == 200, done.text
    return int(done.json()["numberMatched"])


def test_text_and_json_filter_the_items(api: Api) -> None:
    assert matched(api, filter="name = '公厕7'") == 1
    assert matched(api, filter="name like '公厕1_' and district is not null") == 10
    said = json.dumps({"op": "=", "args": [{"property": "name"}, "公厕7"]})
    assert matched(api, filter=said, filter_lang="cql2-json") == 1


def test_a_filter_joins_box_fields_and_pages(api: Api) -> None:
    whole = matched(api, bbox="121.40,31.20,121.45,31.24")
    assert matched(api, filter="s_intersects(geom, BBOX(121.40,31.20,121.45,31.24))") == whole
    both = api.get(ITEMS, filter="name like '公厕1%'", district="310101", limit=5).json()
    assert 0 < both["numberReturned"] <= 5
    following = next(link["href"] for link in both["links"] if link["rel"] == "next")
    assert "filter=name+like" in following


def test_shapes_are_read_in_the_order_of_their_crs(api: Api) -> None:
    whole = matched(api, bbox="121.40,31.20,121.45,31.24")
    swapped = "s_intersects(geom, BBOX(31.20,121.40,31.24,121.45))"
    assert matched(api, filter=swapped, filter_crs=EPSG + "4326") == whole
    mercator = "s_intersects(geom, BBOX(13514000,3650000,13520000,3670000))"
    assert 0 < matched(api, filter=mercator, filter_crs=EPSG + "3857") < 190


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"filter": "colour = 1"}, "filter_unknown_property"),
        ({"filter": "pg_sleep(3) = 1"}, "filter_unknown_function"),
        ({"filter": "name = 1"}, "filter_type"),
        ({"filter": "name ="}, "filter_invalid"),
        ({"filter": "(" * 5000}, "filter_too_complex"),
        ({"filter": "(num + 9) ^ 999999 > 1"}, "filter_invalid"),
        ({"filter": "true", "filter-lang": "sql"}, "bad_request"),
        ({"filter": "true", "filter-crs": "moon"}, "bad_request"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_a_stable_code(
    api: Api, params: dict[str, str], code: str
) -> None:
    done = api.get(ITEMS, **params)
    assert done.status_code == 400, done.text
    assert done.json()["code"] == code


def test_hidden_fields_cannot_be_filtered_by(api: Api) -> None:
    assert matched(api, filter="phone is null") == 190
    done = api.get(ITEMS, "district-310104", filter="phone is null")
    assert done.json()["code"] == "filter_unknown_property"
    said = api.get("/ogc/collections/toilet/queryables", "district-310104").json()
    assert "phone" not in said["properties"]
    assert said["properties"]["seats_f"]["type"] == "integer"


def test_queryables_are_a_schema_and_declared(api: Api) -> None:
    done = api.get("/ogc/collections/toilet/queryables")
    assert done.headers["content-type"].startswith("application/schema+json")
    assert done.json()["additionalProperties"] is False
    classes = api.get("/ogc/conformance").json()["conformsTo"]
    assert "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text" in classes
    links = api.get("/ogc/collections/toilet").json()["links"]
    assert any(link["rel"].endswith("/queryables") for link in links)
