"""Devices on the map: coloured by a value, by how they stand, by battery; and the surface of a value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection

from gis import surface
from services.devices import repository
from services.devices.service import state_of
from twin import deviceview, positions, products, readings, units
from twin.alarms import thresholds
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
    """Return devices as points, now or as they were at a moment.

    Each has the value of one property, how loud that value would ring, the loudest alarm that
    stands with it, how it stands itself, and its battery.
    """
    rows = deviceview.every(conn, actor, product)
    nums = [row.num for row in rows]
    running = products.running(conn)
    now = at or datetime.now(UTC)
    said: dict[int, Any] = {}
    meta, limits = None, list[thresholds.Threshold]()
    if product:
        model, found = _meant(conn, product, prop)
        said = {one.num: one for one in readings.at_moment(conn, model, found.name, at, nums)}
        limits = thresholds.of(conn, model, found.name)
        meta = _meta(found, [one.value for one in said.values()])
        meta["limits"] = thresholds.shown(limits)
    past = _Past(conn, rows, at)
    alarms = thresholds.standing(conn, nums, at)
    battery = _battery(conn, rows, at)
    shown = []
    for row in rows:
        one, place = said.get(row.num), past.place(row)
        if place is None or not past.there(row):
            continue
        model_of = running.get(row.product)
        heard = past.heard.get(row.num)
        shown.append(
            {
                "num": row.num, "product": row.product, "device": row.device, "name": row.name or row.device,
                "lon": place[0], "lat": place[1], "battery_pct": battery.get(row.num),
                "state": state_of(past.enabled(row), heard, model_of.period_s if model_of else None, now),
                "value": one.value if one else None, "at": one.at if one else heard,
                "level": thresholds.level_of(limits, one.value) if one else None,
                "alarm": alarms.get(row.num),
            }
        )  # fmt: skip
        if len(shown) == MOST_POINTS:
            break
    return {"property": meta, "points": shown, "at": now}


class _Past:
    """What was otherwise at a moment: when devices were last heard, where they were, which were revoked."""

    def __init__(self, conn: Connection, rows: Sequence[Any], at: datetime | None) -> None:
        self._at = at
        nums = [row.num for row in rows]
        self._places: dict[int, tuple[float, float]] = {}
        self._revoked_later: set[tuple[str, str]] = set()
        if at is None:
            self.heard = readings.heard(conn, nums)
            return
        self.heard = {}
        running = products.running(conn)
        for key in {row.product for row in rows} & set(running):
            mine = [row.num for row in rows if row.product == key]
            self.heard |= readings.heard_at(conn, running[key], at, mine)
        self._places_at(conn, set(nums), at)
        self._revoked_later = set(repository.revoked_since(conn, at))

    def _places_at(self, conn: Connection, nums: set[int], at: datetime) -> None:
        for fix in positions.at(conn, at):
            if fix.num in nums:
                self._places[fix.num] = (fix.lon, fix.lat)
                self.heard[fix.num] = max(fix.at, self.heard.get(fix.num, fix.at))

    def place(self, row: Any) -> tuple[float, float] | None:
        """Return where a device was."""
        known = self._places.get(row.num)
        return known or ((row.lon, row.lat) if row.lon is not None else None)

    def there(self, row: Any) -> bool:
        """Tell whether a device was known at the moment, or had reported by then."""
        return self._at is None or row.num in self.heard or row.created_at <= self._at

    def enabled(self, row: Any) -> bool:
        """Tell whether a device might report: what was revoked later was not yet."""
        return bool(row.enabled) or (row.product, row.device) in self._revoked_later


def _battery(conn: Connection, rows: Sequence[Any], at: datetime | None) -> dict[int, float]:
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
    conn: Connection, actor: Actor, product: str, prop: str | None, at: datetime | None, many: int
) -> dict[str, Any]:
    """Return the surface of a property as GeoJSON: bands, and the lines of the limits it may pass.

    A band says from where to where; a line says its value and how loud it is.
    """
    model, found = _meant(conn, product, prop)
    rows = {row.num: row for row in deviceview.every(conn, actor, product) if row.lon is not None}
    said = readings.at_moment(conn, model, found.name, at, list(rows))
    if len(said) < LEAST_FOR_SURFACE:
        raise NotFound(f"A surface needs {LEAST_FOR_SURFACE} values; there are {len(said)}.")
    lon = np.array([rows[one.num].lon for one in said])
    lat = np.array([rows[one.num].lat for one in said])
    values = np.array([one.value for one in said])
    steps = surface.levels(values, many)
    x, y, grid = surface.grid(lon, lat, values)
    clipped = np.clip(grid, steps[0], steps[-1] - 1e-9)
    features = [
        _feature({"low": low, "high": high}, shape)
        for low, high, shape in surface.bands(x, y, clipped, steps)
    ]
    for limit in thresholds.of(conn, model, found.name):
        line = surface.line(x, y, grid, limit.limit)
        if line is not None and limit.word != "is":
            said_of = {"limit": limit.limit, "level": limit.level, "title": limit.title}
            features.append(_feature(said_of, line))
    return {
        "type": "FeatureCollection", "levels": steps.tolist(), "unit": units.shown(found.unit),
        "values": len(said), "features": features,
    }  # fmt: skip


def _feature(said: dict[str, Any], shape: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": said,
        "geometry": shapely.geometry.mapping(shapely.set_precision(shape, 1e-6)),
    }
