"""Responses: suggested by a warning, confirmed by a person, led through steps, told to people who answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, declarations, products
from twin.alarms.rule import seconds
from twin.errors import BadRequest, NotFound
from twin.plans import model, resources
from twin.scope import SYSTEM, Actor
from twin.telemetry.store import AT
from twin.telemetry.store import last as last_table

Case = dict[str, Any]


def suggest(conn: Connection, warning: Mapping[str, Any]) -> list[Case]:
    """Open a suggestion for each plan that a warning is meant for, or raise the level of its open one."""
    made = []
    for key, doc in model.plans(conn).items():
        if not model.meant(doc, warning):
            continue
        hints = measured(conn, doc)
        at = model.level(doc, warning, {k: v["value"] for k, v in hints.items()})
        if at is not None:
            made.append(_open(conn, key, doc, at, warning, hints, drill=bool(warning["exercise"])))
    return made


def drill(conn: Connection, key: str, at: int, actor: Actor, note: str) -> Case:
    """Open a drill of a plan: the same case and steps, everything marked as a drill."""
    doc = model.plans(conn).get(key)
    if doc is None:
        raise NotFound(f"No plan is called {key}.")
    said = {
        "identifier": None,
        "event": doc["warnings"][0],
        "headline": note,
        "level": at,
        "area": "",
    }
    return _open(conn, key, doc, at, said, measured(conn, doc), drill=True, actor=actor)


def _open(
    conn: Connection, key: str, doc: Mapping[str, Any], at: int, warning: Mapping[str, Any],
    hints: Mapping[str, Any], *, drill: bool, actor: Actor = SYSTEM,
) -> Case:  # fmt: skip
    data = {
        "plan": key, "plan_version": doc["_version"], "drill": drill, "suggested_level": at,
        "warning": warning["identifier"], "headline": warning["headline"], "event": warning["event"],
        "area": warning["area"], "hints": dict(hints), "notices": [], "steps": {},
    }  # fmt: skip
    title = f"{'【演练】' if drill else ''}{doc['title']['zh']}"
    source = f"{key}:{warning['identifier']}" if warning["identifier"] else None
    return cases.open_case(
        conn, model.PROCESS, actor=actor, category=doc["category"], title=title, lon=None, lat=None,
        source="drill" if drill else "warning", source_id=source, severity=at, data=data,
    )  # fmt: skip


def measured(conn: Connection, doc: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what local sensors say: a hint for people, and for level rules that ask."""
    found = {}
    running = products.running(conn)
    for name, hint in doc.get("hints", {}).items():
        product = running.get(hint["product"])
        if product is None:
            continue
        within = timedelta(seconds=seconds(hint.get("within", "1h")))
        how = {"max": "max", "min": "min", "mean": "avg"}[hint.get("of", "max")]
        column = hint["property"]
        row = conn.execute(
            text(
                f'select {how}("{column}") as value, count("{column}") as n '
                f'from {last_table(product.key)} where "{column}{AT}" > :since'
            ),
            {"since": datetime.now(UTC) - within},
        ).one()
        if row.n:
            found[name] = {"value": round(float(row.value), 2), "sensors": row.n,
                           "title": hint["title"], "unit": hint.get("unit")}  # fmt: skip
    return found


