"""The run-card: what a level needs, who of it comes within its minutes by road, and why some is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from gis import network
from twin import catalogue, scheduling
from twin.alarms.rule import seconds
from twin.errors import NotFound, Unavailable
from twin.roads import profile, roads

log = structlog.get_logger("plans")
# Where no road is loaded: a straight line is driven about a third longer, in a city at 25 km/h.
DETOUR, METRES_A_SECOND = 1.35, 25_000 / 3600
HEARD_S, FARTHEST_S, MOST_TARGETS = 900, 7_200.0, 24
Places = NDArray[np.float64]

_TARGETS = text(
    "select d.code, d.name, st_x(p.at) as lon, st_y(p.at) as lat from base.district d "
    "cross join lateral (select st_pointonsurface(case when cast(:area as text) is null then d.geom "
    "else st_intersection(d.geom, cast(:area as geometry)) end) as at) p "
    "where (cast(:codes as text[]) is null or d.code = any(:codes)) "
    "and (cast(:area as text) is null or st_intersects(d.geom, cast(:area as geometry))) "
    "and not st_isempty(p.at) order by d.code limit :most"
)


@dataclass(frozen=True)
class Stage:
    """Where resources are wanted, and what has been reckoned of the way there."""

    targets: list[dict[str, Any]]
    # By vehicle profile: the road graph with the seconds from each of its nodes; None without roads.
    reached: dict[str | None, tuple[network.RoadGraph, Places] | None] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        """The targets as lon, lat pairs."""
        return np.array([one["point"] for one in self.targets], dtype=float).reshape(-1, 2)


def stage(conn: Connection, warning: Mapping[str, Any] | None) -> Stage:
    """Return the places that a warning is about: one in each district of its area; of none, in all."""
    area = codes = None
    if warning is not None:
        area = warning.get("area_wkb")
        codes = list(warning.get("districts") or ()) or None
    said = {"area": area, "codes": codes if area is None else None, "most": MOST_TARGETS}
    rows = conn.execute(_TARGETS, said).all()
    if not rows and (area or codes):
        # A warning of another place: the whole city stands ready.
        rows = conn.execute(_TARGETS, {"area": None, "codes": None, "most": MOST_TARGETS}).all()
    return Stage([{"code": r.code, "name": r.name, "point": [r.lon, r.lat]} for r in rows])


def card(
    conn: Connection, needed: Sequence[Mapping[str, Any]], where: Stage,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return each requirement with what fills it, and the reasons of what is missing.

    What was called by the card before stays called, and is the first to be counted.
    """
    called = {one["code"]: one for one in (before or {}).get("resources", ()) if one["called_at"]}
    taken: set[str] = set()
    lines, chosen = [], []
    for i, one in enumerate(needed):
        able, reasons, by = _able(conn, one, taken, where, set(called))
        able.sort(key=lambda a: (a["code"] not in called, a["travel_s"]))
        filled = able[: int(one["count"])]
        taken.update(row["code"] for row in filled)
        chosen += [{**row, "line": i, **_kept(called.get(row["code"]))} for row in filled]
        lines.append(
            {"title": one["title"], "kind": one["kind"], "skill": one.get("skill"),
             "count": one["count"], "filled": len(filled), "within": one.get("within"),
             "slowest_s": max((r["travel_s"] for r in filled), default=None), "by": by,
             "short": int(one["count"]) - len(filled), "reasons": reasons}
        )  # fmt: skip
    gone = [{**one, "line": None} for code, one in called.items() if code not in taken]
    return {"at": datetime.now(UTC).isoformat(), "lines": lines, "resources": chosen + gone,
            "targets": where.targets}  # fmt: skip


def _kept(before: Mapping[str, Any] | None) -> dict[str, Any]:
    said = before or {}
    return {"called_at": said.get("called_at"), "ready_at": said.get("ready_at")}


