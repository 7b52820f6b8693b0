"""The whole demo city: every kind's rows, in one deterministic order, in EPSG:4326."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ingest.city import assets, buildings, green, land, names, places, roads, topics
from ingest.city.land import Land
from ingest.city.plane import Floats, Geoms, facts, rng, subtract, to_lonlat
from ingest.city.roads import Network

SEED = 310000
Rows = list[dict[str, Any]]
# The order of loading: what later kinds are placed by comes first.
ORDER = (
    "district street water_body road park green_space sub_compartment building street_tree toilet "
    "bin vehicle crew camera sensor"
).split()
_CHUNK = 2_600.0


Frames = dict[str, gpd.GeoDataFrame]


def generate(seed: int = SEED) -> Frames:
    """Return a frame for each kind, with `source_key` and the fields of its declaration."""
    return whole(seed)[0]


def whole(seed: int = SEED, chunk: float = _CHUNK) -> tuple[Frames, places.Places]:
    """Return the frames and the ground they stand on; roads are rows of at most `chunk` metres."""
    ground = land.make(seed)
    net = roads.make(ground, seed)
    park = green.parks(ground, net, seed)
    park_area = shapely.union_all([p["geom"] for p in park.rows])
    net = _without_paths(net, park_area)
    road_rows, road_name = _roads(net, seed, chunk)
    rows: dict[str, Rows] = {"park": park.rows, "road": road_rows}
    rows["district"], rows["street"] = _areas(ground, seed)
    rows["water_body"] = ground.waters
    rows["green_space"] = green.green_spaces(ground, net, park_area, seed)
    rows["sub_compartment"] = _forest(green.forest(ground, net, seed), seed)
    free = room(net, park_area, park.used, ground)
    built = buildings.make(net.blocks, free, seed, buildings.SMALL)
    rows["building"] = _buildings(buildings.with_landmarks(built))
    _assets(rows, net, road_name, ground, seed)
    standing = places.start(net, ground, road_name, rows, seed)
    standing.room = free
    topics.ground(standing)
    topics.add(standing)
    frames = {kind: _frame(kind, rows[kind]) for kind in (*ORDER, *topics.order())}
    return frames, standing


def _assets(
    rows: dict[str, Rows], net: Network, road_name: np.ndarray, ground: Land, seed: int
) -> None:
    rows["street_tree"] = assets.trees(net, road_name, seed, 9_000)
    rows["toilet"] = assets.toilets(net, road_name, seed, 1_200)
    rows["bin"] = assets.bins(net, road_name, seed, 2_600)
    titles = {r["code"]: r["name"] for r in rows["district"]}
    rows["crew"] = assets.crews(net, ground, titles, seed)
    rows["vehicle"] = assets.vehicles(rows["crew"], net, ground, seed)
    rows["camera"] = assets.cameras(net, road_name, ground, seed, 500)
    hosts = {
        "bin_level": ("bin", _xy(rows["bin"])),
        "toilet_odour": ("toilet", _xy(rows["toilet"])),
        "tree_tilt": ("street_tree", _xy(rows["street_tree"])),
        "water_level": ("water_body", assets.water_places(ground, seed)),
    }
    hosts |= {"toilet_flow": hosts["toilet_odour"], "water_quality": hosts["water_level"]}
    rows["sensor"] = assets.sensors(hosts, net, seed, 900)


def _xy(rows: Rows) -> Floats:
    return np.array([r["xy"] for r in rows])


def room(net: Network, park_area: Any, used: np.ndarray, ground: Land) -> Geoms:
    """Return where each block may be built on: off the roads, the parks and the water."""
    inner = shapely.buffer(net.blocks, -10, join_style="mitre")
    wide = shapely.buffer(net.supers, -21, join_style="mitre")
    out = shapely.intersection(inner, wide[net.super_of])
    out[used] = shapely.Polygon()
    wet = [w["geom"] for w in ground.waters if w["type"] != "sea"]
    banks = shapely.buffer(np.array(wet, dtype=object), 8)
    return subtract(out, shapely.get_parts(np.append(banks, park_area)))


def _without_paths(net: Network, park_area: Any) -> Network:
    """Drop the streets that would run through a park, and what then hangs loose."""
    inner = shapely.buffer(park_area, -12)
    shapely.prepare(inner)
    middle = shapely.line_interpolate_point(net.edges, 0.5, normalized=True)
    small = np.array([net.rows[i]["cls"] in ("local", "secondary") for i in net.source])
    short = shapely.length(net.edges) < 700
    keep = ~(shapely.contains_properly(inner, middle) & small & short)
    edges, source = net.edges[keep], net.source[keep]
    whole = roads.main_part(edges)
    return Network(edges[whole], source[whole], net.rows, net.blocks, net.super_of, net.supers)


def _roads(net: Network, seed: int, chunk: float) -> tuple[Rows, np.ndarray]:
    """Join the edges of each road again, cut to handy lengths; return rows and each edge's name."""
    gen = rng(seed, 60)
    used, index = np.unique(net.source, return_inverse=True)
    index = index.reshape(-1)
    length = np.bincount(index, shapely.length(net.edges))
    bounds = shapely.bounds(net.edges)
    wide = np.bincount(index, bounds[:, 2] - bounds[:, 0]) > np.bincount(
        index, bounds[:, 3] - bounds[:, 1]
    )
    given = np.array([net.rows[i]["name"] for i in used], dtype=object)
    made = np.array(names.roads(gen, wide, length > 2_500), dtype=object)
    name = np.where(given == "", made, given)
    oneway = _oneway(net, index, length, gen)
    middle = shapely.get_coordinates(shapely.centroid(net.edges))
    key = np.column_stack([index, np.floor(middle / chunk).astype(int)])
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    rows: Rows = []
    for members in np.split(order, cuts):
        road = net.rows[used[index[members[0]]]]
        cls = road["cls"]
        geom = shapely.line_merge(shapely.multilinestrings(net.edges[members]))
        rows.append(
            {
                "name": str(name[index[members[0]]]),
                "class": cls,
                "structure": road["structure"],
                "speed_kmh": float(road.get("speed_kmh", roads.SPEED[cls])),
                "lanes": int(road.get("lanes", roads.LANES[cls])),
                "oneway": bool(oneway[index[members[0]]]),
                "clean_grade": {"arterial": "1", "secondary": "1", "local": "2"}.get(cls, "3"),
                "length_m": round(float(geom.length), 1),
                "generated": True,
                "geom": geom,
            }
        )
    return rows, name[index]


