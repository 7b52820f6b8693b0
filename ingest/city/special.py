"""Kinds of the topic databases whose rows must be believable: the zoo, old trees, signs, river lights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
import shapely.ops

from ingest.city.places import Places, Rows, Spot, key
from ingest.city.plane import blob, facts, plane, polygons_of

Said = dict[str, Any]
_YEAR = 2026


def _facts(name: str) -> Any:
    return facts("topics.json")[name]


def _pick(places: Places, pool: list[Any], share: list[float] | None = None) -> Any:
    return pool[int(places.gen.choice(len(pool), p=share))]


def _park(places: Places, *names: str) -> int:
    """Return the row of a park by name."""
    return next(i for i, r in enumerate(places.rows["park"]) if r["name"] in names)


def plants(_places: Places, n: int) -> Rows:
    """Return the treatment plants, each at its rough place."""
    made = []
    for said in _facts("plants")[:n]:
        made.append(
            {
                "name": said["zh"],
                "type": said["type"],
                "capacity_t_d": float(said["capacity_t_d"]),
                "received_t_d": round(said["capacity_t_d"] * 0.86),
                "running": "normal",
                "geom": shapely.points(plane([said["lon"], said["lat"]])),
            }
        )
    return made


def docks(places: Places, n: int) -> Rows:
    """Return docks where the banks of the Huangpu are."""
    names = _facts("pier")[:n]
    curve = shapely.linestrings(places.land.huangpu_curve)
    river = places.land.rivers["黄浦江"]
    made = []
    for i, name in enumerate(names):
        on = curve.interpolate((i + 0.5) / len(names), normalized=True)
        x, y = shapely.get_coordinates(shapely.shortest_line(river.boundary, on))[0]
        made.append(
            {
                "name": name,
                "geom": shapely.points([x, y]),
                "located_in": _river(places),
                "type": "muck" if i % 4 == 3 else "waste" if i % 4 == 2 else "reception",
            }
        )
    return made


def _river(places: Places) -> str:
    names = [r["name"] for r in places.rows["water_body"]]
    return key("water_body", names.index("黄浦江"))


def control_areas(places: Places, n: int) -> Rows:
    """Return the areas along the inner Huangpu where light is planned as one picture."""
    curve = shapely.linestrings(places.land.huangpu_curve)
    inner = shapely.intersection(curve, shapely.box(-9_000, -9_500, 11_000, 9_000))
    line = max(shapely.get_parts(inner), key=shapely.length)
    titles = ("徐汇滨江段", "世博段", "南外滩段", "外滩陆家嘴段", "北外滩段", "杨浦滨江段")
    made = []
    for i in range(n):
        piece = shapely.ops.substring(line, i / n, (i + 1) / n, normalized=True)
        shape = shapely.buffer(piece, 820, cap_style="flat")
        made.append(
            {
                "name": titles[i % len(titles)],
                "type": "core" if i in (2, 3, 4) else "important",
                "bank": "both",
                "geom": max(polygons_of([shape])[0], key=shapely.area),
                "area_m2": round(float(shapely.area(shape))),
                "max_luminance_cd": float((30, 20)[i not in (2, 3, 4)]),
                "colours_allowed": ["暖白", "金黄"],
                "plan_name": "黄浦江两岸景观照明总体方案",
                "manager": "市景观管理处",
            }
        )
    return made


def lit_buildings(places: Places, n: int) -> Rows:
    """Return the tallest buildings near the Huangpu, lit at night."""
    river = places.land.rivers["黄浦江"]
    shapely.prepare(river)
    tall = [r for r in places.rows["building"] if r["height_m"] > 60]
    close = shapely.dwithin(river, np.array([r["geom"] for r in tall], dtype=object), 900)
    near = sorted(
        (r for r, is_near in zip(tall, close, strict=True) if is_near), key=lambda r: -r["height_m"]
    )
    made = []
    for k, row in enumerate(near[:n]):
        point = shapely.centroid(row["geom"])
        made.append(
            {
                "name": row["name"] or f"{places.road_of(point)[1]}{places.gen.integers(8, 900)}号",
                "type": "tower",
                "bank": _bank(places, point),
                "height_m": row["height_m"],
                "geom": point,
                "lit": "fault" if k % 23 == 22 else "on",
                "lamps_count": int(row["height_m"] * 6),
                "power_kw": round(row["height_m"] * 0.42, 1),
                "located_in": _control_area(places, point),
            }
        )
    return made


def _bank(places: Places, point: Any) -> str:
    """West or east of the nearest point of the river's course, seen down the stream."""
    curve = shapely.linestrings(places.land.huangpu_curve)
    at = curve.project(point)
    a, b = (shapely.get_coordinates(curve.interpolate(at + d))[0] for d in (-40.0, 40.0))
    p = shapely.get_coordinates(point)[0]
    return "west" if float((b - a)[0] * (p - a)[1] - (b - a)[1] * (p - a)[0]) > 0 else "east"


