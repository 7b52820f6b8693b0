"""Process definitions: states, actions, guards and deadlines, checked before they are published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin import declarations, rules
from twin.errors import DeclarationError

# The act of steps that only the engines themselves take; no role may hold it.
SYSTEM_ACT = "system"
# An action to `same` leaves the case in the state where it is.
SAME = "same"
_SPAN = re.compile(r"^(\d+)([mhd])$")
_UNIT = {"m": 60, "h": 3600, "d": 86400}


def seconds(span: str) -> int:
    """Return the seconds of a span such as 30m, 8h, 5d."""
    found = _SPAN.match(span)
    if not found:
        raise ValueError(f"{span!r} is not a span such as 30m, 8h or 5d")
    return int(found.group(1)) * _UNIT[found.group(2)]


def read_file(path: Path) -> dict[str, Any]:
    """Read and check a process file; DeclarationError names file, line and key."""
    doc, lines = declarations.read("process", path)
    for where, why in faults(doc):
        line = declarations.line_of(lines, where)
        raise DeclarationError(str(path), line, ".".join(map(str, where)), why)
    return doc


def shipped() -> list[dict[str, Any]]:
    """Return the shipped process definitions."""
    return [read_file(path) for path in declarations.shipped_files("processes")]


def faults(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Return what would make cases stick or fail: each with the path of the key."""
    return [*_names(doc), *_reach(doc), *_rules(doc), *_clocks(doc), *_ties(doc)]


def target(action: Mapping[str, Any], state: str) -> str:
    """Return the state in which a case is after an action that it took in a state."""
    return state if action["to"] == SAME else str(action["to"])


def _names(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    states = doc["states"]
    found: list[tuple[tuple[Any, ...], str]] = []
    if doc["initial"] not in states:
        found.append((("initial",), f"no state is called {doc['initial']}"))
    for name, action in doc["actions"].items():
        for state in (*action["from"], action["to"]):
            if state not in states and state != SAME:
                found.append((("actions", name), f"no state is called {state}"))
        if "via" in action and action["via"] not in doc["actions"]:
            found.append((("actions", name, "via"), f"no action is called {action['via']}"))
    for state in doc.get("deadlines", {}):
        if state not in states:
            found.append((("deadlines", state), "no state has this name"))
    return found


def _reach(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    arcs = {(a, target(act, a)) for act in doc["actions"].values() for a in act["from"]}
    seen = _closure({doc["initial"]}, arcs)
    finals = {s for s, v in doc["states"].items() if v.get("final")}
    ends = _closure(finals, {(b, a) for a, b in arcs})
    found: list[tuple[tuple[Any, ...], str]] = []
    if not finals:
        found.append((("states",), "no state is final, so no case could ever end"))
    for state in doc["states"]:
        if state not in seen:
            found.append((("states", state), "no action leads here from the first state"))
        if finals and state not in ends:
            found.append((("states", state), "no way leads from here to a final state"))
    return found


def _closure(start: set[str], arcs: set[tuple[str, str]]) -> set[str]:
    seen, edge = set(start), set(start)
    while edge:
        edge = {b for a, b in arcs if a in edge} - seen
        seen |= edge
    return seen


def _rules(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    found: list[tuple[tuple[Any, ...], str]] = []
    for name, action in doc["actions"].items():
        guards = [(key, action[key]) for key in ("guard", "auto") if key in action]
        values = [
            (f"{part}.{key}", expr)
            for part in ("set", "append")
            for key, expr in action.get(part, {}).items()
        ]
        values += [("extend", action["extend"])] if "extend" in action else []
        for key, expr in (*guards, *values):
            try:
                (rules.compile_guard if (key, expr) in guards else rules.compile_rule)(expr)
            except rules.RuleError as why:
                found.append((("actions", name, *key.split(".")), why.detail))
    return found


def _clocks(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Return limits that no case could keep or that would never be told."""
    found: list[tuple[tuple[Any, ...], str]] = []
    for state, limit in doc.get("deadlines", {}).items():
        said = doc["states"].get(state, {})
        if said.get("pause") or said.get("final"):
            why = "the clock stands still here, so a limit would never run out"
            found.append((("deadlines", state), why))
        for key in ("hours", "urgent_hours"):
            try:
                if key in limit:
                    rules.compile_rule(limit[key])
            except rules.RuleError as why_not:
                found.append((("deadlines", state, key), why_not.detail))
    shares = [e["at"] for e in doc.get("escalate", ())]
    if shares != sorted(set(shares)):
        found.append((("escalate",), "each level stands once, the lower before the higher"))
    return [*found, *_rounds(doc)]


def _rounds(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Return automatic steps that lead back to where they began: a case would never rest."""
    found: list[tuple[tuple[Any, ...], str]] = []
    auto = {name: act for name, act in doc["actions"].items() if "auto" in act}
    arcs = {(a, target(act, a)) for act in auto.values() for a in act["from"]}
    for name, action in auto.items():
        for state in action["from"]:
            to = target(action, state)
            if state == to or state in _closure({to}, arcs):
                found.append((("actions", name, "auto"), f"from {state} it leads back to {state}"))
    return found


def _ties(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Return names of parameters and actions that another key relies on and that are not there."""
    found: list[tuple[tuple[Any, ...], str]] = []
    for name, action in doc["actions"].items():
        if (
            "join" in action
            and action.get("need", {}).get(action["join"], {}).get("type") != "case"
        ):
            found.append((("actions", name, "join"), "it names no need of type case"))
        if "undo" in action and "join" not in doc["actions"].get(action["undo"], {}):
            found.append((("actions", name, "undo"), "it names no action that joins"))
        for key, need in action.get("need", {}).items():
            if need.get("or", key) not in action["need"]:
                found.append((("actions", name, "need", key, "or"), "it names no other need"))
            if need["type"] == "choice" and not need.get("choices"):
                found.append((("actions", name, "need", key), "a choice needs choices"))
    return found
