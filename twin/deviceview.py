"""Devices that an actor may see, with their things: the one select behind lists, standards and maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from twin import catalogue
from twin.scope import Actor, scope_sql

COLUMNS = (
    "d.product, d.device, d.enabled, d.online, d.seen_at, d.firmware, d.labels, d.created_at, "
    "t.num, t.id, t.kind, t.code, t.name, t.district, t.street, "
    "coalesce(p.lon, st_x(t.point)) as lon, coalesce(p.lat, st_y(t.point)) as lat"
)
FROM = (
    "from twin.device d join twin.thing t on t.num = d.num "
    "left join twin.last_position p on p.num = t.num"
)


def where(conn: Connection, actor: Actor) -> tuple[str, dict[str, Any]]:
    """Return the predicate for devices whose things the actor may see."""
    scope, params = scope_sql(actor, "t")
    kinds = list(catalogue.readable(conn, actor))
    return f"t.gone_at is null and t.kind = any(:kinds) and {scope}", {**params, "kinds": kinds}


def every(conn: Connection, actor: Actor, product: str | None = None) -> Sequence[Any]:
    """Return all devices that the actor may see, of one product or of all."""
    said, params = where(conn, actor)
    if product:
        said += " and d.product = :product"
    return conn.execute(
        text(f"select {COLUMNS} {FROM} where {said} order by t.num"), {**params, "product": product}
    ).all()
