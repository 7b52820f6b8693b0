"""Responses: suggested by a warning, confirmed by a person, led through steps, told to people who answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, declarations, notices
from twin.errors import BadRequest, NotFound
from twin.plans import matching, model, resources, warnings
from twin.scope import SYSTEM, Actor

Case = dict[str, Any]


def suggest(conn: Connection, warning: Mapping[str, Any]) -> list[Case]:
    """Open a suggestion for each plan that a warning is meant for, or tell the open one of it."""
    made = []
    for key, doc in model.plans(conn).items():
        if not model.meant(doc, warning):
            continue
        hints = model.measured(conn, doc)
        at = model.level(doc, warning, {k: v["value"] for k, v in hints.items()})
        if at is None:
            continue
        drill = bool(warning["exercise"])
        standing = _standing(conn, key, drill=drill)
        if standing is None:
            made.append(_open(conn, key, doc, at, warning, hints, drill=drill))
        else:
            made.append(_renew(conn, standing, doc, at, warning, hints))
    return made


def _standing(conn: Connection, key: str, *, drill: bool) -> Case | None:
    """Return the open response of a plan: a city answers one danger once, however many warn of it."""
    row = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where process = :p and closed_at is null '
            "and state in ('suggested', 'active') and data->>'plan' = :key "
            "and (data->>'drill')::boolean = :drill order by opened_at desc limit 1 for update"
        ),
        {"p": model.PROCESS, "key": key, "drill": drill},
    ).first()
    return None if row is None else dict(row._mapping)


def _renew(
    conn: Connection, case: Case, doc: Mapping[str, Any], at: int, warning: Mapping[str, Any],
    hints: Mapping[str, Any],
) -> Case:  # fmt: skip
    """Tell an open response of the next warning; a graver one is told to everybody who was told."""
    data = case["data"]
    graver = case["state"] == "active" and at < case["severity"]
    more: dict[str, Any] = {
        "warnings": [*data.get("warnings", []), _brief(warning, at)][-50:],
        "warning": warning["identifier"], "headline": warning["headline"],
        "area": warning["area"], "suggested_level": at, "hints": dict(hints), "over_at": None,
    }  # fmt: skip
    if graver:
        more["notices"] = escalated(conn, doc, data["notices"], at)
    return cases.annotate(conn, case["id"], more, action="escalate" if graver else "warned")


def escalated(
    conn: Connection, doc: Mapping[str, Any], told: Sequence[Mapping[str, Any]], at: int
) -> list[notices.Notice]:
    """Return the notices with one more to everybody whom the first step of the graver level tells."""
    made = [dict(one) for one in told]
    for step in model.steps(doc, at):
        if step["do"] == "notify" and not step["after_s"]:
            made = notices.told(
                conn, made, f"{notices.ESCALATED}_{at}", roles=step.get("roles", ()),
                groups=step.get("groups", ()), again=True,
            )  # fmt: skip
    return made


def _brief(warning: Mapping[str, Any], at: int) -> dict[str, Any]:
    sent = warning.get("sent")
    return {"identifier": warning["identifier"], "headline": warning["headline"],
            "level": at, "area": warning["area"],
            "sent": sent.isoformat() if isinstance(sent, datetime) else sent}  # fmt: skip


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
    return _open(conn, key, doc, at, said, model.measured(conn, doc), drill=True, actor=actor)


def propose(conn: Connection, key: str, warning: Mapping[str, Any], at: int, actor: Actor) -> Case:
    """Open the response that a person chose for a warning, whatever the rules suggested."""
    doc = model.plans(conn).get(key)
    if doc is None:
        raise NotFound(f"No plan is called {key}.")
    hints, drill_ = model.measured(conn, doc), bool(warning["exercise"])
    standing = _standing(conn, key, drill=drill_)
    if standing is not None:
        raise BadRequest(f"This plan runs already as {standing['code']}; look at that one.")
    return _open(conn, key, doc, at, warning, hints, drill=drill_, actor=actor)


def _open(
    conn: Connection, key: str, doc: Mapping[str, Any], at: int, warning: Mapping[str, Any],
    hints: Mapping[str, Any], *, drill: bool, actor: Actor = SYSTEM,
) -> Case:  # fmt: skip
    data = {
        "plan": key, "plan_version": doc["_version"], "drill": drill, "suggested_level": at,
        "warning": warning["identifier"], "headline": warning["headline"], "event": warning["event"],
        "area": warning["area"], "hints": dict(hints), "notices": [], "steps": {}, "warnings": [],
    }  # fmt: skip
    if warning["identifier"]:
        data["warnings"] = [_brief(warning, at)]
        area = resources.area_of(conn, warning["identifier"])
        data["match"] = matching.score(conn, doc, warning, resources.stage(conn, area))
    title = f"{'【演练】' if drill else ''}{doc['title']['zh']}"
    source = f"{key}:{warning['identifier']}" if warning["identifier"] else None
    return cases.open_case(
        conn, model.PROCESS, actor=actor, category=doc["category"], title=title, lon=None, lat=None,
        source="drill" if drill else "warning", source_id=source, severity=at, data=data,
    )  # fmt: skip


def plan_of(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan as the response was opened with."""
    data = case["data"]
    return declarations.version(conn, model.KIND_OF, data["plan"], data["plan_version"])