def plan_of(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan as the response was opened with."""
    data = case["data"]
    return declarations.version(conn, model.KIND_OF, data["plan"], data["plan_version"])


def begin(conn: Connection, case: Case) -> Case:
    """Let a confirmed response begin: its resources are looked for, its first notices go out."""
    doc = plan_of(conn, case)
    card = resources.card(conn, model.needed(doc, case["severity"]))
    notices = list(case["data"]["notices"])
    for step in model.steps(doc, case["severity"]):
        if step["do"] == "notify" and not step["after_s"]:
            notices = told(conn, notices, step["roles"], step["key"])
    return cases.annotate(
        conn, case["id"], {"card": card, "notices": notices}, action="begin", actor=SYSTEM
    )


def told(
    conn: Connection, notices: Sequence[Mapping[str, Any]], roles: Sequence[str], step: str
) -> list[dict[str, Any]]:
    """Return the notices with one for each account of the roles that has none yet."""
    known = {one["user"] for one in notices}
    rows = conn.execute(
        text(
            'select "user", name, roles from twin.account where roles && cast(:r as text[]) '
            'and not disabled order by "user" limit 500'
        ),
        {"r": list(roles)},
    ).all()
    now = datetime.now(UTC).isoformat()
    more = [
        {"user": r.user, "name": r.name, "step": step, "at": now, "acked_at": None}
        for r in rows if r.user not in known
    ]  # fmt: skip
    return [dict(one) for one in notices] + more


def acknowledge(conn: Connection, case: Case, actor: Actor) -> Case:
    """Keep that somebody who was told has answered."""
    notices = [dict(one) for one in case["data"]["notices"]]
    mine = [one for one in notices if one["user"] == actor.user and not one["acked_at"]]
    if not mine:
        raise BadRequest("No notice of this response waits for your answer.")
    now = datetime.now(UTC).isoformat()
    for one in mine:
        one["acked_at"] = now
    return cases.annotate(conn, case["id"], {"notices": notices}, action="acknowledge", actor=actor)


def done(conn: Connection, case: Case, step: str, note: str, actor: Actor) -> Case:
    """Keep that a step was done, by whom and when."""
    known = {one["key"] for one in model.steps(plan_of(conn, case), case["severity"])}
    if step not in known:
        raise NotFound(f"The plan has no step {step!r} at this level.")
    said = dict(case["data"]["steps"])
    if step in said:
        raise BadRequest("This step was done already.")
    said[step] = {"at": datetime.now(UTC).isoformat(), "by": actor.user, "note": note}
    return cases.annotate(conn, case["id"], {"steps": said}, action="step", actor=actor)


def assign(conn: Connection, case: Case, thing: str, actor: Actor) -> Case:
    """Take a resource of the run-card into the response, or say that it has arrived."""
    card = dict(case["data"].get("card") or {})
    rows = [dict(one) for one in card.get("resources", ())]
    mine = next((one for one in rows if one["code"] == thing), None)
    if mine is None:
        raise NotFound(f"{thing} is not on the run-card of this response.")
    now = datetime.now(UTC).isoformat()
    if mine.get("called_at") is None:
        mine["called_at"] = now
    else:
        mine["ready_at"] = mine.get("ready_at") or now
    card["resources"] = rows
    return cases.annotate(conn, case["id"], {"card": card}, action="resource", actor=actor)


def sweep(conn: Connection) -> int:
    """Call the next where an answer is missing too long; bounded, each step once."""
    rows = conn.execute(
        text(
            f"select {cases.COLUMNS} from twin.\"case\" where process = :p and state = 'active' "
            "order by opened_at limit 200 for update skip locked"
        ),
        {"p": model.PROCESS},
    ).all()
    return sum(_next(conn, dict(row._mapping)) for row in rows)


def _next(conn: Connection, case: Case) -> int:
    data, called = case["data"], 0
    since = datetime.fromisoformat(data["confirmed_at"])
    notices, steps = list(data["notices"]), dict(data["steps"])
    for step in model.steps(plan_of(conn, case), case["severity"]):
        due = (datetime.now(UTC) - since).total_seconds() >= step["after_s"]
        if not due or step["key"] in steps or step["do"] not in ("notify", "acknowledge"):
            continue
        missing = [one["user"] for one in notices if not one["acked_at"]]
        if step["do"] == "notify":
            notices = told(conn, notices, step["roles"], step["key"])
        elif missing:
            notices = told(conn, notices, step.get("next", ()), step["key"])
        steps[step["key"]] = {
            "at": datetime.now(UTC).isoformat(),
            "by": "system",
            "missing": missing,
        }
        called += 1
    if called:
        said = {"notices": notices, "steps": steps}
        cases.annotate(conn, case["id"], said, action="chain", actor=SYSTEM)
    return called


def find(conn: Connection, actor: Actor, key: str) -> Case:
    """Return a response by code or id that the actor may see."""
    case = cases.find(conn, actor, key)
    if case["process"] != model.PROCESS:
        raise NotFound("There is no such response.")
    return case
