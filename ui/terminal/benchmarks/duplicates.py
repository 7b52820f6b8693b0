"""Duplicates: what the shipped rule finds in five generated weeks, and candidates among a million reports."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import text

from twin import cases, db, declarations, merging
from twin.eventview import PROCESS
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure, figure, merges, reports
from ui.terminal.benchmarks.scratch import database

SEEDS = (1, 2, 3, 4, 5)
AUTO = 0.95
ROWS, ASKED = 1_000_000, 300


def run(size: int) -> list[Figure]:
    """Link the reports of five seeds; then ask for candidates among a million."""
    doc, _ = declarations.read_yaml(declarations.DATA / "merge" / "event_city.yaml")
    said = [reports.linked(reports.city(s), doc["weights"], doc["suggest"], AUTO) for s in SEEDS]
    return [
        figure("F1, worst of five seeds", min(one.f1 for one in said), "", 0.85),
        figure("right one among the first three, worst", min(one.top3 for one in said), "", 0.99),
        figure(
            "merges by itself that are right, worst", min(o.auto_precision for o in said), "", 0.95
        ),
        figure(
            "share of duplicates merged by itself", statistics.mean(o.auto_share for o in said), ""
        ),
        *_running(),
        *_candidates(size or ROWS),
    ]


def _running() -> list[Figure]:
    """Take in a whole week with the rule that runs in the database."""
    with database():
        week = merges.week(SEEDS[0])
    return [
        figure("a week taken in: merges by itself that are right", week.right / max(week.merged, 1), "", AUTO),
        figure("a week taken in: share of duplicates merged by itself", week.right / week.again, ""),
    ]  # fmt: skip


_FILL = text(
    "with n as (select g, gen_random_uuid() as id, random() as x, random() as y, random() as t "
    "from generate_series(1, :n) g), "
    "t as (insert into twin.thing (id, kind, code, level, point) select id, 'event', 'SH-BN-' || g, 2, "
    "st_setsrid(st_makepoint(120.9 + 1.1 * x, 30.75 + 0.9 * y), 4326) from n returning id, num, code, point) "
    'insert into twin."case" (id, num, code, process, process_version, state, title, category, point, '
    "source, data, opened_at) select t.id, num, code, :p, 1, 'registered', '垃圾', 'litter', point, 'map', "
    '\'{"photos": [], "description": "路边有一堆垃圾"}\', now() - n.t * interval \'90 days\' '
    "from t join n using (id)"
)


def _candidates(rows: int) -> list[Figure]:
    """Ask for the candidates of reports at random places among many open ones."""
    with database():
        with db.engine("owner").begin() as conn:
            conn.execute(_FILL, {"n": rows, "p": PROCESS})
        with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text('vacuum analyze twin."case"'))
        gen = np.random.default_rng(1)
        took, found = [], 0
        with db.engine("app").connect() as conn:
            doc = merging.running(conn, PROCESS)
            picked = conn.execute(
                text(f'select {cases.COLUMNS} from twin."case" where num = any(:n)'),
                {"n": [int(i) for i in gen.integers(1, rows, ASKED)]},
            ).all()
            for row in picked:
                case = dict(row._mapping) | {"opened_at": datetime.now(UTC)}
                begun = time.perf_counter()
                found += len(merging.candidates(conn, SYSTEM, case, doc))
                took.append((time.perf_counter() - begun) * 1000)
    return [
        figure(f"candidates among {rows} open reports, median", statistics.median(took), "ms", 5),
        figure("candidates, 95th percentile", float(np.percentile(took, 95)), "ms", 5),
        figure("candidates found for each", found / max(len(took), 1), ""),
    ]
