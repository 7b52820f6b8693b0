"""One event as it was, second by second: its steps, the way of its crew, and what else stood around it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, names, positions
from twin.eventview import View
from twin.scope import Actor

# Of a long case not every fix is sent: as many as a screen can tell apart.
MOST_FIXES = 6_000
BEFORE, AFTER = timedelta(minutes=2), timedelta(minutes=1)


def recorded(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Return the frames of an event: each step with the case after it, and the tracks of its crews."""
    case = cases.find(conn, actor, key)
    story = cases.story(conn, case["id"])
    view, people = View(conn), names.people(conn)
    said = view.definition(case)
    steps = [_step(row, said, people) for row in story]
    crews = _crews(story)
    start, end = story[0].at - BEFORE, story[-1].at + AFTER
    return {
        "code": case["code"], "title": case["title"], "severity": case["severity"],
        "point": [case["lon"], case["lat"]], "from": start, "to": end, "steps": steps,
        "tracks": [_track(conn, code, spans) for code, spans in crews.items()],
    }  # fmt: skip


def _step(row: Any, said: dict[str, Any], people: Any) -> dict[str, Any]:
    after, note = row.after, row.note or {}
    state = said["states"][after["state"]]
    return {
        "seq": row.seq, "at": row.at, "action": row.action, "actor": row.actor,
        "actor_name": people.get(row.actor),
        "title": said["actions"].get(row.action, {}).get("title"),
        "state": after["state"], "state_title": state["title"], "stage": state["stage"],
        "holder": after["holder"], "due_at": after["due_at"], "severity": after["severity"],
        "note": note.get("note") or note.get("reason"),
        "photos": after["data"].get("photos", []),
    }  # fmt: skip


def _crews(story: Any) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return when each crew had the event in hand: only then is its way part of the story."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    holder, since = None, None
    for row in [*story, None]:
        now = row.after["holder"] if row is not None else None
        if row is not None and now == holder:
            continue
        if holder is not None and since is not None:
            end = row.at if row is not None else story[-1].at + AFTER
            found.setdefault(holder, []).append((since, end))
        holder, since = now, row.at if row is not None else None
    return found


def _track(conn: Connection, code: str, spans: list[tuple[datetime, datetime]]) -> dict[str, Any]:
    found = conn.execute(
        text("select num, name from twin.thing where code = :c and kind = 'crew'"), {"c": code}
    ).first()
    fixes: list[list[float]] = []
    if found is not None:
        for start, end in spans:
            rows = positions.track(conn, found.num, start - BEFORE, end)
            fixes += [[round(r.at.timestamp(), 1), round(r.lon, 6), round(r.lat, 6)] for r in rows]
    every = max(1, len(fixes) // MOST_FIXES)
    return {"crew": code, "name": found.name if found else code, "fixes": fixes[::every],
            "every": every, "spans": [[a.timestamp(), b.timestamp()] for a, b in spans]}  # fmt: skip
