"""Deadlines after a day without sweeps: until all are told, each once, and what actions feel of it meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from sqlalchemy import text

from twin import cases, db
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure, actions, figure
from ui.terminal.benchmarks.scratch import database

OPEN, DUE, ACTS = 100_000, 5_000, 300
# Due within the day that nobody looked: some an hour late, some a whole day.
_SPREAD = text(
    "with d as (select id, random() as r from twin.\"case\" where source = 'bench' order by num limit :n) "
    "update twin.\"case\" c set entered_at = now() - d.r * interval '24 hours', "
    "clock_from = now() - d.r * interval '24 hours', "
    "due_at = now() - d.r * interval '24 hours' + interval '30 minutes', "
    "next_at = now() - d.r * interval '24 hours' + interval '24 minutes' from d where d.id = c.id"
)
_TOLD = text(
    "select count(*) filter (where n = 1), count(*) filter (where n > 1) from (select subject, count(*) as n "
    "from twin.journal where action in ('warn', 'late', 'supervise', 'report') group by 1) t"
)
_LEFT = text('select count(*) from twin."case" where closed_at is null and next_at <= now()')


def run(size: int) -> list[Figure]:
    """Measure on a database of its own; size is the number of cases that are due."""
    due = size or DUE
    with database():
        actions._seat_department()
        actions._fill(OPEN if size == 0 else due * 10, "collected", due=0)
        calm = _felt(actions._open(ACTS, "calm"))
        with db.engine("owner").begin() as conn:
            should = conn.execute(_SPREAD, {"n": due}).rowcount
        with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text('vacuum analyze twin."case"'))
            should = int(conn.execute(_LEFT).scalar_one())
        ids = actions._open(ACTS, "busy")
        took: list[float] = []
        sweeper = threading.Thread(target=lambda: took.append(_sweep()))
        sweeper.start()
        busy = _felt(ids)
        sweeper.join()
        with db.engine("app").connect() as conn:
            once, often = conn.execute(_TOLD).one()
            left = conn.execute(_LEFT).scalar_one()
    p95 = float(np.percentile(calm, 95)), float(np.percentile(busy, 95))
    return [
        figure(f"until {should} due cases are told, their supervision opened", took[0], "s"),
        figure("cases told exactly once", once, "", should),
        figure("cases told more than once, or still due", often + left, "", 0),
        figure("an action meanwhile, p50", statistics.median(busy), "ms", statistics.median(calm)),
        figure("an action meanwhile, p95 (asked: at most twice)", p95[1], "ms", p95[0]),
    ]  # fmt: skip


def _sweep() -> float:
    begun = time.perf_counter()
    while True:
        with db.engine("app").begin() as conn:
            if not cases.escalate_due(conn):
                return time.perf_counter() - begun


def _felt(ids: Sequence[UUID]) -> list[float]:
    """Return how long each action takes, one after the other, in milliseconds."""
    took = []
    for one in ids:
        begun = time.perf_counter()
        with db.engine("app").begin() as conn:
            cases.perform(conn, one, "register", actor=SYSTEM)
        took.append((time.perf_counter() - begun) * 1000)
        # As people act: not all at once.
        time.sleep(0.01)
    return took
