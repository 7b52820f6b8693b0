"""The road network: known fast roads, avenues along the field, and the streets that make blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ingest.city import field, split
from ingest.city.land import Land
from ingest.city.plane import Floats, Geoms, facts, plane, polygons_of, rng, smooth, subtract

BANK = 110.0
CREEK_BANK = 34.0
GRID = 0.2
_HALF = {"expressway": 16.0, "elevated": 13.0, "arterial": 13.0, "secondary": 9.5, "local": 6.0}
SPEED = {"expressway": 100.0, "elevated": 70.0, "arterial": 50.0, "secondary": 40.0, "local": 25.0}
LANES = {"expressway": 6, "elevated": 4, "arterial": 6, "secondary": 4, "local": 2}
# Fast roads pass over what lies below; everything else ends at the water unless it is a crossing.
FREE = frozenset({"expressway", "elevated"})
NEAR_BANK = (31.112, 31.385)
# Which centres, how near (m), how large the blocks become (m).
_TOWN_CUTS = (
    ("seats", 500.0, 1_000.0),
    ("towns", 1_300.0, 480.0),
    ("towns", 500.0, 260.0),
    ("seats", 200.0, 400.0),
)


@dataclass
class Lines:
    """Road lines before they are cut at junctions."""

    geoms: list[Any]
    rows: list[dict[str, Any]]

    def add(self, geom: Any, **row: Any) -> None:
        """Add a line or its parts."""
        for part in shapely.get_parts(geom):
            if shapely.get_type_id(part) == 1 and part.length > 20:
                self.geoms.append(part)
                self.rows.append(row)


@dataclass
class Network:
    """Edges between junctions with the row of their road, and the blocks between them."""

    edges: Geoms
    source: np.ndarray
    rows: list[dict[str, Any]]
    blocks: Geoms
    super_of: np.ndarray
    supers: Geoms

    @cached_property
    def half(self) -> Floats:
        """Half of the width of each edge's road, kerb to axis, in metres."""
        return np.array([_HALF[self.rows[i]["cls"]] for i in self.source])

    @cached_property
    def walkable(self) -> np.ndarray:
        """Which edges have a kerb where something can stand: no fast roads, tunnels, bridges."""
        rows = [self.rows[i] for i in self.source]
        return np.array([r["cls"] not in FREE and r["structure"] == "ground" for r in rows])

    @cached_property
    def km(self) -> Floats:
        """How far each edge lies from the focus of the city, in kilometres."""
        middle = shapely.get_coordinates(shapely.centroid(self.edges))
        return np.asarray(field.focus_distance(middle) / 1000)

    @cached_property
    def length(self) -> Floats:
        """The length of each edge in metres."""
        return np.asarray(shapely.length(self.edges))


def make(land: Land, seed: int) -> Network:
    """Return the network of the whole city."""
    lines = _main_lines(land, seed)
    edges = _node(np.array(lines.geoms, dtype=object))
    edges = _prune(edges, 3_200.0)
    supers = _faces(edges, land)
    gen = rng(seed, 20)
    cut = _subdivide(supers, land, gen)
    wide = boxes_area(supers)[cut.cut_origin] / (4.0 ** (cut.cut_round / 2)) > 160_000
    for chord, big in zip(cut.cuts, wide, strict=True):
        cls = "secondary" if big and chord.length > 250 else "local"
        lines.add(chord, name="", cls=cls, structure="ground")
    fine = _node(np.concatenate([edges, cut.cuts]))
    fine = _prune(fine, 120.0)
    fine = fine[main_part(fine)]
    tree = shapely.STRtree(lines.geoms)
    middle = shapely.line_interpolate_point(fine, 0.5, normalized=True)
    return Network(fine, tree.nearest(middle), lines.rows, cut.geoms, cut.origin, supers)


def boxes_area(geoms: Geoms) -> Floats:
    """Return the area of the oriented box of each polygon."""
    box = split.boxes(geoms)
    return box.along * box.across


