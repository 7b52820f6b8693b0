"""Every broken file ends in a clear report: counted rows with reasons, or one sentence why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.files import load
from tests import real
from twin.errors import TwinError

FOLDER = (real.folder() or Path("/nowhere")) / "bad"
GEO = "geojson_chrieke/problematic_geometries/problematic_"
VALID = "geojson_chrieke/valid/valid_"
FILES = sorted(str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*") if p.is_file())
KINDS = ("toilet", "sub_compartment")
TABLES = {"toilet": "sanitation.toilet", "sub_compartment": "forestry.sub_compartment"}

# What must come of some of them: (read, loaded, repaired, quarantined) or a word of the refusal.
EXPECTED: dict[tuple[str, str], tuple[int, int, int, int] | str] = {
    ("geojson_check/bad/bad-json.geojson", "toilet"): "JSON",
    ("geojson_check/bad/badcoord.geojson", "toilet"): "coordinate",
    ("geojson_check/bad/different-first-last.geojson", "sub_compartment"): (1, 0, 0, 1),
    ("geojson_check/bad/short-line.geojson", "toilet"): (1, 0, 0, 1),
    ("geojson_check/good/good-featurecollection.geojson", "toilet"): (3, 1, 0, 2),
    ("geojson_check/good/good-featurecollection.geojson", "sub_compartment"): (3, 1, 0, 2),
    ("geojson_check/good/multipolygon.geojson", "sub_compartment"): (1, 1, 0, 0),
    ("geojson_check/good/nullgeometry.geojson", "toilet"): (1, 0, 0, 1),
    (GEO + "inner_and_exterior_ring_intersect.geojson", "sub_compartment"): (1, 1, 1, 0),
    (GEO + "outside_lat_lon_boundaries.geojson", "sub_compartment"): (1, 0, 0, 1),
    (GEO + "3d_coordinates.geojson", "sub_compartment"): (1, 1, 0, 0),
    (VALID + "featurecollection_empty_features.geojson", "toilet"): "no features",
    ("gbk/china_city_list_gbk.csv", "toilet"): "--x COL --y COL",
    ("geometry/geos/TestIsValid.xml", "toilet"): "XML",
    ("gpkg/curvepolygon.gpkg", "sub_compartment"): (1, 1, 0, 0),
    ("gpkg/test_gpkg_nulls.gpkg", "toilet"): (4, 4, 0, 0),
    ("gpx/track1.gpx", "toilet"): (1, 0, 0, 1),
    ("shapefile_pyshp/empty_zipfile.zip", "toilet"): "neither a shapefile nor a workbook",
    ("shapefile_pyshp/blockgroups.zip", "toilet"): (663, 0, 0, 663),
    ("shapefile_pyshp/latin1.dbf", "toilet"): "name its .shp",
    ("shapefile_pyshp/latin1.shp", "toilet"): "latin1.shx is missing",
    ("geojson_check/bad/notype.geojson", "toilet"): "not recognized",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clean(database: str) -> None:
    """Each file starts from the same database."""


@pytest.mark.skipif(not FILES, reason="shared data bad/ is not here (set TWIN_TEST_DATA)")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_broken_file(name: str, kind: str, ask: Callable[..., list[Any]]) -> None:
    expected = EXPECTED.get((name, kind))
    before = ask(f"select count(*) from {TABLES[kind]}")[0][0]
    try:
        done = load(FOLDER / name, kind, source=f"{name}")
    except TwinError as why:
        # A refusal: one sentence for people, and nothing of the file in the table.
        assert 10 < len(why.detail) < 700 and "Traceback" not in why.detail
        assert ask(f"select count(*) from {TABLES[kind]}")[0][0] == before
        assert expected is None or (isinstance(expected, str) and expected in why.detail)
        return
    loaded = done.inserted + done.updated + done.unchanged
    assert done.read == loaded + done.quarantined
    assert done.quarantined == sum(done.reasons.values())
    assert bool(done.quarantined) == bool(done.quarantine_path)
    assert ask(f"select count(*) from {TABLES[kind]}")[0][0] == before + done.inserted
    if expected is not None:
        assert (done.read, loaded, done.repaired, done.quarantined) == expected


@pytest.mark.skipif(not FILES, reason="shared data bad/ is not here (set TWIN_TEST_DATA)")
def test_nothing_invalid_was_stored(ask: Callable[..., list[Any]]) -> None:
    for table in TABLES.values():
        assert ask(f"select code from {table} where not st_isvalid(geom) or st_isempty(geom)") == []
    assert ask("select count(*) from twin.thing t where kind = any(:k)", k=list(KINDS))[0][
        0
    ] == sum(ask(f"select count(*) from {table}")[0][0] for table in TABLES.values())


@pytest.mark.skipif(not FILES, reason="shared data bad/ is not here (set TWIN_TEST_DATA)")
def test_jts_cases_by_wkt_and_a_named_crs(ask: Callable[..., list[Any]]) -> None:
    done = load(FOLDER / "geometry/TestValid.csv", "sub_compartment", crs="EPSG:3857", source="jts")
    assert done.read == done.inserted + done.quarantined and done.inserted > 10
    assert done.repaired > 5
    bad = ask(
        "select code from forestry.sub_compartment where source = 'jts' and not st_isvalid(geom)"
    )
    assert bad == []
