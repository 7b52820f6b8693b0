"""Features of this installation: CPU of a page against the same prepared SQL without HTTP."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text

from services.features import asked, repository
from twin import db, kinds
from twin.kinds import Kind
from ui.terminal.benchmarks import Figure, figure, serving
from ui.terminal.benchmarks.tiles import actor

PAGES = 200
USER = "commander"
LIMITED = "district-310104"
DISTRICT = "310104"
# A box holds about as much, however dense a kind stands.
HITS = 2000
HALF_DEG = 0.02
ROUNDS = 3
CLIENTS = 8
CASES = (
    ("polygons", ("building", "sub_compartment", "green_space"), (100, 1000)),
    ("points", ("street_tree", "sign", "toilet"), (100, 1000)),
)
Query = dict[str, str]


def run(size: int) -> list[Figure]:
    """Ask for pages of random boxes where things are, then for the same as a limited account."""
    count = size or PAGES
    with db.engine("app").connect() as conn:
        known = kinds.catalogue(conn)
    made: list[Figure] = []
    with serving.server("bench-features") as server:
        headers = serving.bearer(USER)
        for what, names, limits in CASES:
            kind = next((known[n] for n in names if n in known and _held(known[n])), None)
            if kind is None:
                continue
            for limit in limits:
                made += _pages(server, headers, kind, what, boxes(kind, count, limit))
            made += _limited(server, headers, kind, count)
    return made


def _held(kind: Kind) -> bool:
    with db.engine("app").connect() as conn:
        asked_for = text(f"select exists (select 1 from {kind.topic}.{kind.kind})")
        return bool(conn.scalar(asked_for))


def boxes(kind: Kind, count: int, limit: int, district: str | None = None) -> list[Query]:
    """Return queries for boxes around random things of a kind, the same in every run."""
    where = "where district = :district" if district else ""
    sample = "" if district else "tablesample bernoulli (:share) repeatable (7)"
    asked_for = text(
        f"select st_x(p), st_y(p) from (select st_pointonsurface(geom) p "
        f"from {kind.topic}.{kind.kind} {sample} {where} order by num limit 5000) q"
    )
    with db.engine("app").connect() as conn:
        total = conn.scalar(text(f"select count(*) from {kind.topic}.{kind.kind}")) or 1
        share = min(100.0, 300_000 / total)
        rows = conn.execute(asked_for, {"share": share, "district": district}).all()
    chosen = random.Random(7).choices([tuple(r) for r in rows], k=count)
    half = _half(kind, chosen[:40])
    corners = [(x - half, y - half, x + half, y + half) for x, y in chosen]
    return [{"bbox": ",".join(f"{v:.6f}" for v in c), "limit": str(limit)} for c in corners]


def _half(kind: Kind, places: Sequence[tuple[float, float]]) -> float:
    """Return half the side of boxes that hold HITS things in the middle."""
    half = HALF_DEG
    inside = text(
        f"select count(*) from {kind.topic}.{kind.kind} "
        "where geom && st_expand(st_setsrid(st_makepoint(:x, :y), 4326), :half)"
    )
    with db.engine("app").connect() as conn:
        for _ in range(4):
            held = [conn.scalar(inside, {"x": x, "y": y, "half": half}) or 1 for x, y in places]
            factor = float((HITS / statistics.median(held)) ** 0.5)
            half = min(0.2, max(0.001, half * factor))
    return half


def paths(kind: Kind, queries: Sequence[Query]) -> list[str]:
    """Return the addresses of queries."""
    return [f"/ogc/collections/{kind.kind}/items?{urlencode(q)}" for q in queries]


def _pages(
    on: serving.Server, headers: dict[str, str], kind: Kind, what: str, queries: Sequence[Query]
) -> list[Figure]:
    prepared, values = statements(kind, queries, USER)
    asked_for = paths(kind, queries)
    both = serving.beside(on, asked_for, headers, prepared, values, role="app", clients=CLIENTS)
    alone = serving.drive(on.port, asked_for, headers)
    name = f"{what} {kind.kind} limit {queries[0]['limit']}"
    return [
        figure(f"{name}, CPU a page", both.ours.cpu_ms, "ms", both.bare.cpu_ms),
        figure(f"{name}, one client, median", alone.median, "ms", both.bare.driven.median),
        figure(f"{name}, one client, p95", alone.quantile(0.95), "ms"),
        figure(f"{name}, {CLIENTS} clients", both.ours.driven.rate, "pages/s"),
    ]


def statements(kind: Kind, queries: Sequence[Query], user: str) -> tuple[Any, list[Any]]:
    """Return the prepared statement of queries of one form, and the values of each."""
    who = actor(user)
    made = [repository.page(asked.read(kind, who, q)) for q in queries]
    return made[0][0], [values for _, values in made]


def _limited(on: serving.Server, headers: dict[str, str], kind: Kind, count: int) -> list[Figure]:
    """Ask for the same boxes within one district as somebody who sees all and one who sees it alone."""
    queries = boxes(kind, count, 100, DISTRICT)
    whole = serving.measure(on, paths(kind, queries), headers, rounds=ROUNDS)
    own = serving.measure(on, paths(kind, queries), serving.bearer(LIMITED), rounds=ROUNDS)
    name = f"{kind.kind} limit 100, an account limited to a district"
    return [
        figure(f"{name}, CPU a page", own.cpu_ms, "ms", whole.cpu_ms),
        figure(f"{name}, median", own.driven.median, "ms", whole.driven.median),
    ]
