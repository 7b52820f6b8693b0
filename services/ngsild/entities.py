"""Devices as entities of NGSI-LD: what a caller may see, its last values, its values over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from services.ngsild.query import Near, Test
from twin import deviceview, products, readings
from twin.errors import NotFound
from twin.products import Product
from twin.scope import Actor

URN = "urn:ngsi-ld:"
MOST_DAYS = 3650


def rows(conn: Connection, actor: Actor, product: str | None) -> Sequence[Any]:
    """Return the devices that the caller may see, of a product that is declared."""
    known = products.running(conn)
    return [row for row in deviceview.every(conn, actor, product) if row.product in known]


def found(
    conn: Connection,
    actor: Actor,
    types: Sequence[str],
    ids: Sequence[str],
    test: Test | None,
    near: Near | None,
    attrs: Sequence[str],
) -> list[Any]:
    """Return the devices that fit, in order of their number."""
    asked: list[str | None] = [*types] or [None]
    kept = [row for one in asked for row in rows(conn, actor, one)]
    if ids:
        kept = [row for row in kept if name(row) in ids]
    if near is not None:
        kept = [row for row in kept if row.lon is not None and near.holds(row.lon, row.lat)]
    if test is not None or attrs:
        values = _values(conn, kept)
        kept = [
            row for row in kept
            if (test is None or test(values[row.num]))
            and (not attrs or any(values[row.num].get(one) is not None for one in attrs))
        ]  # fmt: skip
    return sorted(kept, key=lambda row: row.num)


def one(conn: Connection, actor: Actor, key: str) -> Any:
    """Return the device of an entity's id; NotFound where there is none that the caller may see."""
    parts = key.removeprefix(URN).split(":", 1)
    if key.startswith(URN) and len(parts) == 2:
        for row in rows(conn, actor, parts[0]):
            if row.device == parts[1]:
                return row
    raise NotFound(f"There is no entity {key[:80]!r} that you may see.")


def name(row: Any) -> str:
    """Return the id of a device's entity."""
    return f"{URN}{row.product}:{row.device}"


def _values(conn: Connection, kept: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return what a query may ask of each device: its last values, name, code, district."""
    known = products.running(conn)
    newest = readings.last(conn, [row.num for row in kept])
    made = {}
    for row in kept:
        product = known[row.product]
        said = {one.property: _said(product, one.property, one.value) for one in newest[row.num]}
        made[row.num] = {"name": row.name, "code": row.code, "district": row.district, **said}
    return made


def _said(product: Product, prop: str, value: float) -> Any:
    declared = product.by_name.get(prop)
    return declared.value(value) if declared is not None else value


def shown(
    conn: Connection, page: Sequence[Any], attrs: Sequence[str], *, simple: bool
) -> list[dict[str, Any]]:
    """Return entities with their last values; `simple` is the standard's keyValues."""
    newest = readings.last(conn, [row.num for row in page])
    known = products.running(conn)
    made = []
    for row in page:
        entity = _fixed(row, attrs, simple=simple)
        for one in newest[row.num]:
            if attrs and one.property not in attrs:
                continue
            value = _said(known[row.product], one.property, one.value)
            entity[one.property] = value if simple else {
                "type": "Property", "value": value, "observedAt": _iso(one.at),
                **_unit(known[row.product], one.property),
            }  # fmt: skip
        made.append(entity)
    return made


def _fixed(row: Any, attrs: Sequence[str], *, simple: bool) -> dict[str, Any]:
    entity: dict[str, Any] = {"id": name(row), "type": row.product}
    fixed = {"name": row.name, "code": row.code, "district": row.district}
    for key, value in fixed.items():
        if value is not None and (not attrs or key in attrs):
            entity[key] = value if simple else {"type": "Property", "value": value}
    if row.lon is not None and (not attrs or "location" in attrs):
        place = {"type": "Point", "coordinates": [row.lon, row.lat]}
        entity["location"] = place if simple else {"type": "GeoProperty", "value": place}
    return entity


def past(
    conn: Connection,
    row: Any,
    attrs: Sequence[str],
    span: tuple[datetime, datetime],
    last_n: int,
    simple: bool,
) -> dict[str, Any]:
    """Return what an entity said within a stretch of time, oldest first, at most `last_n` of each."""
    product = products.running(conn)[row.product]
    entity: dict[str, Any] = {"id": name(row), "type": row.product}
    for prop in product.numeric:
        if attrs and prop.name not in attrs:
            continue
        said = readings.newest(conn, row.num, prop.name, *span, last_n)
        if not said:
            continue
        if simple:
            values = [[prop.value(r.value), _iso(r.at)] for r in said]
            entity[prop.name] = {"type": "Property", "values": values}
        else:
            unit = _unit(product, prop.name)
            entity[prop.name] = [
                {"type": "Property", "value": prop.value(r.value), "observedAt": _iso(r.at), **unit}
                for r in said
            ]
    return entity


def _unit(product: Product, prop: str) -> dict[str, str]:
    declared = product.by_name.get(prop)
    return {"unitCode": declared.unit} if declared is not None and declared.unit else {}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
