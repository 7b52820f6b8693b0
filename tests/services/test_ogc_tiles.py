"""OGC API Tiles: tile matrix sets as the standard has them, tilesets, the same tiles by another name."""

from __future__ import annotations

from typing import Any

import mapbox_vector_tile
import pytest
import shapely
from starlette.testclient import TestClient

from gis.tiles import degree_box, tile_of
from services.app import create_app
from services.tiles import repository
from services.tiles.grids import GRIDS
from tests.services.conftest import Api
from ui.server import compose


def test_the_sets_are_those_of_the_register(api: Api) -> None:
    listed = api.get("/ogc/tileMatrixSets", None).json()["tileMatrixSets"]
    assert [s["id"] for s in listed] == ["WebMercatorQuad", "WorldCRS84Quad", "CGCS2000Quad"]
    web = api.get("/ogc/tileMatrixSets/WebMercatorQuad", None).json()
    first = web["tileMatrices"][0]
    # The figures of the standard, annex D.
    assert first["scaleDenominator"] == pytest.approx(559082264.028717)
    assert first["cellSize"] == pytest.approx(156543.033928041)
    assert first["pointOfOrigin"] == pytest.approx([-20037508.342789, 20037508.342789])
    world = api.get("/ogc/tileMatrixSets/WorldCRS84Quad", None).json()["tileMatrices"]
    assert world[0]["scaleDenominator"] == pytest.approx(279541132.014358)
    assert (world[0]["matrixWidth"], world[0]["matrixHeight"]) == (2, 1)
    china = api.get("/ogc/tileMatrixSets/CGCS2000Quad", None).json()
    assert china["tileMatrices"][0]["pointOfOrigin"] == [90.0, -180.0]
    assert china["orderedAxes"] == ["Lat", "Lon"]
    assert api.get("/ogc/tileMatrixSets/nothing", None).status_code == 404


def test_a_collection_lists_its_tilesets_and_their_links_lead_there(api: Api) -> None:
    sets = api.get("/ogc/collections/toilet/tiles").json()["tilesets"]
    assert len(sets) == len(GRIDS)
    for one in sets:
        links = {link["rel"].rpartition("/")[2]: link for link in one["links"]}
        about = api.get(_path(links["self"]["href"])).json()
        assert about["layers"][0]["id"] == "toilet" and about["dataType"] == "vector"
        assert api.get(_path(links["tiling-scheme"]["href"])).status_code == 200
        at = about["tileMatrixSetLimits"][-1]
        template = _path(links["item"]["href"])
        for row, column in (
            (at["minTileRow"], at["minTileCol"]),
            (at["maxTileRow"], at["maxTileCol"]),
        ):
            path = template.replace("{tileMatrix}", at["tileMatrix"])
            path = path.replace("{tileRow}", str(row)).replace("{tileCol}", str(column))
            assert api.get(path).status_code in (200, 204)
    assert api.get("/ogc/tiles").json()["tilesets"][0]["crs"].endswith("3857")
    json = api.get("/ogc/collections/toilet/tiles/WebMercatorQuad", f="tilejson").json()
    assert json["tiles"][0].endswith("/ogc/collections/toilet/tiles/WebMercatorQuad/{z}/{y}/{x}")
    conforms = api.get("/ogc/conformance").json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core" in conforms


def _path(href: str) -> str:
    return "/" + href.split("/", 3)[3]


def test_rows_come_before_columns_and_the_tile_is_the_same(api: Api) -> None:
    z, x, y = tile_of(121.44, 31.215, 14)
    plain = api.get(f"/tiles/toilet/{z}/{x}/{y}.mvt")
    ogc = api.get(f"/ogc/collections/toilet/tiles/WebMercatorQuad/{z}/{y}/{x}")
    assert ogc.status_code == 200 and ogc.content == plain.content
    assert ogc.headers["etag"] == plain.headers["etag"]


