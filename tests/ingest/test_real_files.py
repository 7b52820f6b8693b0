"""Real files of the shared folder: encodings, shifted coordinates, districts found by the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingest.files import load
from tests.real import shared
from twin import db, kinds, things

Ask = Callable[..., list[Any]]
BRITISH = {"crs": "EPSG:27700", "x": "GeoX", "y": "GeoY"}
DISTRICTS = "admin/datav_310000_16districts_gcj02.json"


@pytest.fixture(scope="module", autouse=True)
def districts(database: str, poi: str) -> None:
    """The official districts, brought back from GCJ-02, and the derived streets."""
    done = load(shared(DISTRICTS), "district", crs="gcj02", key="adcode")
    assert (done.read, done.inserted, done.quarantined) == (16, 16, 0)
    assert load(shared(DISTRICTS), "district", crs="gcj02", key="adcode").unchanged == 16
    done = load(shared("derived/streets_approx_voronoi_wgs84.geojson"), "street")
    # Eight areas carry the code of a street that another area has already.
    assert (done.read, done.inserted, done.quarantined) == (215, 207, 8)


def test_districts_keep_their_official_codes(ask: Ask) -> None:
    codes = {r.code for r in ask("select code from base.district")}
    assert {"310101", "310104", "310115", "310151"} <= codes and len(codes) == 16


@pytest.mark.parametrize("which", ["bus", "food", "hospital", "urban"])
def test_district_by_the_map_equals_the_declared_one(which: str, ask: Ask) -> None:
    done = load(shared(f"poi/shanghai_{which}.csv"), "poi")
    assert done.read == done.inserted and done.quarantined == 0 and done.crs == "EPSG:4326"
    assert _agreement(ask, f"shanghai_{which}") >= 0.985


def test_addresses_find_district_and_street(ask: Ask) -> None:
    path = shared("poi/shanghai_addresses_gcj_wgs_street.csv")
    first = load(path, "poi", source="addresses")
    again = load(path, "poi", source="addresses")
    assert first.inserted == first.read == again.unchanged == 17343
    assert _agreement(ask, "addresses") >= 0.985
    street = ask(
        "select avg((s.name = p.said_street)::int) as share from base.poi p "
        "left join base.street s on s.code = p.street where p.source = 'addresses'"
    )
    assert street[0].share >= 0.95


def test_the_shifted_pair_says_the_same_when_it_is_named(ask: Ask) -> None:
    path = shared("poi/shanghai_addresses_gcj_wgs_street.csv")
    load(path, "poi", crs="gcj02", x="gcj02_lng", y="gcj02_lat", source="shifted")
    assert _agreement(ask, "shifted") >= 0.985
    done = load(path, "poi", x="gcj02_lng", y="gcj02_lat", source="found out", dry_run=True)
    assert done.crs == "gcj02" and any("agree with the map" in n for n in done.notes)
    load(path, "poi", crs="EPSG:4326", x="gcj02_lng", y="gcj02_lat", source="naive")
    assert _agreement(ask, "naive") < _agreement(ask, "shifted") - 0.01


def _agreement(ask: Ask, source: str) -> float:
    return float(
        ask(
            "select avg(coalesce(d.name = p.said_district, false)::int) as share from base.poi p "
            "left join base.district d on d.code = p.district "
            "where p.source = :s and said_district <> ''",
            s=source,
        )[0].share
    )


def test_gbk_shapefile_without_a_cpg(ask: Ask) -> None:
    folder = shared("admin/shanghai_shp_gbk")
    path = next(folder.glob("*.shp"))
    done = load(path, "district", key="ADMINCODE", source="old")
    assert done.read == 17 and "encoding gb18030" in done.notes
    # Codes that the districts of today have are theirs; Zhabei was another one.
    assert done.inserted + done.quarantined == 17
    assert done.reasons == {"the code … belongs to another district": done.quarantined}
    names = {r.name for r in ask("select name from base.district where source = 'old'")}
    assert "闸北区" in names and len(names) == done.inserted
    again = load(path, "district", key="ADMINCODE", source="old")
    assert again.unchanged == done.inserted and again.inserted == 0
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "district")
        ids = [r.id for r in ask("select id from base.district where source = 'old'")]
        things.remove(conn, kind, ids, actor="test")


@pytest.mark.parametrize(
    ("name", "kind", "more", "read"),
    [
        ("assets/toilets_singapore.geojson", "toilet", {}, 355),
        ("assets/adur_public_toilets_osgb.csv", "toilet", BRITISH, 15),
        ("assets/nyc_street_trees_5000.csv", "street_tree", {"key": "tree_id"}, 5000),
        ("assets/nanshan_buildings_height.geojson", "building", {}, 10),
    ],
)  # fmt: skip
def test_other_cities(name: str, kind: str, more: dict[str, str], read: int) -> None:
    done = load(shared(name), kind, **more)
    assert done.read == read == done.inserted + done.quarantined and done.inserted >= read - 1
    again = load(shared(name), kind, **more)
    assert again.unchanged == done.inserted and again.inserted == again.updated == 0


def test_british_grid_lands_in_sussex(ask: Ask) -> None:
    load(
        shared("assets/adur_public_toilets_osgb.csv"),
        "toilet",
        crs="EPSG:27700",
        x="GeoX",
        y="GeoY",
    )
    box = ask(
        "select st_xmin(e) as w, st_xmax(e) as e, st_ymin(e) as s, st_ymax(e) as n from "
        "(select st_extent(geom) as e from sanitation.toilet where source like 'adur%') x"
    )[0]
    assert -0.4 < box.w < box.e < -0.1 and 50.8 < box.s < box.n < 50.9


def test_species_and_health_come_through_synonyms(ask: Ask) -> None:
    load(shared("assets/nyc_street_trees_5000.csv"), "street_tree", key="tree_id")
    row = ask(
        "select species, latin, health from greening.street_tree where source_key = '180683'"
    )[0]
    assert (row.species, row.latin, row.health) == ("red maple", "Acer rubrum", "fair")
