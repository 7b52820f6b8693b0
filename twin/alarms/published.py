"""Alarm rules published: checked against the running products, journalled, picked up by all processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import declarations, products
from twin.alarms import rule
from twin.errors import DeclarationError, NotFound


def publish(conn: Connection, doc: Mapping[str, Any], *, origin: str, actor: str) -> int | None:
    """Publish a checked rule; None where it runs already. What no product has is refused."""
    said = {k: v for k, v in doc.items() if k != "_version"}
    for where, why in rule.faults(said, products.running(conn)):
        raise DeclarationError(said["key"], None, ".".join(map(str, where)), why)
    return declarations.publish(conn, rule.KIND_OF, said["key"], said, origin=origin, actor=actor)


def publish_shipped(conn: Connection, actor: str) -> int:
    """Publish the shipped rules; what somebody edited stays as it was edited."""
    return sum(
        publish(conn, doc, origin="shipped", actor=actor) is not None for doc in rule.shipped()
    )


def switch(conn: Connection, key: str, enabled: bool, actor: str) -> int | None:
    """Switch a rule on or off."""
    found = declarations.current(conn, rule.KIND_OF).get(key)
    if found is None:
        raise NotFound(f"No rule is called {key}.")
    return publish(conn, {**found, "enabled": enabled}, origin="local", actor=actor)
