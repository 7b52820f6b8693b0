"""Processes and calendars as policies: what is checked against the installation, and what follows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, cases, declarations, policies, processes
from twin.policies import Doc, Fault
from twin.process import clocks, rows, trial
from twin.process.rows import Case
from twin.scope import Actor


def _process_known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what a process names and the installation does not have."""
    found: list[Fault] = []
    there = declarations.current(conn, "process")
    if doc.get("calendar") and doc["calendar"] not in declarations.current(conn, "calendar"):
        found.append((("calendar",), f"no calendar is called {doc['calendar']}"))
    acts = _acts() | {processes.SYSTEM_ACT}
    for name, action in doc["actions"].items():
        if action["act"] not in acts:
            found.append((("actions", name, "act"), f"no role has the act {action['act']}"))
        if "child" in action:
            found += _child(there, ("actions", name, "child"), action["child"])
    for i, level in enumerate(doc.get("escalate", ())):
        if "child" in level:
            found += _child(there, ("escalate", i, "child"), level["child"])
            found += _circle(there, doc, i, level["child"]["process"])
    return found


def _circle(there: dict[str, Any], doc: Doc, level: int, first: str) -> list[Fault]:
    """Return a deadline whose case has a deadline that opens the first again: each late one would breed."""
    known = {**there, doc["key"]: doc}
    seen: set[str] = set()
    ahead = {first}
    while ahead:
        seen |= ahead
        ahead = {
            e["child"]["process"]
            for name in ahead
            for e in known.get(name, {}).get("escalate", ())
            if "child" in e
        } - seen
    if doc["key"] not in seen:
        return []
    why = f"the deadlines of {first} lead back to {doc['key']}: late cases would open each other for ever"
    return [(("escalate", level, "child"), why)]


def _acts() -> set[str]:
    declared, _ = declarations.read_yaml(declarations.DATA / "roles.yaml")
    return {act for role in declared["roles"].values() for act in role["acts"]}


def _child(there: dict[str, Any], path: tuple[Any, ...], how: Doc) -> list[Fault]:
    if how["process"] not in there:
        return [(path, f"no process is called {how['process']}")]
    if how["category"] not in there[how["process"]].get("categories", {}):
        return [(path, f"{how['process']} has no category {how['category']}")]
    return []


_RUNNING = text(
    'select state, count(*) as n from twin."case" where process = :key and closed_at is null '
    "group by state"
)


def _process_warnings(conn: Connection, doc: Doc) -> list[Fault]:
    """Tell which running cases the new version could not hold if they were moved to it."""
    return [
        (("states",), f"{row.n} open cases are in {row.state}, which this version does not have; "
                      "they go on with their own version")
        for row in conn.execute(_RUNNING, {"key": doc["key"]})
        if row.state not in doc["states"]
    ]  # fmt: skip


def _process_simulate(conn: Connection, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Tell which cases would have had another deadline in their present state."""

    def outcome(case: Case) -> tuple[str, str, dict[str, Any]]:
        return _limit(rows.definition(conn, case), case), _limit(doc, case), {}

    return trial.tried(conn, actor, doc["key"], days, outcome)


def _limit(said: Doc, case: dict[str, Any]) -> str:
    if case["state"] not in said["states"]:
        return "-"
    limit = said.get("deadlines", {}).get(case["state"])
    if limit is None:
        return "-"
    clock, seconds = clocks.limit_of(limit, case)
    return f"{seconds / 3600:g} h {clock}"


def _calendar_published(conn: Connection, doc: Doc, version: int, _actor: str) -> dict[str, Any]:
    return {"recomputed": cases.recompute_deadlines(conn, doc["key"], version)}


policies.register(
    policies.Kind(
        kind="process", folder="processes", title={"zh": "流程", "en": "Processes"},
        faults=processes.faults, known=_process_known, warnings=_process_warnings,
        simulate=_process_simulate,
    )
)  # fmt: skip
policies.register(
    policies.Kind(
        kind="calendar", folder="calendars", title={"zh": "日历", "en": "Calendars"},
        faults=calendar.faults, published=_calendar_published,
    )
)  # fmt: skip
