"""The generated city: the same every time, in the figures that are known, sound as a map."""

from __future__ import annotations

import re
from collections import Counter

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gis import network
from ingest import demo
from ingest.city.plane import facts, plane
from twin import kinds
from twin.errors import BadRequest

Frames = dict[str, gpd.GeoDataFrame]
RECORDS = {k.kind for k in kinds.shipped() if k.geometry == "none"}


@pytest.fixture(scope="module")
def frames() -> Frames:
    return demo.frames("small")


def flat(frame: gpd.GeoDataFrame) -> np.ndarray:
    """Return the shapes of a frame in metres."""
    return np.asarray(shapely.transform(np.asarray(frame.geometry.array, dtype=object), plane))


def test_the_same_seed_gives_the_same_bytes(frames: Frames) -> None:
    assert demo.digest(demo.frames("small")) == demo.digest(frames)


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(BadRequest, match="small"):
        demo.frames("galaxy")


def test_known_figures(frames: Frames) -> None:
    counts = {kind: len(frame) for kind, frame in frames.items()}
    assert counts["district"] == 16 and counts["street"] == 234 and counts["park"] == 973
    assert counts["crew"] == 120 and counts["vehicle"] == 300
    assert 70_000 < sum(counts.values()) < 82_000
    assert set(counts) == {k.kind for k in kinds.shipped()}


def test_every_shape_is_valid_and_there(frames: Frames) -> None:
    for kind, frame in frames.items():
        shapes = np.asarray(frame.geometry.array, dtype=object)
        if kind in RECORDS:
            assert shapely.is_missing(shapes).all(), kind
            continue
        assert shapely.is_valid(shapes).all() and not shapely.is_empty(shapes).any(), kind
        bounds = shapely.total_bounds(shapes)
        assert bounds[0] > 120.5 and bounds[1] > 30.2 and bounds[2] < 122.8 and bounds[3] < 32.0, (
            kind
        )


def test_every_value_fits_its_declaration(frames: Frames) -> None:
    for kind in kinds.shipped():
        frame = frames[kind.kind]
        for name, field in kind.fields.items():
            if name not in frame:
                continue
            given = frame[name].dropna()
            if field.codes:
                assert set(given) <= set(field.codes), (kind.kind, name)
            if field.min is not None:
                assert given.min() >= field.min, (kind.kind, name)
            if field.max is not None:
                assert given.max() <= field.max, (kind.kind, name)
            if field.pattern:
                assert given.str.match(field.pattern).all(), (kind.kind, name)


def test_neighbouring_districts_match(frames: Frames) -> None:
    shapes = flat(frames["district"])
    area, together = shapely.area(shapes).sum(), shapely.area(shapely.union_all(shapes))
    assert area == pytest.approx(together, rel=1e-6)
    published = frames["district"].set_index("code")["area_km2"]
    for code, km2 in zip(frames["district"]["code"], shapely.area(shapes) / 1e6, strict=True):
        assert km2 == pytest.approx(published[code], rel=0.16), code


def test_streets_fill_their_districts(frames: Frames) -> None:
    area = dict.fromkeys(frames["district"]["code"], 0.0)
    for code, km2 in zip(
        frames["street"]["district"], shapely.area(flat(frames["street"])), strict=True
    ):
        area[code] += km2
    for code, m2 in zip(
        frames["district"]["code"], shapely.area(flat(frames["district"])), strict=True
    ):
        assert area[code] == pytest.approx(m2, rel=1e-6), code


def test_the_known_parks_stand_where_they_are(frames: Frames) -> None:
    parks = frames["park"].head(69)
    assert {"世纪公园", "人民公园", "上海植物园", "顾村公园"} <= set(parks["name"])
    at = parks.set_index("name").loc["人民公园"].geometry.centroid
    assert np.hypot(*(plane([at.x, at.y]) - plane([121.471, 31.233]))) < 500


def test_the_skyline(frames: Frames) -> None:
    tall = frames["building"].sort_values("height_m", ascending=False)
    assert list(tall["name"].head(3)) == ["上海中心大厦", "上海环球金融中心", "东方明珠广播电视塔"]
    assert tall["height_m"].iloc[0] == 632
    assert tall["height_m"].median() < 40


def test_houses_stand_on_dry_ground_off_the_roads_and_out_of_parks(frames: Frames) -> None:
    houses = flat(frames["building"])[:-20]
    water = flat(frames["water_body"])
    wet, _ = shapely.STRtree(houses).query(water, predicate="intersects")
    assert len(wet) == 0
    crossed = shapely.STRtree(houses).query(flat(frames["road"]), predicate="intersects")[1]
    assert len(np.unique(crossed)) < 0.003 * len(houses)
    _, inside = shapely.STRtree(houses).query(flat(frames["park"]), predicate="contains_properly")
    assert len(inside) == 0


