"""Devices on the map: coloured by a value, by how they stand, by battery; and the surface of a value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection

from gis import surface
from services.devices.service import state_of
from twin import deviceview, products, readings, units
from twin.errors import BadRequest, NotFound
from twin.products import Product, Property
from twin.scope import Actor

MOST_POINTS = 20_000
LEAST_FOR_SURFACE = 4


def _meant(conn: Connection, product: str, prop: str | None) -> tuple[Product, Property]:
    model = products.one(conn, product)
    found = model.by_name.get(prop) if prop else model.shown
    if found is None or not found.is_numeric:
        raise BadRequest(f"{product} has no property {prop} that is a number.")
    return model, found


def points(
    conn: Connection, actor: Actor, product: str | None, prop: str | None, at: datetime | None
) -> dict[str, Any]:
    """Return devices as points: with the value of one property, how they stand, their battery."""
    rows = [row for row in deviceview.every(conn, actor, product) if row.lon is not None][
        :MOST_POINTS
    ]
    now = at or datetime.now(UTC)
    nums = [row.num for row in rows]
    running = products.running(conn)
    said: dict[int, Any] = {}
    meta = None
    if product:
        model, found = _meant(conn, product, prop)
        said = {one.num: one for one in readings.at_moment(conn, model, found.name, at, nums)}
        meta = _meta(found, [one.value for one in said.values()])
    heard = _heard(conn, nums, said, at, product)
    battery = _battery(conn, rows, at) if at is None else {}
    shown = []
    for row in rows:
        model_of = running.get(row.product)
        one = said.get(row.num)
        state = state_of(
            row.enabled, heard.get(row.num), model_of.period_s if model_of else None, now
        )
        shown.append(
            {
                "num": row.num, "product": row.product, "device": row.device, "name": row.name or row.device,
                "lon": row.lon, "lat": row.lat, "state": state, "battery_pct": battery.get(row.num),
                "value": one.value if one else None, "at": one.at if one else heard.get(row.num),
            }
        )  # fmt: skip
    return {"property": meta, "points": shown, "at": now}


def _heard(
    conn: Connection,
    nums: list[int],
    said: dict[int, Any],
    at: datetime | None,
    product: str | None,
) -> dict[int, datetime]:
    """Return when each device was last heard: of a past moment, by what it then had said."""
    if at is None:
        return readings.heard(conn, nums)
    return {num: one.at for num, one in said.items()} if product else {}


def _battery(conn: Connection, rows: list[Any], at: datetime | None) -> dict[int, float]:
    found: dict[int, float] = {}
    running = products.running(conn)
    for key in {row.product for row in rows}:
        model = running.get(key)
        if model and "battery_pct" in model.by_name:
            mine = [row.num for row in rows if row.product == key]
            for one in readings.at_moment(conn, model, "battery_pct", at, mine):
                found[one.num] = one.value
    return found


def _meta(prop: Property, values: list[float]) -> dict[str, Any]:
    low, high = (float(v) for v in np.quantile(values, [0.02, 0.98])) if values else (0.0, 1.0)
    return {
        "name": prop.name, "title": prop.title, "unit": units.shown(prop.unit), "type": prop.type,
        "low": prop.low, "high": prop.high, "from": low, "to": max(high, low + 1e-9),
        "codes": [dict(title) for title in prop.codes.values()],
    }  # fmt: skip


def bands(
    conn: Connection, actor: Actor, product: str, prop: str | None, at: datetime | None
) -> dict[str, Any]:
    """Return the bands between isolines of a property as GeoJSON; each says from where to where."""
    model, found = _meant(conn, product, prop)
    rows = {row.num: row for row in deviceview.every(conn, actor, product) if row.lon is not None}
    said = readings.at_moment(conn, model, found.name, at, list(rows))
    if len(said) < LEAST_FOR_SURFACE:
        raise NotFound(f"A surface needs {LEAST_FOR_SURFACE} values; there are {len(said)}.")
    lon = np.array([rows[one.num].lon for one in said])
    lat = np.array([rows[one.num].lat for one in said])
    values = np.array([one.value for one in said])
    steps = surface.levels(values)
    x, y, grid = surface.grid(lon, lat, values)
    clipped = np.clip(grid, steps[0], steps[-1] - 1e-9)
    return {
        "type": "FeatureCollection",
        "levels": steps.tolist(),
        "unit": units.shown(found.unit),
        "features": [
            {
                "type": "Feature",
                "properties": {"low": low, "high": high},
                "geometry": shapely.geometry.mapping(shapely.set_precision(shape, 1e-6)),
            }
            for low, high, shape in surface.bands(x, y, clipped, steps)
        ],
    }
