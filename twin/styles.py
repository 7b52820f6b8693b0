"""How layers are drawn otherwise than their kinds declare: edited, checked and published as policies are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from twin import catalogue, declarations, policies
from twin.kinds import Kind
from twin.policies import Doc, Fault

KIND_OF, KEY = "style", "layers"
_DEFAULT_ZOOM = 12


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with the document by itself: the schema says it all."""
    return []


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what is drawn otherwise and cannot be."""
    have = catalogue.all_kinds(conn)
    found: list[Fault] = []
    for name, said in doc["kinds"].items():
        kind = have.get(name)
        if kind is None or kind.geometry == "none":
            found.append((("kinds", name), f"no layer is called {name}"))
            continue
        first = kind.symbol.get("min_zoom", _DEFAULT_ZOOM)
        if said.get("min_zoom", first) < first:
            why = f"its tiles begin at zoom {first}; change the kind itself to see it from farther"
            found.append((("kinds", name, "min_zoom"), why))
        if said.get("named") and not kind.symbol.get("label"):
            found.append((("kinds", name, "named"), "the kind declares no field as its label"))
    return found


KIND = policies.register(
    policies.Kind(
        kind=KIND_OF,
        folder="styles",
        title={"zh": "图层样式", "en": "Layer styles"},
        faults=faults,
        known=known,
    )
)


def changed(kinds: Mapping[str, Kind], doc: Doc | None) -> dict[str, Kind]:
    """Return the kinds with the symbols that a document gives them."""
    said: Mapping[str, Any] = doc["kinds"] if doc else {}
    return {
        name: replace(kind, symbol=_symbol(kind, said[name])) if name in said else kind
        for name, kind in kinds.items()
    }


def _symbol(kind: Kind, said: Mapping[str, Any]) -> dict[str, Any]:
    symbol = {**kind.symbol, **{k: v for k, v in said.items() if k != "named"}}
    if said.get("named") is False:
        symbol.pop("label", None)
    return symbol


def running(conn: Connection) -> dict[str, Any] | None:
    """Return the document that runs."""
    return declarations.current(conn, KIND_OF).get(KEY)
