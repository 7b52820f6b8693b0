"""The live hub: 500 WebSocket clients and 10,000 things that move once a second."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import numpy as np
import shapely
from sqlalchemy import text

from twin import bulk, db, identity, kinds, positions
from ui.terminal.benchmarks import Figure, figure, serving
from ui.terminal.benchmarks.scratch import EAST, NORTH, SOUTH, WEST, database
from ui.terminal.paths import ROOT

THINGS, CLIENTS, SECONDS, SETTLE_S = 10_000, 500, 30, 8
LAG_GOAL_S, CORE_GOAL = 1.0, 10.0


def run(size: int) -> list[Figure]:
    """Move `size` things (10,000) once a second for half a minute before 500 clients."""
    things = size or THINGS
    with database():
        nums = _things(things)
        with db.engine("app").begin() as conn:
            identity.add_account(
                conn, user="bench", name={"zh": "测", "en": "Bench"}, password=secrets.token_urlsafe(18),
                roles=["commander"], districts=None, clearance=3, crew=None, actor="bench",
            )  # fmt: skip
        token = serving.bearer("bench")["Authorization"]
        with serving.server("bench-live") as on:
            return _measured(on, token, nums)


def _things(count: int) -> np.ndarray:
    gen = np.random.default_rng(3)
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "vehicle")
        with bulk.Load(conn, kind, actor="bench", source="bench") as load:
            load.add(
                {
                    "source_key": [str(i) for i in range(count)],
                    "name": [f"车{i}" for i in range(count)],
                    "plate": [f"沪A·{i:05}" for i in range(count)],
                    "type": [next(iter(kind.fields["type"].codes or {"water": None}))] * count,
                },
                shapely.points(
                    WEST + gen.random(count) * (EAST - WEST),
                    SOUTH + gen.random(count) * (NORTH - SOUTH),
                ),
            )
        rows = conn.scalars(text("select num from twin.thing where kind = 'vehicle' order by num"))
        return np.array(rows.all())


def _measured(on: serving.Server, token: str, nums: np.ndarray) -> list[Figure]:
    stop = threading.Event()
    sent: dict[int, float] = {}
    mover = threading.Thread(target=_move, args=(nums, stop, sent))
    mover.start()
    try:
        asked = {"port": on.port, "token": token, "clients": CLIENTS, "seconds": SETTLE_S + SECONDS}
        driver = subprocess.Popen(
            [sys.executable, "-m", "ui.terminal.benchmarks.listeners"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert driver.stdin is not None
        driver.stdin.write(json.dumps(asked).encode())
        driver.stdin.close()
        time.sleep(SETTLE_S)
        began, at = serving.cpu_ms([on.process.pid]), time.monotonic()
        time.sleep(SECONDS - 2)
        share = (serving.cpu_ms([on.process.pid]) - began) / (time.monotonic() - at) / 10
        assert driver.stdout is not None
        said = json.loads(driver.stdout.read())
        driver.wait(30)
    finally:
        stop.set()
        mover.join()
    lags = sorted(
        seen - sent[int(tick)]
        for one in said["seen"]
        for tick, seen in one.items()
        if int(tick) in sent
    )
    return [
        figure("clients that got every second", sum(len(o) >= SECONDS - 2 for o in said["seen"]), "of probes",
               len(said["seen"])),
        figure("lag from report to client, p50", lags[len(lags) // 2], "s", LAG_GOAL_S),
        figure("lag from report to client, p95", lags[int(len(lags) * 0.95)], "s", LAG_GOAL_S),
        figure("CPU of the API process", share, "% of a core", CORE_GOAL),
        figure("sent to all clients", said["bytes"] / said["seconds"] / 1e6, "MB/s"),
    ]  # fmt: skip


def _move(nums: np.ndarray, stop: threading.Event, sent: dict[int, float]) -> None:
    """Report every thing once a second; the heading says which second it is."""
    gen = np.random.default_rng(5)
    lon = WEST + gen.random(len(nums)) * (EAST - WEST)
    lat = SOUTH + gen.random(len(nums)) * (NORTH - SOUTH)
    tick, due = 0, time.monotonic()
    while not stop.is_set():
        tick = tick % 350 + 1
        now = datetime.now(UTC)
        fixes = [
            positions.Fix(n, now, x, y, 30.0, float(tick), "310101", 2)
            for n, x, y in zip(nums.tolist(), lon.tolist(), lat.tolist(), strict=True)
        ]
        sent[tick] = time.time()
        with db.engine("ingest").begin() as conn:
            positions.write(conn, fixes, now)
        due += 1.0
        stop.wait(max(0.0, due - time.monotonic()))
