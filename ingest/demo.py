"""The demo city: generated, then loaded through the same door as everybody's data."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import Connection, text

from ingest.city import city, large
from ingest.city.places import Places
from twin import bulk, db, journal, kinds, things
from twin.errors import BadRequest
from twin.kinds import Kind

SOURCE = "demo"
ACTOR = "system:demo"
SIZES = ("small", "city")
Progress = Callable[[str, int, int], None]
_TYPED: dict[str, Callable[[Any], Any]] = {
    "integer": int,
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
}
# Which product the devices of a kind belong to; sensors have one product for each type.
_PRODUCT = {"vehicle": "vehicle_terminal", "crew": "crew_phone", "vessel": "vessel_terminal"}


@dataclass(frozen=True)
class Loaded:
    """What a load of the demo city did."""

    things: int
    seconds: float
    counts: dict[str, int]


def frames(size: str = "small") -> dict[str, gpd.GeoDataFrame]:
    """Return the frames of the city in loading order; the same every time.

    Of the size `city` these are the rows that both sizes have; the rest never stands in memory.
    """
    return _made(size)[0]


def _made(size: str) -> tuple[dict[str, gpd.GeoDataFrame], Places]:
    if size not in SIZES:
        raise BadRequest(f"There is no demo city of size {size!r}; use {' or '.join(SIZES)}.")
    return city.whole(chunk=large.ROAD_CHUNK) if size == "city" else city.whole()


def digest(made: dict[str, gpd.GeoDataFrame]) -> str:
    """Return a digest of every value and geometry of the frames."""
    h = hashlib.blake2b(digest_size=16)
    for kind, frame in made.items():
        h.update(kind.encode())
        shapes = frame.geometry.to_numpy()
        h.update(b"".join(shapely.to_wkb(shapes[~shapely.is_missing(shapes)])))
        h.update(frame.drop(columns="geometry").to_csv(index=False).encode())
    return h.hexdigest()


def load_demo(size: str = "small", progress: Progress | None = None, scale: float = 1.0) -> Loaded:
    """Generate and load the city in one transaction; a second call changes nothing.

    The small city is written thing by thing, each with an entry of its own; two million things go
    through the bulk load, an entry for each kind. `scale` makes the large city smaller for tests.
    """
    begun = time.perf_counter()
    with db.engine("app").connect() as conn:
        if _stands(conn):
            return Loaded(0, time.perf_counter() - begun, {})
    said = progress or (lambda part, done, total: None)
    said("generate", 0, 1)
    made, places = _made(size)
    grown = {k: round(n * scale) for k, n in large.GROWTH.items()} if size == "city" else {}
    total = sum(len(f) for f in made.values()) + sum(grown.values())
    names = list(made)
    with db.engine("app").begin() as conn:
        run = _Run(conn, kinds.catalogue(conn), lambda part, done: said(part, done, total))
        while made:
            name = next(iter(made))
            given = run.prepared(name, made.pop(name))
            if size == "city":
                run.load(
                    name, given, large.grow(name, _pool(run.kinds[name], given), places, scale)
                )
            else:
                run.write(name, given)
        _devices(conn)
        seconds = time.perf_counter() - begun
        journal.append(
            conn, cls="load", action="demo", actor=ACTOR, note={"size": size, "counts": run.counts}
        )
    _settle(names, run.kinds)
    said("done", total, total)
    return Loaded(sum(run.counts.values()), seconds, run.counts)


class _Run:
    """One load of the city: what has been written, and the codes that later kinds point to."""

    def __init__(
        self, conn: Connection, running: dict[str, Kind], said: Callable[[str, int], None]
    ) -> None:
        self.conn, self.kinds, self.said = conn, running, said
        self.counts: dict[str, int] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.pointed = {t for k in running.values() for f in k.fields.values() for t in f.targets}

    def prepared(self, name: str, frame: gpd.GeoDataFrame) -> dict[str, list[Any]]:
        """Return the columns of a frame with codes where the generator has keys."""
        self.said(name, sum(self.counts.values()))
        if name == "crew":
            frame = frame.assign(vehicle=[_vehicle(i) for i in frame["_vehicle"]])
        return _refer(self.kinds[name], columns(self.kinds[name], frame), self.codes)

    def write(self, name: str, given: dict[str, list[Any]]) -> None:
        """Write rows thing by thing."""
        done = things.write(self.conn, self.kinds[name], given, actor=ACTOR, source=SOURCE)
        self.counts[name] = done.inserted + done.updated + done.unchanged
        self._remember(name, given["source_key"])

    def load(
        self,
        name: str,
        given: dict[str, list[Any]],
        more: Iterable[tuple[dict[str, list[Any]], Any]],
    ) -> None:
        """Load rows in bulk, then what the large city has more of the kind, batch by batch."""
        before = sum(self.counts.values())
        with bulk.Load(self.conn, self.kinds[name], actor=ACTOR, source=SOURCE) as run:
            # With the first batch, not before it: a few rows alone would be written one by one and
            # hold the serials that the batches after them reserve.
            first: dict[str, list[Any]] = given
            for batch, shapes in more:
                many = shapes if self.kinds[name].geometry == "point" else _multi(shapes)
                if first:
                    run.add(_joined(first, batch | {"geom": _hex(many)}))
                    first = {}
                else:
                    run.add(batch, many)
                self.said(name, before + run.counts.inserted)
            if first:
                run.add(first)
        done = run.counts
        self.counts[name] = done.inserted + done.updated + done.unchanged
        self._remember(name, given["source_key"])

    def _remember(self, name: str, keys: list[str]) -> None:
        if name in self.pointed:
            self.codes[name] = _codes(self.conn, name, self.kinds[name].topic, keys)


def _pool(kind: Kind, given: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns that further rows may borrow: what neither names a thing nor points to one."""
    unique = {f for rule in kind.quality if rule["check"] == "unique" for f in [rule.get("field")]}
    own = (f for f in kind.fields.values() if not f.is_ref and f.name not in unique)
    return {f.name: given[f.name] for f in own if f.name in given}


