"""Positions by MQTT to committed rows, beside raw binary COPY of the same rows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from twin import db, series
from twin.errors import Conflict, Unavailable
from twin.settings import settings
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.simulator.doors import open_broker

OWN_SIZE = 20_000
WAIT_S = 120.0
COPY_TYPES = ["timestamptz", "int4", "float8", "float8", "float4", "float4"]


def run(size: int) -> list[Figure]:
    """Send positions with times of their own, and wait until all are committed."""
    size = size or OWN_SIZE
    with db.engine("owner").connect() as conn:
        limit = copy_limit(conn, size)
        devices = [
            str(code)
            for code in conn.scalars(
                text("select code from twin.thing where kind = 'vehicle' limit 300")
            )
        ]
        if not devices:
            raise Conflict("There are no vehicles to report; load the demo city first.")
        sent_s, stored_s = through_the_door(conn, devices, size)
    return [
        figure("ingest: committed", size / stored_s, "messages/s", limit),
        figure("ingest: acknowledged to the sender", size / sent_s, "messages/s", limit),
    ]


def copy_limit(conn: Connection, size: int) -> float:
    """Return rows per second of binary COPY into a table like one day of positions."""
    conn.execute(
        text("create temp table bench_copy (like twin.position including defaults) on commit drop")
    )
    conn.execute(text("create index on bench_copy using brin (at)"))
    rows = [(at, i % 300, 121.4, 31.2, 20.0, 90.0) for i, at in enumerate(moments(size))]
    began = time.perf_counter()
    series.copy_rows(
        conn, "bench_copy (at, num, lon, lat, speed_kmh, heading_deg)", COPY_TYPES, rows
    )
    spent = time.perf_counter() - began
    conn.rollback()
    return size / spent


def moments(size: int) -> Iterator[datetime]:
    """Give times that no other run has used."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    return (begin + timedelta(microseconds=100 * i) for i in range(size))


def through_the_door(conn: Connection, devices: list[str], size: int) -> tuple[float, float]:
    """Return the seconds until all was acknowledged, and until all was committed."""
    times = list(moments(size))
    payloads = [
        json.dumps({"t": at.isoformat(), "lon": 121.4, "lat": 31.2, "speed_kmh": 20})
        for at in times
    ]
    client = open_broker("127.0.0.1", settings().mqtt_port)
    began = time.perf_counter()
    for i, payload in enumerate(payloads):
        last = client.publish(
            f"twin/v1/vehicle/{devices[i % len(devices)]}/position", payload, qos=1
        )
    last.wait_for_publish(WAIT_S)
    sent_s = time.perf_counter() - began
    while _stored(conn, times) < size:
        if time.perf_counter() - began > WAIT_S:
            raise Unavailable("Not all positions arrived within two minutes; see log/ingest.log.")
        time.sleep(0.02)
    stored_s = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return sent_s, stored_s


def _stored(conn: Connection, times: list[datetime]) -> int:
    count = conn.scalar(
        text(
            "select count(*) from twin.position where at between :a and :b "
            "and received_at >= :a and lon = 121.4 and lat = 31.2"
        ),
        {"a": times[0], "b": times[-1]},
    )
    conn.rollback()
    return int(count or 0)
