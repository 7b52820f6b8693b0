"""WMTS for desktop clients: what it says, and tiles as pictures in the caller's scope."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gis import mvt, paint
from gis.tiles import tile_of
from tests.services.conftest import Api

NS = {"w": "http://www.opengis.net/wmts/1.0", "ows": "http://www.opengis.net/ows/1.1"}
Z, X, Y = tile_of(121.44, 31.215, 15)


def pixels(raw: bytes) -> Any:
    """Return a picture as an array of red, green, blue, opacity."""
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGBA"))


def test_capabilities_name_what_the_caller_may_see(api: Api) -> None:
    for path, more in (("/wmts", {"SERVICE": "WMTS", "REQUEST": "GetCapabilities"}),
                       ("/wmts", {"service": "WMTS", "request": "getcapabilities"}),
                       ("/wmts/1.0.0/WMTSCapabilities.xml", {})):  # fmt: skip
        answer = api.get(path, None, **more)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/xml"
        said = ElementTree.fromstring(answer.content)
        layers = {e.text for e in said.findall(".//w:Layer/ows:Identifier", NS)}
        assert {"base", "toilet"} <= layers and "crew" not in layers
    first = said.find(".//w:TileMatrixSet/w:TileMatrix", NS)
    assert first is not None
    assert float(first.findtext("w:ScaleDenominator", "", NS)) == pytest.approx(559082264.0287178)
    assert first.findtext("w:TopLeftCorner", "", NS).split()[0].startswith("-20037508.34")
    crew = ElementTree.fromstring(api.get("/wmts").content)
    assert "crew" in {e.text for e in crew.findall(".//w:Layer/ows:Identifier", NS)}


def test_a_picture_shows_things_where_they_are(api: Api) -> None:
    rest = api.get(f"/wmts/toilet/day/WebMercatorQuad/{Z}/{Y}/{X}.png")
    assert rest.status_code == 200 and rest.headers["content-type"] == "image/png"
    shown = pixels(rest.content)
    assert shown.shape == (256, 256, 4) and 0 < (shown[..., 3] > 0).mean() < 0.3
    kvp = api.get("/wmts", SERVICE="WMTS", REQUEST="GetTile", LAYER="toilet", STYLE="day", FORMAT="image/png",
                  TILEMATRIXSET="WebMercatorQuad", TILEMATRIX=str(Z), TILEROW=str(Y), TILECOL=str(X))  # fmt: skip
    assert kvp.content == rest.content
    known = {
        "Authorization": api.headers("dispatcher")["Authorization"],
        "If-None-Match": rest.headers["etag"],
    }
    assert (
        api.http.get(f"/wmts/toilet/day/WebMercatorQuad/{Z}/{Y}/{X}.png", headers=known).status_code
        == 304
    )
    base = pixels(api.get(f"/wmts/base/night/WebMercatorQuad/{Z}/{Y}/{X}.png").content)
    assert (base[..., 3] == 255).all() and len(np.unique(base.reshape(-1, 4), axis=0)) > 3
    vector = api.get(f"/wmts/toilet/day/WebMercatorQuad/{Z}/{Y}/{X}.mvt")
    assert vector.content == api.get(f"/tiles/toilet/{Z}/{X}/{Y}.mvt").content


def test_a_picture_is_in_scope_like_its_tile(api: Api) -> None:
    z, x, y = tile_of(121.42, 31.215, 15)
    path = f"/wmts/toilet/day/WebMercatorQuad/{z}/{y}/{x}.png"
    assert pixels(api.get(path).content)[..., 3].any()
    assert not pixels(api.get(path, "district-310104").content)[..., 3].any()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/wmts?SERVICE=WMS", 400),
        ("/wmts?REQUEST=GetFeatureInfo", 400),
        ("/wmts?REQUEST=GetTile&LAYER=toilet", 400),
        ("/wmts/toilet/pink/WebMercatorQuad/1/0/0.png", 400),
        ("/wmts/toilet/day/WebMercatorQuad/1/2/0.png", 400),
        ("/wmts/crew/day/WebMercatorQuad/1/0/0.png", 404),
        ("/wmts/toilet/day/nothing/1/0/0.png", 404),
    ],
)
def test_what_is_no_tile_is_refused(api: Api, path: str, status: int) -> None:
    assert api.get(path, None).status_code == status


def test_tiles_are_read_as_they_were_written() -> None:
    ring = np.array([[0, 0], [4096, 0], [4096, 2048], [0, 2048], [0, 0]])
    hole = np.array([[1024, 512], [1024, 1536], [2048, 1536], [2048, 512], [1024, 512]])
    raw = mvt.layer("wood", ["share"], [60], mvt.area(mvt.rings([ring, hole]), [0, 0]))
    found = paint.layers(raw)["wood"]
    assert found[0].said == {"share": 60}
    assert [part[0] for part in found[0].parts] == [(0, 0), (1024, 512)]
    red = paint.Ink(fill=(255, 0, 0, 255))
    shown = pixels(paint.picture(64, 64, [(found, lambda _: red)]))
    assert tuple(shown[4, 4]) == (255, 0, 0, 255)
    assert shown[16, 24, 3] == 0 and shown[48, 10, 3] == 0


def test_owslib_reads_the_capabilities(api: Api) -> None:
    wmts = pytest.importorskip("owslib.wmts")
    said = wmts.WebMapTileService("http://testserver/wmts", xml=api.get("/wmts", None).content)
    assert "toilet" in said.contents and set(said["toilet"].formats) >= {"image/png"}
    assert list(said.tilematrixsets) == ["WebMercatorQuad", "WorldCRS84Quad", "CGCS2000Quad"]
    assert said.tilematrixsets["CGCS2000Quad"].crs == "urn:ogc:def:crs:EPSG::4490"
    assert said["toilet"].tilematrixsetlinks and said["toilet"].styles["day"]["isDefault"]
