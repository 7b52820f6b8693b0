"""Quality of a million things: one pass for all rules against a query for each rule."""

from __future__ import annotations

import time

import sqlalchemy as sa

from twin import db, kinds, quality, verdicts
from twin.rulebook import rules
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.alter import ROWS, fill
from ui.terminal.benchmarks.scratch import database


def run(size: int) -> list[Figure]:
    """Check everything twice, then a hundred changed things."""
    rows = size or ROWS
    with database():
        fill(rows)
        with db.engine("app").begin() as conn:
            kind = kinds.one(conn, "bench_point")
            limit = _one_by_one(conn, kind)
            took = [_timed(conn, kind, None) for _ in range(2)]
            nums = list(conn.scalars(sa.text("select num from greening.bench_point limit 100")))
            few = _timed(conn, kind, nums)
    name = f"{len(rules(kind))} rules over {rows:,} things"
    return [
        figure(f"{name}: one pass, results and scores kept", min(took), "s", limit),
        figure("the same for 100 changed things", few * 1000, "ms"),
    ]


def _timed(conn: sa.Connection, kind: kinds.Kind, nums: list[int] | None) -> float:
    begun = time.perf_counter()
    quality.check(conn, kind, nums)
    return time.perf_counter() - begun


def _one_by_one(conn: sa.Connection, kind: kinds.Kind) -> float:
    """Return the seconds of a bare count for each rule: what a checker without one pass pays."""
    made = verdicts.Verdicts(kind, kinds.catalogue(conn))
    begun = time.perf_counter()
    for rule in rules(kind):
        conn.execute(sa.select(sa.func.count()).where(made.of(rule).is_not(None)))
    return time.perf_counter() - begun