def _control_area(places: Places, point: Any) -> str | None:
    rows = places.rows.get("lighting_control_area", [])
    hit = [i for i, r in enumerate(rows) if shapely.covers(r["geom"], point)]
    return key("lighting_control_area", hit[0]) if hit else None


def lamps(places: Places, n: int) -> Rows:
    """Return lamps on the banks of the Huangpu, and some in parks."""
    spots = places.banks(round(n * 0.75)) + places.inside("park", n - round(n * 0.75))
    made = []
    for i, spot in enumerate(spots):
        riverside = spot.host is not None and spot.host[0] == "green_space"
        area = _control_area(places, spot.shape) if riverside else None
        made.append(
            {
                "name": f"{'滨江' if riverside else '公园'}景观灯{i + 1:04d}",
                "geom": spot.shape,
                "component_class": "0120",
                "type": _pick(places, ["lawn", "flood", "line", "buried", "tree", "point"]),
                "lit": _pick(places, ["on", "off", "fault"], [0.93, 0.05, 0.02]),
                "power_w": float(_pick(places, [9, 12, 18, 24, 36, 60])),
                "colour_k": float(_pick(places, [2700, 3000, 4000])),
                "bank": _bank(places, spot.shape) if riverside else "no",
                "count": int(places.gen.integers(1, 9)),
                "located_in": area or (key(*spot.host) if spot.host and not riverside else None),
                "controller": f"JK-{i // 24 + 1:03d}",
                "circuit": f"{i % 24 + 1}",
            }
        )
    return made


def light_strips(places: Places, n: int) -> Rows:
    """Return strips of light along the quays of the inner Huangpu."""
    edge = shapely.intersection(
        places.land.rivers["黄浦江"].boundary, shapely.box(-8_000, -9_000, 10_000, 8_500)
    )
    lines = [p for p in shapely.get_parts(shapely.line_merge(edge)) if shapely.length(p) > 800]
    made = []
    for i in range(n):
        line = lines[i % len(lines)]
        at = places.gen.uniform(0, 0.94)
        piece = shapely.simplify(shapely.ops.substring(line, at, at + 0.025, normalized=True), 2)
        made.append(
            {
                "name": f"岸线灯带{i + 1:03d}",
                "type": "quay",
                "geom": piece,
                "lit": _pick(places, ["on", "off", "fault"], [0.92, 0.05, 0.03]),
                "length_m": round(float(shapely.length(piece)), 1),
                "located_in": _control_area(places, shapely.centroid(piece)),
            }
        )
    return made