def _oneway(
    net: Network, index: np.ndarray, length: np.ndarray, gen: np.random.Generator
) -> np.ndarray:
    """Choose one-way streets, and undo those without which a place could not be left again."""
    cls = np.array([net.rows[i]["cls"] for i in np.unique(net.source)])
    oneway = (cls == "local") & (length < 900) & (gen.random(len(cls)) < 0.16)
    u, v, n = roads.ends(net.edges)
    for _ in range(20):
        back = ~oneway[index]
        rows, cols = np.concatenate([u, v[back]]), np.concatenate([v, u[back]])
        graph = coo_matrix((np.ones(len(rows)), (rows, cols)), shape=(n, n))
        count, label = connected_components(graph, directed=True, connection="strong")
        if count == 1:
            break
        main = np.argmax(np.bincount(label))
        oneway[np.unique(index[(label[u] != main) | (label[v] != main)])] = False
    return np.asarray(oneway)


def _areas(ground: Land, seed: int) -> tuple[Rows, Rows]:
    said = {d["code"]: d for d in facts("districts.json")["districts"]}
    districts = [
        {
            "code": code,
            "name": said[code]["zh"],
            "name_en": said[code]["en"],
            "area_km2": said[code]["area_km2"],
            "geom": geom,
            "ring": "island"
            if code == land.ISLAND
            else "core"
            if code in land.CENTRE
            else "suburb",
        }
        for code, geom in zip(ground.codes, ground.districts, strict=True)
    ]
    streets = land.streets(ground, seed)
    for row in streets:
        name = row["name"]
        row["type"] = (
            "street"
            if name.endswith("街道")
            else "town"
            if name.endswith("镇")
            else "township"
            if name.endswith("乡")
            else "zone"
        )
        row["name_en"] = names.english(name)
        row["area_km2"] = round(row["geom"].area / 1e6, 2)
        row["approximate"] = True
    return districts, streets


def _forest(rows: Rows, seed: int) -> Rows:
    gen = rng(seed, 61)
    for i, row in enumerate(rows):
        age = int(gen.integers(4, 45))
        species = str(gen.choice(names.FOREST_SPECIES))
        ha = row["geom"].area / 1e4
        row |= {
            "name": f"{i // 40 + 1:03d}林班{i % 40 + 1}小班",
            "compartment": f"{i // 40 + 1:03d}",
            "number": str(i % 40 + 1),
            "land_type": "bamboo" if species == "毛竹" else "young" if age < 6 else "arbor",
            "species": species,
            "age_years": age,
            "height_m": round(4 + age * 0.28, 1),
            "canopy": round(float(gen.uniform(0.35, 0.9)), 2),
            "volume_m3": round(ha * age * 3.1, 1),
            "ownership": str(gen.choice(["state", "collective"], p=[0.4, 0.6])),
            "protection": str(gen.choice(["I", "II", "III", "IV"], p=[0.05, 0.2, 0.45, 0.3])),
            "chief": names.person(gen),
        }
    return rows


def _buildings(built: buildings.Buildings) -> Rows:
    return [
        {
            "geom": g,
            "height_m": float(h),
            "floors": int(f),
            "use": str(u),
            "built_year": int(y),
            "name": str(n),
        }
        for g, h, f, u, y, n in zip(
            built.geoms,
            built.height_m,
            built.floors,
            built.use,
            built.year,
            built.name,
            strict=True,
        )
    ]


def _frame(kind: str, rows: Rows) -> gpd.GeoDataFrame:
    """Return rows as a frame in EPSG:4326, with ground areas and a stable key for each row."""
    if "xy" in rows[0]:
        geoms = shapely.points(_xy(rows))
    else:
        geoms = np.array([r.get("geom") for r in rows], dtype=object)
    frame = pd.DataFrame([{k: v for k, v in r.items() if k not in ("geom", "xy")} for r in rows])
    if kind in ("park", "green_space", "sub_compartment", "water_body"):
        frame["area_m2"] = np.round(shapely.area(geoms), 0)
    out = to_lonlat(geoms)
    bad = ~shapely.is_valid(out) & ~shapely.is_missing(out)
    out[bad] = shapely.make_valid(out[bad], method="structure", keep_collapsed=False)
    frame["source_key"] = [f"{kind}-{i + 1:06d}" for i in range(len(rows))]
    return gpd.GeoDataFrame(frame, geometry=out, crs="EPSG:4326")
