"""Clients that nobody here wrote: GDAL's OAPIF driver and OWSLib read and change what we serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import geopandas
import pyogrio
import pytest
from owslib.ogcapi.features import Features

from tests import minicity
from twin import catalogue
from ui.terminal.benchmarks import serving

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


@dataclass
class Running:
    """A server with the mini city, and the headers of a caller."""

    server: serving.Server
    headers: dict[str, str]

    @property
    def ogc(self) -> str:
        """The address of the feature API."""
        return f"{self.server.url}/ogc"


@pytest.fixture(scope="module")
def running(database: str) -> Iterator[Running]:
    """A server of its own process, as clients see it."""
    minicity.build()
    catalogue.forget()
    with serving.server("conformance") as server:
        headers = serving.bearer("planner")
        yield Running(server, headers)


# In a process of its own: ours has taken GDAL's drivers of the network away.
_CLIENT = """
import json, sys
import pyogrio
said = json.load(sys.stdin)
source = "OAPIF:" + said["url"]
if said["layer"] is None:
    print(json.dumps([str(name) for name, _ in pyogrio.list_layers(source)]))
else:
    more = {k: tuple(v) if isinstance(v, list) else v for k, v in said["more"].items()}
    found = pyogrio.read_dataframe(source, layer=said["layer"], **more)
    pyogrio.write_dataframe(found, said["out"], driver="GPKG", layer="x")
"""


def client(on: Running, **said: Any) -> str:
    # A file: what stands in GDAL_HTTP_HEADERS gives way to the driver's own Accept.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(f"Authorization: {on.headers['Authorization']}")
        file.flush()
        return _run(said, GDAL_HTTP_HEADER_FILE=file.name)


def _run(said: dict[str, Any], **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT], input=json.dumps(said), capture_output=True, text=True,
        check=False, timeout=60,
        env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def gdal(on: Running, name: str, **more: Any) -> geopandas.GeoDataFrame:
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/x.gpkg"
        client(on, url=f"{on.ogc}/collections/{name}", layer=name, more=more, out=out)
        return pyogrio.read_dataframe(out)


def test_gdal_lists_the_collections(running: Running) -> None:
    listed = json.loads(client(running, url=running.ogc, layer=None))
    assert {"toilet", "road", "district", "crew"} <= set(listed)


def test_gdal_reads_all_pages(running: Running) -> None:
    found = gdal(running, "toilet", PAGE_SIZE=37)
    assert len(found) == 190 and "84" in found.crs.name
    assert set(found.name) == {f"公厕{i}" for i in range(190)}
    assert found.geometry.x.between(121.40, 121.50).all()
    assert {"seats_f", "grade", "updated_at", "phone"} <= set(found.columns)


def test_gdal_asks_for_boxes_and_values(running: Running) -> None:
    part = gdal(running, "toilet", bbox=(121.40, 31.20, 121.45, 31.24))
    assert 0 < len(part) < 190 and (part.district == "310101").all()
    assert list(gdal(running, "toilet", where="name = '公厕7'").name) == ["公厕7"]


@pytest.mark.parametrize("number", [4326, 4490, 4549, 4550, 3857])
def test_gdal_reads_every_reference_in_its_axis_order(running: Running, number: int) -> None:
    """GDAL believes the register about the order: were ours another, this would be in the sea."""
    plain = gdal(running, "toilet").set_index("code").geometry.to_crs(4549)
    other = gdal(running, "toilet", CRS=f"{EPSG}{number}").set_index("code").geometry
    # Of 4326 the driver says CRS84, which is how it hands the coordinates on.
    assert other.crs.to_epsg() in (number, None)
    apart_m = other.to_crs(4549).distance(plain.reindex(other.index))
    assert apart_m.max() < 0.05


def test_gdal_reads_lines_and_polygons(running: Running) -> None:
    assert set(gdal(running, "road").geom_type) == {"MultiLineString"}
    assert sorted(gdal(running, "district").name) == ["徐汇区", "黄浦区"]


@pytest.fixture
def owslib(running: Running) -> Features:
    return Features(f"{running.ogc}/", headers=running.headers)


def test_owslib_finds_its_way(owslib: Features) -> None:
    assert any(
        c.endswith("ogcapi-features-2/1.0/conf/crs") for c in owslib.conformance()["conformsTo"]
    )
    assert "toilet" in owslib.feature_collections()
    assert owslib.api()["openapi"].startswith("3.0")
    assert owslib.collection("toilet")["storageCrs"].endswith("CRS84")
    assert "name" in owslib.collection_queryables("toilet")["properties"]
    assert owslib.collection_schema("toilet")["properties"]["id"]["x-ogc-role"] == "id"


def test_owslib_asks_for_features(owslib: Features) -> None:
    found = owslib.collection_items("toilet", bbox=[121.40, 31.20, 121.45, 31.24], limit=5)
    assert found["numberReturned"] == 5 < found["numberMatched"]
    one = owslib.collection_item("toilet", found["features"][0]["id"])
    assert one["properties"] == found["features"][0]["properties"]
    named = owslib.collection_items("toilet", filter="name like '公厕1_'")
    assert named["numberMatched"] == 10


def test_owslib_changes_features(running: Running) -> None:
    headers = {**running.headers, "If-Match": "*"}
    client = Features(f"{running.ogc}/", headers=headers)
    body = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [121.42, 31.22]},
        "properties": {"name": "外厕", "grade": "1"},
    }
    assert client.collection_item_create("toilet", body)
    made = client.collection_items("toilet", name="外厕")["features"][0]
    assert client.collection_item_update(
        "toilet", made["id"], {**body, "properties": {"name": "外厕", "grade": "2"}}
    )
    assert client.collection_item("toilet", made["id"])["properties"]["grade"] == "2"
    assert client.collection_item_delete("toilet", made["id"])
    assert client.collection_items("toilet", name="外厕")["numberMatched"] == 0
