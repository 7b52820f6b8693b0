"""Shapes: what is mended, what is refused and why, areas on the ellipsoid."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gis import geometry
from tests.real import shared

MIXED = "GEOMETRYCOLLECTION(POINT(1 1),POLYGON((0 0,1 0,1 1,0 0)))"
BOWTIE = "POLYGON((0 0, 2 2, 2 0, 0 2, 0 0))"


@pytest.mark.parametrize(
    ("wkt", "family", "kept", "why"),
    [
        ("POINT(121 31)", "point", "Point", None),
        ("MULTIPOINT((121 31))", "point", "Point", "MultiPoint"),
        ("MULTIPOINT((1 1),(2 2))", "point", None, "expected"),
        ("LINESTRING(0 0, 1 1)", "line", "MultiLineString", None),
        ("LINESTRING(1 1, 1 1)", "line", None, "Too few points"),
        ("POLYGON((0 0,1 0,1 1,0 0))", "polygon", "MultiPolygon", None),
        (BOWTIE, "polygon", "MultiPolygon", "Self-intersection"),
        ("POLYGON((0 0,1 1,2 2,0 0))", "polygon", None, ""),
        ("POLYGON EMPTY", "polygon", None, "no geometry"),
        ("LINESTRING(0 0,1 1)", "polygon", None, "expected"),
        ("POINT(500 31)", "point", None, "outside the world"),
        (MIXED, "polygon", "MultiPolygon", "only"),
    ],
)  # fmt: skip
def test_mend(wkt: str, family: str, kept: str | None, why: str | None) -> None:
    done = geometry.mend(shapely.from_wkt(wkt), family)
    assert (done.shape.geom_type if done.shape else None) == kept
    if done.shape is not None:
        assert done.shape.is_valid
        assert (done.repair is None) == (why is None)
    if why:
        assert why in (done.repair or done.reason or "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_infinite_or_missing_numbers(value: float) -> None:
    done = geometry.mend(shapely.points(value, 31.0), "point")
    assert done.shape is None and done.reason


def test_none_is_refused() -> None:
    assert geometry.mend(None, "point").reason == "no geometry"


def test_too_many_vertices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "MAX_VERTICES", 100)
    ring = shapely.Point(0, 0).buffer(1, quad_segs=64)
    assert "vertices" in (geometry.mend(ring, "polygon").reason or "")


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=4, max_size=12))
def test_whatever_ring_comes_the_result_is_valid_or_refused(
    points: list[tuple[float, float]],
) -> None:
    done = geometry.mend(shapely.Polygon(points), "polygon")
    assert (done.shape is not None and done.shape.is_valid) or done.reason


def test_area_of_a_degree_on_the_ellipsoid() -> None:
    # Published area of the one-degree cell 31–32° N, 121–122° E on GRS80.
    assert geometry.area_m2(shapely.box(121, 31, 122, 32)) == pytest.approx(1.0519e10, rel=2e-3)


def test_areas_agree_with_published_ones() -> None:
    path = shared("admin/osm_streets8_with_official_area.geojson")
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    assert len(features) == 8
    for f in features:
        km2 = geometry.area_m2(shapely.from_geojson(json.dumps(f["geometry"]))) / 1e6
        assert km2 == pytest.approx(f["properties"]["areaSquareKilometers"], rel=1e-3)
        # The outline is volunteers' work: the official figure only shows that nothing is far off.
        assert km2 == pytest.approx(f["properties"]["officialAreaSquareKilometers"], rel=0.06)


def test_validity_verdicts_of_jts() -> None:
    with shared("bad/geometry/TestValid.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    wkt = next(c for c in rows[0] if "wkt" in c.lower() or "geom" in c.lower())
    for row in rows:
        with np.errstate(invalid="ignore"):
            shape = shapely.from_wkt(row[wkt], on_invalid="ignore")
        if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon"):
            continue
        done = geometry.mend(shapely.transform(shape, lambda p: p / 100), "polygon")
        assert done.shape is None or done.shape.is_valid


def test_digest_does_not_know_where_a_ring_begins() -> None:
    a = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    b = shapely.Polygon([(1, 1), (0, 1), (0, 0), (1, 0)])
    assert geometry.digest(a) == geometry.digest(b) != geometry.digest(shapely.box(0, 0, 1, 2))
