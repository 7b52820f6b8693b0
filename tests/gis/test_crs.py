"""Coordinates: the offset of Chinese web maps and back within a centimetre, projections, names."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import crs
from tests.real import shared
from twin.settings import CITY_BOUNDS

M = 111_320.0
LON = st.floats(73.0, 135.0)
LAT = st.floats(4.0, 53.0)


def metres(lon: np.ndarray, lat: np.ndarray, lon2: np.ndarray, lat2: np.ndarray) -> np.ndarray:
    return np.hypot((lon2 - lon) * M * np.cos(np.radians(lat)), (lat2 - lat) * M)


@given(LON, LAT)
def test_gcj02_inverse_is_within_a_centimetre(lon: float, lat: float) -> None:
    there = crs.wgs84_to_gcj02(np.array([lon]), np.array([lat]))
    back = crs.gcj02_to_wgs84(*there)
    assert metres(np.array([lon]), np.array([lat]), *back)[0] < 0.01


@given(LON, LAT)
def test_bd09_inverse_is_within_a_centimetre(lon: float, lat: float) -> None:
    there = crs.gcj02_to_bd09(np.array([lon]), np.array([lat]))
    back = crs.bd09_to_gcj02(*there)
    assert metres(np.array([lon]), np.array([lat]), *back)[0] < 0.01


@settings(deadline=None)  # the first use of a projection loads its grids
@given(
    st.floats(120.8, 122.2),
    st.floats(30.6, 31.9),
    st.sampled_from(["EPSG:4549", "EPSG:3857", "sh2000", "gcj02", "bd09", "EPSG:4490"]),
)
def test_every_crs_comes_back(lon: float, lat: float, name: str) -> None:
    x, y = crs.from_wgs84(np.array([lon]), np.array([lat]), name)
    assert metres(np.array([lon]), np.array([lat]), *crs.to_wgs84(x, y, name))[0] < 0.01


def test_offset_has_the_known_size_and_direction_in_shanghai() -> None:
    lon, lat = crs.wgs84_to_gcj02(np.array([121.4737]), np.array([31.2304]))
    east, south = (lon[0] - 121.4737) * M * np.cos(np.radians(31.2)), (lat[0] - 31.2304) * M
    assert 400 < east < 500 and -260 < south < -180


def test_no_offset_outside_china() -> None:
    lon, lat = np.array([-73.84, 2.35]), np.array([40.72, 48.85])
    assert np.array_equal(crs.wgs84_to_gcj02(lon, lat), (lon, lat))


def test_sh2000_has_its_origin_at_the_centre_of_the_city() -> None:
    x, y = crs.from_wgs84(np.array([121.4644444444]), np.array([31.2352777778]), "sh2000")
    assert abs(x[0] + 238.172) < 0.001 and abs(y[0]) < 0.001


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("EPSG:4326", "EPSG:4326"), ("4549", "EPSG:4549"), ("GCJ-02", "gcj02"), ("bd09", "bd09"),
        ("sh2000", "sh2000"), ("wgs84", "EPSG:4326"), ("CGCS2000", "EPSG:4490"), ("auto", "auto"),
    ],
)  # fmt: skip
def test_names(said: str, name: str) -> None:
    assert crs.name_of(said) == name


@pytest.mark.parametrize("said", ["EPSG:999999", "mars", "", "EPSG:", "4326; drop table"])
def test_unknown_names_are_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"CRS|known"):
        crs.name_of(said)


def test_shapes_lose_their_heights_and_keep_their_place() -> None:
    shape = np.array([shapely.from_wkt("POLYGON Z((121 31 5, 121.1 31 5, 121 31.1 5, 121 31 5))")])
    moved = crs.shapes_to_wgs84(crs.shapes_from_wgs84(shape, "gcj02"), "gcj02")
    assert not shapely.has_z(moved)[0]
    assert shapely.hausdorff_distance(moved[0], shapely.force_2d(shape[0])) < 1e-7


def city_grid() -> tuple[np.ndarray, np.ndarray]:
    """Points every 300 m over all of the city."""
    west, south, east, north = CITY_BOUNDS
    lon, lat = np.meshgrid(np.arange(west, east, 0.00315), np.arange(south, north, 0.0027))
    return lon.ravel(), lat.ravel()


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_shifted_coordinates_come_back_all_over_the_city(name: str) -> None:
    lon, lat = city_grid()
    assert lon.size > 150_000
    there = crs.from_wgs84(lon, lat, name)
    back = crs.to_wgs84(*there, name)
    assert metres(lon, lat, *back).max() < 0.01
    # And from the other side: what a map provider says, to degrees and back.
    again = crs.from_wgs84(*crs.to_wgs84(lon, lat, name), name)
    assert metres(lon, lat, *again).max() < 0.01


def test_addresses_agree_with_the_pairs_of_the_map_provider() -> None:
    """The file's WGS-84 column was made by the one-step inverse, which errs up to 2.3 m."""
    with shared("poi/shanghai_addresses_gcj_wgs_street.csv").open(encoding="utf-8") as file:
        rows = [
            [float(r[c]) for c in ("gcj02_lng", "gcj02_lat", "wgs84_lng", "wgs84_lat")]
            for r in csv.DictReader(file)
        ]
    gx, gy, wx, wy = np.array(rows).T
    assert metres(wx, wy, *crs.gcj02_to_wgs84(gx, gy)).max() < 2.3


def test_state_plane_feet_agree_with_degrees() -> None:
    with shared("assets/nyc_street_trees_5000.csv").open(encoding="utf-8") as file:
        rows = [
            [float(r[c]) for c in ("x_sp", "y_sp", "longitude", "latitude")]
            for r in csv.DictReader(file)
        ]
    x, y, lon, lat = np.array(rows).T
    away = metres(lon, lat, *crs.to_wgs84(x, y, "EPSG:2263"))
    assert np.median(away) < 1.0 and np.percentile(away, 99) < 2.0
