"""Levels of detail over a million polygons: how long they take, how quickly the whole picture comes."""

from __future__ import annotations

import secrets
import statistics
import time

import numpy as np
import shapely
from sqlalchemy import text

from gis.tiles import tile_of
from twin import bulk, counts, db, identity, kinds, levels, things
from twin.errors import Unavailable
from ui.terminal.benchmarks import Figure, figure, serving
from ui.terminal.benchmarks.scratch import database, patches

ROWS = 1_000_000
BATCH = 50_000
ZOOMS = (10, 11, 12)
KIND = "sub_compartment"


def run(size: int) -> list[Figure]:
    """Fill, make the levels, draw every tile of z10 to z12 uncached, then change one thing."""
    rows = size or ROWS
    with database():
        _fill(rows)
        with db.engine("app").begin() as conn:
            identity.add_account(
                conn, user="bench", name={"zh": "测", "en": "Bench"}, password=secrets.token_urlsafe(18),
                roles=["commander"], districts=None, clearance=3, crew=None, actor="bench",
            )  # fmt: skip
            kind = kinds.one(conn, KIND)
            counts.refresh(conn, kind)
            began = time.perf_counter()
            levels.build(conn, kind)
            took = time.perf_counter() - began
        made = [figure(f"levels of {rows:,} polygons made", took, "s")]
        with serving.server("bench-levels", {"TWIN_TILE_CACHE_MB": "0"}) as on:
            for zoom in ZOOMS:
                made += _drawn(on, zoom)
        made.append(_changed(kind))
    return made


def _fill(rows: int) -> None:
    with db.engine("app").begin() as conn, bulk.Load(
        conn, kinds.one(conn, KIND), actor="bench", source="bench"
    ) as load:  # fmt: skip
        for start in range(0, rows, BATCH):
            shapes = patches(start, min(BATCH, rows - start), rows)
            many = np.asarray(shapely.multipolygons(shapes, indices=np.arange(len(shapes))))
            load.add({"source_key": [str(start + i) for i in range(len(many))]}, many)
    with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"vacuum analyze forestry.{KIND}"))


def _drawn(on: serving.Server, zoom: int) -> list[Figure]:
    _, left, top = tile_of(120.95, 31.60, zoom)
    _, right, bottom = tile_of(121.95, 30.80, zoom)
    paths = [
        f"/tiles/{KIND}/{zoom}/{x}/{y}.mvt"
        for x in range(left, right + 1)
        for y in range(top, bottom + 1)
    ]
    headers = serving.bearer("bench") | {"Accept-Encoding": "gzip"}
    serving.drive(on.port, paths[:3], headers)
    done = serving.drive(on.port, paths, headers, rounds=max(1, 100 // len(paths)))
    wrong = sum(n for status, n in done.statuses.items() if status >= 400)
    if wrong:
        raise Unavailable(f"{wrong} tiles of z{zoom} were refused; this figure would be none.")
    name = f"z{zoom}, every tile with the whole picture"
    return [
        figure(f"{name}, median", done.median, "ms"),
        figure(f"{name}, p95", done.quantile(0.95), "ms"),
        figure(f"{name}, size", done.bytes / len(done.latencies) / 1000, "kB"),
    ]


def _changed(kind: kinds.Kind) -> Figure:
    """Return how long it takes to bring all levels up to one thing that went."""
    near = text(
        f"select id, st_x(p), st_y(p) from (select id, st_pointonsurface(geom) p from forestry.{KIND} "
        "where geom && st_makeenvelope(:x, 31.2, :x + 0.02, 31.22, 4326) limit 1) q"
    )
    took = []
    for i in range(5):
        with db.engine("app").begin() as conn:
            thing, lon, lat = conn.execute(near, {"x": 121.1 + i * 0.1}).one()
            things.remove(conn, kind, [thing], actor="bench")
            began = time.perf_counter()
            levels.remake(conn, kind, {tile_of(lon, lat, levels.finest(kind))[1:]})
            took.append(time.perf_counter() - began)
    return figure("a changed place in all levels, median", statistics.median(took), "s")
