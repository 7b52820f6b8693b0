"""Footprints and heights: lilong rows, slabs facing south, towers, the skyline of the centre."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ingest.city import field, split
from ingest.city.plane import Floats, Geoms, facts, plane, polygons_of, rng

# kind: lot along (m), lot across (m), gap around (m), share of the lot's depth that is built
KINDS = ("lilong", "slab", "tower", "commercial", "office", "public", "industrial")
_LOT = {
    "lilong": (46.0, 15.5, 1.6, 0.74),
    "slab": (62.0, 32.0, 4.0, 0.48),
    "tower": (52.0, 50.0, 8.0, 0.66),
    "commercial": (58.0, 46.0, 4.0, 0.86),
    "office": (66.0, 60.0, 8.0, 0.78),
    "public": (80.0, 56.0, 10.0, 0.72),
    "industrial": (105.0, 62.0, 8.0, 0.74),
}
_USE = {"slab": "residential", "tower": "residential"}
OLD_TOWN = (121.4870, 31.2225)
FINANCE = (121.5040, 31.2365)


@dataclass
class Buildings:
    """Footprints in plane metres with their columns."""

    geoms: Geoms
    height_m: Floats
    floors: np.ndarray
    use: np.ndarray
    year: np.ndarray
    name: np.ndarray


def height_score(xy: Floats) -> Floats:
    """Return how high the city is built at a place, about 0..1.2."""
    score = np.zeros(len(xy))
    for lon, lat, reach, w in facts("places.json")["centres"]:
        p = plane([lon, lat])
        score += w * np.exp(-(((xy - p) ** 2).sum(axis=1)) / reach**2)
    return score


def finance(xy: Floats) -> Floats:
    """Return 1 in the middle of the towers of Lujiazui, falling to 0 within two kilometres."""
    return np.asarray(np.exp(-(((xy - plane(FINANCE)) ** 2).sum(axis=1)) / 850.0**2))


# How many footprints the small city has; a larger one goes on where it ends.
SMALL = 23_500


@dataclass
class Plan:
    """Which blocks are built on in which order, with what; `expected` counts footprints on the way."""

    order: np.ndarray
    expected: Floats
    kind: np.ndarray
    score: Floats
    km: Floats


def plan(
    blocks: Geoms, room: Geoms, gen: np.random.Generator, coarse: Callable[[Floats], Floats]
) -> Plan:
    """Return the order in which blocks fill: from the focus outwards, the outer towns before the rest.

    Beyond the middle only the cores of the outer towns are built at first, so that no place people
    look at is empty.
    """
    middle = shapely.get_coordinates(shapely.centroid(blocks))
    score = height_score(middle)
    km = field.focus_distance(middle) / 1000
    kind = _kinds(middle, score, km, gen)
    # Thinning outwards, and again dense in the centres of the outer towns: no hard edge of detail.
    felt = np.where(score > 0.12, np.minimum(km, 2.6 + 10 * np.clip(0.36 - score, 0, 1)), km)
    order = np.where(felt < 2.2, felt, felt * gen.uniform(0.3, 1.15, len(km)))
    per_lot = np.array([_LOT[KINDS[k]][0] * _LOT[KINDS[k]][1] for k in kind]) * coarse(km) ** 2
    ordered = np.argsort(order, kind="stable")
    return Plan(ordered, np.cumsum((shapely.area(room) / per_lot)[ordered]), kind, score, km)


def make(blocks: Geoms, room: Geoms, seed: int, most: int) -> Buildings:
    """Return about `most` buildings inside blocks; `room` is where each block may be built on."""
    gen = rng(seed, 30)
    made = plan(blocks, room, gen, _coarse)
    chosen = made.order[made.expected < most * 1.12]
    chosen = chosen[shapely.area(room[chosen]) > 250]
    return _fill(room[chosen], made.kind[chosen], made.score[chosen], _coarse(made.km[chosen]), gen)


def further(
    blocks: Geoms, room: Geoms, seed: int, free: np.ndarray, step: int = 150
) -> Iterator[Buildings]:
    """Yield the buildings of the blocks that the small city leaves empty, some blocks at a time."""
    first = plan(blocks, room, rng(seed, 30), _coarse)
    standing = first.order[first.expected < SMALL * 1.12]
    left = np.setdiff1d(np.flatnonzero(free & (shapely.area(room) > 250)), standing)
    left = first.order[np.isin(first.order, left)]
    for i in range(0, len(left), step):
        some = left[i : i + step]
        coarse = _dense(first.km[some])
        yield _fill(room[some], first.kind[some], first.score[some], coarse, rng(seed, 31, i))


def _dense(km: Floats) -> Floats:
    return np.interp(km, [0, 4, 14, 40], [1.0, 1.1, 1.3, 1.6])


def _coarse(km: Floats) -> Floats:
    return np.interp(km, [0, 2.4, 4, 8, 14], [1.0, 1.1, 1.6, 2.3, 2.6])


def _kinds(middle: Floats, score: Floats, km: Floats, gen: np.random.Generator) -> np.ndarray:
    """Return the index into KINDS for each block, by place and chance."""
    u = gen.random(len(middle))
    old = np.hypot(*(middle - plane(OLD_TOWN)).T) / 1000
    west = middle[:, 0] < plane([121.492, 31.2])[0]
    lilong = np.where(west, 0.62 * np.exp(-((km / 3.2) ** 2)), 0.0) + 0.35 * (old < 1.0)
    lilong *= np.clip(1.25 - 0.7 * score, 0.15, 1.0)
    office = np.clip(0.5 * score - 0.14, 0.02, 0.3) + 0.45 * finance(middle)
    commercial = np.clip(0.10 + 0.16 * score, 0.08, 0.3)
    industrial = np.where((km > 9) & (score < 0.15), 0.3, 0.0)
    tower = np.full(len(km), 0.22)
    public = np.full(len(km), 0.05)
    bounds = np.cumsum([lilong, office, commercial, industrial, tower, public], axis=0)
    names = ["lilong", "office", "commercial", "industrial", "tower", "public", "slab"]
    which = (u[None, :] > bounds).sum(axis=0)
    return np.array([KINDS.index(names[i]) for i in which])


def _fill(
    room: Geoms, kind: np.ndarray, score: Floats, coarse: Floats, gen: np.random.Generator
) -> Buildings:
    pieces, index = polygons_of(room, 150)
    lots = split.divide(
        pieces,
        np.array([_LOT[k][0] for k in KINDS])[kind[index]] * coarse[index],
        np.array([_LOT[k][1] for k in KINDS])[kind[index]] * coarse[index],
        gen,
        jitter=0.02,
        min_area=60,
    )
    block = index[lots.origin]
    k = kind[block]
    gap = np.array([_LOT[name][2] for name in KINDS])[k]
    share = np.array([_LOT[name][3] for name in KINDS])[k]
    box = split.boxes(lots.geoms)
    along = np.maximum(box.along - 2 * gap, 6) * gen.uniform(0.9, 1.0, len(k))
    across = np.maximum(box.across * share, 5) * gen.uniform(0.92, 1.0, len(k))
    point = np.isin(k, [KINDS.index("tower"), KINDS.index("office")])
    side = np.minimum(along, across * 1.25)
    along = np.where(point, side, along)
    shape = split.rectangles(box.centre, box.axis, along, across)
    shape = shapely.intersection(shape, shapely.buffer(lots.geoms, -1.0, join_style="mitre"))
    shape, at = polygons_of(shape, 70)
    # What is left of a footprint at a slanted edge is no house.
    whole = shapely.area(shape) > 0.62 * (along * across)[at]
    keep = whole & (gen.random(len(at)) < 0.94)
    shape, at = shape[keep], at[keep]
    return _heights(shape, k[at], score[block[at]], gen)


def _heights(shape: Geoms, k: np.ndarray, score: Floats, gen: np.random.Generator) -> Buildings:
    n = len(shape)
    u, v = gen.random(n), gen.random(n)
    middle = finance(shapely.get_coordinates(shapely.centroid(shape)))
    floors = np.select(
        [k == KINDS.index(name) for name in KINDS],
        [
            2 + (u > 0.55),
            np.where(u < 0.72, 6, 11),
            13 + 18 * u * (0.5 + 0.5 * score),
            3 + 5 * u * (1 + 0.6 * score),
            # Most offices are middling; a few rise far above, and Lujiazui above all.
            8 + 14 * score * u + 34 * score * v**6 + 22 * middle * v**2,
            3 + 7 * u,
            1 + 3 * u,
        ],
    ).astype(int)
    storey = np.where(
        np.isin(k, [KINDS.index(x) for x in ("office", "commercial", "public")]), 4.1, 3.0
    )
    storey = np.where(k == KINDS.index("industrial"), 5.5, storey)
    height = np.round(floors * storey + gen.uniform(0.5, 3.0, n), 1)
    year = np.select(
        [k == KINDS.index("lilong"), k == KINDS.index("slab")],
        [1905 + 40 * u, 1976 + 26 * v],
        1994 + 30 * v,
    ).astype(int)
    use = np.array([_USE.get(KINDS[i], KINDS[i]) for i in k], dtype=object)
    return Buildings(shape, height, floors, use, year, np.full(n, "", dtype=object))


def with_landmarks(built: Buildings) -> Buildings:
    """Return the buildings with the well-known ones in their places, what stood there cleared."""
    marks = facts("places.json")["landmarks"]
    at = plane(np.array([[m["lon"], m["lat"]] for m in marks]))
    half = np.array([m["size_m"] for m in marks]) / 2
    turn = np.radians(18.0)
    axis = np.tile([np.cos(turn), np.sin(turn)], (len(marks), 1))
    shape = split.rectangles(at, axis, half * 2, half * 2)
    # Cut corners read as a tower from above, where a square reads as a block.
    shape = shapely.buffer(
        shapely.buffer(shape, -half * 0.5, join_style="mitre"), half * 0.5, quad_segs=3
    )
    tree = shapely.STRtree(built.geoms)
    _, hit = tree.query(shapely.buffer(shape, 6), predicate="intersects")
    keep = np.ones(len(built.geoms), bool)
    keep[hit] = False

    def join(old: np.ndarray, new: list[Any]) -> Any:
        return np.concatenate([old[keep], np.array(new, dtype=old.dtype)])

    return Buildings(
        np.concatenate([built.geoms[keep], shape]),
        join(built.height_m, [float(m["height_m"]) for m in marks]),
        join(built.floors, [m["floors"] for m in marks]),
        join(built.use, [m["use"] for m in marks]),
        join(built.year, [m["year"] for m in marks]),
        join(built.name, [m["zh"] for m in marks]),
    )
