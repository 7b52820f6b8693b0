"""Levels of detail: the whole picture from afar, in scope, and never older than the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from sqlalchemy import text

from gis.tiles import tile_box, tile_of
from services.tiles import levels as served
from services.tiles import repository
from tests import minicity
from tests.services.conftest import Api
from twin import counts, db, detail, kinds, levels, things

XUHUI = "district-310104"
SIDE = 0.0008


def _areas(count: int) -> list[shapely.Geometry]:
    """Return small squares in rows over both districts."""
    gen = np.random.default_rng(1)
    return [
        shapely.box(x, y, x + SIDE, y + SIDE)
        for x, y in gen.uniform((121.401, 31.201), (121.498, 31.238), (count, 2))
    ]


@pytest.fixture(scope="module")
def city(api: Api) -> Iterator[Api]:
    """Many woods and many signs: worth levels of detail."""
    patch = pytest.MonkeyPatch()
    patch.setattr(detail, "MANY", 100)
    woods = _areas(400)
    gen = np.random.default_rng(2)
    spots = gen.uniform((121.401, 31.201), (121.499, 31.239), (1_500, 2))
    with db.engine("app").begin() as conn:
        minicity.write(conn, "sub_compartment", {
            "source_key": [f"w{i}" for i in range(len(woods))],
            "geom": [minicity.ewkb(shapely.MultiPolygon([w])) for w in woods],
        })  # fmt: skip
        minicity.write(conn, "sign", {
            "source_key": [f"s{i}" for i in range(len(spots))],
            "geom": [minicity.ewkb(shapely.Point(p)) for p in spots],
            "risk": [str(1 + i % 4) for i in range(len(spots))],
        })  # fmt: skip
    _sealed()
    with db.engine("app").begin() as conn:
        for name in ("sub_compartment", "sign"):
            counts.refresh(conn, kinds.one(conn, name))
    while _follow():
        pass
    _soon(lambda: {"sub_compartment", "sign"} <= served._held)
    yield api
    patch.undo()


def _follow() -> int:
    with db.engine("app").begin() as conn:
        return levels.follow(
            conn, {n: kinds.one(conn, n) for n in ("sub_compartment", "sign", "toilet")}
        )


def _sealed() -> None:
    """Wait until the sequencer has seen what was written."""
    asked = text("select count(*) from twin.unsealed")
    with db.engine("app").connect() as conn:
        _soon(lambda: conn.scalar(asked) == 0)


def _soon(true: Any) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def tile(
    api: Api, layer: str, zoom: int, user: str | None = "dispatcher", **more: Any
) -> list[Any]:
    """Return the features of all tiles over the mini city."""
    found = []
    _, left, top = tile_of(121.40, 31.24, zoom)
    _, right, bottom = tile_of(121.50, 31.20, zoom)
    for x in range(left, right + 1):
        for y in range(top, bottom + 1):
            answer = api.get(f"/tiles/{layer}/{zoom}/{x}/{y}.mvt", user, **more)
            assert answer.status_code in (200, 204), answer.text
            if answer.content:
                said = mapbox_vector_tile.decode(
                    answer.content, default_options={"y_coord_down": True}
                )
                found += said.get(layer, {"features": []})["features"]
    return found


@pytest.mark.parametrize("zoom", [7, 9, 11, 13])
def test_every_point_is_in_the_picture(city: Api, zoom: int) -> None:
    dots = tile(city, "sign", zoom)
    assert sum(f["properties"]["n"] for f in dots) == 1_500
    assert {f["properties"]["risk"] for f in dots} <= {"1", "2", "3", "4"}
    assert len(dots) < 1_500


def test_near_by_each_thing_stands_itself(city: Api) -> None:
    near = tile(city, "sign", 14)
    assert len({f["id"] for f in near}) == 1_500 and all("n" not in f["properties"] for f in near)
    assert all("share" not in f["properties"] for f in tile(city, "sub_compartment", 13))


@pytest.mark.parametrize("zoom", [12, 10])
def test_the_covered_ground_is_the_true_one(city: Api, zoom: int) -> None:
    """Cells hold the exact cover; what is drawn lies where the woods lie."""
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "sub_compartment")
        rows = conn.execute(
            text("select x, y, body from twin.level where kind = :k and z = :z and band = 0"),
            {"k": kind.kind, "z": zoom},
        ).all()
        true = conn.scalar(text("select st_area(st_union(geom)) from forestry.sub_compartment"))
    covered = 0.0
    for row in rows:
        west, south, east, north = tile_box(zoom, row.x, row.y)
        covered += float(levels._shares(row.body).mean()) * (east - west) * (north - south)
    # Squares overlap: districts and classes add up on their own.
    assert covered == pytest.approx(true, rel=0.06)
    assert {f["properties"]["share"] for f in tile(city, "sub_compartment", zoom)} <= set(
        detail.SHARES
    )


def test_a_level_shows_the_own_district_only(city: Api) -> None:
    with db.engine("app").connect() as conn:
        east = conn.scalar(
            text("select count(*) from landscape.sign where district = :d"), {"d": minicity.EAST}
        )
    for zoom in (8, 11, 13):
        assert sum(f["properties"]["n"] for f in tile(city, "sign", zoom, XUHUI)) == east
    z, x, y = tile_of(121.45, 31.22, 12)
    west, _, east_end, _ = tile_box(z, x, y)
    answer = city.get(f"/tiles/sub_compartment/{z}/{x}/{y}.mvt", XUHUI)
    shown = mapbox_vector_tile.decode(answer.content)["sub_compartment"]["features"]
    for feature in shown:
        first = shapely.geometry.shape(feature["geometry"]).bounds[0]
        assert first / 4096 * (east_end - west) + west > 121.45 - 2 * SIDE


def test_who_sees_a_street_only_gets_things_instead(city: Api) -> None:
    from twin.scope import Actor

    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "sign")
    assert served.stand_for(kind, Actor(user="d", districts=("310104",)))
    for narrow in (Actor(user="s", districts=("310104",), streets=("1",)), Actor(user="a", area="00"),
                   Actor(user="k", fields={"sign": frozenset({"name"})})):  # fmt: skip
        assert not served.stand_for(kind, narrow)


def test_an_edit_is_in_the_level_and_far_tiles_stay(city: Api) -> None:
    before = tile(city, "sign", 13)
    far = tile_of(121.402, 31.238, 13)
    asked = f"/tiles/sign/13/{far[1]}/{far[2]}.mvt"
    etag = city.get(asked).headers["etag"]
    with db.engine("app").begin() as conn:
        minicity.write(
            conn,
            "sign",
            {"source_key": ["new"], "geom": [minicity.ewkb(shapely.Point(121.4955, 31.2032))]},
        )
    _sealed()
    assert _follow() >= 1
    _soon(lambda: sum(f["properties"]["n"] for f in tile(city, "sign", 13)) == 1_501)
    assert city.get(asked).headers["etag"] == etag
    with db.engine("app").begin() as conn:
        ids = conn.scalars(text("select id from landscape.sign where source_key = 'new'")).all()
        things.remove(conn, kinds.one(conn, "sign"), list(ids), actor="t")
    _sealed()
    assert _follow() >= 1
    _soon(lambda: sum(f["properties"]["n"] for f in tile(city, "sign", 8)) == 1_500)
    assert len(tile(city, "sign", 13)) == len(before)


def test_levels_made_anew_are_the_levels_that_were_followed(city: Api) -> None:
    asked = text(
        "select z, x, y, district, class, band, md5(body) from twin.level where kind = 'sign' order by 1, 2, 3, 4, 5, 6"
    )
    with db.engine("app").begin() as conn:
        followed = conn.execute(asked).all()
        levels.build(conn, kinds.one(conn, "sign"))
        assert conn.execute(asked).all() == followed


def test_a_filter_or_a_moment_is_drawn_from_the_things(city: Api) -> None:
    risky = tile(city, "sign", 11, filter="risk = '1'")
    # A thing at the edge is in both tiles.
    assert len({f["id"] for f in risky}) == 375 and all("n" not in f["properties"] for f in risky)
    then = "2020-01-01T00:00:00Z"
    assert tile(city, "sign", 11, datetime=then) == []
    assert city.get("/tiles/sign/14/13718/6695.mvt", filter="risk = ").status_code == 400
    assert city.get("/tiles/sign/14/13718/6695.mvt", filter="nothing = 1").status_code == 400


def test_a_tile_too_full_leaves_out_the_least_and_says_so(
    city: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_MOST", repository.sa.literal_column("101"))
    monkeypatch.setattr(repository, "MAX_FEATURES", 100)
    monkeypatch.setattr(repository, "_statements", repository.Statements())
    z, x, y = tile_of(121.45, 31.22, 11)
    answer = city.get(f"/tiles/sign/{z}/{x}/{y}.mvt", filter="risk = '2'")
    said = mapbox_vector_tile.decode(answer.content)
    kept, gone = (
        len(said["sign"]["features"]),
        said["_left_out"]["features"][0]["properties"]["sign"],
    )
    assert kept == 100 and gone > 100
    assert answer.headers["twin-left-out"] == f"sign={gone}"


def test_tilejson_names_the_first_zoom(city: Api) -> None:
    about = city.get("/tiles/sign.json").json()
    assert about["minzoom"] == detail.COARSEST and about["vector_layers"][0]["id"] == "sign"
    assert city.get("/tiles/toilet.json").json()["minzoom"] == 13
