"""The run-card: what a level needs, what there is of it now, and why some is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import catalogue
from twin.alarms.rule import seconds

# A straight line is driven about a third longer, in a city at 25 km/h.
DETOUR, METRES_A_SECOND = 1.35, 25_000 / 3600
HEARD_S = 900
CENTRE = (121.4737, 31.2304)


def card(conn: Connection, needed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each requirement with what fills it, and the reasons of what is missing."""
    taken: set[str] = set()
    lines, chosen = [], []
    for i, one in enumerate(needed):
        able, reasons = _able(conn, one, taken)
        filled = able[: int(one["count"])]
        taken.update(row["code"] for row in filled)
        chosen += [{**row, "line": i, "called_at": None, "ready_at": None} for row in filled]
        lines.append(
            {"title": one["title"], "kind": one["kind"], "skill": one.get("skill"),
             "count": one["count"], "filled": len(filled), "within": one.get("within"),
             "short": int(one["count"]) - len(filled), "reasons": reasons}
        )  # fmt: skip
    return {"at": datetime.now(UTC).isoformat(), "lines": lines, "resources": chosen}


def _able(
    conn: Connection, one: Mapping[str, Any], taken: set[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return who could come, the nearest first, and how many of the others could not, and why."""
    kind = catalogue.all_kinds(conn)[one["kind"]]
    skills = "k.skills" if "skills" in kind.fields else "null::text[]"
    rows = conn.execute(
        text(
            f"select k.num, k.code, k.name, {skills} as skills, p.at, "
            "coalesce(p.lon, st_x(t.point)) as lon, coalesce(p.lat, st_y(t.point)) as lat, "
            'exists (select from twin."case" c where c.holder = k.code and c.closed_at is null) as busy '
            f"from {kind.topic}.{kind.kind} k join twin.thing t on t.num = k.num "
            "left join twin.last_position p on p.num = k.num order by k.num limit 20000"
        )
    ).all()
    able: list[dict[str, Any]] = []
    why: dict[str, int] = {}
    for row in rows:
        reason, travel_s = _lacks(one, row, taken)
        if reason is None:
            able.append({"num": row.num, "code": row.code, "name": row.name, "kind": one["kind"],
                         "point": [row.lon, row.lat], "travel_s": round(travel_s)})  # fmt: skip
        else:
            why[reason] = why.get(reason, 0) + 1
    able.sort(key=lambda a: a["travel_s"])
    return able, [{"why": _WHY[k], "n": n} for k, n in sorted(why.items(), key=lambda p: -p[1])]


_WHY = {
    "skill": {"zh": "专业不符", "en": "not of this trade"},
    "busy": {"zh": "正在处置其他事件", "en": "busy with another event"},
    "silent": {"zh": "定位失联", "en": "not heard of"},
    "far": {"zh": "规定时间内到不了", "en": "too far for the time"},
    "taken": {"zh": "已列入本预案其他需求", "en": "taken by another line"},
}


def _lacks(one: Mapping[str, Any], row: Any, taken: set[str]) -> tuple[str | None, float]:
    away = _metres(row.lon, row.lat)
    travel_s = away * DETOUR / METRES_A_SECOND
    if row.code in taken:
        return "taken", travel_s
    if one.get("skill") and one["skill"] not in (row.skills or ()):
        return "skill", travel_s
    if row.busy:
        return "busy", travel_s
    if row.at is not None and (datetime.now(UTC) - row.at).total_seconds() > HEARD_S:
        return "silent", travel_s
    if one.get("within") and travel_s > seconds(one["within"]):
        return "far", travel_s
    return None, travel_s


def _metres(lon: float, lat: float) -> float:
    x = (lon - CENTRE[0]) * 95_300
    y = (lat - CENTRE[1]) * 111_195
    return float((x * x + y * y) ** 0.5)
