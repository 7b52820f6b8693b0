"""NGSI-LD: entities by type, value and place, their history; queries read strictly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text

from ingest.devices import Registry
from ingest.writer import Uplink, write_all
from services.ngsild import query
from tests.services.conftest import Api
from twin import db, devices
from twin.errors import BadRequest

LEVELS = {"N1": 10.0, "N2": 50.0, "N3": 90.0}
NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)


@pytest.fixture(scope="module")
def bins(api: Api) -> Iterator[dict[str, int]]:
    """Three bin sensors a kilometre apart, with four records each."""
    codes = [f"NGSI-{name}" for name in LEVELS]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into twin.thing (id, kind, code, district, level, point) values (:id, "
                "'sensor', :code, '310104', 1, st_setsrid(st_makepoint(:x, 31.2), 4326))"
            ),
            [
                {"id": uuid4(), "code": code, "x": 121.40 + i * 0.0105}
                for i, code in enumerate(codes)
            ],
        )
        found = devices.numbers(conn, codes)
    nums = {name: found[f"NGSI-{name}"] for name in LEVELS}
    with db.engine("app").begin() as conn:
        devices.many(conn, "bin_level", list(nums.items()), actor="test")
    registry = Registry()
    with db.engine("ingest").begin() as conn:
        registry.reload(conn, {("bin_level", name) for name in LEVELS})
    said = []
    for name, level in LEVELS.items():
        source = registry.find("bin_level", name)
        assert source is not None
        for i in range(4):
            at = NOON + timedelta(minutes=10 * i)
            values = {"level_pct": level + i, "battery_pct": 80, "tilted": name == "N3"}
            body = orjson.dumps({"t": at.isoformat(), "values": values})
            said.append(Uplink(source, "telemetry", body, time.time()))
    assert write_all(registry, said)[:3] == (12, 0, 0)
    yield nums


def ask(api: Api, path: str, **params: str) -> Any:
    query_string = "&".join(f"{key}={quote(value)}" for key, value in params.items())
    return api.get(f"/ngsi-ld/v1/{path}?{query_string}")


def ids(api: Api, **params: str) -> list[str]:
    said = ask(api, "entities", type="bin_level", **params)
    assert said.status_code == 200, said.text
    return [one["id"].rpartition(":")[2] for one in said.json()]


def test_entities_by_value_and_place(api: Api, bins: dict[str, int]) -> None:
    assert ids(api, q='code~="NGSI-"') == ["N1", "N2", "N3"]
    assert ids(api, q="level_pct>52;battery_pct==80") == ["N2", "N3"]
    assert ids(api, q="level_pct<20|tilted==true") == ["N1", "N3"]
    assert ids(api, q='(level_pct==0..60;code!="NGSI-N1");battery_pct') == ["N2"]
    assert ids(api, q="level_pct==13,93") == ["N1", "N3"]
    near = {"geometry": "Point", "coordinates": "[121.40,31.2]"}
    assert ids(api, q='code~="NGSI"', georel="near;maxDistance==1200", **near) == ["N1", "N2"]
    assert ids(api, q='code~="NGSI"', georel="near;minDistance==1500", **near) == ["N3"]
    ring = "[[[121.405,31.19],[121.43,31.19],[121.43,31.21],[121.405,31.21],[121.405,31.19]]]"
    area = {"geometry": "Polygon", "coordinates": ring}
    assert ids(api, q='code~="NGSI"', georel="within", **area) == ["N2", "N3"]
    assert ids(api, q='code~="NGSI"', georel="disjoint", **area) == ["N1"]
    said = ask(
        api, "entities", type="bin_level", q='code~="NGSI"', limit="1", offset="1", count="true"
    )
    assert said.headers["NGSILD-Results-Count"] == "3"
    assert "json-ld#context" in said.headers["link"]
    assert [one["id"] for one in said.json()] == ["urn:ngsi-ld:bin_level:N2"]


def test_one_entity_in_both_forms(api: Api, bins: dict[str, int]) -> None:
    full = ask(api, "entities/urn:ngsi-ld:bin_level:N3").json()
    assert full["type"] == "bin_level"
    level = full["level_pct"]
    assert (level["type"], level["value"], level["unitCode"]) == ("Property", 93, "%")
    assert datetime.fromisoformat(level["observedAt"]) == NOON + timedelta(minutes=30)
    assert full["location"]["type"] == "GeoProperty"
    short = ask(
        api, "entities/urn:ngsi-ld:bin_level:N3", options="keyValues", attrs="level_pct,tilted"
    )
    assert short.json() == {
        "id": "urn:ngsi-ld:bin_level:N3", "type": "bin_level", "level_pct": 93, "tilted": True,
    }  # fmt: skip
    assert ask(api, "entities/urn:ngsi-ld:bin_level:nobody").status_code == 404
    assert "bin_level" in ask(api, "types").json()["typeList"]
    assert api.get("/ngsi-ld/v1/types", None).status_code == 401


def test_what_entities_said_over_time(api: Api, bins: dict[str, int]) -> None:
    path = "temporal/entities/urn:ngsi-ld:bin_level:N1"
    between = {
        "timerel": "between", "timeAt": NOON.isoformat(),
        "endTimeAt": (NOON + timedelta(minutes=20)).isoformat(),
    }  # fmt: skip
    said = ask(api, path, attrs="level_pct", **between).json()
    assert [one["value"] for one in said["level_pct"]] == [10, 11, 12]
    said = ask(api, path, attrs="level_pct", options="temporalValues", lastN="2",
               timerel="after", timeAt=NOON.isoformat()).json()  # fmt: skip
    assert [one[0] for one in said["level_pct"]["values"]] == [12, 13]
    many = ask(api, "temporal/entities", type="bin_level", q="level_pct>50", attrs="level_pct",
               timerel="before", timeAt=(NOON + timedelta(minutes=1)).isoformat()).json()  # fmt: skip
    assert {one["id"].rpartition(":")[2]: len(one.get("level_pct", [])) for one in many} == {
        "N2": 1, "N3": 1,
    }  # fmt: skip
    assert ask(api, path, timerel="between", timeAt=NOON.isoformat()).status_code == 400


@pytest.mark.parametrize(
    "q",
    ["", "level_pct>", ";", "a==1;", "(a==1", "a==1)", "a=1", "a==1 b==2", "|a", "a;" * 21 + "a"],
)
def test_broken_queries_are_refused(q: str) -> None:
    with pytest.raises(BadRequest):
        query.parse(q)


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("touching", "Point", "[121,31]"), ("near", "Point", "[121,31]"),
        ("near;maxDistance==x", "Point", "[121,31]"), ("within", "Polygon", "[[[1,2],[3,4]]]"),
        ("within", "Planet", "[1,2]"), ("within", "Point", "{"), ("within", "Point", "[]"),
    ],
)  # fmt: skip
def test_broken_places_are_refused(georel: str, geometry: str, coordinates: str) -> None:
    with pytest.raises(BadRequest):
        query.geo(georel, geometry, coordinates)
