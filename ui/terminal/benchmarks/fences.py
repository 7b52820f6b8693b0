"""One sweep of fences over everything that moves: ten thousand movers against many drawn areas."""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text

from twin import db, kinds, positions, things
from twin.alarms import published, sweeps
from twin.alarms.engine import Engine
from twin.alarms.rule import from_doc
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import EAST, NORTH, SOUTH, WEST, database

MOVERS, FENCES, CORNERS, ROUNDS = 10_000, 50, 40, 5
_RAW = text(
    "select count(*) from twin.last_position p join (select st_setsrid(st_geomfromgeojson(a), 4326) "
    "as geom from unnest(cast(:areas as text[])) a offset 0) f "
    "on st_covers(f.geom, st_setsrid(st_makepoint(p.lon, p.lat), 4326))"
)


def run(size: int) -> list[Figure]:
    """Measure on a database of its own; size is the number of movers."""
    movers = size or MOVERS
    gen = np.random.default_rng(8)
    with database():
        _fill(movers, gen)
        docs = [_fence(i, gen) for i in range(FENCES)]
        with db.engine("app").begin() as conn:
            for doc in docs:
                published.publish(conn, doc, origin="local", actor="bench")
        rules = [from_doc(doc) for doc in docs]
        areas = [json.dumps(doc["when"]["fence"]["area"]) for doc in docs]
        raw, swept, breaches = [], [], 0
        for _ in range(ROUNDS):
            with db.engine("app").connect() as conn:
                began = time.perf_counter()
                conn.execute(_RAW, {"areas": areas}).scalar_one()
                raw.append(time.perf_counter() - began)
                began, now = time.perf_counter(), datetime.now(UTC)
                found = [list(sweeps.FORMS[one.form](conn, one, {}, now)) for one in rules]
                swept.append(time.perf_counter() - began)
                breaches = sum(one.up for seen in found for one in seen)
        began = time.perf_counter()
        Engine().once()
        whole = time.perf_counter() - began
    name = f"one sweep of {FENCES} fences over {movers} movers"
    return [
        figure(name, statistics.median(swept) * 1000, "ms", statistics.median(raw) * 1000),
        figure("the same for one fence", statistics.median(swept) * 1000 / FENCES, "ms"),
        figure("movers in breach", breaches, ""),
        figure("the pass of the engine that rings them all", whole * 1000, "ms"),
    ]


def _fill(movers: int, gen: np.random.Generator) -> None:
    """Write vehicles, each with a fix of now."""
    lon, lat = gen.uniform(WEST, EAST, movers), gen.uniform(SOUTH, NORTH, movers)
    keys = [f"v{i}" for i in range(movers)]
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "vehicle")
        columns: dict[str, Any] = {
            "source_key": keys, "name": keys, "plate": keys,
            "geom": shapely.to_wkb(shapely.set_srid(shapely.points(lon, lat), 4326), hex=True),
        }  # fmt: skip
        things.write(conn, kind, columns, actor="bench", source="bench")
        nums = conn.scalars(text("select num from sanitation.vehicle order by num")).all()
    now = datetime.now(UTC)
    places = zip(nums, lon.tolist(), lat.tolist(), strict=True)
    fixes = [positions.Fix(n, now, x, y, 20.0, 0.0, "310101", 2) for n, x, y in places]
    with db.engine("ingest").begin() as conn:
        positions.write(conn, fixes, now)


def _fence(number: int, gen: np.random.Generator) -> dict[str, Any]:
    """Return a wobbly area of about a kilometre that vehicles may not enter."""
    centre = np.array([gen.uniform(WEST, EAST), gen.uniform(SOUTH, NORTH)])
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    radius = 0.01 * (0.7 + 0.3 * gen.random(CORNERS))
    ring = centre + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    area = shapely.geometry.mapping(shapely.polygons(ring))
    return {
        "key": f"fence.bench{number}", "title": {"zh": "围栏", "en": "Fence"}, "level": 3,
        "when": {"fence": {"area": json.loads(json.dumps(area)), "breach": "enter", "kinds": ["vehicle"]}},
    }  # fmt: skip
