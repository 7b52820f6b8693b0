"""Exact cover of cells, outlines of what is covered, and tiles written by hand."""

from __future__ import annotations

import mapbox_vector_tile
import numpy as np
import pytest
import shapely

from gis import cover, mvt
from gis.tiles import box_wkb, tile_box, tile_of, tiles_in

TILE = tile_of(121.4, 31.2, 12)
CELLS = 64


def degrees(shape: shapely.Geometry) -> shapely.Geometry:
    """Return a shape given in cells of TILE as degrees."""
    z, x, y = TILE

    def back(cells: np.ndarray) -> np.ndarray:
        lon = (cells[:, 0] / CELLS + x) / 2**z * 360 - 180
        lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (cells[:, 1] / CELLS + y) / 2**z))))
        return np.stack([lon, lat], axis=1)

    return shapely.transform(shape, back)


@pytest.mark.parametrize(
    ("shape", "where", "share"),
    [
        (shapely.box(3, 4, 5, 6), (4, 3), 1.0),
        (shapely.box(3.25, 4, 3.5, 6), (4, 3), 0.25),  # narrower than a cell: its true share
        (shapely.Polygon([(3, 4), (4, 4), (4, 5)]), (4, 3), 0.5),
        (shapely.box(0, 0, 10, 10) - shapely.box(3, 4, 4, 5), (4, 3), 0.0),  # a hole is no cover
        (shapely.box(-9, -9, 90, 90), (0, 0), 1.0),  # larger than the tile
        (shapely.union(shapely.box(3, 4, 3.5, 5), shapely.box(3.6, 4, 3.7, 5)), (4, 3), 0.6),
    ],
)
def test_each_cell_knows_its_true_share(
    shape: shapely.Geometry, where: tuple[int, int], share: float
) -> None:
    for turned in (shape, shape.reverse()):
        grid = cover.coverage(np.array([degrees(turned)]), *TILE, CELLS)
        assert grid[where] == pytest.approx(share, abs=1e-6)


def test_the_sum_is_the_area_however_small_the_parts() -> None:
    gen = np.random.default_rng(3)
    shapes = [
        shapely.affinity.translate(shapely.Point(0, 0).buffer(0.2, quad_segs=3), *at)
        for at in gen.uniform(1, CELLS - 1, (500, 2))
    ]
    alone = [s for i, s in enumerate(shapes) if not any(s.intersects(o) for o in shapes[:i])]
    grid = cover.coverage(np.array([degrees(s) for s in alone]), *TILE, CELLS)
    assert grid.sum() == pytest.approx(sum(s.area for s in alone), rel=1e-6)
    assert cover.halved(grid).sum() * 4 == pytest.approx(grid.sum(), rel=1e-5)


def test_outlines_run_around_what_is_covered_and_join_the_neighbour() -> None:
    grid = np.zeros((CELLS + 2, CELLS + 2), np.float32)
    grid[11:31, 11:31] = 1.0
    grid[18:22, 18:22] = 0.0
    grid[41, 50:] = 1.0  # runs out of the tile
    unit = cover.EXTENT / CELLS
    rings = cover.outlines(grid, 0.5, (-1, -1), unit)
    assert max(r[:, 0].max() for r in rings[:1]) == pytest.approx(30 * unit, abs=unit)
    areas = [shapely.Polygon(r).area / unit**2 for r in rings]
    assert sorted(round(a) for a in areas)[-1] == 400 and sum(a > 300 for a in areas) == 1
    assert any(12 < a < 18 for a in areas)  # the hole
    assert max(r[:, 0].max() for r in rings) >= cover.EXTENT
    assert cover.outlines(np.zeros((8, 8), np.float32), 0.5, (0, 0), unit) == []


def test_a_tile_written_by_hand_reads_as_it_was_meant() -> None:
    ring = np.array([[0, 0], [100, 0], [100, 90], [0, 90], [0, 0]])
    areas = mvt.layer(
        "wood", ["share", "kind"], [8, "pine"], mvt.area(mvt.rings([ring]), [0, 0, 1, 1])
    )
    tags = np.array([[0, 0], [0, 1]])
    dots = mvt.layer(
        "tree", ["n"], [3, 70_000], mvt.dots(np.array([0, 4095]), np.array([7, 4096]), tags)
    )
    said = mapbox_vector_tile.decode(
        areas + dots + mvt.note("_left_out", {"tree": 12}), default_options={"y_coord_down": True}
    )
    wood = said["wood"]["features"][0]
    assert wood["properties"] == {"share": 8, "kind": "pine"}
    assert shapely.geometry.shape(wood["geometry"]).area == 9000
    assert [(f["geometry"]["coordinates"], f["properties"]["n"]) for f in said["tree"]["features"]] == [
        ([0, 7], 3), ([4095, 4096], 70_000),
    ]  # fmt: skip
    assert said["_left_out"]["features"][0]["properties"] == {"tree": 12}


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 16_383, 16_384, 2**21, 2**28, 2**35 - 1])
def test_numbers_are_written_as_protobuf_reads_them(number: int) -> None:
    assert mvt.varints(np.array([number, 5])) == mvt.varint(number) + b"\x05"


def test_boxes_name_their_tiles() -> None:
    west, south, east, north = tile_box(*TILE)
    inside = (west + 1e-6, south + 1e-6, east - 1e-6, north - 1e-6)
    assert tiles_in(inside, TILE[0]) == (TILE[1], TILE[2], TILE[1], TILE[2])
    assert shapely.from_wkb(box_wkb((1.0, 2.0, 3.0, 4.0))).bounds == (1.0, 2.0, 3.0, 4.0)
