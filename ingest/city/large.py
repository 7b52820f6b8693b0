"""The city at its real size: two million things, made batch by batch from the ground of the small one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ingest.city import assets, buildings, field, names, topics
from ingest.city.land import CENTRE
from ingest.city.places import Places
from ingest.city.plane import Floats, Geoms, lonlat, rng, to_lonlat

Columns = dict[str, list[Any]]
Pool = Mapping[str, Sequence[Any]]
BATCH = 20_000
# How many more of each kind the city has than the small one: two million things in all.
GROWTH: dict[str, int] = {
    "building": 376_000,
    "sub_compartment": 220_000,
    "green_space": 80_000,
    "street_tree": 692_000,
    "sign": 298_000,
    "lamp": 80_000,
    "shop": 60_000,
    "bin": 40_000,
    "drop_point": 30_000,
    "restaurant": 26_000,
}
# Roads are cut at about every second junction instead of every eighth.
ROAD_CHUNK = 420.0
CELL = 66.0
_KNOTS = 4
_STRIP_KNOTS = 7


@dataclass
class Batch:
    """Rows of one kind: columns without keys, shapes in plane metres."""

    columns: Columns
    shapes: Geoms


def grow(
    kind: str, pool: Pool, places: Places, scale: float = 1.0
) -> Iterator[tuple[Columns, Geoms]]:
    """Yield columns (with `source_key`) and shapes (EPSG:4326) of what the city has more of a kind.

    `pool` holds the columns of the small city's rows: what a way of growing does not say itself is
    taken from one of them, a whole row at a time, so that its values fit each other.
    """
    most = round(GROWTH.get(kind, 0) * scale)
    gen = rng(places.seed, 80, *kind.encode())
    known = {"name", *topics.declared()[kind].fields}
    done = 0
    for batch in _WAYS[kind](places, gen, most) if most else ():
        for at in range(0, len(batch.shapes), BATCH):
            keep = slice(at, min(at + BATCH, at + most - done))
            shapes = batch.shapes[keep]
            if not len(shapes):
                return
            columns = _from_pool(pool, len(shapes), gen)
            columns |= {name: v[keep] for name, v in batch.columns.items() if name in known}
            columns["source_key"] = [f"{kind}-c{done + i + 1:07d}" for i in range(len(shapes))]
            yield columns, _placed(shapes)
            done += len(shapes)


def _from_pool(pool: Pool, n: int, gen: np.random.Generator) -> Columns:
    rows = len(next(iter(pool.values()), ()))
    which = gen.integers(0, max(rows, 1), n).tolist()
    return {name: [values[i] for i in which] for name, values in pool.items()}


def _placed(shapes: Geoms) -> Geoms:
    if shapely.get_type_id(shapes[0]) == 0:
        return np.asarray(shapely.points(lonlat(shapely.get_coordinates(shapes))))
    return to_lonlat(shapes)


def _batches(n: int) -> Iterator[int]:
    for at in range(0, n, BATCH):
        yield min(BATCH, n - at)


def _at(places: Places, edges: np.ndarray, along: Floats, off: Floats) -> Floats:
    """Return points `along` metres on edges, `off` metres to their left (negative: right)."""
    lines = places.net.edges[edges]
    p = shapely.get_coordinates(shapely.line_interpolate_point(lines, along))
    q = shapely.get_coordinates(shapely.line_interpolate_point(lines, along + 1.0))
    d = (q - p) / np.maximum(np.hypot(*(q - p).T), 1e-6)[:, None]
    return np.asarray(p + np.stack([-d[:, 1], d[:, 0]], axis=-1) * off[:, None])


def _kerb_numbers(places: Places, n: int, spacing: Floats) -> tuple[np.ndarray, Floats, Floats]:
    """Return which edges, how many places on each side, and the spacing, for n places in all."""
    edges = np.flatnonzero(places.net.walkable)
    length = np.maximum(places.net.length[edges] - 18.0, 0.0)
    step = spacing[edges]
    step = step * (2 * (length / step).sum() / n)
    return edges, np.ceil(length / step), step


def _trees(places: Places, gen: np.random.Generator, n: int) -> Iterator[Batch]:
    """Both sides of every street, denser in the middle; one street, one species."""
    spacing = np.interp(places.net.km, [0, 8, 20, 60], [9.0, 12.0, 22.0, 34.0])
    edges, count, step = _kerb_numbers(places, n, spacing)
    half = places.net.half - 1.5
    share = np.array([s[2] for s in names.SPECIES])
    species = gen.choice(len(share), len(places.net.edges), p=share / share.sum())
    for part in _parts(count * 2, BATCH):
        where = np.repeat(edges[part], 2 * count[part].astype(int))
        order = np.concatenate([np.arange(2 * int(c)) for c in count[part]])
        along = 9.0 + (order // 2) * np.repeat(step[part], 2 * count[part].astype(int))
        xy = _at(places, where, along, np.where(order % 2 == 0, 1.0, -1.0) * half[where])
        yield Batch(_tree_columns(places, gen, where, species), shapely.points(xy))


def _tree_columns(
    places: Places, gen: np.random.Generator, where: np.ndarray, species: np.ndarray
) -> Columns:
    n = len(where)
    age = np.clip(gen.normal(30, 14, n), 3, 110)
    dbh = np.round(np.clip(age * gen.uniform(0.7, 1.25, n), 5, 120), 1)
    kind = species[where]
    return {
        "species": np.array([s[0] for s in names.SPECIES], dtype=object)[kind].tolist(),
        "latin": np.array([s[1] for s in names.SPECIES], dtype=object)[kind].tolist(),
        "dbh_cm": dbh.tolist(),
        "height_m": np.round(3 + dbh**0.62, 1).tolist(),
        "crown_m": np.round(1.5 + dbh**0.5, 1).tolist(),
        "planted_year": (2026 - age).astype(int).tolist(),
        "road_name": places.road_name[where].tolist(),
    }


def _parts(size: Floats, batch: int) -> Iterator[slice]:
    """Cut a list of sizes into slices of about `batch` in all."""
    total = np.cumsum(size)
    cuts: Any = (
        np.searchsorted(total, np.arange(batch, total[-1] + batch, batch)) if len(total) else []
    )
    start = 0
    for cut in cuts:
        end = min(int(cut) + 1, len(size))
        if end > start:
            yield slice(start, end)
        start = end


def _kerbside(near_km: float, off: float, called: str) -> Callable[..., Iterator[Batch]]:
    """Return a way to grow: places at the kerb, named after their road where `called` says so."""

    def made(places: Places, gen: np.random.Generator, n: int) -> Iterator[Batch]:
        for some in _batches(n):
            xy, edge = assets.kerb_places(places.net, some, gen, near_km)
            shift = gen.normal(0, off, (some, 2))
            road = places.road_name[edge].tolist()
            number = gen.integers(1, 1_900, some).tolist()
            columns: Columns = {"road_name": road}
            if called:
                columns["name"] = [
                    called.format(road=r, i=i) for r, i in zip(road, number, strict=True)
                ]
            yield Batch(columns, shapely.points(xy + shift))

    return made


def _strips(places: Places, gen: np.random.Generator, n: int) -> Iterator[Batch]:
    """Green strips behind the kerb, some metres deep, each between two crossings or gates."""
    edges = np.flatnonzero(places.net.walkable)
    length = places.net.length[edges]
    pieces = np.floor((length - 24.0) / 150.0) + 1
    fits = length > 60
    edges, length, pieces = edges[fits], length[fits], pieces[fits]
    chosen = gen.permutation(len(edges))
    half = places.net.half
    done = 0
    for part in _parts(pieces[chosen] * 2, BATCH // 2):
        if done >= n:
            return
        some = chosen[part]
        times = (2 * pieces[some]).astype(int)
        where = np.repeat(edges[some], times)
        order = np.concatenate([np.arange(t) for t in times])
        span = np.repeat((length[some] - 24.0) / pieces[some], times)
        begin = 12.0 + (order // 2) * span + 3.0
        side = np.where(order % 2 == 0, 1.0, -1.0)
        shapes = _ribbons(places, where, begin, span - 6.0, side, half[where] + 1.5, gen)
        done += len(shapes)
        area = np.round(shapely.area(shapes), 0).tolist()
        road = places.road_name[where].tolist()
        yield Batch(
            {"type": ["roadside"] * len(road), "name": [f"{r}绿地" for r in road], "area_m2": area},
            shapes,
        )


def _ribbons(
    places: Places,
    where: np.ndarray,
    begin: Floats,
    long: Floats,
    side: Floats,
    near: Floats,
    gen: np.random.Generator,
) -> Geoms:
    """Return strips of two times seven corners along edges, near and far side alternating in depth."""
    depth = gen.uniform(3.0, 7.0, (len(where), _STRIP_KNOTS))
    ring = []
    for far in (False, True):
        for k in range(_STRIP_KNOTS)[:: -1 if far else 1]:
            along = begin + long * k / (_STRIP_KNOTS - 1)
            off = near + (depth[:, k] if far else 0.0)
            ring.append(_at(places, where, along, side * off))
    made = shapely.polygons(np.stack(ring, axis=1))
    bad = ~shapely.is_valid(made)
    made[bad] = shapely.convex_hull(made[bad])
    return np.asarray(made)


def _cells(places: Places, gen: np.random.Generator, n: int) -> Iterator[Batch]:
    """Woods of the outer districts cut into sub-compartments that share their winding borders."""
    taken = shapely.STRtree(
        np.concatenate(
            [places.shapes(k) for k in ("sub_compartment", "park", "green_space", "water_body")]
        )
    )
    kept: list[Geoms] = []
    count = done = 0
    for block in woods(places):
        cells = _lattice(places.net.blocks[block])
        if len(cells):
            free = np.ones(len(cells), bool)
            free[taken.query(cells, predicate="intersects")[0]] = False
            kept.append(cells[free & (gen.random(len(cells)) < 0.95)])
            count += len(kept[-1])
        if count >= BATCH:
            yield _woodland(np.concatenate(kept), done, gen)
            done, count, kept = done + count, 0, []
        if done >= n:
            return
    if count:
        yield _woodland(np.concatenate(kept), done, gen)


def _woodland(cells: Geoms, first: int, gen: np.random.Generator) -> Batch:
    n = len(cells)
    area = shapely.area(cells)
    age = gen.integers(4, 46, n)
    number = np.arange(first, first + n)
    block, own = (number // 60 + 101).tolist(), (number % 60 + 1).tolist()
    return Batch(
        {
            "area_m2": np.round(area, 0).tolist(),
            "area_hm2": np.round(area / 1e4, 2).tolist(),
            "age_years": age.tolist(),
            "height_m": np.round(4 + age * 0.28, 1).tolist(),
            "volume_m3": np.round(area / 1e4 * age * 3.1, 1).tolist(),
            "compartment": [f"{b:04d}" for b in block],
            "number": [str(o) for o in own],
            "name": [f"{b:04d}林班{o}小班" for b, o in zip(block, own, strict=True)],
        },
        cells,
    )


def woods(places: Places) -> np.ndarray:
    """Return the blocks of the outer districts that are forest in the large city, never built on."""
    area = shapely.area(places.net.blocks)
    middle = shapely.get_coordinates(shapely.centroid(places.net.blocks))
    district = places.land.district_of(middle)
    outer = np.isin(district, [i for i, c in enumerate(places.land.codes) if c not in CENTRE])
    far = field.focus_distance(middle) > 11_000
    fits = np.flatnonzero(outer & far & (area > 180_000))
    gen = rng(places.seed, 81)
    order = gen.permutation(fits)
    # A good third of the land of the outer districts' larger blocks: enough for every cell.
    return np.asarray(order[np.cumsum(area[order]) < 0.40 * area[fits].sum()])


def _lattice(block: Any) -> Geoms:
    """Return the cells of a warped lattice that lie wholly inside a block.

    Corners and the knots of borders come from the place on the lattice alone: two neighbours, even
    of different blocks, meet in the same line and never overlap.
    """
    room = shapely.buffer(block, -18, join_style="mitre")
    if room.is_empty:
        return np.array([], dtype=object)
    x0, y0, x1, y1 = (np.asarray(shapely.bounds(room)) / CELL).round().astype(int)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(x0 - 1, x1 + 1), np.arange(y0 - 1, y1 + 1)))
    corners = [_corner(i + a, j + b) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    shapely.prepare(room)
    inside = np.ones(len(i), bool)
    for c in corners:
        inside &= shapely.contains_xy(room, c[:, 0], c[:, 1])
    i, j = i[inside], j[inside]
    if not len(i):
        return np.array([], dtype=object)
    ring = [
        *_border(i, j, 0),
        *_border(i + 1, j, 1),
        *_border(i, j + 1, 0)[::-1],
        *_border(i, j, 1)[::-1],
    ]
    corners = [c[inside] for c in corners]
    knots = _KNOTS
    points = []
    for k, corner in enumerate(corners):
        points += [corner, *ring[k * knots : (k + 1) * knots]]
    made = np.asarray(shapely.polygons(np.stack(points, axis=1)))
    return np.asarray(made[shapely.is_valid(made)])


def _noise(i: np.ndarray, j: np.ndarray, salt: int) -> Floats:
    """Return -1..1 from a place on the lattice, always the same."""
    h = (
        i.astype(np.int64) * 374761393 + j.astype(np.int64) * 668265263 + salt * 974634599
    ) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return np.asarray(((h ^ (h >> 16)) & 0xFFFF) / 32767.5 - 1.0)


def _corner(i: np.ndarray, j: np.ndarray) -> Floats:
    return np.stack([i + 0.24 * _noise(i, j, 1), j + 0.24 * _noise(i, j, 2)], axis=-1) * CELL


def _border(i: np.ndarray, j: np.ndarray, axis: int) -> list[Floats]:
    """Return the knots between corner (i, j) and the next one along an axis."""
    a = _corner(i, j)
    b = _corner(i + 1, j) if axis == 0 else _corner(i, j + 1)
    d = b - a
    normal = np.stack([-d[:, 1], d[:, 0]], axis=-1)
    made = []
    for k in range(1, _KNOTS + 1):
        sway = 0.06 * _noise(i, j, 10 * (axis + 1) + k)
        made.append(a + d * (k / (_KNOTS + 1)) + normal * sway[:, None])
    return made


def _houses(places: Places, gen: np.random.Generator, n: int) -> Iterator[Batch]:
    """Buildings in the blocks that the small city leaves empty, but not in the woods."""
    free = np.ones(len(places.net.blocks), bool)
    free[woods(places)] = False
    room = places.room if places.room is not None else shapely.buffer(places.net.blocks, -10)
    kept: list[buildings.Buildings] = []
    count = 0
    for built in buildings.further(places.net.blocks, room, places.seed, free):
        kept.append(built)
        count += len(built.geoms)
        if count >= BATCH:
            yield _built(kept)
            count, kept = 0, []
    if count:
        yield _built(kept)


def _built(parts: list[buildings.Buildings]) -> Batch:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(p, name) for p in parts])

    return Batch(
        {
            "height_m": joined("height_m").tolist(),
            "floors": joined("floors").astype(int).tolist(),
            "use": joined("use").tolist(),
            "built_year": joined("year").astype(int).tolist(),
            "name": [""] * len(joined("use")),
        },
        joined("geoms"),
    )


_WAYS: dict[str, Callable[[Places, np.random.Generator, int], Iterator[Batch]]] = {
    "building": _houses,
    "sub_compartment": _cells,
    "green_space": _strips,
    "street_tree": _trees,
    "sign": _kerbside(9.0, 1.0, "{road}{i}号招牌"),
    "lamp": _kerbside(7.0, 2.0, "{road}景观灯{i}"),
    "shop": _kerbside(7.0, 1.0, "{road}{i}号店铺"),
    "bin": _kerbside(7.0, 0.4, ""),
    "drop_point": _kerbside(8.0, 9.0, "{road}{i}弄投放点"),
    "restaurant": _kerbside(6.0, 1.5, "{road}{i}号餐厅"),
}
