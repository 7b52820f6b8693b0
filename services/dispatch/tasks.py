"""What the commander sees of crews on their way: routes, live arrival times, and how far one gets in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely
from scipy.spatial import cKDTree
from sqlalchemy import Connection, text

from gis import network, surface
from services.dispatch import crews as fleet
from services.dispatch import service
from services.dispatch.crews import Crew
from twin import cases, names, scheduling
from twin.roads import profile, roads
from twin.scheduling import Scheduling
from twin.scope import Actor, scope_sql

MOST = 400
CELLS = 180
# From a road this far and no farther is reached on foot at the end of the way.
FOOT_M = 350.0
# About 8 m: less than the width of what is drawn.
THIN_DEG = 7e-5


def on_the_way(conn: Connection, actor: Actor) -> dict[str, Any]:
    """Return the tasks that crews have not arrived at, each with route and arrival time."""
    said, now = scheduling.current(conn), fleet.clock()
    crews = {c.code: c for c in fleet.everyone(conn, actor, said, now)}
    shown = []
    for case in _travelling(conn, actor):
        crew = crews.get(case["holder"])
        if crew is not None and crew.lon is not None:
            shown.append(_eta(conn, case, crew, said, now))
    return {"at": now, "tasks": shown}


def _travelling(conn: Connection, actor: Actor) -> Sequence[dict[str, Any]]:
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where process = :process '
            "and closed_at is null and state = any(:states) and point is not null "
            f"and not (data ? 'arrived_at') and {scope} order by severity, opened_at limit :most"
        ),
        {"process": cases.CITY, "states": list(fleet.WORKING), "most": MOST, **params},
    )
    return [dict(r._mapping) for r in rows]


def _eta(
    conn: Connection, case: dict[str, Any], crew: Crew, said: Scheduling, now: datetime
) -> dict[str, Any]:
    graph = roads.graph(conn, profile(said, crew.profile))
    limit = said.minutes("widen_min", 120)
    reached = network.reach(graph, case["lon"], case["lat"], limit)
    seconds, _ = network.travel_times(reached, fleet.point(crew))
    travel = float(seconds[0]) if np.isfinite(seconds[0]) else None
    path = service.way(reached, crew, case) if travel is not None else []
    due = case["due_at"]
    at = now + timedelta(seconds=travel) if travel is not None else None
    return {
        "code": case["code"],
        "id": str(case["id"]),
        "title": case["title"],
        "severity": case["severity"],
        "state": case["state"],
        "crew": crew.code,
        "crew_name": names.things(conn).get(crew.code) or crew.name,
        "point": [case["lon"], case["lat"]],
        "crew_point": [crew.lon, crew.lat],
        "live": crew.live,
        "sent_at": case["entered_at"],
        "travel_s": round(travel) if travel is not None else None,
        "arrives_at": at,
        "distance_m": round(network.length_m(path)),
        "late": bool(due and at and at > due),
        "silent_s": None if _stuck(case, said) else _silent(case, said, now),
        "stuck": _stuck(case, said) and case["state"] == "dispatched",
        "route": _thin(path),
    }


def _stuck(case: dict[str, Any], said: Scheduling) -> bool:
    """Tell whether so many crews stayed silent that a person must look."""
    tries = int(said.doc.get("silent", {}).get("tries", 3))
    return len(case["data"].get("declined") or ()) >= tries


def _thin(path: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Return a way with the corners that a map shows: hundreds of ways are drawn at once."""
    if len(path) < 3:
        return [[round(x, 6), round(y, 6)] for x, y in path]
    line = shapely.simplify(shapely.linestrings(np.asarray(path)), THIN_DEG)
    return [[round(x, 6), round(y, 6)] for x, y in shapely.get_coordinates(line).tolist()]


def _silent(case: dict[str, Any], said: Scheduling, now: datetime) -> int | None:
    """Return the seconds until a crew that has not accepted counts as silent; null once it has."""
    limit = said.silent_s(case["severity"])
    if case["state"] != "dispatched" or limit is None:
        return None
    return round(limit - float((now - case["entered_at"]).total_seconds()))


def isochrones(
    conn: Connection, lon: float, lat: float, minutes: Sequence[int], key: str | None, *, to: bool
) -> dict[str, Any]:
    """Return what lies within so many minutes of a place, as GeoJSON bands: from it, or to it."""
    said = scheduling.current(conn)
    chosen = key or str(said.doc["default_profile"])
    graph = roads.graph(conn, profile(said, chosen))
    steps = sorted({int(m) for m in minutes})
    limit = steps[-1] * 60.0 + 60.0
    if to:
        times = network.reach(graph, lon, lat, limit).times
    else:
        times = network.outward(graph, lon, lat, limit)
    features = [
        {
            "type": "Feature",
            "properties": {"from_min": round(low / 60), "to_min": round(high / 60)},
            "geometry": shapely.geometry.mapping(shape),
        }
        for low, high, shape in _bands(graph, times, [0.0, *(m * 60.0 for m in steps)])
    ]
    return {
        "type": "FeatureCollection", "features": features, "minutes": steps, "profile": chosen,
        "direction": "to" if to else "from", "point": [lon, lat],
    }  # fmt: skip


def _bands(
    graph: network.RoadGraph, times: network.Floats, levels: list[float]
) -> list[tuple[float, float, Any]]:
    """Return low, high, shape of each band: road times carried into the ground between the roads."""
    inside = np.isfinite(times) & (times <= levels[-1])
    if not inside.any():
        return []
    places = graph.nodes * graph.scale
    near = cKDTree(places[inside])
    low = graph.nodes[inside].min(axis=0) - FOOT_M / np.array(graph.scale)
    high = graph.nodes[inside].max(axis=0) + FOOT_M / np.array(graph.scale)
    x, y = np.linspace(low[0], high[0], CELLS), np.linspace(low[1], high[1], CELLS)
    gx, gy = np.meshgrid(x, y)
    cells = np.column_stack([gx.ravel(), gy.ravel()]) * graph.scale
    far, index = near.query(cells, k=min(4, int(inside.sum())))
    far, index = far.reshape(len(cells), -1), index.reshape(len(cells), -1)
    felt = (times[inside][index] + far / network.OFF_ROAD_MPS).min(axis=1)
    felt[far[:, 0] > FOOT_M] = levels[-1] * 2
    field = felt.reshape(gx.shape)
    return surface.bands(x, y, field, np.array([-1.0, *levels[1:]]))
