"""Filters of what comes in: the first rule that holds puts a case aside with its reason; a broken one never does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from twin import declarations, policies, rules
from twin.policies import Doc, Fault
from twin.process import rows, trial
from twin.process.rows import Case
from twin.scope import Actor

KIND_OF = "filter"


class Verdict(NamedTuple):
    """The rule that holds and why; or the rule that is broken and how."""

    rule: str | None = None
    reason: str = ""
    fault: str | None = None


def running(conn: Connection, process: str) -> dict[str, Any]:
    """Return the filters that run for a process."""
    _, key, number = declarations.newest(conn, KIND_OF, process)
    return declarations.kept(conn, KIND_OF, key, number)


def judge(doc: Doc, case: Mapping[str, Any]) -> Verdict:
    """Return what the filters say of a case."""
    c = {"description": "", "photos": [], **rows.Named(case)}
    for rule in doc["rules"]:
        if rule.get("off"):
            continue
        try:
            if rules.holds(rule["when"], {"c": c}):
                return Verdict(rule["id"], rule["reason"])
        except rules.RuleError as why:
            # A broken rule lets everything through to a person, and says so.
            return Verdict(rule["id"], fault=why.detail)
    return Verdict()


def _faults(doc: Doc) -> list[Fault]:
    found: list[Fault] = []
    seen: set[str] = set()
    for i, rule in enumerate(doc["rules"]):
        if rule["id"] in seen:
            found.append((("rules", i, "id"), f"there are two rules called {rule['id']}"))
        seen.add(rule["id"])
        try:
            rules.compile_guard(rule["when"])
        except rules.RuleError as why:
            found.append((("rules", i, "when"), why.detail))
    return found


def _simulate(conn: Connection, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Tell which reports of the last days would have been put aside, or let through, instead."""
    was = running(conn, doc["key"])

    def outcome(case: Case) -> tuple[str, str, dict[str, str]]:
        a, b = judge(was, case), judge(doc, case)
        return a.rule or "", b.rule or "", {"why": b.fault or b.reason}

    return trial.tried(conn, actor, doc["key"], days, outcome)


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="filters", title={"zh": "过滤规则", "en": "Filters"},
        faults=_faults, simulate=_simulate,
    )
)  # fmt: skip