@pytest.mark.parametrize("name", ["WorldCRS84Quad", "CGCS2000Quad"])
def test_tiles_in_degrees_hold_things_where_they_are(api: Api, name: str) -> None:
    z = 13
    side = 180 / 2**z
    x, y = int((121.44 + 180) / side), int((90 - 31.215) / side)
    answer = api.get(f"/ogc/collections/toilet/tiles/{name}/{z}/{y}/{x}")
    shown = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})
    west, _, east, north = degree_box(z, x, y)
    items = api.get("/ogc/collections/toilet/items", limit=1000).json()["features"]
    known = {f["properties"]["code"]: f["geometry"]["coordinates"] for f in items}
    unit = (east - west) / 4096
    assert shown["toilet"]["features"]
    for feature in shown["toilet"]["features"]:
        at = shapely.geometry.shape(feature["geometry"])
        lon, lat = known[feature["properties"]["code"]]
        assert abs(west + at.x * unit - lon) < unit and abs(north - at.y * unit - lat) < unit


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ogc/collections/toilet/tiles/WebMercatorQuad/3/8/0", 400),
        ("/ogc/collections/toilet/tiles/WebMercatorQuad/23/0/0", 400),
        ("/ogc/collections/toilet/tiles/WebMercatorQuad/x/0/0", 400),
        ("/ogc/collections/toilet/tiles/WorldCRS84Quad/0/0/2", 400),
        ("/ogc/collections/toilet/tiles/nothing/0/0/0", 404),
        ("/ogc/collections/nothing/tiles/WebMercatorQuad/0/0/0", 404),
        ("/ogc/collections/crew/tiles", 404),
        ("/ogc/collections/toilet/tiles/WorldCRS84Quad?f=tilejson", 400),
    ],
)
def test_what_is_no_tile_is_refused(api: Api, path: str, status: int) -> None:
    answer: Any = api.get(path, None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture(scope="module")
def pages(api: Api) -> TestClient:
    """The whole application, with the styles that the pages use."""
    return TestClient(compose(create_app()), base_url="http://testserver")


def test_styles_are_listed_and_each_is_whole(api: Api, pages: TestClient) -> None:
    listed = pages.get("/ogc/styles").json()["styles"]
    assert [s["id"] for s in listed] == ["night", "day", "wall", "mobile"]
    made = {}
    for one in listed:
        answer = pages.get(_path(one["links"][0]["href"]), headers=api.headers("dispatcher"))
        made[one["id"]] = answer.json()
        sources = made[one["id"]]["sources"]
        assert all(layer.get("source", "base") in sources for layer in made[one["id"]]["layers"])
    size = {
        n: {x["id"]: x for x in s["layers"]}["park-label"]["layout"]["text-size"]
        for n, s in made.items()
    }
    assert size["wall"][-1] == size["night"][-1] * 1.25
    assert len(made["mobile"]["layers"]) < len(made["day"]["layers"]) / 2
    assert pages.get("/styles/nothing.json").status_code == 404


def test_degrees_fall_where_the_projection_would_put_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From z12 on no projection is made: it is out by less than one unit of 4,096."""
    z, x, y = tile_of(121.44, 31.215, 13)

    def drawn(said: str) -> dict[int, Any]:
        raw = api.get(f"/tiles/toilet/{z}/{x}/{y}.mvt", filter=said).content
        features = mapbox_vector_tile.decode(raw)["toilet"]["features"]
        return {f["id"]: f["geometry"]["coordinates"] for f in features}

    linear = drawn("num > 0")
    monkeypatch.setattr(repository, "LINEAR_FROM", 99)
    projected = drawn("num > -1")
    assert linear.keys() == projected.keys() and len(linear) > 20
    for num, (east, north) in projected.items():
        assert abs(linear[num][0] - east) <= 1 and abs(linear[num][1] - north) <= 1


def test_the_landing_page_leads_to_tiles_grids_and_styles(pages: TestClient) -> None:
    links = pages.get("/ogc", params={"f": "json"}).json()["links"]
    for end in ("/ogc/tiles", "/ogc/tileMatrixSets", "/styles"):
        (found,) = [one["href"] for one in links if one["href"].endswith(end)]
        assert pages.get(_path(found)).status_code == 200
