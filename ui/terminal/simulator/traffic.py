"""Vehicles and crews on the roads of the city: ways, paces, stops, headings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gis import network
from gis.network import M_PER_DEG, Reach, RoadGraph

# Share of the permitted speed that a vehicle at its work drives.
PACE = {"sweeper": 0.25, "sprinkler": 0.35, "waste": 0.6, "muck": 0.75, "patrol": 0.7, "crew": 0.8}
FASTEST_KMH = {"sweeper": 18.0, "sprinkler": 25.0, "waste": 50.0, "muck": 60.0}
DWELL_S = {"sweeper": (20, 90), "waste": (60, 240), "patrol": (30, 180), "crew": (60, 300)}
TARGETS = 48
TARGET_LIMIT_S = 1500.0
TASK_LIMIT_S = 5400.0
GPS_M = 1.2


@dataclass
class Mover:
    """One thing that moves: along its way, then a stop, then the next way."""

    device: str
    kind: str
    lon: float
    lat: float
    speed_kmh: float = 0.0
    heading_deg: float = 0.0
    rest_s: float = 0.0
    task: tuple[float, float] | None = None
    _xy: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    _at_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    _gone_s: float = 0.0

    def follow(self, xy: NDArray[np.float64], at_s: NDArray[np.float64]) -> None:
        """Take a way: points, and the second at which each is reached."""
        self._xy, self._at_s, self._gone_s = xy, at_s, 0.0

    @property
    def idle(self) -> bool:
        """True when the way is at its end."""
        return len(self._at_s) < 2 or self._gone_s >= self._at_s[-1]

    def advance(self, seconds: float) -> None:
        """Drive on, or stand."""
        if self.idle:
            self.rest_s -= seconds
            self.speed_kmh = 0.0
            return
        self._gone_s = min(self._gone_s + seconds, float(self._at_s[-1]))
        i = int(np.searchsorted(self._at_s, self._gone_s, side="right")) - 1
        i = min(i, len(self._at_s) - 2)
        a, b = self._xy[i], self._xy[i + 1]
        span = max(float(self._at_s[i + 1] - self._at_s[i]), 1e-6)
        part = (self._gone_s - float(self._at_s[i])) / span
        self.lon, self.lat = (a + (b - a) * part).tolist()
        east, north = (b - a) * (np.cos(np.radians(self.lat)), 1.0) * M_PER_DEG
        self.speed_kmh = float(np.hypot(east, north)) / span * 3.6
        self.heading_deg = float(np.degrees(np.arctan2(east, north)) % 360)

    def message(self) -> dict[str, Any]:
        """Return the position report, with the noise of a receiver."""
        noise = GPS_M / M_PER_DEG if self.speed_kmh else 0.0
        return {
            "t": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "lon": round(self.lon + random.gauss(0, noise), 7),
            "lat": round(self.lat + random.gauss(0, noise), 7),
            "speed_kmh": round(max(0.0, self.speed_kmh * random.uniform(0.95, 1.05)), 1),
            "heading_deg": round(self.heading_deg, 1),
        }


class Traffic:
    """The road graph with a pool of destinations, and all movers."""

    def __init__(self, graph: RoadGraph, movers: Sequence[Mover]) -> None:
        self.graph = graph
        self.movers = list(movers)
        places = graph.nodes[graph.main]
        homes = [(m.lon, m.lat) for m in movers]
        chosen = random.sample(homes, min(TARGETS // 2, len(homes)))
        chosen += [tuple(places[random.randrange(len(places))]) for _ in range(TARGETS // 2)]
        self._pool = [network.reach(graph, lon, lat, TARGET_LIMIT_S) for lon, lat in chosen]

    def send(self, mover: Mover, lon: float, lat: float) -> bool:
        """Send a mover to a task; it stays there until it is released."""
        mover.task = (lon, lat)
        way = self._way(mover, network.reach(self.graph, lon, lat, TASK_LIMIT_S))
        if way is None:
            return False
        end = np.array([[lon, lat]])  # from the road to the very place
        mover.follow(np.vstack([way[0], end]), np.append(way[1], way[1][-1] + 15.0))
        return True

    def release(self, mover: Mover) -> None:
        """Let a mover go about its own work again."""
        mover.task, mover.rest_s = None, random.uniform(20, 60)

    def advance(self, mover: Mover, seconds: float) -> None:
        """Move one thing; give it a new way when it has rested."""
        mover.advance(seconds)
        if not mover.idle or mover.task:
            return
        if mover.rest_s > 0:
            return
        self._wander(mover)

    def _wander(self, mover: Mover) -> None:
        for reached in random.sample(self._pool, min(6, len(self._pool))):
            way = self._way(mover, reached)
            if way is not None and way[1][-1] > 60:
                mover.follow(*way)
                break
        mover.rest_s = random.uniform(*DWELL_S.get(mover.kind, (30, 150)))

    def _way(
        self, mover: Mover, reached: Reach
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        nodes, _ = self.graph.nearest(np.array([[mover.lon, mover.lat]]))
        node = int(nodes[0])
        if not np.isfinite(reached.times[node]) or node == reached.target:
            return None
        path = [node]
        while path[-1] != reached.target:
            path.append(int(reached.onward[path[-1]]))
        xy = np.vstack([[[mover.lon, mover.lat]], self.graph.nodes[path]])
        metres = np.hypot(*(np.diff(xy, axis=0) * self.graph.scale).T)
        road_s = np.concatenate([[metres[0] / 4.0], -np.diff(reached.times[path])])
        slowest_s = metres / (FASTEST_KMH.get(mover.kind, 90.0) / 3.6)
        spans = np.maximum(np.maximum(road_s / PACE.get(mover.kind, 0.6), slowest_s), 0.05)
        return xy, np.concatenate([[0.0], np.cumsum(spans)])


def graph_of(roads: Sequence[dict[str, Any]]) -> RoadGraph:
    """Build the road graph from the features of the kind `road`."""
    lines: list[NDArray[np.float64]] = []
    speeds: list[float] = []
    oneway: list[bool] = []
    for road in roads:
        shape, said = road["geometry"], road["properties"]
        parts = shape["coordinates"]
        for part in parts if shape["type"] == "MultiLineString" else [parts]:
            lines.append(np.asarray(part, dtype=np.float64)[:, :2])
            speeds.append(float(said.get("speed_kmh") or 40.0))
            oneway.append(bool(said.get("oneway")))
    return network.build(lines, np.array(speeds), np.array(oneway))


def movers_of(kind: str, features: Sequence[dict[str, Any]]) -> list[Mover]:
    """Return movers that stand where their features are; crews and vehicles drive differently."""
    found = []
    for feature in features:
        if not feature["geometry"]:
            continue
        said = feature["properties"]
        lon, lat = feature["geometry"]["coordinates"][:2]
        style = "crew" if kind == "crew" else str(said.get("type") or "patrol")
        found.append(Mover(f"{kind}/{said['code']}", style, lon, lat, rest_s=random.uniform(0, 8)))
    return found
