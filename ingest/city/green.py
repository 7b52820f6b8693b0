"""Parks, green spaces along roads and water, and the forest of the outer districts."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ingest.city import field, names, split
from ingest.city.land import CENTRE, Land
from ingest.city.plane import DEMO, Floats, Geoms, blob, plane, polygons_of, rng, subtract
from ingest.city.roads import BANK, CREEK_BANK, NEAR_BANK, Network

PARKS = 973
# Rough shares of the districts among the parks.
_SHARE = {
    "310101": 20,
    "310104": 50,
    "310105": 35,
    "310106": 35,
    "310107": 45,
    "310109": 25,
    "310110": 45,
    "310112": 130,
    "310113": 90,
    "310114": 90,
    "310115": 190,
    "310116": 40,
    "310117": 80,
    "310118": 70,
    "310120": 60,
    "310151": 40,
}
Rows = list[dict[str, Any]]


@dataclass
class Parks:
    """Parks, and which blocks they have taken (fully or in part)."""

    rows: Rows
    used: np.ndarray


def parks(land: Land, net: Network, seed: int) -> Parks:
    """Return the real parks at their places, and generated ones up to the city's number."""
    gen = rng(seed, 40)
    middle = shapely.get_coordinates(shapely.centroid(net.blocks))
    area = shapely.area(net.blocks)
    used = np.zeros(len(area), bool)
    rows: Rows = []
    with (DEMO / "parks.csv").open(encoding="utf-8") as file:
        for r in csv.DictReader(file):
            rows.append(_known(r, land, net, middle, area, used, gen))
    rows += _generated(land, net, middle, area, used, gen, PARKS - len(rows))
    return Parks(rows, used)


def _known(
    r: dict[str, str],
    land: Land,
    net: Network,
    middle: Floats,
    area: Floats,
    used: np.ndarray,
    gen: np.random.Generator,
) -> dict[str, Any]:
    at = plane([float(r["lon"]), float(r["lat"])])
    wanted = float(r["area_ha"]) * 1e4
    near = np.argsort(np.hypot(*(middle - at).T), kind="stable")[:400]
    near = near[~used[near]]
    # Within one superblock where it is large enough: no avenue runs through a city park.
    here = near[net.super_of[near] == net.super_of[near[0]]]
    near = here if area[here].sum() > wanted else near
    taken = near[: max(1, int(np.searchsorted(np.cumsum(area[near]), 0.95 * wanted)))]
    small = area[near[0]] < 1.6 * wanted and field.focus_distance(at[None])[0] < 14_000
    if small and wanted < 1.6e6:
        used[taken] = True
        geom = shapely.union_all(shapely.buffer(net.blocks[taken], 4, join_style="mitre"))
        geom = shapely.buffer(shapely.buffer(geom, -34), 18)
        geom = max(shapely.get_parts(geom), key=shapely.area, default=geom)
    else:
        geom = blob(float(at[0]), float(at[1]), np.sqrt(wanted / np.pi), 0.16, gen, 70)
    if geom.is_empty or shapely.area(geom) < 0.2 * wanted:
        geom = blob(float(at[0]), float(at[1]), np.sqrt(wanted / np.pi), 0.12, gen, 40)
    geom = shapely.difference(geom, shapely.union_all([land.sea, land.rivers["黄浦江"]]))
    return _park(r["zh"], r["en"], geom, gen, real=True)


def _park(name: str, en: str, geom: Any, gen: np.random.Generator, *, real: bool) -> dict[str, Any]:
    ha = shapely.area(geom) / 1e4
    kind = (
        "forest"
        if "森林" in name
        else "country"
        if "郊野" in name or ha > 300
        else "theme"
        if any(w in name for w in ("植物园", "动物园", "雕塑", "湿地", "陵园"))
        else "comprehensive"
        if ha > 8
        else "community"
        if ha > 1
        else "pocket"
    )
    all_day = bool(kind in ("pocket", "community") and gen.random() < 0.7)
    grade = (
        "5" if real and ha > 40 else str(gen.choice(["4", "3", "2", "0"], p=[0.2, 0.35, 0.2, 0.25]))
    )
    return {
        "name": name,
        "name_en": en,
        "type": kind,
        "grade": grade,
        "all_day": all_day,
        "open_hours": "00:00-24:00" if all_day else "05:00-21:00",
        "max_visitors": int(ha * 1e4 * 0.6 / 30),
        "green_rate_pct": round(float(gen.uniform(65, 92)), 1),
        "opened_on": f"{int(gen.integers(1955, 2025))}-{int(gen.integers(1, 13)):02d}-01",
        "amenities": [
            str(a) for a in gen.choice(names.AMENITIES, int(gen.integers(1, 4)), replace=False)
        ],
        "geom": geom,
    }


