"""Loading a file of polygons and one of points, each against a bare COPY of the same rows.

The whole way of `twin load`: read, parse, validate, place by map, codes, registry, journal. The limit
is COPY of the rows that came out of it, as PostgreSQL writes them, into the same table with the same
indexes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyogrio
import shapely
from sqlalchemy import text

from ingest.files import load
from twin import db
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import database, patches

ROWS = 1_000_000
BATCH = 50_000
Frame = Any


def run(size: int) -> list[Figure]:
    """Load both files into a database of their own."""
    rows = size or ROWS
    out: list[Figure] = []
    with database(), tempfile.TemporaryDirectory(prefix="twin-bench-") as folder:
        for kind, topic, make in (
            ("sub_compartment", "forestry", _patches),
            ("bin", "sanitation", _points),
        ):
            path = Path(folder) / f"{kind}.fgb"
            _write(path, rows, make)
            out += _measure(path, kind, f"{topic}.{kind}", rows)
            path.unlink()
    return out


def _patches(start: int, rows: int, total: int) -> Frame:
    at = np.arange(start, start + rows)
    return geopandas.GeoDataFrame(
        {"key": [f"k{i:08d}" for i in at], "name": [f"小班{i:07d}" for i in at],
         "compartment": (at % 977).astype(str), "number": at.astype(str), "land_type": "arbor",
         "category": "public", "species": "香樟", "area_m2": 1200.5 + at % 500, "age_years": at % 90,
         "canopy": 0.7, "protection": "II", "ownership": "state"},
        geometry=patches(start, rows, total), crs="EPSG:4326",
    )  # fmt: skip


def _points(start: int, rows: int, total: int) -> Frame:
    at = np.arange(start, start + rows)
    gen = np.random.default_rng(start)
    places = shapely.points(121.0 + gen.random(rows) * 0.9, 30.8 + gen.random(rows) * 0.8)
    return geopandas.GeoDataFrame(
        {"key": [f"k{i:08d}" for i in at], "name": [f"废物箱{i:07d}" for i in at]},
        geometry=places, crs="EPSG:4326",
    )  # fmt: skip


def _write(path: Path, rows: int, make: Any) -> None:
    parts = [make(s, min(BATCH, rows - s), rows) for s in range(0, rows, BATCH)]
    pyogrio.write_dataframe(
        pandas.concat(parts), path, driver="FlatGeobuf", layer_options={"SPATIAL_INDEX": "NO"}
    )


def _measure(path: Path, kind: str, table: str, rows: int) -> list[Figure]:
    with _Memory() as memory:
        begun = time.perf_counter()
        done = load(path, kind, key="key", source="bench")
        took = time.perf_counter() - begun
    assert done.inserted == rows, done.json()
    bare = _bare(table)
    return [
        figure(f"{kind}: rows loaded", rows / took, "1/s", rows / bare),
        figure(f"{kind}: peak memory above the start", memory.peak_mb, "MB", 1000),
    ]


class _Memory:
    """Watches how far this process grows."""

    def __enter__(self) -> _Memory:
        self.start_mb = self.peak_mb = _resident_mb()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.peak_mb -= self.start_mb

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self.peak_mb = max(self.peak_mb, _resident_mb())


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def _bare(table: str) -> float:
    """Return the seconds of COPY of the rows, in the order in which they lie, into the emptied table."""
    with db.engine("owner").connect() as conn, tempfile.TemporaryFile() as kept:
        raw: Any = conn.connection.driver_connection
        query = f"copy (select * from {table} where source = 'bench' order by ctid) to stdout"
        with raw.cursor() as cursor, cursor.copy(query) as rows:
            for row in rows:
                kept.write(row)
        conn.execute(text(f"truncate {table}"))
        conn.commit()
        kept.seek(0)
        begun = time.perf_counter()
        with raw.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as out:
            while piece := kept.read(1 << 20):
                out.write(piece)
        conn.commit()
        return time.perf_counter() - begun
