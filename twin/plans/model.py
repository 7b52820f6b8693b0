"""A risk plan as it is declared: which warnings suggest it, at which level, what it needs, what is done when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import catalogue, contacts, declarations, policies, products, rules
from twin.alarms.rule import seconds
from twin.policies import Doc, Fault
from twin.telemetry.store import AT
from twin.telemetry.store import last as last_table

KIND_OF = "plan"
PROCESS = "risk.response"
# What a level rule may name: the warning, and what local sensors measure.
NAMES = ("w", "m")
TITLE = {"zh": "风险预案", "en": "Risk plans"}


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a plan by itself."""
    found: list[Fault] = []
    levels = [one["level"] for one in doc["levels"]]
    if levels != sorted(set(levels)):
        found.append((("levels",), "levels stand in order, the gravest first, each once"))
    for i, one in enumerate(doc["levels"]):
        try:
            rules.compile_guard(one["when"], NAMES)
        except rules.RuleError as why:
            found.append((("levels", i, "when"), why.detail))
    keys = [step["key"] for step in doc["steps"]]
    if len(keys) != len(set(keys)):
        found.append((("steps",), "two steps have the same key"))
    for i, step in enumerate(doc["steps"]):
        if step["do"] == "notify" and not (step.get("roles") or step.get("groups")):
            found.append((("steps", i, "roles"), "say which roles or groups are told"))
    return found


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what a plan names and the installation does not have."""
    kinds, running = catalogue.all_kinds(conn), products.running(conn)
    found: list[Fault] = [
        (("zones", i), f"no kind is called {name}")
        for i, name in enumerate(doc.get("zones", ()))
        if name not in kinds
    ]
    found += [
        (("requirements", i, "kind"), f"no kind is called {one['kind']}")
        for i, one in enumerate(doc.get("requirements", ()))
        if one["kind"] not in kinds
    ]
    known_groups = contacts.groups(conn)
    found += [
        (("steps", i, name), f"no group is called {one}")
        for i, step in enumerate(doc["steps"])
        for name in ("groups", "next_groups")
        for one in step.get(name, ())
        if one not in known_groups
    ]
    for name, hint in doc.get("hints", {}).items():
        product = running.get(hint["product"])
        if product is None or hint["property"] not in {p.name for p in product.numeric}:
            where = ("hints", name)
            found.append((where, f"{hint['product']} does not measure {hint['property']}"))
    return found


KIND = policies.register(
    policies.Kind(kind=KIND_OF, folder="plans", title=TITLE, faults=faults, known=known)
)


def plans(conn: Connection) -> dict[str, dict[str, Any]]:
    """Return the plans that run."""
    return declarations.current(conn, KIND_OF)


def meant(doc: Doc, warning: Mapping[str, Any]) -> bool:
    """Tell whether a warning is of a kind that the plan is for."""
    said = f"{warning['event']} {warning['headline']}".lower()
    return any(word.lower() in said for word in doc["warnings"])


def level(doc: Doc, warning: Mapping[str, Any], measured: Mapping[str, float]) -> int | None:
    """Return the gravest level whose rule holds; None where none does."""
    names = {"w": {"level": warning["level"], "event": warning["event"]}, "m": dict(measured)}
    for one in doc["levels"]:
        if rules.holds(one["when"], names, NAMES):
            return int(one["level"])
    return None


def needed(doc: Doc, at: int) -> list[dict[str, Any]]:
    """Return the requirements of a level: those of lighter levels count as well, each the largest."""
    most: dict[tuple[str, str], dict[str, Any]] = {}
    for one in doc.get("requirements", ()):
        if one["level"] < at:
            continue
        key = (one["kind"], one.get("skill", ""))
        if key not in most or one["count"] > most[key]["count"]:
            most[key] = dict(one)
    return list(most.values())


def steps(doc: Doc, at: int) -> list[dict[str, Any]]:
    """Return the steps of a level with their seconds after the start."""
    return [
        {**step, "after_s": seconds(step["after"])}
        for step in doc["steps"]
        if step.get("level", 4) >= at
    ]


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