def _main_lines(land: Land, seed: int) -> Lines:
    lines = Lines([], [])
    river, creek = land.rivers["黄浦江"], land.rivers["苏州河"]
    bed = shapely.union(shapely.buffer(river, BANK), shapely.buffer(land.lakes(), 60))
    fixed = []
    for road in facts("roads.json")["roads"]:
        curve = smooth(plane(road["line"]), 120)
        fixed.append(curve)
        line = shapely.linestrings(curve)
        if road["class"] not in FREE:
            line = shapely.difference(line, bed)
        lines.add(
            line,
            name=road["name"],
            cls=road["class"],
            structure=road["structure"],
            speed_kmh=road["speed_kmh"],
            lanes=road["lanes"],
            fixed=True,
        )
    _banks(lines, shapely.buffer(river, BANK), shapely.buffer(creek, CREEK_BANK))
    made = field.make(land, seed)
    gen = rng(seed, 21)
    shore = shapely.buffer(land.city, -120)
    for curve in field.avenues(made, fixed, seed):
        line = shapely.intersection(shapely.difference(shapely.linestrings(curve), bed), shore)
        km = float(field.focus_distance(curve[len(curve) // 2 : len(curve) // 2 + 1])[0]) / 1000
        big = shapely.length(line) > 4_000 and gen.random() < (0.55 if km < 15 else 0.3)
        lines.add(line, name="", cls="arterial" if big else "secondary", structure="ground")
    _crossings(lines, land)
    return lines


def _banks(lines: Lines, bed: Any, creek_bed: Any) -> None:
    south, north = plane([[121.4, NEAR_BANK[0]], [121.4, NEAR_BANK[1]]])[:, 1]
    window = shapely.box(-30_000, south, 30_000, north)
    shore = shapely.intersection(shapely.simplify(bed.boundary, 8), window)
    for part in shapely.get_parts(shapely.line_merge(shore)):
        lines.add(part, name="滨江大道", cls="secondary", structure="ground")
    x = float(plane([121.345, 31.2])[0])
    inner = shapely.difference(creek_bed, bed)
    edge = shapely.difference(shapely.simplify(inner.boundary, 4), shapely.buffer(bed, 1))
    edge = shapely.intersection(edge, shapely.box(x, -50_000, 50_000, 50_000))
    for part in shapely.get_parts(shapely.line_merge(edge)):
        lines.add(part, name="苏州河沿路", cls="local", structure="ground")


def _crossings(lines: Lines, land: Land) -> None:
    curve = shapely.linestrings(land.huangpu_curve)
    for c in facts("roads.json")["crossings"]:
        s = curve.project(shapely.points(plane([c["lon"], c["lat"]])))
        a, b = (np.array(curve.interpolate(s + d).coords[0]) for d in (-150, 150))
        along = (b - a) / np.hypot(*(b - a))
        middle, normal = (a + b) / 2, np.array([-along[1], along[0]])
        reach = 1_150 if c["lat"] > NEAR_BANK[0] else 3_000
        line = shapely.linestrings([middle - reach * normal, middle + reach * normal])
        lines.add(
            line,
            name=c["name"],
            cls="arterial",
            structure=c["structure"],
            speed_kmh=60.0,
            lanes=4,
            fixed=True,
        )


def _node(geoms: Geoms) -> Geoms:
    """Return the edges between all crossings; ends within the grid of another line meet it."""
    return np.asarray(shapely.get_parts(shapely.union_all(geoms, grid_size=GRID)))


def ends(edges: Geoms) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the node numbers of both ends of each edge, and how many nodes there are."""
    first = shapely.get_coordinates(shapely.get_point(edges, 0))
    last = shapely.get_coordinates(shapely.get_point(edges, -1))
    both = np.round(np.concatenate([first, last]) / GRID).astype(np.int64)
    _, index = np.unique(both, axis=0, return_inverse=True)
    index = index.reshape(-1)
    return index[: len(edges)], index[len(edges) :], int(index.max()) + 1


def _prune(edges: Geoms, longest: float) -> Geoms:
    """Drop dead ends up to a length, again and again: streets lead somewhere."""
    for _ in range(6):
        u, v, n = ends(edges)
        degree = np.bincount(np.concatenate([u, v]), minlength=n)
        dead = ((degree[u] == 1) | (degree[v] == 1)) & (shapely.length(edges) < longest)
        if not dead.any():
            break
        edges = edges[~dead]
    return edges


def main_part(edges: Geoms) -> np.ndarray:
    """Tell which edges hang together: a truck can reach every one of them from every other."""
    u, v, n = ends(edges)
    graph = coo_matrix((np.ones(len(u)), (u, v)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    largest = np.argmax(np.bincount(label))
    return np.asarray(label[u] == largest)


def _faces(edges: Geoms, land: Land) -> Geoms:
    faces = shapely.get_parts(shapely.polygonize(edges))
    wet = shapely.union_all(
        [
            shapely.buffer(land.rivers["黄浦江"], BANK - 5),
            shapely.buffer(land.rivers["苏州河"], CREEK_BANK - 4),
            land.sea,
        ]
    )
    shapely.prepare(wet)
    dry = ~shapely.contains_properly(wet, shapely.point_on_surface(faces))
    # No street of a block crosses open water: the block ends at its bank.
    open_water = [
        shapely.buffer(land.lakes(), 40),
        shapely.buffer(land.rivers["黄浦江"], BANK - 15),
    ]
    ground = subtract(faces[dry & (shapely.area(faces) > 1_500)], shapely.get_parts(open_water))
    return polygons_of(ground, 1_500)[0]


def _subdivide(supers: Geoms, land: Land, gen: np.random.Generator) -> split.Pieces:
    """Cut superblocks into blocks: fine in the centre and in towns, not at all in fields."""
    middle = shapely.get_coordinates(shapely.centroid(supers))
    size = block_size(middle)
    size *= gen.uniform(0.85, 1.2, len(size))
    cut = split.divide(supers, size * gen.uniform(1.0, 1.45, len(size)), size, gen, min_area=400)
    return _towns(cut, land, gen)


def block_size(xy: Floats) -> Floats:
    """Return the wanted depth of a block in metres by its distance from the focus."""
    km = field.focus_distance(xy) / 1000
    return np.interp(km, [0, 2.5, 5, 8, 12, 15, 15.01], [135, 160, 240, 420, 650, 900, np.inf])


def _towns(cut: split.Pieces, land: Land, gen: np.random.Generator) -> split.Pieces:
    """Cut what lies around the centres of the outer towns, finer the nearer."""
    towns = plane([c[:2] for c in facts("places.json")["centres"]])
    seats = plane(np.array(town_seats()))
    for which, reach, size in _TOWN_CUTS:
        tree = shapely.STRtree(shapely.points(seats if which == "seats" else towns))
        hit, _ = tree.query_nearest(
            cut.geoms, max_distance=reach, return_distance=False, all_matches=False
        )
        near = np.zeros(len(cut.geoms), bool)
        near[hit] = True
        wanted = np.where(near, size, np.inf) * gen.uniform(0.9, 1.2, len(near))
        more = split.divide(cut.geoms, wanted * 1.2, wanted, gen, min_area=400)
        cut = split.Pieces(
            more.geoms,
            cut.origin[more.origin],
            np.concatenate([cut.cuts, more.cuts]),
            np.concatenate([cut.cut_origin, cut.origin[more.cut_origin]]),
            np.concatenate([cut.cut_round, more.cut_round + 2]),
        )
    return cut


def town_seats() -> list[tuple[float, float]]:
    """Return the rough places of the outer streets and towns."""
    import csv

    from ingest.city.plane import DEMO

    with (DEMO / "streets.csv").open(encoding="utf-8") as file:
        return [(float(r["lon"]), float(r["lat"])) for r in csv.DictReader(file) if r["lon"]]
