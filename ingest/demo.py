"""The demo city: generated, then loaded through the same door as everybody's data."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import Connection, text

from ingest.city import city
from twin import db, journal, kinds, things
from twin.errors import BadRequest
from twin.kinds import Kind

SOURCE = "demo"
ACTOR = "system:demo"
SIZES = ("small",)
Progress = Callable[[str, int, int], None]
# Which product the devices of a kind belong to; sensors have one product for each type.
_PRODUCT = {"vehicle": "gps-vehicle", "crew": "gps-crew"}


@dataclass(frozen=True)
class Loaded:
    """What a load of the demo city did."""

    things: int
    seconds: float
    counts: dict[str, int]


def frames(size: str = "small") -> dict[str, gpd.GeoDataFrame]:
    """Return the frames of the city in loading order; the same every time."""
    if size not in SIZES:
        raise BadRequest(f"There is no demo city of size {size!r}; use {' or '.join(SIZES)}.")
    return city.generate()


def digest(made: dict[str, gpd.GeoDataFrame]) -> str:
    """Return a digest of every value and geometry of the frames."""
    h = hashlib.blake2b(digest_size=16)
    for kind, frame in made.items():
        h.update(kind.encode())
        shapes = frame.geometry.to_numpy()
        h.update(b"".join(shapely.to_wkb(shapes[~shapely.is_missing(shapes)])))
        h.update(frame.drop(columns="geometry").to_csv(index=False).encode())
    return h.hexdigest()


def load_demo(size: str = "small", progress: Progress | None = None) -> Loaded:
    """Generate and load the city in one transaction; a second call changes nothing."""
    said = progress or (lambda part, done, total: None)
    begun = time.perf_counter()
    with db.engine("app").connect() as conn:
        if _stands(conn):
            return Loaded(0, time.perf_counter() - begun, {})
    said("generate", 0, 1)
    made = frames(size)
    total = sum(len(f) for f in made.values())
    counts: dict[str, int] = {}
    with db.engine("app").begin() as conn:
        running = kinds.catalogue(conn)
        codes: dict[str, dict[str, str]] = {}
        pointed = {
            target for k in running.values() for f in k.fields.values() for target in f.targets
        }
        for name, frame in made.items():
            said(name, sum(counts.values()), total)
            kind = running[name]
            if name == "crew":
                frame = frame.assign(vehicle=[_vehicle(i) for i in frame["_vehicle"]])
            done = things.write(
                conn, kind, _refer(kind, columns(kind, frame), codes), actor=ACTOR, source=SOURCE
            )
            counts[name] = done.inserted + done.updated + done.unchanged
            if name in pointed:
                codes[name] = _codes(conn, name, kind.topic)
        _devices(conn)
        seconds = time.perf_counter() - begun
        journal.append(
            conn, cls="load", action="demo", actor=ACTOR, note={"size": size, "counts": counts}
        )
    _settle(list(made), running)
    said("done", total, total)
    return Loaded(sum(counts.values()), seconds, counts)


def columns(kind: Kind, frame: gpd.GeoDataFrame) -> dict[str, list[Any]]:
    """Return the columns that the kind knows, as the write path takes them."""
    known = ("source_key", "code", "name", *kind.fields)
    out = {c: _plain(frame[c]) for c in known if c in frame.columns}
    for name in (n for n in out if n in kind.fields and kind.fields[n].type == "integer"):
        out[name] = [None if v is None else int(v) for v in out[name]]
    if kind.geometry == "none":
        return out
    shapes = np.asarray(frame.geometry.array, dtype=object)
    if kind.geometry != "point":
        shapes = _multi(shapes)
    out["geom"] = shapely.to_wkb(
        shapely.set_srid(shapes, 4326), hex=True, include_srid=True
    ).tolist()
    return out


def _plain(column: Any) -> list[Any]:
    # A value that is not equal to itself is pandas' word for nothing.
    return [
        None if v is None or (isinstance(v, float) and v != v) else v for v in column.astype(object)
    ]


def _multi(shapes: Any) -> Any:
    """Return single lines and polygons as multi: that is what the tables hold."""
    kinds_of = shapely.get_type_id(shapes)
    for single, many in ((1, shapely.multilinestrings), (3, shapely.multipolygons)):
        which = np.flatnonzero(kinds_of == single)
        if len(which):
            shapes[which] = many(shapes[which], indices=np.arange(len(which)))
    return shapes


def _stands(conn: Connection) -> bool:
    found = conn.execute(
        text("select 1 from twin.journal where class = 'load' and action = 'demo' limit 1")
    ).first()
    return found is not None


def _codes(conn: Connection, kind: str, topic: str) -> dict[str, str]:
    """Return key → code of what the demo has written of a kind."""
    rows = conn.execute(
        text(f"select source_key, code from {topic}.{kind} where source = :s"), {"s": SOURCE}
    )
    return {r.source_key: r.code for r in rows}


def _refer(
    kind: Kind, given: dict[str, list[Any]], codes: dict[str, dict[str, str]]
) -> dict[str, list[Any]]:
    """Put codes in the place of keys: the generator knows its rows by key, the city by code."""
    for field in kind.fields.values():
        if field.is_ref and field.name in given:
            pool = {
                key: code for target in field.targets for key, code in codes.get(target, {}).items()
            }
            given[field.name] = [pool.get(key) for key in given[field.name]]
    return given


def _vehicle(i: float) -> str | None:
    return f"vehicle-{int(i) + 1:06d}" if i == i else None


def _devices(conn: Connection) -> None:
    """Give each vehicle, crew and sensor its device; the device's name is the thing's code."""
    for kind, product in _PRODUCT.items():
        conn.execute(
            text(
                "insert into twin.device (product, device, num) select :p, code, num from "
                f"sanitation.{kind} where source = :s on conflict do nothing"
            ),
            {"p": product, "s": SOURCE},
        )
    conn.execute(
        text(
            "insert into twin.device (product, device, num) "
            "select 'sensor-' || replace(type, '_', '-'), code, num "
            "from appearance.sensor where source = :s on conflict do nothing"
        ),
        {"s": SOURCE},
    )


def _settle(names: list[str], running: dict[str, kinds.Kind]) -> None:
    """Tell the planner about what has come; it plans sequential scans on tables it has not seen."""
    with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for name in names:
            conn.execute(text(f"analyze {running[name].topic}.{name}"))
        conn.execute(text("analyze twin.thing"))
