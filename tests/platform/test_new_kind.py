"""A kind added to the running city: table, API, tiles, layer, style, template and code page, no restart."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from tests.support import City

PARKLET = """
kind: parklet
topic: greening
title: {zh: 街角绿地, en: Parklet}
geometry: polygon
code: ZZP
fields:
  benches: {type: integer, title: {zh: 座椅, en: Benches}, min: 0}
  opened_on: {type: date, title: {zh: 开放日期, en: Opened}}
symbol: {icon: trees, label: name, min_zoom: 11, shown: true}
"""
ROW = (
    "name,benches,opened_on,wkt\n"
    '一号街角,4,2026-05-01,"POLYGON((121.4700 31.2300,121.4712 31.2300,121.4712 31.2310,'
    '121.4700 31.2310,121.4700 31.2300))"\n'
)


def soon(what: Callable[[], Any], seconds: float = 15) -> Any:
    """Return what comes as soon as it is there."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = what()
        except urllib.error.HTTPError as why:
            found = None
            last: object = why
        else:
            last = found
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {last}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def parklet(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kind is added and one row is loaded while everything runs."""
    folder = tmp_path_factory.mktemp("parklet")
    (folder / "parklet.yaml").write_text(PARKLET, encoding="utf-8")
    (folder / "row.csv").write_text(ROW, encoding="utf-8")
    done = city.twin("kinds", "add", str(folder / "parklet.yaml"))
    assert (done["new"], done["version"]) == (True, 1)
    loaded = city.twin("load", str(folder / "row.csv"), "--kind", "parklet")
    assert loaded["inserted"] == 1, loaded
    return folder


def test_its_items_tiles_layer_and_style_are_there_at_once(city: City, parklet: Path) -> None:
    token = city.token()
    page = soon(lambda: city.get("/ogc/collections/parklet/items", token))
    said = page["features"][0]["properties"]
    assert (said["name"], said["benches"], said["district"]) == ("一号街角", 4, "310101")
    raw = soon(lambda: _bytes(city, "/tiles/parklet/14/13720/6694.mvt", token))
    tile = mapbox_vector_tile.decode(raw)
    assert any(f["properties"].get("name") == "一号街角" for f in tile["parklet"]["features"])
    tree = soon(lambda: city.get("/layers", token))
    assert "parklet" in [layer["id"] for g in tree["groups"] for layer in g["layers"]]
    style = city.get("/styles/day.json", token)
    assert any(layer.get("source-layer") == "parklet" for layer in style["layers"])
    fields = city.get("/ogc/collections/parklet/queryables", token)["properties"]
    assert fields["benches"]["type"] == "integer"
    assert "parklet" in [i["kind"] for i in city.get("/api/v1/catalogue", token)["items"]]


def test_its_code_leads_to_a_public_page(city: City, parklet: Path) -> None:
    page = city.get("/ogc/collections/parklet/items", city.token())
    code = page["features"][0]["properties"]["code"]
    assert "一号街角" in soon(lambda: _bytes(city, f"/c/{code}")).decode()


def test_a_field_more_is_read_within_seconds_and_a_lost_one_needs_the_word(
    city: City, parklet: Path
) -> None:
    token = city.token()
    more = PARKLET.replace("  opened_on:", "  lights: {type: integer}\n  opened_on:")
    (parklet / "more.yaml").write_text(more, encoding="utf-8")
    done = city.twin("kinds", "add", str(parklet / "more.yaml"))
    assert [s["action"] for s in done["steps"]] == ["add"]
    soon(lambda: "lights" in _first(city, token))
    fewer = more.replace("  lights: {type: integer}\n", "").replace(
        "  benches: {type: integer, title: {zh: 座椅, en: Benches}, min: 0}\n", ""
    )
    (parklet / "fewer.yaml").write_text(fewer, encoding="utf-8")
    refused = city.twin("kinds", "add", str(parklet / "fewer.yaml"))
    assert (refused["refused"], refused["loses"]) == (True, 1)
    assert _first(city, token)["benches"] == 4
    city.twin("kinds", "add", str(parklet / "fewer.yaml"), "--allow-loss")
    soon(lambda: "benches" not in _first(city, token))


def _first(city: City, token: str) -> dict[str, Any]:
    said: dict[str, Any] = city.get("/ogc/collections/parklet/items", token)["features"][0][
        "properties"
    ]
    return said


def _bytes(city: City, path: str, token: str | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(
        urllib.request.Request(city.url + path, headers=headers), timeout=20
    ) as got:
        return bytes(got.read())
