"""Warnings taken in, responses shown and led; every write is the engine's or journalled beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, policies
from twin.alarms.rule import seconds
from twin.errors import NotFound
from twin.plans import matching, model, report, response, warnings
from twin.scope import Actor, scope_sql

_SHOWN = "code title category severity state version opened_at entered_at closed_at".split()


def listed(conn: Connection, actor: Actor, *, past: bool) -> list[dict[str, Any]]:
    """List responses: those that run, or also those of the last ninety days."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    when = "c.opened_at > now() - interval '90 days'" if past else "c.closed_at is null"
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where c.process = :p and {when} and {scope} '
            "order by (c.closed_at is not null), c.severity, c.opened_at desc limit 200"
        ),
        {"p": model.PROCESS, **params},
    )
    return [show(conn, dict(row._mapping), actor) for row in rows]


def show(conn: Connection, case: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """Return a response with its plan, steps, run-card, notices and what may be done now."""
    said, doc, data = cases.definition(conn, case), response.plan_of(conn, case), case["data"]
    steps = [
        {**step, **(data["steps"].get(step["key"]) or {"at": None, "by": None})}
        for step in model.steps(doc, case["severity"])
    ]
    return {key: case[key] for key in _SHOWN} | {
        "state_title": said["states"][case["state"]]["title"],
        "plan": data["plan"],
        "plan_title": doc["title"],
        "scene": doc.get("scene"),
        "zones": doc.get("zones", []),
        "verified": doc.get("verified", True),
        "drill": data["drill"],
        "headline": data["headline"],
        "area": data["area"],
        "suggested_level": data["suggested_level"],
        "hints": data["hints"],
        "warnings": data.get("warnings", []),
        "match": data.get("match"),
        "over_at": data.get("over_at"),
        "quiet_s": seconds(doc["quiet"]) if "quiet" in doc else None,
        "confirmed_at": data.get("confirmed_at"),
        "ended_at": data.get("ended_at"),
        "steps": steps,
        "card": data.get("card"),
        "notices": data["notices"],
        "waits_for_me": any(n["user"] == actor.user and not n["acked_at"] for n in data["notices"]),
        "actions": [
            {"action": name, "title": said["actions"][name]["title"],
             "need": said["actions"][name].get("need", {})}
            for name in cases.actions_now(said, dict(case), actor)
        ],
    }  # fmt: skip


def act(
    conn: Connection, actor: Actor, key: str, action: str, params: Mapping[str, Any], version: int | None
) -> dict[str, Any]:  # fmt: skip
    """Perform an action; a confirmed response begins at once."""
    case = response.find(conn, actor, key)
    done = cases.perform(conn, case["id"], action, actor=actor, params=params, version=version)
    if action in ("confirm", "relevel"):
        done = response.begin(conn, done)
    return show(conn, done, actor)


def lead(
    conn: Connection, actor: Actor, key: str, what: str, name: str, note: str
) -> dict[str, Any]:
    """Answer a notice, tick a step, call a resource or say that it is there."""
    case = response.find(conn, actor, key)
    if what == "acknowledge":
        done = response.acknowledge(conn, case, actor)
    elif what == "reached":
        actor.need("alarm.handle")
        done = response.reached(conn, case, name, note, actor)
    elif what == "step":
        actor.need("alarm.handle")
        done = response.done(conn, case, name, note, actor)
    else:
        actor.need("alarm.handle")
        done = response.assign(conn, case, name, actor)
    return show(conn, done, actor)


def after_action(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Return the after-action report."""
    return report.made(conn, response.find(conn, actor, key))


def match(conn: Connection, identifier: str) -> dict[str, Any]:
    """Return the plans for a standing warning, the best fit first, and which of them run already."""
    warning = _warning(conn, identifier)
    running = {
        row.plan: row.code
        for row in conn.execute(
            text(
                "select data->>'plan' as plan, code from twin.\"case\" where process = :p "
                "and closed_at is null and state in ('suggested', 'active') "
                "and (data->>'drill')::boolean = :drill"
            ),
            {"p": model.PROCESS, "drill": warning["exercise"]},
        )
    }
    found = [one | {"response": running.get(one["plan"])} for one in matching.ranked(conn, warning)]
    shown = ("identifier", "headline", "event", "level", "color", "area", "exercise")
    return {"warning": {key: warning[key] for key in shown}, "plans": found}


def propose(
    conn: Connection, actor: Actor, key: str, identifier: str, level: int
) -> dict[str, Any]:
    """Open the response that a person chose for a warning."""
    return show(conn, response.propose(conn, key, _warning(conn, identifier), level, actor), actor)


def _warning(conn: Connection, identifier: str) -> dict[str, Any]:
    for one in warnings.standing(conn):
        if one["identifier"] == identifier:
            return one
    raise NotFound("No warning of this identifier stands now.")


def plans(conn: Connection) -> list[dict[str, Any]]:
    """List the plans that run."""
    return [{"key": key, **policies.clean(doc)} for key, doc in sorted(model.plans(conn).items())]
