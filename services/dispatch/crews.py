"""The crews as dispatch sees them: where, with what, until when, and why one cannot be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from gis.network import M_PER_DEG
from twin import calendar, cases, catalogue
from twin.scheduling import Scheduling
from twin.scope import SYSTEM, Actor, scope_sql

WORKING = ("dispatched", "handling")
REASONS = {
    "no_skill": {"zh": "无所需专业", "en": "without the skill"},
    "full": {"zh": "任务已满", "en": "fully loaded"},
    "no_location": {"zh": "无位置", "en": "no position"},
    "outside": {"zh": "时限内到不了", "en": "too far away"},
    "off_duty": {"zh": "未在岗", "en": "off duty"},
    "off_shift": {"zh": "不在班次", "en": "out of shift"},
    "resting": {"zh": "休息中", "en": "resting"},
    "no_fuel": {"zh": "续航不足", "en": "not enough range"},
    "other_district": {"zh": "外区未开放互助", "en": "another district, no mutual help"},
    "declined": {"zh": "本件已退回或未响应", "en": "sent this one back or stayed silent"},
}


@dataclass(kw_only=True)
class Crew:
    """One crew now."""

    num: int
    code: str
    name: str
    state: str
    district: str | None
    skills: list[str]
    shift: str | None
    capacity: int | None
    vehicle: str | None
    profile: str
    lon: float | None
    lat: float | None
    at: datetime | None
    live: bool
    team: str | None = None
    resting_until: datetime | None = None
    range_km: float | None = None
    off_reason: str | None = None
    load: int = 0
    left_s: float = 0.0
    tasks: list[str] = field(default_factory=list)


def everyone(conn: Connection, actor: Actor, said: Scheduling, now: datetime) -> list[Crew]:
    """Return the crews that an actor may send, with what each has in hand."""
    kind = catalogue.one(conn, SYSTEM, "crew")
    has = {
        n: f"k.{n}" if n in kind.fields else "null"
        for n in ("skills", "shift", "capacity", "vehicle")
    }
    scope, params = scope_sql(actor, "k", cases.LEVEL, geom="geom")
    rows = conn.execute(
        text(
            f"select k.num, k.code, k.name, k.state, k.district, {has['skills']} as skills, "
            f"coalesce(r.shift, {has['shift']}) as shift, {has['capacity']} as capacity, "
            f"{has['vehicle']} as vehicle, v.type as vehicle_type, st_x(k.geom) as base_lon, "
            "st_y(k.geom) as base_lat, p.lon, p.lat, p.at, s.team, s.resting_until, s.range_km, "
            f"s.off_reason from {kind.topic}.crew k left join twin.last_position p on p.num = k.num "
            f"left join {kind.topic}.vehicle v on v.code = {has['vehicle']} "
            "left join twin.crew_state s on s.crew = k.code "
            f"left join twin.roster r on r.crew = k.code and r.day = :day where {scope}"
        ),
        {"day": now.astimezone(calendar.ZONE).date(), **params},
    ).mappings()
    hands, worked = _hands(conn), _worked(conn, said, now)
    return [
        _crew(dict(r), hands.get(r["code"], ()), worked.get(r["code"]), said, now) for r in rows
    ]


def _crew(
    row: Mapping[str, Any], hands: Any, rest: datetime | None, said: Scheduling, now: datetime
) -> Crew:
    fresh = row["at"] is not None and now - row["at"] < timedelta(
        seconds=said.minutes("stale_min", 10)
    )
    lon, lat = (row["lon"], row["lat"]) if fresh else (row["base_lon"], row["base_lat"])
    given = row["resting_until"]
    until = max(filter(None, (given, rest)), default=None)
    return Crew(
        num=row["num"], code=row["code"], name=row["name"], state=row["state"],
        district=row["district"], skills=row["skills"] or [], shift=row["shift"],
        capacity=row["capacity"], vehicle=row["vehicle"],
        profile=said.profile_of(row["vehicle_type"]), lon=lon, lat=lat, at=row["at"], live=fresh,
        team=row["team"], resting_until=until, range_km=row["range_km"],
        off_reason=row["off_reason"], load=len(hands), tasks=[h.code for h in hands],
        left_s=sum(_left(h, said, now) for h in hands),
    )  # fmt: skip


def _left(task: Any, said: Scheduling, now: datetime) -> float:
    """Return how long a task in hand still takes: from arrival on it goes down, to a remainder."""
    usual = said.usual_s(task.category)
    begun = task.arrived_at or (task.entered_at if task.state == "handling" else None)
    if begun is None:
        return usual
    since = datetime.fromisoformat(begun) if isinstance(begun, str) else begun
    return max(usual - (now - since).total_seconds(), 0.3 * usual)


def _hands(conn: Connection) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    rows = conn.execute(
        text(
            "select code, holder, state, category, entered_at, data->>'arrived_at' as arrived_at "
            'from twin."case" where closed_at is null and holder is not null '
            "and state = any(:states) and process = :process"
        ),
        {"states": list(WORKING), "process": cases.CITY},
    )
    for row in rows:
        found.setdefault(row.holder, []).append(row)
    return found


_WORKED = text(
    "select after->>'holder' as crew, before->>'holder' as before, action, at from twin.journal "
    "where class = 'case' and at > :since and action in ('accept', 'finish', 'return', 'recall') "
    "order by at"
)


def _worked(conn: Connection, said: Scheduling, now: datetime) -> dict[str, datetime]:
    """Return until when each crew rests that has worked for long without a break."""
    rest = said.doc.get("rest")
    if rest is None:
        return {}
    since = now - timedelta(hours=3 * float(rest["after_h"]))
    open_since: dict[str, tuple[datetime, int]] = {}
    ended: dict[str, tuple[datetime, datetime]] = {}
    pause = timedelta(minutes=rest["min"])
    for row in conn.execute(_WORKED, {"since": since}):
        crew = row.crew or row.before
        if row.action == "accept":
            begun, many = open_since.get(crew, (row.at, 0))
            last = ended.pop(crew, None)
            # A gap shorter than a rest is no rest: the stretch goes on.
            if many == 0 and last is not None and row.at - last[1] < pause:
                begun = last[0]
            open_since[crew] = (begun, many + 1)
        elif crew in open_since:
            begun, many = open_since[crew]
            if many > 1:
                open_since[crew] = (begun, many - 1)
            else:
                del open_since[crew]
                ended[crew] = (begun, row.at)
    found = {
        crew: said.rested_at((end - begun).total_seconds(), end)
        for crew, (begun, end) in ended.items()
    }
    return {crew: until for crew, until in found.items() if until is not None and until > now}


def lack(
    crew: Crew, case: Mapping[str, Any], skill: str | None, said: Scheduling, now: datetime
) -> str | None:
    """Return why a crew cannot be sent to an event whatever the way, or None."""
    if crew.off_reason or crew.state != "active":
        return "off_duty"
    if skill and crew.skills and skill not in crew.skills:
        return "no_skill"
    if not said.on_shift(crew.shift, now):
        return "off_shift"
    if crew.resting_until is not None and crew.resting_until > now and case["severity"] > 1:
        return "resting"
    if crew.load >= min(said.doc.get("max_load", 4), crew.capacity or 99):
        return "full"
    if crew.code in (case["data"].get("declined") or ()):
        return "declined"
    if crew.lon is None:
        return "no_location"
    return _far(crew, case, said)


def _far(crew: Crew, case: Mapping[str, Any], said: Scheduling) -> str | None:
    """Return the lack that lies in the district: neighbours are those within a declared distance."""
    if crew.district == case["district"]:
        return None
    help_ = said.doc.get("mutual_help", {})
    mode = help_.get("urgent" if case["severity"] <= 2 else "mode") or help_.get("mode", "city")
    if mode == "never" or (mode == "neighbours" and not _near(crew, case, said)):
        return "other_district"
    return None


def _near(crew: Crew, case: Mapping[str, Any], said: Scheduling) -> bool:
    near_m = float(said.doc["mutual_help"].get("near_m", 8000.0))
    dx = (float(crew.lon or 0) - case["lon"]) * M_PER_DEG * math.cos(math.radians(case["lat"]))
    dy = (float(crew.lat or 0) - case["lat"]) * M_PER_DEG
    return bool(dx * dx + dy * dy <= near_m**2)


def extra_s(crew: Crew, case: Mapping[str, Any], said: Scheduling) -> float:
    """Return how much farther a crew of another district counts."""
    if crew.district == case["district"]:
        return 0.0
    return float(said.doc.get("mutual_help", {}).get("extra_min", 0)) * 60


def clock() -> datetime:
    """Return now."""
    return datetime.now(UTC)


def point(crew: Crew) -> Any:
    """Return the place of a crew as a 1 × 2 array of lon, lat."""
    return np.array([[crew.lon, crew.lat]], dtype=np.float64)
