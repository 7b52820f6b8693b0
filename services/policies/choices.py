"""What the forms of policies offer: roles, groups, kinds, products, and the fields that a filter may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import accounts, catalogue, declarations, products
from twin.errors import Forbidden
from twin.indicators import measuring, sources
from twin.scope import Actor


def offered(conn: Connection, actor: Actor) -> dict[str, list[dict[str, Any]]]:
    """Return the names that a document may use, each with its title."""
    kinds = catalogue.readable(conn, actor)
    return {
        "roles": [{"key": k, "title": r["title"]} for k, r in accounts.roles().items()],
        "groups": _declared(conn, "group"),
        "scenes": _declared(conn, "scene"),
        "plans": _declared(conn, "plan"),
        "kinds": [{"key": k, "title": dict(one.title)} for k, one in kinds.items()],
        "products": [_product(p) for p in products.running(conn).values()],
        "records": [{"key": k, "title": None} for k in sources.OWN],
    }  # fmt: skip


def _declared(conn: Connection, kind: str) -> list[dict[str, Any]]:
    found = declarations.current(conn, kind)
    return [{"key": key, "title": doc["title"]} for key, doc in found.items()]


def _product(one: Any) -> dict[str, Any]:
    fields = [{"key": p.name, "title": dict(p.title), "unit": p.unit} for p in one.properties]
    return {"key": one.key, "title": dict(one.title), "properties": fields}


def fields(conn: Connection, actor: Actor, said: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what a filter over a kind, product or record may name."""
    source = measuring.source(conn, said)
    titles: Mapping[str, Any] = {}
    allowed = set(source.properties)
    if source.kind is not None:
        if source.kind.kind not in catalogue.readable(conn, actor):
            raise Forbidden("This kind is not among those that you may read.")
        declared = source.kind.fields
        allowed -= set(declared) - set(catalogue.fields(source.kind, actor))
        titles = {name: dict(one.title) for name, one in declared.items()}
    elif source.level > actor.clearance:
        raise Forbidden("These records are not among those that you may read.")
    return [{"key": name, "type": one.type, "title": titles.get(name)}
            for name, one in source.properties.items()
            if name in allowed and one.type != "geometry"]  # fmt: skip
