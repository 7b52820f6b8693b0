"""What simulated devices say: every property of their product, wandering within what is usual."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from typing import Any

from ui.terminal.simulator.doors import Api

PAGE = 500
# What is usual is narrower than what is possible: property → lowest, highest; others in the lower half.
USUAL = {
    "level_pct": (5, 95), "nh3_ppm": (0, 2), "h2s_ppm": (0, 1), "pm10": (20, 160), "pm25": (10, 90),
    "tsp": (40, 260), "noise_db": (48, 74), "level_m": (1.5, 3.8), "speed_ms": (0, 12),
    "gust_ms": (0, 16), "direction_deg": (0, 359), "tilt_deg": (0, 3), "sway_deg": (0, 4),
    "temp_c": (8, 24), "humidity_pct": (45, 92), "pressure_hpa": (1004, 1026), "ph": (6.6, 8.4),
    "do_mgl": (3, 11), "battery_pct": (18, 100), "voltage_v": (218, 236), "current_a": (0.5, 12),
    "leak_ma": (0, 25), "moisture_pct": (12, 46), "smoke_pct": (0, 2), "vibration_mms": (0, 6),
    "gap_mm": (0, 3), "impurity_pct": (1, 12), "water_pct": (70, 88), "occupied_pct": (0, 100),
    "inside": (40, 1800), "entered": (0, 60), "left": (0, 60), "health": (70, 100), "loss_pct": (0, 4),
    "dim_pct": (20, 100), "fuel_l": (30, 180), "signal": (12, 31), "satellites": (7, 18),
    "distance_mm": (80, 1000), "lamps_failed": (0, 3), "speed_kmh_can": (0, 60),
}  # fmt: skip
GROWS = frozenset(("energy_kwh", "mileage_km", "rain_mm", "steps", "lifts"))
RARE = 0.01


class Sensing:
    """Devices of all products, with what each of them last said."""

    def __init__(self, api: Api, most: int) -> None:
        self.products = (
            {one["key"]: one for one in api.get("/api/v1/products")["products"]} if most else {}
        )
        found = (
            [one for one in self._all(api) if one["kind"] not in ("vehicle", "crew", "vessel")]
            if most
            else []
        )
        self.devices = _of_every_product(found, most)
        self._last: dict[tuple[str, str], float] = {}

    @staticmethod
    def _all(api: Api) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = api.get(f"/api/v1/devices?limit={PAGE}{after}")
            found += [one for one in page["devices"] if one["state"] != "revoked"]
            if not page["next"]:
                return found
            after = f"&after={page['next']}"

    def message(self, device: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return topic and payload of a device's next report."""
        product = self.products[device["product"]]
        name = f"{device['product']}/{device['device']}"
        values = {
            prop["name"]: self._value(name, prop)
            for prop in product["properties"]
            if prop["type"] != "text"
        }
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return f"twin/v1/{name}/telemetry", {"t": now, "values": values}

    def _value(self, device: str, prop: dict[str, Any]) -> Any:
        if prop["type"] == "boolean":
            return random.random() < RARE
        if prop["type"] == "enum":
            codes = list(prop["codes"])
            return random.choice(codes) if random.random() < RARE * 3 else codes[0]
        value = self._wander(device, prop)
        return round(value) if prop["type"] == "integer" else round(value, 2)

    def _wander(self, device: str, prop: dict[str, Any]) -> float:
        """Return the next value of a bounded random walk; counters only grow."""
        name = prop["name"]
        low = prop["low"] if prop["low"] is not None else 0.0
        high = prop["high"] if prop["high"] is not None else low + 100
        low, high = USUAL.get(name, (low, low + (high - low) * 0.5))
        key = (device, name)
        if name in GROWS:
            self._last[key] = self._last.get(key, random.uniform(0, 500)) + random.uniform(0, 0.2)
            return self._last[key]
        if name == "battery_pct":
            self._last[key] = max(
                self._last.get(key, random.uniform(low, high)) - random.uniform(0, 0.01), 1.0
            )
            return self._last[key]
        step = random.gauss(0, (high - low) / 40)
        value = self._last.get(key, random.triangular(low, high, low + (high - low) * 0.4)) + step
        self._last[key] = min(max(value, low), high)
        return self._last[key]


def _of_every_product(found: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return so many devices, of every product its share."""
    if len(found) <= most:
        return found
    by: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        by.setdefault(one["product"], []).append(one)
    chosen: list[dict[str, Any]] = []
    for mine in by.values():
        random.shuffle(mine)
        chosen += mine[: max(1, math.floor(len(mine) * most / len(found)))]
    return chosen[:most]