def signs(places: Places, n: int) -> Rows:
    """Return shop signs along streets; a large sign hung high is a high risk."""
    spots = places.around("shop", n // 2, 3.0) + places.kerb(n - n // 2, 3.0)
    made = []
    for i, spot in enumerate(spots):
        shop = places.rows["shop"][spot.host[1]] if spot.host else None
        bottom = float(
            _pick(places, [2.8, 3.2, 3.6, 6.0, 12.0, 24.0], [0.3, 0.28, 0.22, 0.12, 0.05, 0.03])
        )
        area = round(float(places.gen.lognormal(1.6, 0.7)), 1)
        score = bottom * 0.5 + area * 0.25
        road = (
            (spot.road or (shop or {}).get("along") and ((shop or {})["along"], shop["road_name"]))
            if shop
            else spot.road
        )
        name = f"{(shop or {}).get('name') or _pick(places, _facts('shops'))}招牌"
        made.append(
            {
                "name": name if shop else f"{road[1] if road else ''}{name}",
                "geom": spot.shape,
                "component_class": "0307",
                "shop_name": (shop or {}).get("name"),
                "road_name": road[1] if road else None,
                "along": road[0] if road else None,
                "belongs_to": key(*spot.host) if spot.host else None,
                "type": "roof" if bottom > 20 else "projecting" if i % 7 == 0 else "wall",
                "bottom_m": bottom,
                "area_m2": area,
                "risk": "1" if score > 13 else "2" if score > 7 else "3" if score > 3.2 else "4",
                "length_m": round(area / 1.1, 1),
                "height_m": 1.1,
                "lit": bool(places.gen.random() < 0.7),
                "record_no": f"ZP{_YEAR}{i + 1:05d}",
            }
        )
    return made


def ancient_trees(places: Places, n: int) -> Rows:
    """Return old trees in parks and green spaces, each with its age, its state and its story."""
    spots = places.inside("park", round(n * 0.7)) + places.inside("green_space", n - round(n * 0.7))
    made = []
    for i, spot in enumerate(spots):
        species, latin, family = _pick(places, _facts("ancient"))
        cls = _pick(places, ["1", "2", "successor", "famous"], [0.16, 0.55, 0.26, 0.03])
        age = {"1": (300, 900), "2": (100, 299), "successor": (80, 99), "famous": (60, 260)}[cls]
        years = int(places.gen.integers(*age))
        made.append(
            {
                "name": f"{species}（{years}年）",
                "tag": f"{'0' if cls != 'successor' else 'H'}{i + 1:04d}",
                "species": species,
                "latin": latin,
                "family": family,
                "class": cls,
                "age_years": years,
                "age_by": "estimated",
                "geom": spot.shape,
                "height_m": round(float(places.gen.uniform(8, 12 + years**0.5 / 2)), 1),
                "component_class": "0401",
                "girth_cm": round(float(60 + years**0.85 * places.gen.uniform(0.8, 1.4)), 0),
                "crown_ew_m": round(float(places.gen.uniform(6, 20)), 1),
                "crown_ns_m": round(float(places.gen.uniform(6, 20)), 1),
                "health": _pick(places, ["good", "fair", "poor", "dying"], [0.6, 0.28, 0.1, 0.02]),
                "zone_m": 5.0,
                "located_in": key(*spot.host) if spot.host else None,
                "story": _pick(places, _facts("stories")),
                "owner": "state",
            }
        )
    return made


def reserves(places: Places, n: int) -> Rows:
    """Return the nature reserves at their rough places; their outlines are invented."""
    made = []
    for said in _facts("reserves")[:n]:
        x, y = plane([said["lon"], said["lat"]])
        shape = blob(float(x), float(y), said["radius_m"], 0.12, places.gen, 60)
        made.append(
            {
                "name": said["zh"],
                "type": said["type"],
                "grade": said["grade"],
                "founded_year": said["year"],
                "target": said["target"],
                "geom": shape,
                "area_m2": round(float(shapely.area(shape))),
                "land_m2": round(float(shapely.area(shape)) * 0.4),
                "ramsar": said["grade"] == "state",
            }
        )
    return made


def zones(places: Places, n: int) -> Rows:
    """Return a core and a general zone of each reserve."""
    made = []
    for i, row in enumerate(places.rows["nature_reserve"]):
        core = shapely.buffer(row["geom"], -0.28 * float(np.sqrt(shapely.area(row["geom"]))))
        for zone, shape in (("core", core), ("general", shapely.difference(row["geom"], core))):
            made.append(
                {
                    "name": f"{row['name']}{'核心保护区' if zone == 'core' else '一般控制区'}",
                    "zone": zone,
                    "geom": shape,
                    "area_m2": round(float(shapely.area(shape))),
                    "part_of": key("nature_reserve", i),
                }
            )
    return made[:n]


def beds(places: Places, n: int) -> Rows:
    """Return the special gardens of the two botanical gardens."""
    homes = [_park(places, "上海植物园"), _park(places, "上海辰山植物园")]
    return _within(
        places,
        homes,
        n,
        "beds",
        lambda i, name: {
            "bed_no": f"B{i + 1:03d}",
            "type": "greenhouse" if "馆" in name else "themed",
            "theme": name,
            "name": name,
            "taxa": int(places.gen.integers(30, 900)),
        },
    )


def enclosures(places: Places, n: int) -> Rows:
    """Return the houses of the zoo."""
    return _within(
        places,
        [_park(places, "上海动物园")],
        n,
        "houses",
        lambda i, name: {
            "enclosure_no": f"E{i + 1:03d}",
            "name": name,
            "type": "hospital" if "医院" in name else "outdoor" if "山" in name else "indoor",
            "use": "quarantine" if "隔离" in name else "holding" if "医院" in name else "display",
            "danger": "1" if name[0] in "虎狮豹熊狼" else "2",
            "temp_min_c": 5.0,
            "temp_max_c": 34.0,
        },
    )


def _within(
    places: Places, homes: list[int], n: int, pool: str, say: Callable[[int, str], Said]
) -> Rows:
    names, made = _facts(pool), []
    for i in range(min(n, len(names))):
        home = homes[i % len(homes)]
        park = places.shapes("park")[home]
        cell = _cell(park, i // len(homes), -(-min(n, len(names)) // len(homes)), places)
        made.append(
            {
                **say(i, names[i]),
                "geom": cell,
                "part_of": key("park", home),
                "area_m2": round(float(shapely.area(cell))),
            }
        )
    return made


def _cell(park: Any, i: int, n: int, places: Places) -> Any:
    """Return the i-th of n plots laid on a grid inside a park."""
    room = shapely.buffer(park, -12)
    x0, y0, x1, y1 = shapely.bounds(room)
    side = int(np.ceil(np.sqrt(2.2 * n)))
    cells = [
        (x0 + (a + 0.5) * (x1 - x0) / side, y0 + (b + 0.5) * (y1 - y0) / side)
        for a in range(side)
        for b in range(side)
    ]
    fits = [c for c in cells if shapely.contains_xy(room, *c)]
    x, y = fits[(i * len(fits)) // n % len(fits)]
    radius = 0.3 * min((x1 - x0) / side, (y1 - y0) / side)
    return shapely.intersection(blob(float(x), float(y), radius, 0.1, places.gen, 18), room)


def animals(places: Places, n: int) -> Rows:
    """Return the animals of the zoo, each in a house that fits it."""
    houses = [r["name"] for r in places.rows["enclosure"]]
    made = []
    for i in range(n):
        species, latin, cls, guard, diet = _facts("animals")[i % len(_facts("animals"))]
        fits = [h for h in houses if h[0] in species] or [
            h for h in houses if (h.startswith("百鸟") and cls == "bird")
        ]
        house = fits[0] if fits else houses[-3] if cls == "mammal" else houses[9]
        made.append(
            {
                "name": f"{_pick(places, _facts('nicknames'))}{i // len(_facts('animals')) + 1}",
                "animal_no": f"SHZ{i + 1:05d}",
                "species": species,
                "latin": latin,
                "class": cls,
                "protection": guard,
                "diet": diet,
                "count": 1,
                "alive": True,
                "about": key("enclosure", houses.index(house)),
                "health": _pick(places, ["good", "watch", "ill"], [0.94, 0.04, 0.02]),
            }
        )
    return made


def halves(places: Places, kind: str, n: int) -> list[Spot]:
    """Return areas cut out of things so that none lies over another."""
    shapes = places.shapes(kind)
    per = -(-n // len(shapes))
    made = []
    for i, shape in enumerate(shapes):
        x0, y0, x1, y1 = shapely.bounds(shape)
        for k in range(per):
            band = shapely.box(x0 + (x1 - x0) * k / per, y0, x0 + (x1 - x0) * (k + 0.96) / per, y1)
            parts, _ = polygons_of([shapely.intersection(shape, band)], 50)
            if len(parts):
                made.append(Spot(max(parts, key=shapely.area), host=(kind, i)))
    return made[:n]


def edges(places: Places, kind: str, n: int) -> list[Spot]:
    """Return points on the edges of the largest things of a kind, two or three to each."""
    shapes = places.shapes(kind)
    order = np.argsort(-shapely.area(shapes))[: max(1, n // 3)]
    made = []
    for i in order:
        line = shapely.get_parts(shapes[int(i)].boundary)[0]
        for at in np.sort(places.gen.uniform(0, 1, 3)):
            made.append(Spot(line.interpolate(float(at), normalized=True), host=(kind, int(i))))
    return made[:n]


def waters(places: Places, n: int) -> list[Spot]:
    """Return stretches of creeks, canals and rivers that are kept clean."""
    found = []
    for i, row in enumerate(places.rows["water_body"]):
        if row["type"] in ("river", "canal", "creek") and shapely.area(row["geom"]) > 20_000:
            found += [Spot(p, host=("water_body", i)) for p in _stretches(row["geom"])]
    chosen = places.gen.choice(len(found), min(n, len(found)), replace=False)
    return [found[int(i)] for i in sorted(chosen)]


def _stretches(shape: Any, step: float = 2_500.0) -> list[Any]:
    x0, y0, x1, y1 = shapely.bounds(shape)
    cells = [
        shapely.box(x, y, x + step, y + step)
        for x in np.arange(x0, x1, step)
        for y in np.arange(y0, y1, step)
    ]
    parts, _ = polygons_of(shapely.intersection(shape, np.array(cells, dtype=object)), 15_000)
    return list(parts)


def chiefs(places: Places, n: int) -> list[Spot]:
    """Return the areas of forest chiefs: the districts, and some towns."""
    towns = [i for i, r in enumerate(places.rows["street"]) if r["type"] == "town"]
    hosts = [("district", i) for i in range(len(places.rows["district"]))]
    hosts += [("street", i) for i in towns[: n - len(hosts)]]
    return [Spot(places.shapes(kind)[i], host=(kind, i)) for kind, i in hosts]


def scenes(places: Places, n: int) -> list[Spot]:
    """Return footprints of pictures from above: a grid of slightly turned squares."""
    x0, y0, x1, y1 = shapely.bounds(places.land.city)
    made, side = [], int(np.ceil(np.sqrt(n)))
    for i in range(n):
        a, b = divmod(i, side)
        x, y = x0 + (a + 0.5) * (x1 - x0) / side, y0 + (b + 0.5) * (y1 - y0) / side
        square = shapely.box(x - 11_000, y - 11_000, x + 11_000, y + 11_000)
        made.append(Spot(shapely.transform(square, lambda p, x=x, y=y: _turned(p, x, y))))
    return made


def _turned(points: Any, x: float, y: float) -> Any:
    dx, dy = points[:, 0] - x, points[:, 1] - y
    return np.stack([x + 0.98 * dx - 0.17 * dy, y + 0.17 * dx + 0.98 * dy], axis=-1)


MAKERS: dict[str, Callable[[Places, int], Rows]] = {
    "treatment_plant": plants,
    "dock": docks,
    "lighting_control_area": control_areas,
    "lit_building": lit_buildings,
    "lamp": lamps,
    "light_strip": light_strips,
    "sign": signs,
    "ancient_tree": ancient_trees,
    "nature_reserve": reserves,
    "reserve_zone": zones,
    "plant_bed": beds,
    "enclosure": enclosures,
    "animal": animals,
}
