"""Changing a kind of a million things while somebody writes: how long no write came through."""

from __future__ import annotations

import copy
import threading
import time
from datetime import date
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text

from twin import alter, bulk, db, kinds
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import EAST, NORTH, SOUTH, WEST, database

ROWS = 1_000_000
BATCH = 50_000
KIND: dict[str, Any] = {
    "kind": "bench_point", "topic": "greening", "title": {"zh": "测点", "en": "Point"},
    "geometry": "point", "code": "ZZB",
    "fields": {
        "height": {"type": "number", "min": 0, "max": 100}, "girth": {"type": "integer", "min": 0},
        "health": {"type": "code", "codes": {"a": "好", "b": "差"}}, "planted": {"type": "date"},
    },
}  # fmt: skip


def fill(rows: int) -> None:
    """Make the kind and load points of it."""
    alter.apply(kinds.from_doc(KIND), actor="bench")
    gen = np.random.default_rng(7)
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "bench_point")
        with bulk.Load(conn, kind, actor="bench", source="bench") as load:
            for start in range(0, rows, BATCH):
                n = min(BATCH, rows - start)
                x, y = gen.uniform(WEST, EAST, n), gen.uniform(SOUTH, NORTH, n)
                columns = {
                    "source_key": [str(i) for i in range(start, start + n)],
                    "height": gen.uniform(1, 30, n).round(1).tolist(),
                    "girth": gen.integers(10, 200, n).tolist(),
                    "health": gen.choice(["a", "b"], n).tolist(),
                    "planted": [date(2020, 3, 12)] * n,
                }
                load.add(columns, np.asarray(shapely.points(x, y)))
    with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum analyze greening.bench_point"))


class Writer:
    """Writes one row after the other and remembers the longest wait."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        time.sleep(0.3)
        self.longest = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.3)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with db.engine("app").connect() as conn:
            nums = list(conn.scalars(text("select num from greening.bench_point limit 100")))
            conn.rollback()
            for i in range(10_000_000):
                if self._stop.is_set():
                    return
                begun = time.perf_counter()
                conn.execute(
                    text("update greening.bench_point set name = :n where num = :k"),
                    {"n": str(i), "k": nums[i % len(nums)]},
                )
                conn.commit()
                self.longest = max(self.longest, time.perf_counter() - begun)


def run(size: int) -> list[Figure]:
    """Add, rename, grow, require, widen; each with a writer at work."""
    rows = size or ROWS
    doc = copy.deepcopy(KIND)
    fields = doc["fields"]
    found: list[Figure] = []

    def change(name: str) -> None:
        with Writer() as writer:
            alter.apply(kinds.from_doc(doc), actor="bench")
        found.append(
            figure(
                f"{name}, {rows:,} things: longest wait of a write",
                writer.longest * 1000,
                "ms",
                1000,
            )
        )

    with database():
        fill(rows)
        fields["owner"] = {"type": "text", "required": True}
        change("add a required field")
        fields["tall"] = {**fields.pop("height"), "renamed_from": "height"}
        change("rename a field")
        fields["health"] = {"type": "code", "codes": {"a": "好", "b": "差", "c": "枯"}}
        change("grow a code list")
        fields["girth"] = {"type": "number"}
        change("widen integer to number (rewrites)")
    return found
