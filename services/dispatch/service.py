"""Which crew: road time, skill, load, shift, rest, range; with a reason for each pick and each lack."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gis import network
from services.dispatch import crews as fleet
from services.dispatch import planning
from services.dispatch.crews import Crew
from twin import cases, scheduling
from twin.errors import NotAllowedNow
from twin.roads import profile, roads
from twin.scheduling import Scheduling
from twin.scope import Actor

LIMIT_S = 2700.0


def proposals(conn: Connection, actor: Actor, key: str, limit: int) -> dict[str, Any]:
    """Return the best crews for an event with road times, routes and reasons."""
    start = time.perf_counter()
    case = cases.find(conn, actor, key)
    if case["lon"] is None:
        raise NotAllowedNow(
            f"{case['code']} has no place yet, so no way leads to it; place it first."
        )
    said, now = scheduling.current(conn), fleet.clock()
    skill = skill_of(conn, case)
    everyone = fleet.everyone(conn, actor, said, now)
    plan = planning.look(conn, [case], everyone, [skill], said, now)
    best = plan.ranked(0, limit)
    mode, fault = said.mode(facts(case))
    return {
        "event": case["code"],
        "skill": skill,
        "mode": mode,
        "fault": fault,
        "crews": shown(conn, plan, 0, best, said),
        "shortfall": plan.shortfall(0),
        "considered": len(everyone),
        "scheduling": said.version,
        "computed_ms": round((time.perf_counter() - start) * 1000, 1),
    }


def skill_of(conn: Connection, case: Mapping[str, Any]) -> str | None:
    """Return the skill that the category of a case asks for."""
    known = cases.definition(conn, case)["categories"].get(case["category"], {})
    skill: str | None = known.get("skill")
    return skill


def facts(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a rule about a case may ask: its data, and the columns over them."""
    return {**case["data"], **{k: v for k, v in cases.snapshot(case).items() if k != "data"}}


def shown(
    conn: Connection, plan: planning.Plan, row: int, best: list[int], said: Scheduling
) -> list[dict[str, Any]]:
    """Return crews with their ways and reasons; only for those shown is the way itself followed."""
    case = plan.cases[row]
    reached: dict[str, network.Reach] = {}
    found = []
    times = [float(plan.travel_s[row, j]) for j in best]
    for j, travel in zip(best, times, strict=True):
        crew = plan.crews[j]
        if crew.profile not in reached:
            graph = roads.graph(conn, profile(said, crew.profile))
            limit = max(times) + 60.0
            reached[crew.profile] = network.reach(graph, case["lon"], case["lat"], limit)
        reasons = _reasons(crew, case, travel == min(times))
        found.append(_one(crew, case, travel, reached[crew.profile], reasons))
    return found


def way(reached: network.Reach, crew: Crew, case: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return the way of a crew to an event as lon, lat pairs, from where it stands to the place."""
    here = (float(crew.lon or 0.0), float(crew.lat or 0.0))
    _, nodes = network.travel_times(reached, fleet.point(crew))
    return [here, *reached.route(int(nodes[0])), (case["lon"], case["lat"])]


def _one(
    crew: Crew, case: Mapping[str, Any], travel: float, reached: network.Reach,
    reasons: list[dict[str, str]],
) -> dict[str, Any]:  # fmt: skip
    path = way(reached, crew, case)
    return {
        "num": crew.num,
        "code": crew.code,
        "name": crew.name,
        "point": [crew.lon, crew.lat],
        "travel_s": round(travel),
        "distance_m": round(network.length_m(path)),
        "straight_m": round(network.length_m([path[0], path[-1]])),
        "load": crew.load,
        "skills": crew.skills,
        "shift": crew.shift,
        "profile": crew.profile,
        "team": crew.team,
        "status": "busy" if crew.load else "free",
        "free_in_s": round(crew.left_s),
        "fresh": crew.live,
        "reasons": reasons,
        "route": [[round(lon, 6), round(lat, 6)] for lon, lat in path],
    }


def _reasons(crew: Crew, case: Mapping[str, Any], nearest: bool) -> list[dict[str, str]]:
    found = []
    if nearest:
        found.append({"zh": "路程用时最短", "en": "shortest road time"})
    if crew.skills:
        found.append({"zh": "专业对口", "en": "has the skill"})
    if not crew.load:
        found.append({"zh": "当前空闲", "en": "free now"})
    else:
        found.append({"zh": f"手上 {crew.load} 件", "en": f"{crew.load} in hand"})
    if crew.district != case["district"]:
        found.append({"zh": "跨区互助", "en": "mutual help from another district"})
    if not crew.live:
        found.append(
            {"zh": "无实时定位，按驻点计算", "en": "no live position, counted from its base"}
        )
    return found
