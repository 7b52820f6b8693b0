"""Tiles of a past moment against the present ones: 300,000 polygons of which a tenth changed."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime

import numpy as np
import shapely
from sqlalchemy import text

from gis.tiles import tile_of
from services.tiles import repository
from twin import bulk, db, kinds
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import database, patches

ROWS = 300_000
BATCH = 20_000
TILES = 60
ZOOMS = (12, 14, 16)
NAMES = ("category", "species")


def run(size: int) -> list[Figure]:
    """Fill, change a tenth, then draw the same tiles now and before the change."""
    rows = size or ROWS
    with database():
        _fill(rows, species="香樟", every=1)
        time.sleep(0.05)
        before = datetime.now(UTC)
        time.sleep(0.05)
        _fill(rows, species="水杉", every=10)
        with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("vacuum analyze forestry.sub_compartment"))
            conn.execute(text("vacuum analyze forestry.history"))
        return [one for zoom in ZOOMS for one in _compare(zoom, before)]


def _fill(rows: int, species: str, every: int) -> None:
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "sub_compartment")
        with bulk.Load(conn, kind, actor="bench", source="bench") as load:
            for start in range(0, rows, BATCH):
                at = np.arange(start, min(rows, start + BATCH))
                chosen = np.flatnonzero(at % every == 0)
                load.add(
                    {
                        "source_key": [str(i) for i in at[chosen]],
                        "name": [f"小班{i}" for i in at[chosen]],
                        "category": ["public"] * len(chosen),
                        "species": [species] * len(chosen),
                        "area_m2": [1000.0] * len(chosen),
                        "canopy": [0.7] * len(chosen),
                    },
                    _many(patches(start, len(at), rows)[chosen]),
                )


def _many(shapes: np.ndarray) -> np.ndarray:
    return np.asarray(shapely.multipolygons(shapes, indices=np.arange(len(shapes))))


def _compare(zoom: int, before: datetime) -> list[Figure]:
    gen = np.random.default_rng(zoom)
    places = [
        tile_of(121.05 + x * 0.8, 30.85 + y * 0.7, zoom) for x, y in gen.random((TILES, 2)).tolist()
    ]
    with db.engine("tiles").connect() as conn:
        kind = kinds.one(conn, "sub_compartment")
        times: dict[datetime | None, list[float]] = {None: [], before: []}
        for _, x, y in places:
            for moment, took in times.items():
                wish = repository.Wish(moment=moment)
                statement = repository.tile(kind, SYSTEM, zoom, wish, full=False, names=NAMES)
                where = repository.values(SYSTEM, zoom, x, y)
                begun = time.perf_counter()
                conn.execute(statement, where).one()
                took.append(time.perf_counter() - begun)
    now, then = (statistics.median(t) * 1000 for t in (times[None], times[before]))
    return [figure(f"z{zoom}: tile of a past moment, median", then, "ms", now)]
