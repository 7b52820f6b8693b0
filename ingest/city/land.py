"""Districts, streets and towns, and the water: the ground that everything else stands on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ingest.city.plane import DEMO, Floats, Geoms, blob, facts, plane, ribbon, rng, smooth, wave

PUDONG = "310115"
WEST_BANK = frozenset({"310101", "310104", "310109", "310110", "310113"})
CENTRE = ("310101", "310104", "310105", "310106", "310107", "310109", "310110")
ISLAND = "310151"
Node = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Land:
    """The ground in plane metres."""

    codes: list[str]
    districts: Geoms
    city: Any
    rivers: dict[str, Any]
    huangpu_curve: Floats
    waters: list[dict[str, Any]]
    sea: Any

    def lakes(self) -> Any:
        """Return all lakes as one geometry."""
        return shapely.union_all([w["geom"] for w in self.waters if w["type"] == "lake"])

    def district_of(self, xy: Floats) -> np.ndarray[Any, Any]:
        """Return the index of the district of each point, -1 outside."""
        found = np.full(len(xy), -1)
        tree = shapely.STRtree(self.districts)
        point, poly = tree.query(shapely.points(xy), predicate="intersects")
        found[point[::-1]] = poly[::-1]
        return found


def make(seed: int) -> Land:
    """Return the districts with smooth common borders, and the waters."""
    said = facts("waters.json")
    curves = {r["zh"]: smooth(plane(r["line"]), 60) for r in said["rivers"]}
    codes, districts = _districts(curves["黄浦江"], seed)
    city = shapely.union_all(districts)
    rivers = {r["zh"]: ribbon(curves[r["zh"]], r["width_m"]) for r in said["rivers"]}
    rivers["苏州河"] = shapely.difference(rivers["苏州河"], rivers["黄浦江"])
    sea = shapely.difference(
        shapely.polygons(smooth(plane([*said["sea"]["ring"], said["sea"]["ring"][0]]), 2500)), city
    )
    sea = shapely.difference(sea, rivers["黄浦江"])
    waters = _waters(said, rivers, sea, city, seed)
    return Land(
        codes=codes,
        districts=districts,
        city=city,
        rivers=rivers,
        huangpu_curve=curves["黄浦江"],
        waters=waters,
        sea=sea,
    )


def _districts(river: Floats, seed: int) -> tuple[list[str], Geoms]:
    said = facts("districts.json")["districts"]
    codes = [d["code"] for d in said]
    rings = [
        (d["code"], [(float(x), float(y)) for x, y in ring]) for d in said for ring in d["outline"]
    ]
    owners: dict[frozenset[Node], set[str]] = {}
    for code, ring in rings:
        for a, b in zip(ring, ring[1:], strict=False):
            owners.setdefault(frozenset((a, b)), set()).add(code)
    line = shapely.linestrings(river)
    arcs = shapely.get_parts(
        shapely.line_merge(shapely.union_all([shapely.linestrings(r) for _, r in rings]))
    )
    gen = rng(seed, 1)
    moved: dict[Node, Node] = {}
    plain = []
    made = []
    for arc in arcs:
        nodes = [(float(x), float(y)) for x, y in shapely.get_coordinates(arc)]
        if _on_river(owners.get(frozenset(nodes[:2]), set())):
            ends = [line.project(shapely.points(plane(n))) for n in (nodes[0], nodes[-1])]
            for node, at in zip((nodes[0], nodes[-1]), ends, strict=True):
                moved[node] = tuple(line.interpolate(at).coords[0])
            made.append(_between(line, *ends))
        else:
            plain.append(nodes)
    made += [_natural([moved.get(n, tuple(plane(n))) for n in nodes], gen) for nodes in plain]
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all(made))))
    return codes, _assign(faces, codes, rings)


def _on_river(pair: set[str]) -> bool:
    return PUDONG in pair and bool(pair & WEST_BANK)


def _between(line: Any, a: float, b: float) -> Any:
    from shapely.ops import substring

    return substring(line, a, b)


def _natural(points: list[Node], gen: np.random.Generator) -> Any:
    """Return a border without the corners of the coarse outline; its ends stay where they are."""
    p = np.asarray(points)
    for _ in range(3):
        closed = bool(np.allclose(p[0], p[-1]))
        q = np.empty((2 * len(p) - 2, 2))
        q[0::2] = 0.75 * p[:-1] + 0.25 * p[1:]
        q[1::2] = 0.25 * p[:-1] + 0.75 * p[1:]
        p = np.vstack([q, q[:1]]) if closed else np.vstack([p[:1], q, p[-1:]])
    return shapely.linestrings(p)


def _assign(faces: Geoms, codes: list[str], rings: list[tuple[str, list[Node]]]) -> Geoms:
    coarse = shapely.polygons([shapely.linearrings(plane(np.asarray(r))) for _, r in rings])
    parts: dict[str, list[Any]] = {code: [] for code in codes}
    for face in faces:
        if face.area < 20_000:
            continue
        shares = shapely.area(shapely.intersection(coarse, face))
        if shares.max() > 0.4 * face.area:
            parts[rings[int(np.argmax(shares))][0]].append(face)
    return np.array([shapely.multipolygons(parts[c]) for c in codes], dtype=object)


def _waters(
    said: dict[str, Any], rivers: dict[str, Any], sea: Any, city: Any, seed: int
) -> list[dict[str, Any]]:
    gen = rng(seed, 2)
    out = [
        {
            "name": r["zh"],
            "name_en": r["en"],
            "type": "river",
            "grade": "city",
            "geom": rivers[r["zh"]],
        }
        for r in said["rivers"]
    ]
    sea_of = said["sea"]
    out.append(
        {"name": sea_of["zh"], "name_en": sea_of["en"], "type": "sea", "grade": "city", "geom": sea}
    )
    taken = shapely.union_all([*rivers.values(), sea])
    for lake in said["lakes"]:
        x, y = plane([lake["lon"], lake["lat"]])
        made = blob(float(x), float(y), lake["radius_m"], lake["wobble"], gen, 90)
        out.append(
            {
                "name": lake["zh"],
                "name_en": lake["en"],
                "type": "lake",
                "grade": "city",
                "geom": made,
            }
        )
        taken = shapely.union(taken, made)
    for canal in said["canals"]:
        curve = smooth(plane(canal["line"]), 150)
        curve = curve + 60 * np.stack(
            [wave(curve[:, 0], curve[:, 1], gen, 2500), wave(curve[:, 0], curve[:, 1], gen, 2500)],
            axis=-1,
        )
        made = shapely.difference(ribbon(curve, canal["width_m"]), taken)
        kind = "canal" if canal["width_m"][0] >= 40 else "creek"
        out.append(
            {
                "name": canal["zh"],
                "name_en": canal["en"],
                "type": kind,
                "grade": canal["grade"],
                "geom": made,
            }
        )
        taken = shapely.union(taken, made)
    return out


def streets(land: Land, seed: int) -> list[dict[str, Any]]:
    """Return the streets and towns: Voronoi cells of their rough places, inside their district."""
    with (DEMO / "streets.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    gen = rng(seed, 3)
    out = []
    for code, shape in zip(land.codes, land.districts, strict=True):
        mine = [r for r in rows if r["district_code"] == code]
        seeds = np.array([_seed(r, shape, gen) for r in mine])
        cells: list[list[Any]] = [[] for _ in mine]
        for part in shapely.get_parts(shape):
            _cut(part, seeds, cells)
        for row, pieces in zip(mine, cells, strict=True):
            geom = shapely.union_all(pieces)
            out.append({"code": row["code"], "name": row["name"], "district": code, "geom": geom})
    return out


def _seed(row: dict[str, str], shape: Any, gen: np.random.Generator) -> Floats:
    """Return the rough place of a street, or a random one where none is known."""
    shift = gen.uniform(-420, 420, 2)
    inner = shapely.buffer(shape, -250)
    if row["lon"]:
        at = plane([float(row["lon"]), float(row["lat"])]) + shift
        if not shapely.contains_xy(inner, *at):
            at = shapely.get_coordinates(shapely.shortest_line(inner, shapely.points(at)))[0]
        return np.asarray(at)
    x0, y0, x1, y1 = shape.bounds
    while True:
        at = np.array([gen.uniform(x0, x1), gen.uniform(y0, y1)])
        if shapely.contains_xy(inner, *at):
            return at


def _cut(part: Any, seeds: Floats, cells: list[list[Any]]) -> None:
    inside = np.flatnonzero(shapely.contains_xy(part, seeds[:, 0], seeds[:, 1]))
    if len(inside) < 2:
        near = (
            inside
            if len(inside)
            else [int(np.argmin(shapely.distance(part, shapely.points(seeds))))]
        )
        cells[int(near[0])].append(part)
        return
    faces = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(seeds[inside]), extend_to=part)
    )
    tree = shapely.STRtree(faces)
    for i in inside:
        face = faces[int(tree.query(shapely.points(seeds[i]), predicate="intersects")[0])]
        cells[int(i)].append(shapely.intersection(face, part))
