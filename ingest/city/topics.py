"""The topic databases of the demo city: how many of each kind, where they stand, how they are called."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import shapely

from ingest.city import names, special
from ingest.city.fill import Filler
from ingest.city.places import Places, Rows, Spot, key
from ingest.city.plane import facts, rng
from twin import kinds
from twin.kinds import Kind

# Kind → how many, where, name. `where` is a way of Places with its arguments; a record has none.
PLAN: dict[str, tuple[int, str, str]] = {
    "compound": (420, "blocks", "{place}小区"),
    "contractor": (24, "kerb 9", "{firm}{i}公司"),
    "contract_section": (80, "cuts street 1", "{host}养护标段"),
    "authority_area": (40, "cuts street 1", "{host}管理范围"),
    "treatment_plant": (14, "special", ""),
    "transfer_station": (45, "kerb 15", "{road}中转站"),
    "waste_flow": (120, "flow", "{from}→{to}"),
    "facility_throughput": (300, "none", ""),
    "recycling_point": (240, "around compound 40", "{host}回收服务点"),
    "drop_point": (700, "inside compound", "{host}{k}号投放点"),
    "restaurant": (260, "kerb 4", "{road}{shop}"),
    "kitchen_waste_collection": (130, "flow", "{from}收运"),
    "waste_oil_voucher": (160, "none", ""),
    "oily_water_record": (100, "none", ""),
    "wet_waste_check": (220, "none", ""),
    "depot": (24, "outskirts", "{place}停车场"),
    "vehicle_permit": (240, "none", ""),
    "vehicle_maintenance": (280, "none", ""),
    "dock": (12, "special", ""),
    "vessel_operator": (10, "kerb 9", "{firm}船务"),
    "vessel": (42, "around dock 60", "沪环{i:03d}"),
    "vessel_waste_voucher": (200, "none", ""),
    "vessel_waste_transfer": (30, "flow", "{from}→{to}"),
    "toilet_review": (400, "none", ""),
    "toilet_reading": (250, "none", ""),
    "toilet_cleaning": (250, "none", ""),
    "construction_site": (120, "kerb 14", "{place}项目工地"),
    "disposal_site": (26, "outskirts", "{place}消纳场"),
    "permit_route": (160, "flow", "{from}→{to}"),
    "construction_waste_day": (250, "none", ""),
    "construction_waste_permit": (140, "none", ""),
    "transport_company": (40, "kerb 16", "{firm}{i}运输"),
    "driver": (180, "none", ""),
    "transport_certificate": (240, "none", ""),
    "renovation_drop_point": (220, "inside compound", "{host}装修垃圾堆点"),
    "renovation_booking": (260, "none", ""),
    "renovation_collection": (260, "none", ""),
    "street_tender": (60, "none", ""),
    "responsibility_zone": (400, "strips 1 5", "{road}责任区{i}"),
    "shop": (900, "around responsibility_zone 8", "{road}{shop}"),
    "zone_inspection": (300, "none", ""),
    "zone_training": (120, "none", ""),
    "zone_evaluation": (240, "none", ""),
    "vending_area": (60, "strips 1 9", "{road}疏导点"),
    "stall": (260, "inside vending_area", "{host}{k}号摊"),
    "stall_operator": (120, "none", ""),
    "vending_inspection": (160, "none", ""),
    "cleaning_section": (600, "along arterial,secondary,local", "{road}保洁段"),
    "road_check": (250, "none", ""),
    "weigh_record": (300, "none", ""),
    "water_cleaning_section": (40, "waters", "{host}保洁段"),
    "water_quality": (180, "none", ""),
    "water_patrol": (60, "wanders water_body", "{host}巡查"),
    "water_declaration": (40, "none", ""),
    "lighting_control_area": (6, "special", ""),
    "lit_building": (60, "special", ""),
    "lamp": (1600, "special", ""),
    "light_strip": (120, "special", ""),
    "lamp_switching_plan": (120, "none", ""),
    "lamp_maintenance": (260, "none", ""),
    "lighting_case": (24, "none", ""),
    "lighting_effect_plan": (20, "none", ""),
    "lighting_fault": (90, "none", ""),
    "sign": (2000, "special", ""),
    "billboard": (220, "kerb 6", "{road}广告{k}"),
    "sign_reading": (300, "none", ""),
    "sign_inspection": (300, "none", ""),
    "sign_rectification": (120, "none", ""),
    "ancient_tree": (500, "special", ""),
    "greening_work": (350, "none", ""),
    "tree_check": (300, "none", ""),
    "wildlife_habitat": (18, "cuts sub_compartment 1", "{place}栖息地"),
    "nature_reserve": (5, "special", ""),
    "reserve_zone": (10, "special", ""),
    "ringing_station": (5, "inside nature_reserve", "{host}环志站"),
    "monitoring_point": (80, "inside wildlife_habitat", "{host}监测点{k}"),
    "ring_record": (200, "none", ""),
    "live_animal": (80, "none", ""),
    "wildlife_supervision": (60, "none", ""),
    "greening_project": (50, "fields 160", "{place}绿地工程"),
    "project_party": (160, "none", ""),
    "project_tender": (60, "none", ""),
    "project_contract": (90, "none", ""),
    "project_filing": (60, "none", ""),
    "park_gate": (450, "edges park", "{host}{k}号门"),
    "park_facility": (500, "inside park", "{host}设施{k}"),
    "park_work_order": (300, "none", ""),
    "park_visitors": (400, "none", ""),
    "park_emergency": (40, "none", ""),
    "ring_space": (110, "ring", "外环生态空间{i}"),
    "greenway": (80, "along secondary", "{road}绿道"),
    "service_post": (60, "inside ring_space", "{host}驿站"),
    "ring_monitoring": (120, "none", ""),
    "ring_scheme": (16, "none", ""),
    "plant_bed": (18, "special", ""),
    "plant_accession": (250, "none", ""),
    "garden_reading": (200, "none", ""),
    "garden_care": (160, "none", ""),
    "plant_knowledge": (40, "none", ""),
    "enclosure": (20, "special", ""),
    "animal": (320, "special", ""),
    "keeper": (60, "none", ""),
    "animal_event": (140, "none", ""),
    "animal_health": (260, "none", ""),
    "chief_area": (60, "chiefs", "{host}林长责任区"),
    "forest_chief": (90, "none", ""),
    "forest_patrol": (160, "wanders sub_compartment", "{host}巡林"),
    "forest_spot": (90, "cuts sub_compartment 0.2", "{host}问题图斑"),
    "spot_check": (140, "none", ""),
    "afforestation_project": (30, "fields 320", "{place}造林工程"),
    "planting_patch": (140, "halves afforestation_project", "{host}{k}号图斑"),
    "planting_stage": (120, "none", ""),
    "seedling_batch": (90, "none", ""),
    "nursery": (40, "fields 120", "{place}苗圃"),
    "pest_occurrence": (90, "inside sub_compartment", "{host}虫情点"),
    "epidemic_area": (14, "cuts sub_compartment 1", "{host}疫点"),
    "survey_plot": (90, "inside sub_compartment", "{host}样地{k}"),
    "pest_survey": (240, "none", ""),
    "treatment_area": (40, "cuts sub_compartment 0.6", "{host}防治区"),
    "control_measure": (120, "none", ""),
    "dead_tree_removal": (40, "none", ""),
    "watchtower": (24, "inside sub_compartment", "{host}瞭望点"),
    "fire_station": (30, "outskirts", "{place}森林消防站"),
    "fire_water_source": (80, "around sub_compartment 90", "{host}取水点"),
    "fire_break": (50, "wanders sub_compartment", "{host}隔离带"),
    "forest_fire": (20, "inside sub_compartment", "{host}火情"),
    "forest_land_permit": (120, "none", ""),
    "felling_permit": (90, "none", ""),
    "field_survey": (240, "none", ""),
    "imagery_scene": (24, "scenes", "城区影像{i:02d}"),
    "change_patch": (160, "cuts sub_compartment 0.15", "变化图斑{i:04d}"),
    "forest_case": (50, "none", ""),
    "patch_check": (130, "none", ""),
    "survey_control_point": (40, "outskirts", "控制点{i:03d}"),
    "carbon_plot": (160, "cuts sub_compartment 0.9", "{host}碳汇单元"),
    "carbon_record": (240, "none", ""),
    "eco_station": (14, "inside park", "{host}生态站"),
    "eco_reading": (200, "none", ""),
    "seed_operator": (24, "outskirts", "{firm}种业{i}"),
    "seed_base": (14, "fields 200", "{place}良种基地"),
    "seed_permit": (40, "none", ""),
    "seed_batch": (90, "none", ""),
    "quarantine_station": (12, "kerb 20", "{road}检疫站"),
    "quarantine_shipment": (90, "flow", "{from}→{to}"),
    "quarantine_certificate": (120, "none", ""),
    "quarantine_check": (90, "none", ""),
    "hunting_area": (8, "cuts wildlife_habitat 0.7", "{host}许可区"),
    "hunting_permit": (14, "none", ""),
    "hunting_catch": (40, "none", ""),
    "breeding_site": (24, "outskirts", "{place}繁育场"),
    "breeding_permit": (40, "none", ""),
    "breeding_stock": (90, "none", ""),
    "wildlife_trader": (24, "kerb 8", "{road}野生动物制品店"),
    "wildlife_trade_permit": (40, "none", ""),
    "wildlife_label": (50, "none", ""),
    "plant_collection_area": (6, "cuts wildlife_habitat 0.4", "{host}采集区"),
    "plant_trader": (18, "kerb 12", "{road}花木行"),
    "wild_plant_permit": (24, "none", ""),
    "plant_trade_record": (60, "none", ""),
    "research_permit": (30, "none", ""),
    "survey_route": (20, "wanders nature_reserve", "{host}调查路线"),
}
# What belongs to a thing by contract, not by place, may be drawn by lot.
_BY_LOT = ("maintained_by", "belongs_to", "follows", "drives", "serves", "origin", "destination")
_GROUND = (
    "district street water_body road park green_space sub_compartment building street_tree toilet bin "
    "vehicle crew camera sensor"
).split()


@lru_cache(maxsize=1)
def declared() -> dict[str, Kind]:
    """Return the shipped kinds by name."""
    return {kind.kind: kind for kind in kinds.shipped()}


def order() -> list[str]:
    """Return the planned kinds so that what another points to comes before it."""
    known = declared()
    done: list[str] = []
    left = list(PLAN)
    while left:
        ready = [k for k in left if not _needs(known[k]) & set(left) - {k}]
        # A circle of references is cut at what comes first: its references stay empty.
        for kind in ready or left[:1]:
            done.append(kind)
            left.remove(kind)
    return done


def _needs(kind: Kind) -> set[str]:
    words = PLAN[kind.kind][1].split()
    near = {words[1]} & set(PLAN) if len(words) > 1 else set()
    return near | {t for f in kind.fields.values() for t in f.targets if t in PLAN}


def add(places: Places) -> None:
    """Add the rows of every planned kind to the city's rows."""
    for name in order():
        places.gen = rng(places.seed, 71, *name.encode())
        places.rows[name] = _rows(declared()[name], places)


