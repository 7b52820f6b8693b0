"""Records hang on things: they show on the card, take its district, and obey scope like things."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from sqlalchemy import text

from tests import minicity
from tests.services.conftest import Api
from twin import bulk, catalogue, db, kinds


def toilets() -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(
            conn.execute(
                text("select code, district from sanitation.toilet order by num limit 190")
            )
        )


@pytest.fixture(scope="module")
def reviewed(api: Api) -> list[Any]:
    """Toilets with three cleanings each of the first two, and one park gate in a park."""
    rows = toilets()
    hosts = [rows[0].code] * 3 + [rows[-1].code] * 3
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet_cleaning", {
            "source_key": [f"c{i}" for i in range(6)], "about": hosts,
            "done_at": [f"2026-11-{10 + i}T08:00:00+08:00" for i in range(6)],
        })  # fmt: skip
        with bulk.Load(conn, kinds.one(conn, "toilet_cleaning"), actor="t", source="bulk") as load:
            load.add({"source_key": [f"b{i}" for i in range(1_200)],
                      "about": [rows[-1].code] * 1_200})  # fmt: skip
    catalogue.forget()
    return rows


def records(api: Api, code: str, user: str = "dispatcher") -> Any:
    return api.get(f"/api/v1/things/{code}/records", user=user)


def test_the_newest_records_come_first(api: Api, reviewed: list[Any]) -> None:
    said = records(api, reviewed[0].code).json()["records"]
    assert [(g["kind"], g["total"]) for g in said] == [("toilet_cleaning", 3)]
    days = [row["values"]["done_at"][:10] for row in said[0]["rows"]]
    assert days == sorted(days, reverse=True)


def test_records_lie_where_their_thing_lies(reviewed: list[Any]) -> None:
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text(
                "select r.source, r.district, t.district as host from sanitation.toilet_cleaning r "
                "join sanitation.toilet t on t.code = r.about"
            )
        ).all()
    assert len(rows) == 1_206 and {r.source for r in rows} == {"mini", "bulk"}
    assert all(r.district == r.host for r in rows)


def test_a_district_sees_only_its_own(api: Api, reviewed: list[Any]) -> None:
    west, east = reviewed[0], reviewed[-1]
    assert (west.district, east.district) == ("310101", "310104")
    assert records(api, west.code, "district-310104").status_code == 404
    assert records(api, east.code, "district-310104").json()["records"][0]["total"] == 1_203
    items = api.get("/ogc/collections/toilet_cleaning/items", "district-310104", limit=1).json()
    assert items["numberMatched"] == 1_203


def test_what_refers_to_a_thing_is_counted_and_linked(api: Api) -> None:
    with db.engine("app").begin() as conn:
        minicity.write(conn, "park", {"source_key": ["p"], "name": ["小公园"],
                                      "geom": [minicity.area(121.41, 121.42)]})  # fmt: skip
        park = conn.execute(text("select code from greening.park")).scalar_one()
        minicity.write(conn, "park_gate", {"source_key": ["g1", "g2"], "name": ["东门", "西门"],
                                           "part_of": [park, park],
                                           "geom": [minicity.ewkb(shapely.Point(121.415, 31.22))] * 2})  # fmt: skip
    linked = records(api, park).json()["linked"]
    assert [(g["kind"], g["relation"], g["total"]) for g in linked] == [("park_gate", "part_of", 2)]
    gate = linked[0]["things"][0]
    card = api.get(f"/api/v1/things/{gate['num']}").json()
    refs = [f["ref"] for f in card["fields"] if f["key"] == "part_of"]
    assert refs == [{"code": park, "name": "小公园", "kind": "park"}]
