"""The city at its real size: made batch by batch, nothing over another, loaded in bulk, the same twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import shapely

from ingest import demo
from ingest.city import city, large
from ingest.city.places import Places
from ingest.city.plane import plane
from twin import kinds

Ask = Callable[..., list[Any]]
SCALE = 0.002


@pytest.fixture(scope="module")
def places() -> Places:
    return city.whole(chunk=large.ROAD_CHUNK)[1]


def flat(shapes: Any) -> Any:
    """Return shapes in metres."""
    return shapely.transform(np.asarray(shapes, dtype=object), plane)


def test_two_million_things_in_all() -> None:
    assert 1_880_000 < sum(large.GROWTH.values()) < 1_960_000
    known = {k.kind for k in kinds.shipped()}
    assert set(large.GROWTH) <= known and set(large.GROWTH) == set(large._WAYS)


@pytest.mark.parametrize("kind", list(large.GROWTH))
def test_a_batch_is_bounded_sound_and_the_same_every_time(kind: str, places: Places) -> None:
    columns, shapes = next(large.grow(kind, {}, places, 0.05))
    again, same = next(large.grow(kind, {}, places, 0.05))
    assert columns == again and shapely.equals_exact(shapes, same).all()
    assert 0 < len(shapes) <= large.BATCH
    assert {len(values) for values in columns.values()} == {len(shapes)}
    assert shapely.is_valid(shapes).all() and len(set(columns["source_key"])) == len(shapes)
    declared = next(k for k in kinds.shipped() if k.kind == kind)
    wanted = {"point": {0}, "polygon": {3}}[declared.geometry]
    assert set(shapely.get_type_id(shapes).tolist()) <= wanted


@pytest.mark.parametrize("kind", ["sub_compartment", "green_space"])
def test_areas_have_winding_borders_and_real_sizes(kind: str, places: Places) -> None:
    shapes = flat(next(large.grow(kind, {}, places, 0.05))[1])
    corners = shapely.get_num_coordinates(shapes) - 1
    assert corners.min() >= 12 and corners.max() <= 25
    low, high = {"sub_compartment": (1_500, 9_000), "green_space": (60, 1_500)}[kind]
    assert low < np.median(shapely.area(shapes)) < high


def test_sub_compartments_share_borders_and_never_overlap(places: Places) -> None:
    shapes = flat(next(large.grow("sub_compartment", {}, places, 0.03))[1])
    one, two = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = one < two
    common = shapely.area(shapely.intersection(shapes[one[pairs]], shapes[two[pairs]]))
    # Six decimals of a degree are a tenth of a metre: that much a shared border may waver.
    assert pairs.sum() > len(shapes) and common.max() < 40
    parks = places.shapes("park")
    assert len(shapely.STRtree(parks).query(shapes, predicate="contains")[0]) == 0


def test_houses_and_woods_keep_apart(places: Places) -> None:
    cells = flat(next(large.grow("sub_compartment", {}, places, 0.05))[1])
    for _, shapes in islice(large.grow("building", {}, places), 3):
        assert len(shapely.STRtree(cells).query(flat(shapes), predicate="intersects")[0]) == 0


@pytest.mark.long  # the small city is loaded the same way by test_demo_load
def test_it_is_loaded_in_bulk_once_and_marked(database: str, ask: Ask) -> None:
    told: list[tuple[str, int, int]] = []
    done = demo.load_demo("city", lambda *said: told.append(said), scale=SCALE)
    assert done.things == sum(done.counts.values()) > 90_000
    assert demo.load_demo("city", scale=SCALE).things == 0
    assert ask("select count(*) as n from twin.thing")[0].n == done.things
    grown = ask(
        "select kind, count(*) as n from twin.thing where kind = any(:k) group by kind",
        k=list(large.GROWTH),
    )
    for row in grown:
        assert row.n == done.counts[row.kind] > large.GROWTH[row.kind] * SCALE
    assert (
        ask("select count(*) as n from forestry.sub_compartment where source <> 'demo'")[0].n == 0
    )
    lost = ask(
        "select 1 from greening.street_tree where district is null and source_key like '%-c%'"
    )
    assert len(lost) < 20
    parts = [done for _, done, _ in told]
    assert parts == sorted(parts) and told[-1][0] == "done" and told[-1][1] == told[-1][2]