def _able(
    conn: Connection, one: Mapping[str, Any], taken: set[str], where: Stage, called: set[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """Return who could come, how many of the others could not and why, and how time was told."""
    rows = _rows(conn, one)
    why: dict[str, int] = {}
    fit = []
    for row in rows:
        reason = None if row.code in called and row.code not in taken else _unfit(one, row, taken)
        if reason is None:
            fit.append(row)
        else:
            why[reason] = why.get(reason, 0) + 1
    times, by = _times(conn, fit, where)
    within = seconds(one["within"]) if one.get("within") else None
    able = []
    for row, travel_s in zip(fit, times.tolist(), strict=True):
        if row.code not in called and (not np.isfinite(travel_s) or (within and travel_s > within)):
            why["far"] = why.get("far", 0) + 1
            continue
        able.append({"num": row.num, "code": row.code, "name": row.name, "kind": one["kind"],
                     "point": [row.lon, row.lat],
                     "travel_s": round(min(travel_s, FARTHEST_S))})  # fmt: skip
    said = [{"why": _WHY[k], "n": n} for k, n in sorted(why.items(), key=lambda p: -p[1])]
    return able, said, by


def _rows(conn: Connection, one: Mapping[str, Any]) -> Sequence[Any]:
    kind = catalogue.all_kinds(conn)[one["kind"]]
    skills = "k.skills" if "skills" in kind.fields else "null::text[]"
    type_ = "k.type" if kind.kind == "vehicle" else "null::text"
    return conn.execute(
        text(
            f"select k.num, k.code, k.name, {skills} as skills, {type_} as type, p.at, "
            "coalesce(p.lon, st_x(t.point)) as lon, coalesce(p.lat, st_y(t.point)) as lat, "
            'exists (select from twin."case" c where c.holder = k.code and c.closed_at is null) as busy '
            f"from {kind.topic}.{kind.kind} k join twin.thing t on t.num = k.num "
            "left join twin.last_position p on p.num = k.num where t.point is not null "
            "order by k.num limit 20000"
        )
    ).all()


_WHY = {
    "skill": {"zh": "专业不符", "en": "not of this trade"},
    "busy": {"zh": "正在处置其他事件", "en": "busy with another event"},
    "silent": {"zh": "定位失联", "en": "not heard of"},
    "far": {"zh": "规定时间内到不了", "en": "too far for the time"},
    "taken": {"zh": "已列入本预案其他需求", "en": "taken by another line"},
}


def _unfit(one: Mapping[str, Any], row: Any, taken: set[str]) -> str | None:
    if row.code in taken:
        return "taken"
    if one.get("skill") and one["skill"] not in (row.skills or ()):
        return "skill"
    if row.busy:
        return "busy"
    if row.at is not None and (datetime.now(UTC) - row.at).total_seconds() > HEARD_S:
        return "silent"
    return None


def _times(conn: Connection, rows: Sequence[Any], where: Stage) -> tuple[Places, str]:
    """Return the seconds of each to the nearest target: by road, as its vehicle drives."""
    starts = np.array([[row.lon, row.lat] for row in rows], dtype=float).reshape(-1, 2)
    made = np.full(len(rows), np.inf)
    if not len(rows) or not where.targets:
        return made, "road"
    profiles = _profiles(conn, rows)
    for key in dict.fromkeys(profiles):
        found = _reached(conn, key, where)
        if found is None:
            return _straight(starts, where.places), "line"
        graph, times = found
        mine = np.array([one == key for one in profiles])
        nodes, far = graph.nearest(starts[mine])
        made[mine] = times[nodes] + far / network.OFF_ROAD_MPS
    return made, "road"


def _profiles(conn: Connection, rows: Sequence[Any]) -> list[str | None]:
    try:
        said = scheduling.current(conn)
    except NotFound:
        return [None] * len(rows)
    return [said.profile_of(row.type) for row in rows]


def _reached(
    conn: Connection, key: str | None, where: Stage
) -> tuple[network.RoadGraph, Places] | None:
    """Return the graph of a profile and the seconds to the nearest target, reckoned once a stage."""
    if key not in where.reached:
        try:
            shape = profile(scheduling.current(conn), key) if key else None
            graph = roads.graph(conn, shape)
            where.reached[key] = graph, network.to_nearest(graph, where.places, FARTHEST_S)
        except (Unavailable, NotFound) as why:
            log.info("no roads for a run-card", why=why.detail)
            where.reached[key] = None
    return where.reached[key]


def _straight(starts: Places, places: Places) -> Places:
    scale = np.array([network.M_PER_DEG * np.cos(np.radians(31.2)), network.M_PER_DEG])
    away = np.linalg.norm((starts[:, None, :] - places[None, :, :]) * scale, axis=2).min(axis=1)
    return np.asarray(away * DETOUR / METRES_A_SECOND)


def area_of(conn: Connection, identifier: str | None) -> dict[str, Any] | None:
    """Return where a warning is about, as `stage` takes it; None of no warning."""
    if identifier is None:
        return None
    row = conn.execute(
        text(
            "select districts, encode(st_asewkb(geom), 'hex') as area_wkb from twin.warning "
            "where identifier = :i"
        ),
        {"i": identifier},
    ).first()
    return None if row is None else dict(row._mapping)
