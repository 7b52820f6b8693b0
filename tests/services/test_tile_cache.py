"""Tiles are kept until something in them changes: exactly then, and never stale."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely

from gis.tiles import tile_box, tile_of
from services.tiles.cache import Cache, tiles
from tests import minicity
from tests.services.conftest import Api
from twin import db, kinds, things

ZOOM = 16


def test_the_box_of_a_tile_holds_its_places() -> None:
    z, x, y = tile_of(121.47, 31.22, 15)
    west, south, east, north = tile_box(z, x, y)
    assert west <= 121.47 <= east and south <= 31.22 <= north
    assert tile_of((west + east) / 2, (south + north) / 2, 15) == (z, x, y)
    wide = tile_box(z, x, y, 0.1)
    assert wide[0] < west and wide[1] < south and wide[2] > east and wide[3] > north


def test_a_change_drops_what_it_touches_and_nothing_else() -> None:
    cache = Cache()
    here, there = (0.0, 0.0, 1.0, 1.0), (2.0, 0.0, 3.0, 1.0)
    for key, box, kind in (
        ("a", here, "k"),
        ("b", there, "k"),
        ("c", here, "other"),
        ("p", None, "k"),
    ):
        cache.put(key, b"x", kinds=(kind,), box=box, since=cache.now())
    assert cache.touch("k", (0.5, 0.5, 0.5, 0.5)) == 1
    assert [cache.get(k) is not None for k in "abcp"] == [False, True, True, True]
    assert cache.touch("k", None) == 1  # a whole load: all but what is past
    assert [cache.get(k) is not None for k in "abcp"] == [False, False, True, True]


def test_what_changed_while_it_was_drawn_is_not_kept() -> None:
    cache = Cache()
    since = cache.now()
    cache.touch("k", (0.5, 0.5, 0.5, 0.5))
    given = cache.put("a", b"old", kinds=("k",), box=(0.0, 0.0, 1.0, 1.0), since=since)
    assert given.raw == b"old" and cache.get("a") is None
    cache.put("b", b"elsewhere", kinds=("k",), box=(2.0, 0.0, 3.0, 1.0), since=since)
    assert cache.get("b") is not None


def test_the_cache_forgets_the_oldest_when_it_is_full() -> None:
    cache = Cache(limit=5_000)
    for i in range(10):
        cache.put(i, b"x" * 600, kinds=("k",), box=(0.0, 0.0, 1.0, 1.0), since=cache.now())
    assert cache.size <= 5_000 and cache.get(0) is None and cache.get(9) is not None
    assert cache.touch("k", None) == len([i for i in range(10)]) - 5 and cache.size == 0


@pytest.fixture
def spots(api: Api) -> dict[str, tuple[float, float]]:
    """Two toilets far enough apart to lie in different tiles."""
    with db.engine("app").begin() as conn:
        places = {"cache-a": (121.4111, 31.2311), "cache-b": (121.4911, 31.2311)}
        minicity.write(conn, "toilet", {
            "source_key": list(places), "name": ["甲", "乙"],
            "geom": [minicity.ewkb(shapely.Point(p)) for p in places.values()],
        })  # fmt: skip
    time.sleep(0.5)
    return places


def fetch(api: Api, place: tuple[float, float], **more: Any) -> Any:
    z, x, y = tile_of(*place, ZOOM)
    return api.get(f"/tiles/toilet/{z}/{x}/{y}.mvt", **more)


def change(key: str, name: str) -> None:
    with db.engine("app").begin() as conn:
        things.write(conn, kinds.one(conn, "toilet"), {"source_key": [key], "name": [name]},
                     actor="t", source="mini")  # fmt: skip


def test_an_edit_is_seen_at_once_and_the_neighbour_stays(
    api: Api, spots: dict[str, tuple[float, float]]
) -> None:
    first = {k: fetch(api, p).headers["etag"] for k, p in spots.items()}
    held = len(tiles)
    change("cache-a", f"改名{time.time_ns()}")
    end = time.monotonic() + 10
    while fetch(api, spots["cache-a"]).headers["etag"] == first["cache-a"]:
        assert time.monotonic() < end, "the tile stays old"
        time.sleep(0.02)
    assert fetch(api, spots["cache-b"]).headers["etag"] == first["cache-b"]
    assert len(tiles) == held  # one went and came again


def test_a_settled_moment_is_kept_whatever_happens_now(
    api: Api, spots: dict[str, tuple[float, float]]
) -> None:
    then = datetime.fromtimestamp(time.time() - 3_600, UTC).isoformat()
    before = fetch(api, spots["cache-a"], datetime=then)
    held = len(tiles)
    change("cache-a", f"又改{time.time_ns()}")
    time.sleep(0.5)
    assert fetch(api, spots["cache-a"], datetime=then).headers["etag"] == before.headers["etag"]
    assert len(tiles) >= held - 1
