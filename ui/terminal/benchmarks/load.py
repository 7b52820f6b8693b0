"""Loading a file of polygons and one of points, each against a bare COPY of the same rows.

The whole way of `twin load`: read, parse, validate, place by map, codes, registry, journal. The limit
is COPY of the rows that came out of it, as PostgreSQL writes them, into the same table with the same
indexes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyogrio
import shapely
from sqlalchemy import text

from twin import db
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import database, patches
from ui.terminal.paths import ROOT

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
    """Run `twin load` as a process of its own, so that its time and memory are its own too."""
    words = ("load", str(path), "--kind", kind, "--key", "key", "--source", "bench", "--json")
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "ui.terminal.main", *words], stdout=subprocess.PIPE, cwd=ROOT
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.2)
    took = time.perf_counter() - begun
    done = json.loads(process.communicate()[0])
    assert done["inserted"] == rows, done
    bare = _bare(table)
    return [
        figure(f"{kind}: rows loaded", rows / took, "1/s", rows / bare),
        figure(f"{kind}: peak memory of the process", peak_mb, "MB", 1000),
    ]


def _peak_mb(pid: int) -> float:
    """Return the high-water mark of a process; what a fork inherits is not in it."""
    try:
        said = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", said)
    return int(found[1]) / 1e3 if found else 0.0


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
