"""One simulated day of crews and events: straight-line first-come beside the rolling assignment of the product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gis import assignment, network

Floats = NDArray[np.float64]
SIDE, STEP_DEG = 200, 0.0018
UNITS, SKILLS, URGENT_SHARE = 90, 3, 0.12
SERVICE_MIN = 29.0
ROUND_S = 15.0
# Weights of severities as data/scheduling declares them: urgent, ordinary.
WEIGHTS = (3.0, 1.0)
WEST, SOUTH = 121.3, 31.1
BRIDGES = (0.15, 0.4, 0.62, 0.88)


@dataclass(frozen=True, kw_only=True)
class Day:
    """Events of a day in the order in which they come, and the seconds of road from every place."""

    at: Floats
    urgent: NDArray[np.bool_]
    skill: NDArray[np.int64]
    service_s: Floats
    able: NDArray[np.bool_]  # units × skills
    road_s: Floats  # from each place (stations, then events) to each event
    straight: Floats


def city(seed: int = 7) -> network.RoadGraph:
    """Return a city of 40,000 junctions: a grid with arterials, gaps, and a river with four bridges."""
    gen = np.random.default_rng(seed)
    lines: list[Floats] = []
    speeds: list[float] = []
    river = SIDE // 2
    bridges = {int(b * SIDE) for b in BRIDGES}
    wobble = gen.normal(0, STEP_DEG * 0.12, (SIDE, SIDE, 2))

    def node(i: int, j: int) -> tuple[float, float]:
        dx, dy = wobble[i, j]
        return WEST + i * STEP_DEG + dx, SOUTH + j * STEP_DEG + dy

    for i in range(SIDE):
        for j in range(SIDE):
            for across, (k, m) in enumerate(((i + 1, j), (i, j + 1))):
                if k >= SIDE or m >= SIDE or (gen.random() < 0.08 and (i % 10 and j % 10)):
                    continue
                if not across and i == river and j not in bridges:
                    continue
                main = (j if not across else i) % 10 == 0 or (not across and i == river)
                lines.append(np.array([node(i, j), node(k, m)]))
                speeds.append(42.0 if main else 20.0)
    return network.build(lines, np.array(speeds), np.zeros(len(lines), dtype=bool))


def day(graph: network.RoadGraph, per_minute: float, hours: float, seed: int) -> Day:
    """Return a day of events at this rate, with units at stations over the city."""
    gen = np.random.default_rng(seed)
    n = gen.poisson(per_minute * hours * 60)
    at = np.sort(gen.uniform(0, hours * 3600, n))
    centre = np.array([WEST, SOUTH]) + SIDE * STEP_DEG / 2
    spread = np.array([SIDE * STEP_DEG / 4.2] * 2)
    low, high = np.array([WEST, SOUTH]), np.array([WEST, SOUTH]) + SIDE * STEP_DEG
    places = np.clip(gen.normal(centre, spread, (n, 2)), low, high)
    stations = gen.uniform(low, high, (UNITS, 2))
    able = np.zeros((UNITS, SKILLS), dtype=bool)
    able[np.arange(UNITS), np.arange(UNITS) % SKILLS] = True
    able[np.arange(0, UNITS, 5), gen.integers(0, SKILLS, len(range(0, UNITS, 5)))] = True
    starts = np.concatenate([stations, places])
    road = network.matrix(graph, places, starts, 1e9).T
    straight = np.hypot(
        *((starts[:, None, :] - places[None, :, :]) * graph.scale).transpose(2, 0, 1)
    )
    return Day(
        at=at, urgent=gen.random(n) < URGENT_SHARE, skill=gen.integers(0, SKILLS, n),
        service_s=gen.gamma(4.0, SERVICE_MIN * 60 / 4, n), able=able, road_s=road, straight=straight,
    )  # fmt: skip


class Crews:
    """Where the units are and from when each is free."""

    def __init__(self, units: int) -> None:
        """Start with every unit at its station, free."""
        self.place = np.arange(units)
        self.free_at = np.zeros(units)
        self.there_at = np.full(units, -np.inf)

    def send(self, of: Day, event: int, unit: int, now: float) -> float:
        """Send a unit; return when it is there."""
        there = now + of.road_s[self.place[unit], event]
        self.free_at[unit] = there + of.service_s[event]
        self.there_at[unit] = there
        self.place[unit] = len(self.place) + event
        return float(there)


def first_come(of: Day) -> Floats:
    """Return the response seconds when each event in turn gets the nearest free unit as the crow flies."""
    crews, n = Crews(len(of.able)), len(of.at)
    answered = np.full(n, np.nan)
    queue: list[int] = []
    coming = list(range(n))
    now = 0.0
    while coming or queue:
        while coming and of.at[coming[0]] <= now:
            queue.append(coming.pop(0))
        left = []
        for event in queue:
            free = np.flatnonzero((crews.free_at <= now) & of.able[:, of.skill[event]])
            if not len(free):
                left.append(event)
                continue
            unit = int(free[np.argmin(of.straight[crews.place[free], event])])
            answered[event] = crews.send(of, event, unit, now) - of.at[event]
        queue = left
        busy = crews.free_at[crews.free_at > now]
        soon = [float(of.at[coming[0]])] if coming else []
        soon += [float(busy.min())] if queue and len(busy) else []
        if soon:
            now = max(min(soon), now + 1e-6)
    return answered


def rolling(of: Day, terms: assignment.Terms) -> Floats:
    """Return the response seconds under the product's assignment, a round every fifteen seconds."""
    crews, n = Crews(len(of.able)), len(of.at)
    answered = np.full(n, np.nan)
    waiting: list[int] = []
    nxt, now = 0, 0.0
    while nxt < n or waiting:
        now += ROUND_S
        while nxt < n and of.at[nxt] <= now:
            waiting.append(nxt)
            nxt += 1
        if not waiting or not (crews.free_at <= now).any():
            continue
        for event, unit in _round(of, crews, np.array(waiting), now, terms):
            answered[event] = crews.send(of, event, unit, now) - of.at[event]
            waiting.remove(event)
    return answered


def _round(
    of: Day, crews: Crews, events: Any, now: float, terms: assignment.Terms
) -> list[tuple[int, int]]:
    """Pair all, also with units that will soon be free; only those free now are sent."""
    weight = np.where(of.urgent[events], *WEIGHTS)
    able = of.able[:, of.skill[events]].T
    travel = of.road_s[np.ix_(crews.place, events)].T
    left = assignment.left_s(now - crews.there_at, SERVICE_MIN * 60)
    busy = crews.free_at > now
    cost = assignment.costs(
        travel, weight, np.zeros(len(busy)), now - of.at[events],
        np.where(busy, left, 0.0)[None, :], terms,
    )  # fmt: skip
    found = assignment.pairs(cost, able)
    return [(int(events[e]), u) for e, u in found if not busy[u]]
