"""Writing things: the whole write path against a bare COPY of the same rows."""

from __future__ import annotations

import time

import shapely
from sqlalchemy import text

from twin import db, kinds, things
from ui.terminal.benchmarks import Figure

ROWS = 20_000


def run(size: int) -> list[Figure]:
    """Write new bins and take them back by rolling back, then COPY the same cells bare."""
    rows = size or ROWS
    shapes = shapely.set_srid(
        shapely.points([(121.3 + (i % 400) / 1000, 31.1 + i // 400 / 1000) for i in range(rows)]),
        4326,
    )
    geoms = list(shapely.to_wkb(shapes, hex=True, include_srid=True))
    columns = {"source_key": [f"bench-{i}" for i in range(rows)], "geom": geoms}
    with db.engine("app").connect() as conn:
        begun = time.perf_counter()
        things.write(conn, kinds.one(conn, "bin"), columns, actor="bench", source="bench")
        took = time.perf_counter() - begun
        conn.rollback()
        conn.execute(text("create temp table bare (key text, geom geometry) on commit drop"))
        raw = conn.connection.driver_connection
        assert raw is not None
        begun = time.perf_counter()
        with raw.cursor() as cursor, cursor.copy("copy bare from stdin") as out:
            for row in zip(*columns.values(), strict=True):
                out.write_row(row)
        bare = time.perf_counter() - begun
        conn.rollback()
    return [
        Figure(name="things written", figure=round(rows / took), unit="1/s", limit=round(rows / bare),
               ratio=round(bare / took, 3))
    ]  # fmt: skip
