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
    return [*_names(doc), *_reach(doc), *_rules(doc)]


def _names(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    states = doc["states"]
    found: list[tuple[tuple[Any, ...], str]] = []
    if doc["initial"] not in states:
        found.append((("initial",), f"no state is called {doc['initial']}"))
    for name, action in doc["actions"].items():
        for state in (*action["from"], action["to"]):
            if state not in states:
                found.append((("actions", name), f"no state is called {state}"))
        if "via" in action and action["via"] not in doc["actions"]:
            found.append((("actions", name, "via"), f"no action is called {action['via']}"))
    for state in doc.get("deadlines", {}):
        if state not in states:
            found.append((("deadlines", state), "no state has this name"))
    return found


def _reach(doc: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    arcs = {(a, act["to"]) for act in doc["actions"].values() for a in act["from"]}
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
        values = [(f"set.{key}", expr) for key, expr in action.get("set", {}).items()]
        for key, expr in (*guards, *values):
            try:
                (rules.compile_guard if (key, expr) in guards else rules.compile_rule)(expr)
            except rules.RuleError as why:
                found.append((("actions", name, *key.split(".")), why.detail))
    return found
