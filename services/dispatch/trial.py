"""A scheduling tried over the past: which crews would have been picked, then and there, under the new document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from services.dispatch import crews as fleet
from services.dispatch import planning, service
from twin import cases, names, policies, positions, scheduling
from twin.scheduling import Scheduling
from twin.scope import Actor, scope_sql

# So many of the newest dispatches are looked at; each asks where the crews then were.
MOST = 240
# Crews do not go far in this time: dispatches of one span share the positions of its end.
SPAN = timedelta(minutes=20)
_SENT = text(
    "select j.at, j.after, j.after->>'holder' as crew from twin.journal j "
    "join twin.\"case\" c on c.id = j.subject where j.class = 'case' and j.action = 'dispatch' "
    "and j.at > :since and c.process = :process and c.point is not null and {scope} "
    "order by j.at desc limit :most"
)


def simulate(conn: Connection, actor: Actor, doc: Mapping[str, Any], days: int) -> dict[str, Any]:
    """Return the dispatches of the last days that would have gone to another crew, or to nobody."""
    old, new = scheduling.current(conn), Scheduling(doc)
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(_SENT.text.replace("{scope}", scope)),
        {
            "since": fleet.clock() - timedelta(days=days),
            "process": cases.CITY,
            "most": MOST,
            **params,
        },
    ).all()
    moved: list[dict[str, Any]] = []
    modes = 0
    for at, group in _spans(rows):
        before, after = (_picks(conn, actor, said, at, group) for said in (old, new))
        for row, one, other in zip(group, before, after, strict=True):
            modes += one[1] != other[1]
            if one[0] != other[0] or one[1] != other[1]:
                moved.append(_moved(conn, row, one, other))
    return {"read": len(rows), "changed": len(moved), "modes": modes, "moved": moved}


def _spans(rows: Sequence[Any]) -> list[tuple[datetime, list[Any]]]:
    found: list[tuple[datetime, list[Any]]] = []
    for row in rows:
        if not found or found[-1][0] - row.at > SPAN:
            found.append((row.at, []))
        found[-1][1].append(row)
    return found


def _picks(
    conn: Connection, actor: Actor, said: Scheduling, at: datetime, group: Sequence[Any]
) -> list[tuple[str | None, str]]:
    """Return for each dispatch whom a scheduling would have named first, and who decides."""
    known = {
        r.num: (r.lon, r.lat)
        for r in positions.at(conn, at)
        if at - r.at < timedelta(seconds=said.minutes("stale_min", 10))
    }
    crews = [_then(c, known) for c in fleet.everyone(conn, actor, said, at)]
    past = [_case(row) for row in group]
    skills = [service.skill_of(conn, c) for c in past]
    plan = planning.look(conn, past, crews, skills, said, at)
    found = []
    for i, case in enumerate(past):
        best = plan.ranked(i, 1)
        found.append((crews[best[0]].code if best else None, said.mode(service.facts(case))[0]))
    return found


def _then(crew: fleet.Crew, known: Mapping[int, tuple[float, float]]) -> fleet.Crew:
    """Return a crew where it then was, with empty hands: load is not part of what is compared."""
    lon, lat = known.get(crew.num, (crew.lon, crew.lat))
    return replace(
        crew, lon=lon, lat=lat, live=crew.num in known, load=0, left_s=0.0, tasks=[],
        resting_until=None, off_reason=None, range_km=None,
    )  # fmt: skip


def _case(row: Any) -> dict[str, Any]:
    after = dict(row.after)
    opened = datetime.fromisoformat(after["opened_at"])
    return {**after, "opened_at": opened, "data": {**after["data"], "declined": []}}


def _moved(
    conn: Connection, row: Any, one: tuple[str | None, str], other: tuple[str | None, str]
) -> dict[str, Any]:
    known = names.things(conn)

    def say(pick: tuple[str | None, str]) -> str:
        crew = known.get(pick[0] or "", pick[0] or "—")
        return f"{crew} · {pick[1]}" if one[1] != other[1] else str(crew)

    after = row.after
    return {"code": after["code"], "title": after["title"], "from": say(one), "to": say(other),
            "lon": after["lon"], "lat": after["lat"]}  # fmt: skip


# The scheduling is declared in twin; only here, where the roads are, can it be tried.
POLICY = policies.register(replace(scheduling.POLICY, simulate=simulate))
