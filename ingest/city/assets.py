"""What stands and moves in the streets: trees, toilets, bins, cameras, sensors, crews, vehicles."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from ingest.city import names
from ingest.city.land import Land
from ingest.city.plane import Floats, Geoms, rng
from ingest.city.roads import Network

Rows = list[dict[str, Any]]
# Crews and vehicles by district, roughly by people and area.
CREWS = {
    "310101": 8,
    "310104": 10,
    "310105": 8,
    "310106": 9,
    "310107": 8,
    "310109": 7,
    "310110": 8,
    "310112": 9,
    "310113": 8,
    "310114": 7,
    "310115": 14,
    "310116": 4,
    "310117": 6,
    "310118": 5,
    "310120": 5,
    "310151": 4,
}
SKILLS = (["环卫"], ["绿化"], ["市容"], ["环卫", "市容"], ["绿化", "林业"], ["景观", "市容"])
SENSORS = {
    "bin_level": (["level_pct"], "%", 1800, 85.0),
    "toilet_odour": (["nh3_ppm", "h2s_ppm"], "ppm", 600, 1.5),
    "pm": (["pm25", "pm10", "noise_db"], "µg/m³", 300, 75.0),
    "water_level": (["level_m"], "m", 600, 3.6),
    "wind": (["speed_ms", "direction_deg"], "m/s", 60, 17.2),
    "tree_tilt": (["tilt_deg"], "deg", 3600, 8.0),
    "toilet_flow": (["occupied_pct", "visitors_in"], "%", 60, 90.0),
    "soil_moisture": (["moisture_pct", "temp_c"], "%", 1200, None),
    "sign_tilt": (["tilt_deg", "vibration_mms"], "deg", 900, 5.0),
    "lamp_current": (["current_a", "power_w"], "A", 300, 20.0),
    "lamp_controller": (["dim_pct", "power_w"], "%", 300, None),
    "water_quality": (["do_mgl", "ph"], "mg/L", 3600, None),
    "smoke": (["smoke_pct"], "%/m", 3600, 8.0),
    "weighbridge": (["net_t", "gross_t"], "t", 3600, None),
    "onboard_scale": (["load_t"], "t", 60, None),
    "wet_waste_probe": (["impurity_pct", "water_pct"], "%", 1800, 10.0),
    "gate_counter": (["inside", "entered"], "1", 60, None),
}
MORE_SENSORS = {
    "toilet_flow": 24, "soil_moisture": 32, "sign_tilt": 30, "lamp_current": 24,
    "lamp_controller": 20, "water_quality": 14, "smoke": 16, "weighbridge": 6,
    "onboard_scale": 12, "wet_waste_probe": 8, "gate_counter": 16,
}  # fmt: skip
VEHICLES = (
    ("sweeper", 80, 6.0),
    ("sprinkler", 50, 12.0),
    ("waste", 90, 8.0),
    ("muck", 45, 31.0),
    ("patrol", 35, 1.0),
)
WATCH = ("street", "waste", "muck", "park", "landscape")


def along(net: Network, edges: np.ndarray, step: float, off: Floats) -> tuple[Floats, np.ndarray]:
    """Return points every `step` metres on both sides of edges, and the edge of each."""
    points, which = [], []
    for e in edges:
        line = net.edges[e]
        at = np.arange(9.0, line.length - 9.0, step)
        if not len(at):
            continue
        p = shapely.get_coordinates(shapely.line_interpolate_point(line, at))
        q = shapely.get_coordinates(shapely.line_interpolate_point(line, at + 1.0))
        d = (q - p) / np.maximum(np.hypot(*(q - p).T), 1e-6)[:, None]
        normal = np.stack([-d[:, 1], d[:, 0]], axis=-1) * off[e]
        points += [p + normal, p - normal]
        which += [np.full(2 * len(at), e)]
    return np.concatenate(points), np.concatenate(which)


def trees(net: Network, road_name: np.ndarray, seed: int, most: int) -> Rows:
    """Return street trees on both sides of the streets nearest to the focus."""
    gen = rng(seed, 50)
    cls = np.array([net.rows[i]["cls"] for i in net.source])
    ground, km = net.walkable, net.km
    lined = ground & (gen.random(len(km)) < np.where(cls == "local", 0.35, 0.8))
    order = np.argsort(np.where(lined, km * gen.uniform(0.15, 1.2, len(km)), np.inf), kind="stable")
    length = np.cumsum(shapely.length(net.edges)[order])
    chosen = np.sort(order[length * 2 / 13.0 < most])
    points, edge = along(net, chosen, 13.0, net.half - 1.5)
    share = np.array([s[2] for s in names.SPECIES])
    # One street, one species: that is how they were planted.
    species = gen.choice(len(share), len(net.edges), p=share / share.sum())
    n = len(points)
    age = np.clip(gen.normal(34, 16, n), 3, 110)
    dbh = np.round(np.clip(age * gen.uniform(0.7, 1.25, n), 5, 120), 1)
    health = gen.choice(["good", "fair", "poor", "dead"], n, p=[0.86, 0.10, 0.033, 0.007])
    rows: Rows = []
    for i in range(n):
        zh, latin, _ = names.SPECIES[species[edge[i]]]
        rows.append(
            {
                "species": zh,
                "latin": latin,
                "dbh_cm": float(dbh[i]),
                "health": str(health[i]),
                "height_m": round(float(3 + dbh[i] ** 0.62), 1),
                "crown_m": round(float(1.5 + dbh[i] ** 0.5), 1),
                "road_name": str(road_name[edge[i]]),
                "planted_year": int(2026 - age[i]),
                "pit": ("grate", "planted", "open")[int(i) % 3],
                "xy": points[i],
            }
        )
    return rows


def kerb_places(
    net: Network, n: int, gen: np.random.Generator, near_km: float
) -> tuple[Floats, np.ndarray]:
    """Return n places at the kerb, more of them near the focus but some in every town."""
    ground = np.flatnonzero(net.walkable)
    weight = np.sqrt(net.length[ground]) * (np.exp(-net.km[ground] / near_km) + 0.03)
    edges = gen.choice(ground, n, p=weight / weight.sum())
    share = gen.uniform(0.15, 0.85, n)
    p = shapely.get_coordinates(
        shapely.line_interpolate_point(net.edges[edges], share, normalized=True)
    )
    q = shapely.get_coordinates(
        shapely.line_interpolate_point(net.edges[edges], share + 0.02, normalized=True)
    )
    d = (q - p) / np.maximum(np.hypot(*(q - p).T), 1e-6)[:, None]
    side = gen.choice([-1.0, 1.0], n) * (net.half[edges] + 1.0)
    return p + np.stack([-d[:, 1], d[:, 0]], axis=-1) * side[:, None], edges


def toilets(net: Network, road_name: np.ndarray, seed: int, n: int) -> Rows:
    """Return public toilets at the kerb."""
    gen = rng(seed, 51)
    xy, edge = kerb_places(net, n, gen, 7.0)
    rows: Rows = []
    for i in range(n):
        grade = str(gen.choice(["1", "2", "3"], p=[0.3, 0.5, 0.2]))
        all_day = bool(gen.random() < 0.45)
        seats = int(gen.integers(3, 12))
        rows.append(
            {
                "name": f"{road_name[edge[i]]}{int(gen.integers(2, 1900))}号公厕",
                "address": f"{road_name[edge[i]]}近路口",
                "grade": grade,
                "built_as": str(gen.choice(["fixed", "attached", "mobile"], p=[0.6, 0.33, 0.07])),
                "seats_f": seats + int(gen.integers(0, 5)),
                "seats_m": seats,
                "accessible": bool(gen.random() < 0.85),
                "family_room": bool(gen.random() < 0.5),
                "all_day": all_day,
                "open_hours": "00:00-24:00" if all_day else "05:30-22:00",
                "manager": str(gen.choice(names.CONTRACTORS)),
                "xy": xy[i],
            }
        )
    return rows


def bins(net: Network, road_name: np.ndarray, seed: int, n: int) -> Rows:
    """Return litter bins at the kerb."""
    gen = rng(seed, 52)
    xy, edge = kerb_places(net, n, gen, 3.2)
    kind = gen.choice(["dual", "single", "smart"], n, p=[0.72, 0.2, 0.08])
    return [
        {
            "type": str(kind[i]),
            "volume_l": 240.0 if kind[i] == "smart" else 120.0,
            "material": str(gen.choice(["steel", "hdpe"])),
            "road_name": str(road_name[edge[i]]),
            "emptied_per_day": int(gen.integers(2, 7)),
            "installed_on": _day(gen, 2015),
            "contractor": str(gen.choice(names.CONTRACTORS)),
            "xy": xy[i],
        }
        for i in range(n)
    ]


def _day(gen: np.random.Generator, since: int) -> str:
    return f"{int(gen.integers(since, 2026))}-{int(gen.integers(1, 13)):02d}-10"


def cameras(net: Network, road_name: np.ndarray, land: Land, seed: int, n: int) -> Rows:
    """Return cameras at the kerb, with the twenty digits of the national code."""
    gen = rng(seed, 53)
    xy, edge = kerb_places(net, n, gen, 5.0)
    district = land.district_of(xy)
    rows: Rows = []
    for i in range(n):
        code = land.codes[district[i]] if district[i] >= 0 else "310000"
        watches = str(gen.choice(WATCH, p=[0.5, 0.22, 0.12, 0.08, 0.08]))
        kind = str(gen.choice(["dome", "bullet", "high"], p=[0.55, 0.37, 0.08]))
        rows.append(
            {
                "name": f"{road_name[edge[i]]}{'高点' if kind == 'high' else ''}监控",
                "type": kind,
                "watches": watches,
                "gb_code": f"{code}00001320{i + 1:06d}",
                "heading_deg": round(float(gen.uniform(0, 360)), 0),
                "height_m": 60.0 if kind == "high" else round(float(gen.uniform(4, 9)), 1),
                "fov_deg": 60.0,
                "range_m": 2500.0 if kind == "high" else 120.0,
                "owner": "市绿化市容监控中心",
                "xy": xy[i],
            }
        )
    return rows


def sensors(hosts: dict[str, tuple[str, Floats]], net: Network, seed: int, n: int) -> Rows:
    """Return sensors: on bins, toilets, trees and water where a host is given, else at the kerb."""
    gen = rng(seed, 54)
    share = {
        "bin_level": 0.4,
        "toilet_odour": 0.2,
        "pm": 0.14,
        "water_level": 0.1,
        "wind": 0.06,
        "tree_tilt": 0.1,
    }
    # What came later is drawn after all others: the first ones stay as they always were.
    counts = {kind: round(n * part) for kind, part in share.items()} | MORE_SENSORS
    rows: Rows = []
    for kind, count in counts.items():
        host = hosts.get(kind)
        if host is None:
            xy = kerb_places(net, count, gen, 9.0)[0]
        else:
            xy = host[1][
                gen.choice(len(host[1]), count, replace=len(host[1]) < count)
            ] + gen.uniform(-1.5, 1.5, (count, 2))
        measures, unit, period, limit = SENSORS[kind]
        for i in range(count):
            rows.append(
                {
                    "type": kind,
                    "measures": measures,
                    "unit": unit,
                    "period_s": period,
                    "threshold": limit,
                    "name": f"{_TITLES[kind]}{i + 1:03d}",
                    "maker": str(gen.choice(["申测物联", "浦芯传感", "华测智联"])),
                    "installed_on": _day(gen, 2021),
                    "xy": xy[i],
                }
            )
    return rows


_TITLES = {
    "bin_level": "满溢传感器",
    "toilet_odour": "异味传感器",
    "pm": "扬尘监测仪",
    "water_level": "水位计",
    "wind": "风速仪",
    "tree_tilt": "倾斜传感器",
    "toilet_flow": "客流计数器",
    "soil_moisture": "墒情仪",
    "sign_tilt": "招牌监测仪",
    "lamp_current": "灯具电流表",
    "lamp_controller": "灯控器",
    "water_quality": "水质监测仪",
    "smoke": "烟感",
    "weighbridge": "地磅",
    "onboard_scale": "车载秤",
    "wet_waste_probe": "湿垃圾检测仪",
    "gate_counter": "客流闸机",
}


def crews(net: Network, land: Land, district_names: dict[str, str], seed: int) -> Rows:
    """Return crews at stations by the road, each with its skills and shift."""
    gen = rng(seed, 55)
    xy = kerb_places(net, 6_000, gen, 12.0)[0]
    district = land.district_of(xy)
    rows: Rows = []
    for code, count in CREWS.items():
        here = np.flatnonzero(district == land.codes.index(code))
        chosen = _spread(xy[here], count, gen)
        for k in range(count):
            skills = list(SKILLS[k % len(SKILLS)])
            rows.append(
                {
                    "name": f"{district_names[code][:-1].replace('新', '')}{skills[0]}{k + 1}班",
                    "skills": skills,
                    "shift": ("day", "day", "all", "night")[k % 4] if k else "all",
                    "members": int(gen.integers(3, 9)),
                    "capacity": int(gen.integers(2, 5)),
                    "contractor": str(gen.choice(names.CONTRACTORS)),
                    "leader": names.person(gen),
                    "xy": xy[here[chosen[k]]],
                    "district_code": code,
                }
            )
    return rows


def _spread(xy: Floats, n: int, gen: np.random.Generator) -> list[int]:
    """Return n indices far from each other: stations cover a district, they do not crowd."""
    chosen = [int(gen.integers(len(xy)))]
    distance = np.hypot(*(xy - xy[chosen[0]]).T)
    while len(chosen) < n:
        pool = gen.choice(len(xy), min(60, len(xy)), replace=False)
        best = int(pool[np.argmax(distance[pool])])
        chosen.append(best)
        distance = np.minimum(distance, np.hypot(*(xy - xy[best]).T))
    return chosen


def vehicles(crew_rows: Rows, net: Network, land: Land, seed: int) -> Rows:
    """Return vehicles at garages by the road; the first patrol cars belong to crews."""
    gen = rng(seed, 56)
    taken: set[str] = set()
    rows: Rows = []
    xy = kerb_places(net, 400, gen, 9.0)[0]
    titles = {
        "sweeper": "清扫车",
        "sprinkler": "洒水车",
        "waste": "清运车",
        "muck": "渣土车",
        "patrol": "巡查车",
    }
    i = 0
    for kind, count, load in VEHICLES:
        for k in range(count):
            energy = str(gen.choice(["diesel", "electric", "hybrid"], p=[0.4, 0.5, 0.1]))
            made = names.plate(gen, taken, energy == "electric")
            contractor = str(gen.choice(names.CONTRACTORS))
            rows.append(
                {
                    "type": kind,
                    "plate": made,
                    "name": f"{titles[kind]} {made}",
                    "fleet": f"{contractor}{k % 4 + 1}队",
                    "contractor": contractor,
                    "load_t": load,
                    "energy": energy,
                    "permit_until": f"2027-{int(gen.integers(1, 13)):02d}-28",
                    "xy": xy[i],
                }
            )
            i += 1
    patrols = [r for r in rows if r["type"] == "patrol"]
    for crew, car in zip(crew_rows, patrols, strict=False):
        car["xy"] = crew["xy"]
        crew["_vehicle"] = rows.index(car)
    return rows


def water_places(land: Land, seed: int) -> Floats:
    """Return places on creeks and canals where gauges stand."""
    gen = rng(seed, 57)
    geoms: Geoms = np.array(
        [w["geom"] for w in land.waters if w["type"] in ("creek", "canal")], dtype=object
    )
    edge = shapely.get_coordinates(shapely.simplify(geoms, 20))
    return np.asarray(edge[gen.choice(len(edge), 120, replace=False)])
