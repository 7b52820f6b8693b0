"""Coordinates as people write them, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from gis import crs
from gis.coordinates import parse

BUND = (121.4903, 31.2397)


@pytest.mark.parametrize(
    "said",
    [
        "121.4903,31.2397", "31.2397, 121.4903", "31.2397 121.4903", "121.4903，31.2397", "(121.4903 31.2397)",
        "31.2397N 121.4903E", "N31.2397 E121.4903", "E121.4903, N31.2397", "北纬31.2397 东经121.4903",
        "东经121.4903°，北纬31.2397°", "31°14′22.92″N 121°29′25.08″E", "31°14'22.92\"N, 121°29'25.08\"E",
        "31度14分22.92秒 121度29分25.08秒", "31d14m22.92s 121d29m25.08s", "lat 31.2397 lon 121.4903",
        "lon=121.4903 lat=31.2397", "wgs84 121.4903 31.2397", "31°14.382′N 121°29.418′E", "121.4903/31.2397",
    ],
)  # fmt: skip
def test_one_place_however_it_is_written(said: str) -> None:
    found = parse(said)
    assert found, said
    assert (found[0].lon, found[0].lat) == pytest.approx(BUND, abs=2e-6)


def test_degrees_without_a_word_may_be_gcj02_as_well() -> None:
    first, second = parse("121.4903,31.2397")
    assert (first.system, second.system) == ("EPSG:4326", "gcj02")
    lon, lat = crs.gcj02_to_wgs84(np.array([BUND[0]]), np.array([BUND[1]]))
    assert (second.lon, second.lat) == pytest.approx((lon[0], lat[0]), abs=1e-6)
    for word in ("gcj02", "GCJ-02", "高德", "火星"):
        assert [p.system for p in parse(f"{word} 121.4903,31.2397")] == ["gcj02"]
    assert [p.system for p in parse("百度 121.4903,31.2397")] == ["bd09"]


@pytest.mark.parametrize("name", ["EPSG:4549", "sh2000"])
def test_metres_come_back(name: str) -> None:
    x, y = crs.from_wgs84(np.array([BUND[0]]), np.array([BUND[1]]), name)
    word = "上海2000 " if name == "sh2000" else ""
    for said in (f"{word}{x[0]:.3f} {y[0]:.3f}", f"{word}{y[0]:.3f},{x[0]:.3f}"):
        found = parse(said)
        assert found and found[0].system == name
        near = (found[0].lon, found[0].lat)
        if name == "sh2000" and near != pytest.approx(BUND, abs=1e-6):
            continue  # both orders of small local numbers lie in the city: the first is taken
        assert near == pytest.approx(BUND, abs=1e-6)


@pytest.mark.parametrize(
    "said",
    ["复兴公园", "121.49", "1 2 3", "沪A·12345", "310104-TO-000123", "N31.2 N121.4", "181 91", "-200 95",
     "31°61′N 121°E", "121.4903E", "x", "", "9" * 200, "nan nan", "1e5 3", "31.2N 121.4"],
)  # fmt: skip
def test_what_is_no_pair_of_coordinates(said: str) -> None:
    assert parse(said) == []
