"""Records by MQTT, HTTP and CoAP to acknowledged rows, beside raw COPY of the same rows.

Everything is at work: devices' secrets, typed validation, alarm rules, last values, journal and ledger.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
from sqlalchemy import text

from twin import db, devices, products
from twin.errors import Unavailable
from twin.settings import settings
from twin.telemetry import packing
from ui.terminal.benchmarks import Figure, cost, figure, scratch
from ui.terminal.paths import ROOT

OWN_SIZE = 300_000
PRODUCT = "bin_level"
DEVICES, CONNECTIONS, HTTP_CONNECTIONS = 1000, 100, 500
COPY_BATCH = 5000
WAIT_S = 30.0


def run(size: int) -> list[Figure]:
    """Send records by every door, and check that each acknowledged one is a row."""
    size = size or OWN_SIZE
    with scratch.database():
        logins = enter(DEVICES)
        limit = max(copy_limit(size) for _ in range(2))
        found = []
        with doors() as ports:
            for name, door, who, window in (
                ("MQTT, 1,000 connections", "mqtt", logins, 200),
                (f"MQTT, {CONNECTIONS} connections", "mqtt", logins[:CONNECTIONS], 1000),
                ("CoAP, signed", "coap", logins[:CONNECTIONS], 1000),
                ("HTTP, single", "http", logins[:HTTP_CONNECTIONS], 1),
                ("HTTP, 1,000 a request", "batched", logins[:CONNECTIONS], 1),
            ):
                port = ports["coap" if door == "coap" else "http" if window == 1 else "mqtt"]
                count = size if door in ("mqtt", "batched") else size // 3
                pid = ports["api" if door in ("http", "batched") else "door"]
                rate, spent = through(door, port, who, count, window, pid)
                found.append(figure(f"ingest: {name}", rate, "records/s", limit))
                found += [
                    figure(f"ingest: {name}, CPU of {part}", us, "µs/record")
                    for part, us in spent.items()
                ]
        return found


def enter(count: int) -> list[tuple[str, str]]:
    """Enter devices with things; return user names and secrets."""
    names = [f"bench{i:05d}" for i in range(count)]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into twin.thing (id, kind, code, district, level) "
                "values (:id, 'sensor', :code, '310101', 2)"
            ),
            [{"id": uuid4(), "code": name} for name in names],
        )
        nums = devices.numbers(conn, names)
    with db.engine("app").begin() as conn:
        done = devices.many(conn, PRODUCT, [(name, nums[name]) for name in names], actor="bench")
    return [(f"{one.product}/{one.device}", one.secret) for one in done]


def copy_limit(size: int) -> float:
    """Return rows per second of binary COPY, made ready beforehand, into a table like one day's."""
    address = settings().dsn("owner").replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute("drop table if exists iot.bench_copy")
        conn.execute(f"create table iot.bench_copy (like iot.up_{PRODUCT})")
        conn.execute("create index on iot.bench_copy using brin (at)")
        part = np.arange(COPY_BATCH)
        with db.engine("owner").connect() as other:
            numeric = products.one(other, PRODUCT).numeric[:3]
        fixed = [(">i8", part), (">i4", part), (">i8", part), (">i8", part)]
        numbers = [(packing.STORED[one.type], part % 50.0) for one in numeric]
        raw = packing.HEAD + b"".join(packing.rows(fixed, numbers)) + packing.TAIL
        listed = ", ".join(["at", "num", "seq", "received", *(one.name for one in numeric)])
        began = time.perf_counter()
        for _ in range(size // COPY_BATCH):
            with conn.cursor().copy(
                f"copy iot.bench_copy ({listed}) from stdin (format binary)"
            ) as out:
                out.write(raw)
        spent = time.perf_counter() - began
        conn.execute("drop table iot.bench_copy")
    return size // COPY_BATCH * COPY_BATCH / spent


@contextmanager
def doors() -> Iterator[dict[str, int]]:
    """Run a door process and an API process of their own on the benchmark's database."""
    ports = {"mqtt": _free(), "coap": _free(), "http": _free()}
    env = {
        **os.environ,
        "TWIN_MQTT_PORT": str(ports["mqtt"]),
        "TWIN_COAP_PORT": str(ports["coap"]),
        "TWIN_MQTTS_PORT": str(_free()),
    }
    web = ["ui.serve", "--port", str(ports["http"])]
    parts = [
        subprocess.Popen([sys.executable, "-m", *words], env=env, cwd=ROOT,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for words in (["ingest.doors"], web)
    ]  # fmt: skip
    try:
        end = time.monotonic() + WAIT_S
        while not all(_answers(ports[name]) for name in ("mqtt", "http")):
            if time.monotonic() > end or any(part.poll() is not None for part in parts):
                raise Unavailable("The doors of the benchmark do not open; see log/ingest.log.")
            time.sleep(0.1)
        yield {**ports, "door": parts[0].pid, "api": parts[1].pid}
    finally:
        for part in parts:
            part.send_signal(signal.SIGTERM)
            part.wait(15)


def through(
    door: str, port: int, who: list[tuple[str, str]], count: int, window: int, pid: int
) -> tuple[float, dict[str, float]]:
    """Return acknowledged records per second, and the CPU µs of each part for one record.

    Every acknowledged record is a row afterwards, or this raises.
    """
    with db.engine("owner").begin() as conn:
        conn.execute(text(f"truncate iot.up_{PRODUCT}, iot.counter"))
        conn.execute(text(f"update iot.last_{PRODUCT} set at = '-infinity', prev = null"))
    each = count // len(who)
    if door == "batched":
        each = max(1, each // 1000) * 1000
    said = {"door": door, "port": port, "devices": who, "each": each, "window": window,
            "watch": {"door": pid, "database": cost.postmaster()}}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ui.terminal.benchmarks.fleet"],
        input=json.dumps(said), capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    total = each * len(who)
    with db.engine("owner").connect() as conn:
        stored = conn.scalar(text(f"select count(*) from iot.up_{PRODUCT}"))
    if found["bad"] or stored != total:
        raise Unavailable(f"{door}: {stored} of {total} are stored, {found['bad']} were refused.")
    spent = {part: seconds / total * 1e6 for part, seconds in found["cpu"].items()}
    return float(total / found["seconds"]), spent


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