def columns(kind: Kind, frame: gpd.GeoDataFrame) -> dict[str, list[Any]]:
    """Return the columns that the kind knows, as the write path takes them."""
    known = ("source_key", "code", "name", *kind.fields)
    out = {c: _plain(frame[c]) for c in known if c in frame.columns}
    for name in (n for n in out if n in kind.fields and kind.fields[n].type in _TYPED):
        make = _TYPED[kind.fields[name].type]
        out[name] = [None if v is None else make(v) for v in out[name]]
    if kind.geometry == "none":
        return out
    shapes = np.asarray(frame.geometry.array, dtype=object)
    if kind.geometry != "point":
        shapes = _multi(shapes)
    out["geom"] = _hex(shapes)
    return out


def _hex(shapes: Any) -> list[str]:
    flat = shapely.set_srid(shapes, 4326)
    return list(shapely.to_wkb(flat, hex=True, include_srid=True).tolist())


def _joined(one: dict[str, list[Any]], two: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the rows of both; a column that one lacks is empty there."""
    sizes = [len(part["source_key"]) for part in (one, two)]
    return {
        name: [*one.get(name, [None] * sizes[0]), *two.get(name, [None] * sizes[1])]
        for name in dict.fromkeys((*one, *two))
    }


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


def _codes(conn: Connection, kind: str, topic: str, keys: list[str]) -> dict[str, str]:
    """Return key → code of what the demo has written of a kind."""
    rows = conn.execute(
        text(
            f"select source_key, code from {topic}.{kind} where source = :s and source_key = any(:k)"
        ),
        {"s": SOURCE, "k": keys},
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
            "insert into twin.device (product, device, num) select 'camera_health', code, num "
            "from appearance.camera where source = :s on conflict do nothing"
        ),
        {"s": SOURCE},
    )
    conn.execute(
        text(
            "insert into twin.device (product, device, num) "
            "select case type when 'pm' then 'noise_dust' when 'wind' then 'weather_station' "
            "else type end, code, num "
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
