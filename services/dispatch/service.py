"""Which crew: road time, skill, load and freshness, with a reason for each pick and each lack."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from gis import network
from services.dispatch.roads import roads
from twin import cases, catalogue
from twin.scope import SYSTEM, Actor, scope_sql

LIMIT_S = 2700.0
STALE_S = 600.0
FULL_LOAD = 4
# A crew with work in hand takes this much longer per open task, in equal parts of its travel time.
LOAD_WEIGHT = 0.35
SHORTFALL = {
    "no_skill": {"zh": "无所需专业", "en": "without the skill"},
    "full": {"zh": "任务已满", "en": "fully loaded"},
    "no_location": {"zh": "无位置", "en": "no position"},
    "outside": {"zh": "45 分钟内到不了", "en": "more than 45 minutes away"},
    "off_duty": {"zh": "未在岗", "en": "off duty"},
}


def proposals(conn: Connection, actor: Actor, key: str, limit: int) -> dict[str, Any]:
    """Return the best crews for an event with road times, routes and reasons."""
    start = time.perf_counter()
    case = cases.find(conn, actor, key)
    said = cases.definition(conn, case)
    skill = said["categories"].get(case["category"], {}).get("skill")
    crews = _crews(conn, actor)
    lacks: Counter[str] = Counter()
    able = [c for c in crews if not _lack(c, skill, lacks)]
    ranked = _ranked(conn, able, case, lacks, limit) if able else []
    shortfall = [{"code": k, "title": SHORTFALL[k], "count": n} for k, n in lacks.most_common()]
    return {
        "event": case["code"],
        "skill": skill,
        "crews": ranked,
        "shortfall": shortfall,
        "considered": len(crews),
        "computed_ms": round((time.perf_counter() - start) * 1000, 1),
    }


def _crews(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    kind = catalogue.one(conn, SYSTEM, "crew")
    skills = "k.skills" if "skills" in kind.fields else "null"
    scope, params = scope_sql(actor, "k", cases.LEVEL, geom="geom")
    rows = conn.execute(
        text(
            f"select k.num, k.code, k.name, k.state, {skills} as skills, "
            "coalesce(p.lon, st_x(k.geom)) as lon, coalesce(p.lat, st_y(k.geom)) as lat, "
            'p.at, p.speed_kmh, (select count(*) from twin."case" c where c.holder = k.code '
            "and c.closed_at is null and c.state in ('dispatched', 'handling')) as load "
            f"from {kind.topic}.crew k left join twin.last_position p on p.num = k.num where {scope}"
        ),
        params,
    ).mappings()
    return [dict(r) for r in rows]


def _lack(crew: Mapping[str, Any], skill: str | None, lacks: Counter[str]) -> bool:
    """Tell whether a crew cannot be asked, and count why."""
    why = None
    if skill and crew["skills"] and skill not in crew["skills"]:
        why = "no_skill"
    elif crew["state"] != "active":
        why = "off_duty"
    elif crew["load"] >= FULL_LOAD:
        why = "full"
    elif crew["lon"] is None:
        why = "no_location"
    if why:
        lacks[why] += 1
    return why is not None


def _ranked(
    conn: Connection,
    able: list[dict[str, Any]],
    case: Mapping[str, Any],
    lacks: Counter[str],
    limit: int,
) -> list[dict[str, Any]]:
    reached = network.reach(roads.graph(conn), case["lon"], case["lat"], LIMIT_S)
    points = np.array([[c["lon"], c["lat"]] for c in able])
    seconds, nodes = network.travel_times(reached, points)
    shown = []
    for crew, travel, node in zip(able, seconds, nodes, strict=True):
        if not math.isfinite(travel):
            lacks["outside"] += 1
            continue
        shown.append((travel * (1 + LOAD_WEIGHT * crew["load"]), travel, int(node), crew))
    shown.sort(key=lambda s: (s[0], s[3]["num"]))
    nearest = min((s[1] for s in shown), default=0.0)
    # Only for those shown is the way itself followed.
    best = shown[:limit]
    return [_shown(s[3], float(s[1]), reached.route(s[2]), case, nearest) for s in best]


def _shown(
    crew: Mapping[str, Any],
    travel: float,
    route: list[tuple[float, float]],
    case: Mapping[str, Any],
    nearest: float,
) -> dict[str, Any]:
    here, there = (crew["lon"], crew["lat"]), (case["lon"], case["lat"])
    path = [here, *route, there]
    fresh = crew["at"] is not None and (datetime.now(UTC) - crew["at"]).total_seconds() < STALE_S
    return {
        "num": crew["num"],
        "code": crew["code"],
        "name": crew["name"],
        "point": list(here),
        "travel_s": round(travel),
        "distance_m": round(network.length_m(path)),
        "straight_m": round(network.length_m([here, there])),
        "load": crew["load"],
        "skills": crew["skills"] or [],
        "status": "busy" if crew["load"] else "free",
        "fresh": fresh,
        "reasons": _reasons(crew, travel, fresh, nearest),
        "route": [[round(lon, 6), round(lat, 6)] for lon, lat in path],
    }


def _reasons(
    crew: Mapping[str, Any], travel: float, fresh: bool, nearest: float
) -> list[dict[str, str]]:
    found = []
    if travel == nearest:
        found.append({"zh": "路程用时最短", "en": "shortest road time"})
    if crew["skills"]:
        found.append({"zh": "专业对口", "en": "has the skill"})
    if not crew["load"]:
        found.append({"zh": "当前空闲", "en": "free now"})
    else:
        found.append({"zh": f"手上 {crew['load']} 件", "en": f"{crew['load']} in hand"})
    if not fresh:
        found.append(
            {"zh": "无实时定位，按驻点计算", "en": "no live position, counted from its base"}
        )
    return found