def begin(conn: Connection, case: Case) -> Case:
    """Let a confirmed response begin, or go on at another level: resources are looked for, people told."""
    doc, data = plan_of(conn, case), case["data"]
    where = resources.stage(conn, resources.area_of(conn, data["warning"]))
    needed = model.needed(doc, case["severity"])
    card = resources.card(conn, needed, where, before=data.get("card"))
    told = list(data["notices"])
    if data.get("begun_at") is None:
        told = _first(conn, told, doc, case["severity"])
    elif case["severity"] < data.get("told_level", 5):
        told = escalated(conn, doc, told, case["severity"])
    said = {"card": card, "notices": told, "told_level": case["severity"],
            "begun_at": data.get("begun_at") or datetime.now(UTC).isoformat()}  # fmt: skip
    return cases.annotate(conn, case["id"], said, action="begin", actor=SYSTEM)


def _first(
    conn: Connection, told: list[notices.Notice], doc: Mapping[str, Any], at: int
) -> list[notices.Notice]:
    for step in model.steps(doc, at):
        if step["do"] == "notify" and not step["after_s"]:
            told = notices.told(
                conn, told, step["key"], roles=step.get("roles", ()), groups=step.get("groups", ())
            )
    return told


def acknowledge(conn: Connection, case: Case, actor: Actor) -> Case:
    """Keep that somebody who was told has answered."""
    said = {"notices": notices.answered(case["data"]["notices"], actor)}
    return cases.annotate(conn, case["id"], said, action="acknowledge", actor=actor)


def reached(conn: Connection, case: Case, who: str, note: str, actor: Actor) -> Case:
    """Keep that somebody who was told was reached by telephone."""
    said = {"notices": notices.reached(case["data"]["notices"], who, note, actor)}
    return cases.annotate(conn, case["id"], said, action="reached", actor=actor)


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
    """End warnings whose time is over; call the next where an answer is missing too long, each once."""
    ended = warnings.expire(conn)
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" where process = :p '
            "and state in ('suggested', 'active') order by opened_at limit 200 "
            "for update skip locked"
        ),
        {"p": model.PROCESS},
    ).all()
    found = [dict(row._mapping) for row in rows]
    standing = warnings.standing(conn) if found else []
    over = sum(_over(conn, case, standing) for case in found)
    return ended + over + sum(_next(conn, case) for case in found if case["state"] == "active")


def _over(conn: Connection, case: Case, standing: Sequence[Mapping[str, Any]]) -> int:
    """Keep since when no warning speaks for a response any more; a person stands it down."""
    data = case["data"]
    if data["warning"] is None or data.get("over_at") is not None:
        return 0
    doc = plan_of(conn, case)
    if any(model.meant(doc, one) and one["exercise"] == data["drill"] for one in standing):
        return 0
    case |= cases.annotate(
        conn, case["id"], {"over_at": datetime.now(UTC).isoformat()}, action="over"
    )
    return 1


def _next(conn: Connection, case: Case) -> int:
    data, called = case["data"], 0
    since = datetime.fromisoformat(data["confirmed_at"])
    told, steps = list(data["notices"]), dict(data["steps"])
    for step in model.steps(plan_of(conn, case), case["severity"]):
        due = (datetime.now(UTC) - since).total_seconds() >= step["after_s"]
        if not due or step["key"] in steps or step["do"] not in ("notify", "acknowledge"):
            continue
        missing = notices.silent(told)
        if step["do"] == "notify":
            told = notices.told(
                conn, told, step["key"], roles=step.get("roles", ()), groups=step.get("groups", ())
            )
        elif missing:
            told = notices.told(
                conn, told, step["key"], roles=step.get("next", ()),
                groups=step.get("next_groups", ()),
            )  # fmt: skip
        steps[step["key"]] = {
            "at": datetime.now(UTC).isoformat(),
            "by": "system",
            "missing": missing,
        }
        called += 1
    if called:
        said = {"notices": told, "steps": steps}
        cases.annotate(conn, case["id"], said, action="chain", actor=SYSTEM)
    return called


def find(conn: Connection, actor: Actor, key: str) -> Case:
    """Return a response by code or id that the actor may see."""
    case = cases.find(conn, actor, key)
    if case["process"] != model.PROCESS:
        raise NotFound("There is no such response.")
    return case
