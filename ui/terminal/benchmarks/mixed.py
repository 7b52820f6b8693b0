"""Fifty people at once: maps panned at several zooms, lists, cards, searches, counts, the past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from sqlalchemy import Connection, text

from gis.tiles import tile_of
from twin import db
from twin.errors import Conflict
from ui.terminal.benchmarks import Figure, figure, serving

CLIENTS, REQUESTS, PAUSE_S = 50, 4_000, 0.25
GOAL_MS = 250.0
KINDS = ("sign", "street_tree", "sub_compartment", "green_space", "toilet", "lamp", "drop_point")
USER = "commander"


def run(size: int) -> list[Figure]:
    """Send `size` requests (4,000) of fifty clients that look for a moment, then without a pause."""
    count = size or REQUESTS
    dice = random.Random(11)
    with db.engine("app").connect() as conn:
        paths = list(_paths(conn, dice, count))
    made = []
    with serving.server("bench-mixed") as on:
        headers = serving.bearer(USER) | {"Accept-Encoding": "gzip"}
        serving.drive(on.port, paths[: count // 8], headers, clients=8)
        for pause in (PAUSE_S, 0.0):
            said = f"pause of {pause * 1000:.0f} ms" if pause else "no pause"
            done = serving.drive(on.port, paths, headers, clients=CLIENTS, pause_s=pause)
            wrong = sum(n for status, n in done.statuses.items() if status >= 400)
            made += [
                figure(f"{CLIENTS} clients, {said}: p50", done.median, "ms", GOAL_MS),
                figure(f"{CLIENTS} clients, {said}: p95", done.quantile(0.95), "ms", GOAL_MS),
                figure(f"{CLIENTS} clients, {said}: p99", done.quantile(0.99), "ms", GOAL_MS),
                figure(f"{CLIENTS} clients, {said}: requests", done.rate, "requests/s"),
                figure(f"{CLIENTS} clients, {said}: refused or failed", wrong, "requests"),
            ]
    return made


def _paths(conn: Connection, dice: random.Random, count: int) -> Iterator[str]:
    """Yield addresses around places where things are, in the mix of a map that is worked with."""
    rows = conn.execute(
        text(
            "select code, name, st_x(point) as x, st_y(point) as y from twin.thing "
            "tablesample system (1) where point is not null and gone_at is null limit 20000"
        )
    ).all()
    if not rows:
        raise Conflict("There is nothing to look at; load a city first.")
    hour = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:00Z")
    for _ in range(count):
        one, kind, what = dice.choice(rows), dice.choice(KINDS), dice.random()
        if what < 0.6:
            zoom = dice.choice((11, 12, 13, 14, 14, 15, 16, 16))
            z, x, y = tile_of(one.x, one.y, zoom)
            layer = dice.choice(("base", kind, kind))
            yield f"/tiles/{layer}/{z}/{x}/{y}.mvt"
        elif what < 0.72:
            box = f"{one.x - 0.01:.5f},{one.y - 0.01:.5f},{one.x + 0.01:.5f},{one.y + 0.01:.5f}"
            yield f"/ogc/collections/{kind}/items?limit=100&bbox={box}"
        elif what < 0.80:
            yield f"/api/v1/search?q={quote((one.name or one.code)[:6])}&near={one.x:.5f},{one.y:.5f}"
        elif what < 0.88:
            yield f"/api/v1/things/{one.code}"
        elif what < 0.92:
            yield f"/api/v1/here?lon={one.x:.5f}&lat={one.y:.5f}"
        elif what < 0.95:
            yield "/api/v1/events?limit=100"
        elif what < 0.97:
            yield "/api/v1/indicators"
        else:
            z, x, y = tile_of(one.x, one.y, 15)
            yield f"/tiles/{kind}/{z}/{x}/{y}.mvt?datetime={hour}"
