"""Dispatch: a simulated day of the rolling assignment against straight-line first-come; whole plans; proposals."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
from scipy.sparse.csgraph import dijkstra
from sqlalchemy import Connection

from gis import assignment, network
from services.dispatch import service
from twin import cases, db, scheduling
from twin.errors import NotFound
from twin.roads import roads
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure, figure, shiftday

RUNS = 40
SEEDS = (11, 12, 13)
HOURS = 24.0
RATES = (1.0, 1.5, 2.6)
PLAN = (200, 300)
PLAN_LIMIT_S = 1800.0


def run(size: int) -> list[Figure]:
    """Simulate days of `size` hours with three seeds, plan 200 × 300, then ask the running city."""
    graph = shiftday.city()
    found = [f for rate in RATES for f in _day(graph, rate, float(size or HOURS))]
    return [*found, *_plan(graph), *_proposals()]


def _day(graph: network.RoadGraph, rate: float, hours: float) -> list[Figure]:
    first, ours, urgent = [], [], []
    terms = scheduling.Scheduling(scheduling.shipped()[0]).terms
    for seed in SEEDS:
        of = shiftday.day(graph, rate, hours, seed)
        first.append(shiftday.first_come(of) / 60)
        ours.append(shiftday.rolling(of, terms) / 60)
        urgent.append(of.urgent)
    a, b, u = np.concatenate(first), np.concatenate(ours), np.concatenate(urgent)
    name = f"{rate}/min: "
    return [
        figure(name + "mean response", float(b.mean()), "min", float(a.mean())),
        figure(name + "p90", *_p90(b, a)),
        figure(name + "urgent mean", float(b[u].mean()), "min", float(a[u].mean())),
        figure(name + "urgent p90", *_p90(b[u], a[u])),
    ]


def _p90(ours: network.Floats, first: network.Floats) -> tuple[float, str, float]:
    return float(np.percentile(ours, 90)), "min", float(np.percentile(first, 90))


def _plan(graph: network.RoadGraph) -> list[Figure]:
    """Plan 200 events against 300 crews, beside the bare searches of the same graph."""
    gen = np.random.default_rng(5)
    low, high = graph.nodes.min(axis=0), graph.nodes.max(axis=0)
    events, crews = (gen.uniform(low, high, (n, 2)) for n in PLAN)
    weight, waited = gen.choice([1.0, 3.0], PLAN[0]), gen.uniform(0, 900, PLAN[0])
    took, bare = [], []
    for _ in range(5):
        begun = time.perf_counter()
        travel = network.matrix(graph, events, crews, PLAN_LIMIT_S)
        cost = assignment.costs(travel, weight, np.zeros(PLAN[1]), waited)
        assignment.pairs(cost, np.isfinite(travel))
        took.append(time.perf_counter() - begun)
        ends, _ = graph.nearest(events)
        begun = time.perf_counter()
        dijkstra(graph.back, indices=ends, limit=PLAN_LIMIT_S)
        bare.append(time.perf_counter() - begun)
    ms, limit = (float(np.median(t)) * 1000 for t in (took, bare))
    return [figure("plan of 200 × 300, 30 minutes", ms, "ms", limit)]


def _proposals() -> list[Figure]:
    with db.engine("app").connect() as conn:
        found = _open_events(conn)
        graph = roads.graph(conn)
        took, bare = [], []
        for i in range(RUNS):
            case = found[i % len(found)]
            begun = time.perf_counter()
            service.proposals(conn, SYSTEM, case["code"], 5)
            took.append(time.perf_counter() - begun)
            node, _ = graph.nearest(np.array([[case["lon"], case["lat"]]]))
            begun = time.perf_counter()
            dijkstra(graph.back, indices=int(node[0]), limit=service.LIMIT_S)
            bare.append(time.perf_counter() - begun)
    p95, limit = (float(np.percentile(v, 95)) * 1000 for v in (took, bare))
    return [figure("proposals p95", p95, "ms", limit)]


def _open_events(conn: Connection) -> list[cases.Case]:
    found = [c for c in cases.at_moment(conn, SYSTEM, datetime.now(UTC)) if c["lon"] is not None]
    if not found:
        raise NotFound("No event is open; run `twin simulate --reports-per-minute 60` first.")
    return found