def test_every_place_is_reached_by_road(frames: Frames) -> None:
    roads = frames["road"].explode(index_parts=False)
    lines = [shapely.get_coordinates(g) for g in roads.geometry]
    graph = network.build(lines, roads["speed_kmh"].to_numpy(float), roads["oneway"].to_numpy(bool))
    assert len(graph.main) > 0.99 * len(graph.nodes)
    assert 300 < roads["oneway"].sum() < 4_000
    crews = shapely.get_coordinates(frames["crew"].geometry.array)
    for lon, lat in ((121.475, 31.232), (121.503, 31.237), (121.44, 31.19)):
        times, _ = network.travel_times(network.reach(graph, lon, lat), crews)
        assert np.sort(times)[4] < 900


def test_only_known_crossings_and_fast_roads_cross_the_river(frames: Frames) -> None:
    river = flat(frames["water_body"])[list(frames["water_body"]["name"]).index("黄浦江")]
    over = frames["road"][shapely.intersects(flat(frames["road"]), river)]
    known = {c["name"] for c in facts("roads.json")["crossings"]}
    known |= {r["name"] for r in facts("roads.json")["roads"]}
    assert 20 <= len(over) < 80
    assert set(over["name"]) <= known


def test_crews_cover_every_district_and_skill(frames: Frames) -> None:
    crews = frames["crew"]
    assert Counter(crews["district_code"]).keys() == set(frames["district"]["code"])
    assert {s for skills in crews["skills"] for s in skills} >= {"绿化", "环卫", "市容", "林业"}
    joined = gpd.sjoin(crews, frames["district"][["code", "geometry"]], predicate="within")
    assert (joined["code"] == joined["district_code"]).all() and len(joined) == len(crews)


def test_plates_are_unique_and_look_right(frames: Frames) -> None:
    plates = frames["vehicle"]["plate"]
    assert plates.is_unique
    assert all(re.fullmatch(r"沪[A-N]·D?\d{5}", p) for p in plates)


def test_every_relation_leads_to_a_row_that_is_there(frames: Frames) -> None:
    keys = {key for frame in frames.values() for key in frame["source_key"]}
    for kind in kinds.shipped():
        for name in {*kind.relations} & {*frames[kind.kind].columns}:
            said = {v for v in frames[kind.kind][name] if isinstance(v, str)}
            assert said <= keys, f"{kind.kind}.{name}"
            assert {v.rsplit("-", 1)[0] for v in said} <= set(kind.fields[name].targets)


def test_every_record_hangs_on_a_thing_at_a_time(frames: Frames) -> None:
    for kind in kinds.shipped():
        if kind.is_record:
            frame = frames[kind.kind]
            assert frame["about"].notna().all(), kind.kind
            assert frame[str(kind.happened)].notna().all(), kind.kind


def test_flows_run_between_the_things_they_name(frames: Frames) -> None:
    rows = {f"{k}": f.set_index("source_key").geometry for k, f in frames.items()}
    for kind in (k for k in kinds.shipped() if k.flow):
        frame = frames[kind.kind]
        assert (frame[kind.flow["amount"]] > 0).all()
        for row in frame.head(5).itertuples():
            origin = getattr(row, kind.flow["from"])
            place = rows[origin.rsplit("-", 1)[0]][origin]
            assert row.geometry.distance(place) < 0.02, kind.kind


def test_the_zoo_the_old_trees_and_the_river_lights_are_where_they_belong(frames: Frames) -> None:
    zoo = frames["park"].set_index("name").loc["上海动物园"].geometry.buffer(1e-4)
    assert frames["enclosure"].within(zoo).all()
    houses = frames["enclosure"].set_index("source_key")["name"]
    tigers = frames["animal"][frames["animal"]["species"] == "华南虎"]
    assert {houses[about] for about in tigers["about"]} == {"虎山"}
    trees = frames["ancient_tree"]
    assert trees["tag"].is_unique and trees["story"].notna().all()
    first = trees[trees["class"] == "1"]
    assert len(first) > 20 and (first["age_years"] >= 300).all()
    river = flat(frames["water_body"])[list(frames["water_body"]["name"]).index("黄浦江")]
    lamps = flat(frames["lamp"][frames["lamp"]["bank"] != "no"])
    assert len(lamps) > 1_000 and (shapely.distance(lamps, river) < 400).mean() > 0.95