def _generated(
    land: Land,
    net: Network,
    middle: Floats,
    area: Floats,
    used: np.ndarray,
    gen: np.random.Generator,
    n: int,
) -> Rows:
    district = land.district_of(middle)
    total = sum(_SHARE.values())
    rows: Rows = []
    roomy = shapely.area(shapely.buffer(net.blocks, -14)) > 900
    taken: set[str] = set()
    counts = {c: round(n * s / total) for c, s in _SHARE.items()}
    counts["310115"] += n - sum(counts.values())
    for i, code in enumerate(land.codes):
        fits = np.flatnonzero((district == i) & ~used & roomy & (area < 1.2e6))
        weight = 1 / np.sqrt(area[fits])
        chosen = gen.choice(fits, counts[code], replace=False, p=weight / weight.sum())
        for b in chosen:
            geom = _inside(net.blocks[b], area[b], code, gen)
            used[b] = area[b] < 60_000
            name = names.park(gen, taken, float(shapely.area(geom)))
            rows.append(_park(name, "", geom, gen, real=False))
    return rows


def _inside(block: Any, area: float, code: str, gen: np.random.Generator) -> Any:
    room = shapely.buffer(block, -11, join_style="mitre")
    if area < (30_000 if code in CENTRE else 60_000):
        return _soft(room)
    x, y = shapely.get_coordinates(shapely.point_on_surface(room))[0]
    radius = min(np.sqrt(area) * 0.42, float(gen.lognormal(4.35, 0.5)))
    made = shapely.intersection(blob(x, y, radius, 0.22, gen, 36), room)
    return max(shapely.get_parts(made), key=shapely.area)


def _soft(room: Any) -> Any:
    """Return a block with round corners, or as it is where it is too narrow for them."""
    made = shapely.buffer(shapely.buffer(room, -9), 9)
    return room if made.is_empty else max(shapely.get_parts(made), key=shapely.area)


def green_spaces(land: Land, net: Network, park_area: Any, seed: int) -> Rows:
    """Return strips along the rivers and avenues, belts along the fast roads, small squares."""
    gen = rng(seed, 41)
    rows = [{"type": "riverside", "geom": g} for g in _banks(land)]
    cls = np.array([net.rows[i]["cls"] for i in net.source])
    km = field.focus_distance(shapely.get_coordinates(shapely.centroid(net.edges))) / 1000
    length = shapely.length(net.edges)
    avenue = np.flatnonzero((cls == "arterial") & (km < 16) & (length > 90))
    for i in gen.permutation(avenue)[:900]:
        side = 1 if gen.random() < 0.5 else -1
        rows.append(
            {
                "type": "roadside",
                "geom": _strip(net.edges[i], side * 15, side * gen.uniform(24, 38)),
            }
        )
    fast = np.flatnonzero((cls == "expressway") & (length > 250))
    for i in gen.permutation(fast)[:420]:
        side = 1 if gen.random() < 0.5 else -1
        rows.append(
            {
                "type": "shelter",
                "geom": _strip(net.edges[i], side * 32, side * gen.uniform(80, 160)),
            }
        )
    wet = shapely.union_all([land.rivers["黄浦江"], land.rivers["苏州河"], land.sea])
    taken = shapely.get_parts(np.array([wet, park_area], dtype=object))
    geoms = subtract(np.array([r["geom"] for r in rows], dtype=object), taken)
    out = []
    for row, geom in zip(rows, geoms, strict=True):
        if shapely.area(geom) > 300:
            out.append(row | {"geom": geom, "grade": str(gen.choice(["1", "2", "3"]))})
    return out


def _strip(line: Any, near: float, far: float) -> Any:
    a, b = shapely.offset_curve(line, near), shapely.offset_curve(line, far)
    ring = np.concatenate([shapely.get_coordinates(a), shapely.get_coordinates(b)[::-1]])
    if len(ring) < 4:
        return shapely.Polygon()
    made = shapely.make_valid(shapely.polygons(ring))
    return shapely.union_all(polygons_of([made], 50)[0])


def _banks(land: Land) -> list[Any]:
    south, north = plane([[121.4, NEAR_BANK[0]], [121.4, NEAR_BANK[1]]])[:, 1]
    window = shapely.box(-30_000, south, 30_000, north)
    out: list[Any] = []
    curve = shapely.simplify(shapely.linestrings(land.huangpu_curve), 5)
    band = shapely.difference(
        shapely.buffer(land.rivers["黄浦江"], BANK - 16), shapely.buffer(land.rivers["黄浦江"], 14)
    )
    out += _slices(shapely.intersection(band, window), curve, 330.0, 420.0)
    creek = land.rivers["苏州河"]
    inner = shapely.box(float(plane([121.345, 31.2])[0]), -50_000, 50_000, 50_000)
    band = shapely.difference(shapely.buffer(creek, CREEK_BANK - 9), shapely.buffer(creek, 5))
    spine = shapely.linestrings(_centre_of(creek))
    out += _slices(shapely.intersection(band, inner), spine, 220.0, 80.0)
    return [g for g in out if g.area > 400]


