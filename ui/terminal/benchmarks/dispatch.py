"""Proposals of crews: the whole answer of the API against one bare shortest-path search."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
from scipy.sparse.csgraph import dijkstra
from sqlalchemy import Connection

from services.dispatch import service
from services.dispatch.roads import roads
from twin import cases, db
from twin.errors import NotFound
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure

RUNS = 40


def run(size: int) -> list[Figure]:
    """Ask for proposals for open events, and search the same graph bare."""
    runs = size or RUNS
    with db.engine("app").connect() as conn:
        found = _open_events(conn)
        graph = roads.graph(conn)
        took, bare = [], []
        for i in range(runs):
            case = found[i % len(found)]
            begun = time.perf_counter()
            service.proposals(conn, SYSTEM, case["code"], 5)
            took.append(time.perf_counter() - begun)
            node, _ = graph.nearest(np.array([[case["lon"], case["lat"]]]))
            begun = time.perf_counter()
            dijkstra(graph.seconds.T, indices=int(node[0]), limit=service.LIMIT_S)
            bare.append(time.perf_counter() - begun)
    p95, limit = (float(np.percentile(v, 95)) * 1000 for v in (took, bare))
    return [
        Figure(name="proposals p95", figure=round(p95, 1), unit="ms", limit=round(limit, 1),
               ratio=round(p95 / limit, 2))
    ]  # fmt: skip


def _open_events(conn: Connection) -> list[cases.Case]:
    found = cases.at_moment(conn, SYSTEM, datetime.now(UTC))
    if not found:
        raise NotFound("No event is open; run `twin simulate --reports-per-minute 60` first.")
    return found
