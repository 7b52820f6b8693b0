"""Split and merge: areas are conserved to a millionth, attributes and lineage kept both ways."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from twin import db, kinds, lineage, versions
from twin.errors import BadRequest
from twin.lineage import measured_m2 as area_m2
from twin.scope import SYSTEM, Actor

WHOLE = shapely.MultiPolygon(
    [shapely.Polygon([(121.42, 31.21), (121.43, 31.2103), (121.432, 31.221), (121.4195, 31.22)])]
)
LINE = shapely.LineString([(121.4, 31.2152), (121.44, 31.2149)])


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def make(key: str, shape: Any = WHOLE, **more: Any) -> Any:
    said = {"source_key": key, "name": "小班", "land_type": "arbor", "species": "香樟", "canopy": 0.7,
            "area_m2": 1.0, "geom": minicity.ewkb(shape)} | more  # fmt: skip
    with db.engine("app").begin() as conn:
        minicity.write(conn, "sub_compartment", {k: [v] for k, v in said.items()})
        return conn.scalar(
            sa.text(
                "select id from forestry.sub_compartment where source_key = :k and source = 'mini'"
            ),
            {"k": key},
        )


def rows() -> dict[str, Any]:
    with db.engine("app").connect() as conn:
        found = conn.execute(
            sa.text("select *, st_asbinary(geom) as raw from forestry.sub_compartment")
        )
        return {r.code: r for r in found}


def split(thing: Any, shapes: Any, **how: Any) -> list[dict[str, Any]]:
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "sub_compartment")
        return lineage.split(conn, kind, thing, shapes, "t", **how)


def merge(things: list[Any], keep: str | None = None) -> dict[str, Any]:
    with db.engine("app").begin() as conn:
        return lineage.merge(conn, kinds.one(conn, "sub_compartment"), things, keep, "t")


def family(thing: Any) -> dict[str, set[str]]:
    with db.engine("app").connect() as conn:
        said = lineage.of(conn, SYSTEM, thing)
    return {side: {one["code"] for one in found} for side, found in said.items()}


def test_a_split_conserves_area_keeps_attributes_and_lineage() -> None:
    parent = make("p1")
    before = {r.id: r.code for r in rows().values()}
    made = split(parent, lineage.cut(WHOLE, LINE))
    now = rows()
    children = [now[m["code"]] for m in made]
    assert before[parent] not in now
    total = sum(area_m2(shapely.from_wkb(bytes(c.raw))) for c in children)
    assert total == pytest.approx(area_m2(WHOLE), rel=1e-6)
    for child in children:
        assert (child.species, child.canopy, child.name, child.district) == (
            "香樟",
            0.7,
            "小班",
            minicity.WEST,
        )
        assert child.area_m2 == pytest.approx(area_m2(shapely.from_wkb(bytes(child.raw))))
    assert family(parent) == {"parents": set(), "children": {m["code"] for m in made}}
    assert family(made[0]["id"]) == {"parents": {before[parent]}, "children": set()}
    with db.engine("app").connect() as conn:
        told = versions.collection(conn, kinds.one(conn, "sub_compartment"), SYSTEM, parent)
    assert told["removed"]["actor"] == "t"
    assert len(told["lineage"]["children"]) == 2


def test_the_largest_may_keep_the_code() -> None:
    parent = make("p2")
    code = next(r.code for r in rows().values() if r.id == parent)
    made = split(parent, lineage.cut(WHOLE, LINE), keep="largest")
    now = rows()
    assert made[0] == {"id": parent, "code": code}
    assert now[code].version == 2
    assert now[code].area_m2 > now[made[1]["code"]].area_m2
    assert family(parent)["children"] == {made[1]["code"]}


def test_parts_that_leave_a_gap_or_overlap_are_refused_with_the_area() -> None:
    parent = make("p3")
    one, other = lineage.cut(WHOLE, LINE)
    with pytest.raises(BadRequest, match="m² lie on one side only"):
        split(parent, [one, other.buffer(-0.0001)])
    with pytest.raises(BadRequest, match="areas differ by"):
        split(parent, [one, other, other])
    with pytest.raises(BadRequest, match="two parts"):
        split(parent, [WHOLE])
    with pytest.raises(BadRequest, match="from edge to edge"):
        lineage.cut(WHOLE, shapely.LineString([(0, 0), (1, 1)]))
    assert any(r.id == parent for r in rows().values())


def test_a_merge_makes_one_of_two_and_undoes_a_split() -> None:
    parent = make("p4")
    made = split(parent, lineage.cut(WHOLE, LINE))
    whole = merge([m["id"] for m in made])
    now = rows()
    assert now[whole["code"]].area_m2 == pytest.approx(area_m2(WHOLE), rel=1e-6)
    assert not {m["code"] for m in made} & set(now)
    assert family(whole["id"])["parents"] == {m["code"] for m in made}


def test_a_merge_may_keep_one_and_refuses_overlaps() -> None:
    west = make(
        "w", shapely.MultiPolygon([shapely.box(121.42, 31.21, 121.43, 31.22)]), species="水杉"
    )
    east = make("e", shapely.MultiPolygon([shapely.box(121.43, 31.21, 121.436, 31.22)]))
    over = make("o", shapely.MultiPolygon([shapely.box(121.435, 31.21, 121.44, 31.22)]))
    code = next(r.code for r in rows().values() if r.id == east)
    with pytest.raises(BadRequest, match="areas differ"):
        merge([east, over])
    kept = merge([west, east], keep=code)
    assert kept == {"id": east, "code": code}
    assert rows()[code].species == "香樟"
    far = make("f", shapely.MultiPolygon([shapely.box(121.445, 31.21, 121.446, 31.22)]))
    with pytest.raises(BadRequest, match="none of the things"):
        merge([east, far], keep="310101-FC-999999")


def test_lineage_shows_only_what_the_actor_may_see() -> None:
    parent = make("p5")
    split(parent, lineage.cut(WHOLE, LINE))
    elsewhere = Actor(user="d", districts=(minicity.EAST,), clearance=3)
    with db.engine("app").connect() as conn:
        assert lineage.of(conn, elsewhere, parent) == {"parents": [], "children": []}
