"""Scenes: layers, topic, side, plan and camera of a wall for an occasion, declared and edited as policies are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from twin import catalogue, declarations, policies
from twin.policies import Doc, Fault

KIND_OF = "scene"
# Layers that are no kind of thing.
LIVE = frozenset({"events", "movers"})


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a scene by itself."""
    both = set(doc.get("show", ())) & set(doc.get("hide", ()))
    return [(("show",), f"{', '.join(sorted(both))} is both shown and hidden")] if both else []


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what a scene names and the installation does not have."""
    kinds = set(catalogue.all_kinds(conn)) | LIVE
    found: list[Fault] = [
        ((name, i), f"no layer is called {one}")
        for name in ("show", "hide", "kinds")
        for i, one in enumerate(doc.get(name, ()))
        if one not in kinds
    ]
    if doc.get("plan") and doc["plan"] not in declarations.current(conn, "plan"):
        found.append((("plan",), f"no plan is called {doc['plan']}"))
    return found


KIND = policies.register(
    policies.Kind(
        kind=KIND_OF,
        folder="scenes",
        title={"zh": "场景", "en": "Scenes"},
        faults=faults,
        known=known,
    )
)


def scenes(conn: Connection) -> list[dict[str, Any]]:
    """Return the scenes that run."""
    found = declarations.current(conn, KIND_OF)
    return [{"key": key, **policies.clean(doc)} for key, doc in sorted(found.items())]