def _centre_of(creek: Any) -> Floats:
    from ingest.city.plane import facts, smooth

    return smooth(plane(facts("waters.json")["rivers"][1]["line"]), 60)


def _slices(band: Any, line: Any, step: float, reach: float) -> list[Any]:
    at = np.arange(0, line.length, step)
    cuts = shapely.line_interpolate_point(line, at)
    ahead = shapely.line_interpolate_point(line, at + 5)
    p, q = shapely.get_coordinates(cuts), shapely.get_coordinates(ahead)
    d = (q - p) / np.maximum(np.hypot(*(q - p).T), 1e-6)[:, None]
    normal = np.stack([-d[:, 1], d[:, 0]], axis=-1) * reach
    slit = shapely.buffer(shapely.linestrings(np.stack([p - normal, p + normal], axis=1)), 5)
    return list(polygons_of([shapely.difference(band, shapely.union_all(slit))])[0])


def forest(land: Land, net: Network, seed: int) -> Rows:
    """Return sub-compartments: shelter along the shore, corridors, woods in the fields."""
    gen = rng(seed, 42)
    rows: Rows = []
    for geom in _shore(land):
        rows.append({"category": "shelter", "geom": geom})
    cls = np.array([net.rows[i]["cls"] for i in net.source])
    middle = shapely.get_coordinates(shapely.centroid(net.edges))
    km = field.focus_distance(middle) / 1000
    fast = np.flatnonzero((cls == "expressway") & (km > 14) & (shapely.length(net.edges) > 300))
    for i in fast:
        for side in (1, -1):
            if gen.random() < 0.3:
                rows.append(
                    {
                        "category": "corridor",
                        "geom": _strip(net.edges[i], side * 36, side * gen.uniform(75, 120)),
                    }
                )
    rows += [{"category": c, "geom": g} for c, g in _woods(land, net, gen)]
    wet = shapely.union_all([land.rivers["黄浦江"], land.sea, land.lakes()])
    geoms = subtract(np.array([r["geom"] for r in rows], dtype=object), shapely.get_parts(wet))
    return [r | {"geom": g} for r, g in zip(rows, geoms, strict=True) if shapely.area(g) > 1_500]


def _shore(land: Land) -> list[Any]:
    line = shapely.intersection(land.city.boundary, shapely.buffer(land.sea, 5))
    out = []
    for part in shapely.get_parts(shapely.line_merge(line)):
        line = shapely.simplify(part, 25)
        if line.length < 1_500:
            continue
        n = int(line.length / 850)
        from shapely.ops import substring

        for k in range(n):
            piece = substring(line, (k + 0.03) / n * line.length, (k + 0.97) / n * line.length)
            belt = shapely.buffer(piece, 190, cap_style="flat")
            inside = shapely.intersection(
                shapely.difference(belt, shapely.buffer(piece, 45)), land.city
            )
            out += list(polygons_of([inside], 10_000)[0])
    return out


def _woods(land: Land, net: Network, gen: np.random.Generator) -> list[tuple[str, Any]]:
    area = shapely.area(net.supers)
    middle = shapely.get_coordinates(shapely.point_on_surface(net.supers))
    district = land.district_of(middle)
    outer = np.isin(district, [i for i, c in enumerate(land.codes) if c not in CENTRE])
    away = field.focus_distance(middle) > 9_000
    fits = np.flatnonzero(outer & away & (area > 1.5e6))
    shapes, kinds = [], []
    for i in fits:
        x0, y0, x1, y1 = net.supers[i].bounds
        if gen.random() < 0.35:
            continue
        for _ in range(int(min(2, 1 + area[i] / 8e6))):
            x, y = gen.uniform(x0, x1), gen.uniform(y0, y1)
            shape = shapely.intersection(
                blob(x, y, gen.uniform(140, 480), 0.25, gen, 30), shapely.buffer(net.supers[i], -40)
            )
            shapes.append(shape)
            kinds.append(str(gen.choice(["public", "commercial", "water"], p=[0.6, 0.25, 0.15])))
    pieces, index = polygons_of(shapes, 8_000)
    cut = split.divide(
        pieces, np.full(len(pieces), 330.0), np.full(len(pieces), 270.0), gen, min_area=2_500
    )
    inner: Geoms = shapely.buffer(cut.geoms, -4, join_style="mitre")
    return [
        (kinds[index[o]], g) for g, o in zip(inner, cut.origin, strict=True) if gen.random() < 0.92
    ]