def _rows(kind: Kind, places: Places) -> Rows:
    count, where, _ = PLAN[kind.kind]
    filler = Filler(places.gen, _pool(kind, places, count))
    if where == "special":
        made = special.MAKERS[kind.kind](places, count)
    elif kind.flow:
        made = _flows(kind, places, count, filler)
    elif where == "none":
        made = [{} for _ in range(count)]
    else:
        made = _placed(kind, places, _spots(where, places, count))
    given = {f: [row.get(f) for row in made] for f in _given(kind, made)}
    columns = filler.columns(kind, len(made), given)
    return [
        row | {c: v[i] for c, v in columns.items() if c not in row} for i, row in enumerate(made)
    ]


def _given(kind: Kind, made: Rows) -> set[str]:
    said = {f for row in made for f in row if f in kind.fields}
    placed = {r for r in kind.relations if r not in _BY_LOT} if kind.geometry != "none" else set()
    return said | placed


def _pool(kind: Kind, places: Places, count: int) -> dict[str, list[str]]:
    """Return what references may point to; records crowd on some things, so that cards have several."""
    hosts = kind.relations.get("about", ())
    wanted = {t for f in kind.fields.values() for t in f.targets}
    found = {}
    for target in wanted:
        n = len(places.rows.get(target, ()))
        step = max(1, (n * len(hosts)) // max(6, count // 3)) if target in hosts else 1
        found[target] = [key(target, i) for i in range(0, n, step)]
    return found


def _placed(kind: Kind, places: Places, spots: list[Spot]) -> Rows:
    name, made, seen = PLAN[kind.kind][2], [], dict[Any, int]()
    for i, spot in enumerate(spots):
        row: dict[str, Any] = {"geom": spot.shape}
        for relation, targets in kind.relations.items():
            if spot.host and spot.host[0] in targets:
                row[relation] = key(*spot.host)
            elif spot.road and "road" in targets:
                row[relation] = spot.road[0]
        _measure(kind, row)
        if spot.road and "road_name" in kind.fields:
            row["road_name"] = spot.road[1]
        seen[spot.host] = seen.get(spot.host, 0) + 1
        row["name"] = _named(name, places, spot, i, seen[spot.host])
        made.append(row)
    return made


def _measure(kind: Kind, row: dict[str, Any]) -> None:
    """The size of a generated shape is its real size."""
    shape = row["geom"]
    if kind.geometry == "polygon" and "area_m2" in kind.fields:
        row["area_m2"] = round(float(shapely.area(shape)), 0)
    if kind.geometry == "line":
        for field, unit in (("length_m", 1.0), ("length_km", 1_000.0)):
            if field in kind.fields:
                row[field] = round(float(shapely.length(shape)) / unit, 2)


def _named(template: str, places: Places, spot: Spot, i: int, k: int) -> str:
    said = {
        "i": i + 1,
        "k": k,
        "place": names.place(places.gen),
        "firm": _one(places, "firms"),
        "shop": _one(places, "shops"),
    }
    said["road"] = spot.road[1] if spot.road else ""
    if "{road}" in template and not spot.road:
        said["road"] = places.road_of(spot.shape)[1]
    said["host"] = (
        str(places.rows[spot.host[0]][spot.host[1]].get("name") or "") if spot.host else ""
    )
    return template.format(**said)


def _one(places: Places, pool: str) -> str:
    return str(places.gen.choice(facts("topics.json")[pool]))


def _flows(kind: Kind, places: Places, n: int, filler: Filler) -> Rows:
    """Draw lines between real things of the kinds that the flow runs between."""
    ends = []
    for end in ("from", "to"):
        targets = kind.relations[str((kind.flow or {})[end])]
        ends.append([(t, i) for t in targets for i in range(len(places.rows.get(t, ())))])
    made: Rows = []
    stops = shapely.centroid(np.array([places.shapes(t)[i] for t, i in ends[1]], dtype=object))
    for _ in range(n):
        a = ends[0][int(places.gen.integers(len(ends[0])))]
        b = ends[1][_near(places, shapely.centroid(places.shapes(a[0])[a[1]]), stops)]
        shapes = [places.shapes(t)[i] for t, i in (a, b)]
        said = [str(places.rows[t][i].get("name") or "") for t, i in (a, b)]
        flow = kind.flow or {}
        row = {
            flow["from"]: key(*a),
            flow["to"]: key(*b),
            "geom": places.flow((shapes[0], shapes[1])),
        }
        _measure(kind, row)
        row["name"] = PLAN[kind.kind][2].format(**{"from": said[0], "to": said[1]})
        made.append(row)
    return made


def _near(places: Places, start: Any, stops: Any) -> int:
    """Choose where something goes: hardly ever across the whole city, never to where it stands."""
    metres = shapely.distance(stops, start)
    weight = np.where(metres < 1.0, 0.0, np.exp(-metres / 5_000) + 1e-6)
    return int(places.gen.choice(len(weight), p=weight / weight.sum()))


def _spots(where: str, places: Places, n: int) -> list[Spot]:
    way, *words = where.split()
    ways: dict[str, Callable[[], list[Spot]]] = {
        "kerb": lambda: places.kerb(n, float(words[0])),
        "outskirts": lambda: places.outskirts(n),
        "fields": lambda: places.fields(n, float(words[0])),
        "blocks": lambda: places.blocks(n),
        "inside": lambda: places.inside(words[0], n),
        "around": lambda: places.around(words[0], n, float(words[1])),
        "cuts": lambda: places.cuts(words[0], n, float(words[1])),
        "halves": lambda: special.halves(places, words[0], n),
        "wanders": lambda: places.wanders(words[0], n),
        "along": lambda: places.along(tuple(words[0].split(",")), n),
        "strips": lambda: places.strips(n, float(words[0]), float(words[1])),
        "ring": lambda: places.ring(n),
        "edges": lambda: special.edges(places, words[0], n),
        "waters": lambda: special.waters(places, n),
        "chiefs": lambda: special.chiefs(places, n),
        "scenes": lambda: special.scenes(places, n),
    }
    return ways[way]()


def keys(frame_rows: Rows, kind: str) -> list[str]:
    """Return the keys of the rows of a kind."""
    return [key(kind, i) for i in range(len(frame_rows))]


def ground(places: Places) -> None:
    """Tell the kinds of the ground what the topic databases add to them."""
    classes = {"street_tree": "0402", "toilet": "0301", "bin": "0305", "green_space": "0405"}
    for name, code in classes.items():
        for row in places.rows[name]:
            row["component_class"] = code
    for name in ("street_tree", "bin"):
        points = shapely.points(np.array([r["xy"] for r in places.rows[name]]))
        for row, i in zip(places.rows[name], places.nearest_road(points), strict=True):
            row["along"] = key("road", i)
    gen = rng(places.seed, 72)
    for row in places.rows["toilet"]:
        row["open_state"] = str(gen.choice(["open", "closed", "repair"], p=[0.94, 0.03, 0.03]))
        row["score"] = round(float(gen.uniform(3.4, 5.0)), 1)
