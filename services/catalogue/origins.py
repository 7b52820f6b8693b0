"""Lineage of a kind: source files → loads → kind → layers, tiles and exports, as nodes and edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from services.catalogue import repository
from twin.kinds import Kind
from twin.scope import Actor

SHOWN = 8
_LANES = ("source", "load", "kind", "product")


def graph(conn: Connection, actor: Actor, kind: Kind, things: int) -> dict[str, Any]:
    """Return nodes in four lanes and the edges between them with rows in, out and rejected."""
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    middle = f"kind:{kind.kind}"
    loads = repository.loads(conn, kind.kind, 200)
    seen: set[str] = set()
    for row in loads[:SHOWN]:
        origin = f"source:{row.source}/{row.file or ''}"
        if origin not in seen:
            seen.add(origin)
            nodes.append(_node(origin, "source", row.file or row.source, {"source": row.source}))
        name = f"load:{row.id}"
        said = row.counts or {}
        nodes.append(_node(name, "load", f"#{row.id}", {
            "at": row.at, "actor": row.actor, "undone_at": row.undone_at, **said}))  # fmt: skip
        edges.append(_edge(origin, name, said, "read"))
        if row.undone_at is None:
            edges.append(_edge(name, middle, said, "written"))
    _older(loads[SHOWN:], middle, nodes, edges)
    for row in repository.own_sources(conn, actor, kind):
        origin = f"own:{row.source}"
        # Without a file there is no load: generators, devices and the API stand in its place.
        nodes.append(_node(origin, "load", row.source, {"things": row.things, "direct": True}))
        edges.append({"from": origin, "to": middle, "rows": {"out": row.things}})
    nodes.append(_node(middle, "kind", kind.kind, {"things": things, "title": dict(kind.title)}))
    for key, href in _products(kind):
        nodes.append(_node(f"product:{key}", "product", key, {"href": href}))
        edges.append({"from": middle, "to": f"product:{key}", "rows": {"out": things}})
    return {"lanes": list(_LANES), "nodes": nodes, "edges": edges}


def _older(
    loads: Any, middle: str, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]
) -> None:
    """Fold older loads into one node: the graph stays readable after years."""
    if not loads:
        return
    said: dict[str, int] = {}
    for row in loads:
        for key, value in (row.counts or {}).items():
            if isinstance(value, int):
                said[key] = said.get(key, 0) + value
    nodes.append(_node("load:older", "load", "older", {"loads": len(loads), **said}))
    edges.append(_edge("load:older", middle, said, "written"))


def _node(name: str, lane: str, label: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "lane": lane, "label": label, **more}


def _edge(start: str, end: str, said: Mapping[str, Any], what: str) -> dict[str, Any]:
    into = sum(int(said.get(k, 0)) for k in ("inserted", "updated", "unchanged"))
    rejected = int(said.get("quarantined", 0))
    rows = {
        "in": into + rejected,
        "out": int(said.get("inserted", 0)) + int(said.get("updated", 0)),
    }
    return {"from": start, "to": end, "what": what, "rows": rows | {"rejected": rejected}}


def _products(kind: Kind) -> list[tuple[str, str]]:
    name = kind.kind
    made = [("items", f"/ogc/collections/{name}/items")]
    if kind.geometry != "none":
        made += [("layer", f"/wall?layers={name}"), ("tiles", f"/tiles/{name}.json")]
    made.append(("export", f"/api/v1/exports/{name}.xlsx"))
    if kind.public and kind.level == 1:
        made.append(("public_page", "/c/{code}"))
    return made
