"""Bulk loads: things new to their source go by COPY straight into table and registry.

One journal entry names all the rows that a load inserted, by their number ranges and an SM3 digest,
so that a million polygons are not a million entries; rows that stood before go through
`things.write` and keep entries of their own. Encoding and COPY run side by side on two cores.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from pyarrow import csv as arrow_csv
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from gis.geometry import wkb_hex
from gis.locate import Areas, near_order
from twin import codes, db, ids, journal, pastnames, things
from twin.errors import BadRequest, Unavailable
from twin.history import first_versions
from twin.kinds import Kind
from twin.tables import table
from twin.things import PLACES, Counts

Columns = Mapping[str, Sequence[Any]]
REGISTRY = ("id", "num", "kind", "code", "name", "district", "street", "level", "open", "point")
# A load of few things is an edit: each gets an entry of its own, and the maps see it live.
SMALL = 1_000
_QUEUED = 2
_BLOCK = 2_000
_ARROW: dict[str, Any] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
}


class Load:
    """One load of one kind from one source, in the caller's transaction.

    Use as a context manager; `add` batches, then read `counts` and `load` (the id in twin.load).
    Keys must be unique over the whole load. Nothing stands until the caller commits. With `dry`
    new rows are only counted: the caller rolls back.
    """

    def __init__(
        self,
        conn: Connection,
        kind: Kind,
        *,
        actor: str,
        source: str,
        file: str | None = None,
        dry: bool = False,
    ) -> None:
        self.conn, self.kind, self.actor, self.source, self.file = conn, kind, actor, source, file
        self.dry = dry
        self.counts = Counts()
        self.load = 0
        self._nums: list[tuple[int, int]] = []
        self._own: dict[int, None] = {}
        self._given: dict[str, None] = {}
        self._fresh = True
        self._areas: dict[str, Areas] = {}
        self._jobs: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_QUEUED)
        self._failed: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def where(self) -> str:
        """The table of the kind, with its schema."""
        return f"{self.kind.topic}.{self.kind.kind}"

    def __enter__(self) -> Load:
        self.conn.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:k, 9))"),
            {"k": f"load {self.kind.kind} {self.source}"},
        )
        self.load = self.conn.execute(
            text(
                "insert into twin.load (kind, source, file, actor) values (:k, :s, :f, :a) "
                "returning id"
            ),
            {"k": self.kind.kind, "s": self.source, "f": self.file, "a": self.actor},
        ).scalar_one()
        self._fresh = not self.conn.execute(
            text(f"select exists (select 1 from {self.where} where source = :s)"),
            {"s": self.source},
        ).scalar_one()
        self._areas = _areas(self.conn, self.kind)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, _: TracebackType | None
    ) -> None:
        self._drain()
        if why is None:
            self._raise()
            self._finish()

    def add(self, columns: Columns, shapes: np.ndarray | None = None) -> None:
        """Take a batch: columns as `things.write` has them; `shapes` (EPSG:4326) instead of `geom`."""
        self._raise()
        if shapes is not None:
            columns = {**columns, "geom": wkb_hex(shapes)}
        rows = things.check(self.kind, columns)
        if rows == 0:
            return
        known = self._known(columns["source_key"])
        if self.counts.inserted + rows <= SMALL and not self._nums and not self.dry:
            known[:] = True
        if known.any():
            self._write(_only(columns, known))
        if not known.all():
            left = shapes[~known] if shapes is not None else None
            self._insert(_only(columns, ~known) if known.any() else columns, left)

    def _write(self, columns: Columns) -> None:
        """Write rows that stood before, and the rows of a small load, with entries of their own."""
        self._drain()
        self._raise()
        done = things.write(
            self.conn, self.kind, columns, actor=self.actor, source=self.source, load=self.load
        )
        self.counts = _sum(self.counts, done)
        if done.inserted:
            self._fresh = False
            self._own |= dict.fromkeys(
                self.conn.scalars(
                    text(
                        f"select num from {self.where} where source = :s and version = 1 "
                        "and valid_from = now() and source_key = any(:keys)"
                    ),
                    {"s": self.source, "keys": list(columns["source_key"])},
                )
            )

    def _known(self, keys: Sequence[str]) -> np.ndarray:
        """Tell which keys this source has brought before."""
        if self._fresh:
            return np.zeros(len(keys), dtype=bool)
        self._drain()
        found = set(
            self.conn.scalars(
                text(
                    f"select source_key from {self.where} where source = :s "
                    "and source_key = any(:keys)"
                ),
                {"s": self.source, "keys": list(keys)},
            )
        )
        return np.array([key in found for key in keys], dtype=bool)

    def _insert(self, columns: Columns, shapes: np.ndarray | None) -> None:
        rows = len(columns["source_key"])
        if self.dry:
            self.counts = _sum(self.counts, Counts(inserted=rows))
            return
        made = self._completed(columns, shapes, rows)
        own = [c for c in made if c in things.HEAD or c in self.kind.fields]
        self._given |= dict.fromkeys(own)
        head = {"id": made["id"], "num": made["num"], "source": [self.source] * rows}
        stored = head | {c: made[c] for c in own}
        constant = {"kind": self.kind.kind, "level": self.kind.level, "open": self.kind.open}
        registered = {c: made.get(c, [constant.get(c)] * rows) for c in REGISTRY}
        order: Any = made.get("order")
        self._send(_copy("twin.thing", registered), _encode(registered, {}, order))
        self._send(_copy(self.where, stored), _encode(stored, _types(self.kind), order))
        self.counts = _sum(self.counts, Counts(inserted=rows))

    def _completed(
        self, columns: Columns, shapes: np.ndarray | None, rows: int
    ) -> dict[str, Sequence[Any]]:
        """Return the columns with id, number, code, place and point of each row."""
        made: dict[str, Any] = dict(columns)
        made["name"] = [n or "" for n in columns.get("name", [""] * rows)]
        if "state" in columns:
            made["state"] = [s or "active" for s in columns["state"]]
        made["id"] = ids.uuid7_hex(rows)
        made["num"] = self._numbers(rows)
        if self.kind.geometry != "none" and "geom" in columns:
            if shapes is None:
                shapes = shapely.from_wkb(list(columns["geom"]))
            points = shapely.point_on_surface(shapes) if self.kind.geometry != "point" else shapes
            x, y = shapely.get_x(points), shapely.get_y(points)
            for place, areas in self._areas.items():
                made.setdefault(place, areas.labels_at(x, y))
            # Neighbours lie together in table and index: quicker to write, and to draw later.
            made["order"] = near_order(x, y)
            made["point"] = made["geom"] if points is shapes else wkb_hex(points)
        elif (host := things.host_field(self.kind)) in columns:
            self._place_of_host(made, columns[str(host)])
        made["code"] = self._codes(made, rows)
        return made

    def _place_of_host(self, made: dict[str, Any], hosts: Sequence[str | None]) -> None:
        self._drain()
        found = {
            r.code: r
            for r in self.conn.execute(
                text("select code, district, street from twin.thing where code = any(:c)"),
                {"c": list({h for h in hosts if h})},
            )
        }
        for place in PLACES:
            made.setdefault(place, [getattr(found.get(h or ""), place, None) for h in hosts])

    def _numbers(self, rows: int) -> list[int]:
        """Take numbers from the registry's sequence, off the transaction: the thread may be busy."""
        with db.engine("app").connect() as side:
            found = side.scalars(
                text("select nextval('twin.thing_num_seq') from generate_series(1, :n)"),
                {"n": rows},
            ).all()
        for num in found:
            if self._nums and self._nums[-1][1] == num:
                self._nums[-1] = (self._nums[-1][0], num + 1)
            else:
                self._nums.append((num, num + 1))
        return list(found)

    def _codes(self, made: Mapping[str, Sequence[Any]], rows: int) -> list[str]:
        given = list(made.get("code", [None] * rows))
        lacking: dict[str, list[int]] = {}
        districts = made.get("district", [None] * rows)
        for i, code in enumerate(given):
            if code is None:
                lacking.setdefault(districts[i] or codes.CITY, []).append(i)
        for district, where in lacking.items():
            reserved = self._reserve(district, len(where))
            for i, code in zip(where, reserved, strict=True):
                given[i] = code
        return given

    def _reserve(self, district: str, n: int) -> list[str]:
        """Reserve codes in a transaction of their own: a long load must not hold the serials.

        Where this very transaction already holds the serial, the codes come from it instead.
        """
        try:
            with db.engine("app").begin() as side:
                side.execute(text("set local lock_timeout = '2s'"))
                return codes.reserve(side, district, self.kind.code, n)
        except OperationalError:
            self._drain()
            return codes.reserve(self.conn, district, self.kind.code, n)

    def _send(self, statement: str, raw: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._copying, daemon=True)
            self._thread.start()
        self._jobs.put((statement, raw))

    def _copying(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._failed is None:
                try:
                    _run(self.conn, *job)
                # Whatever ends the COPY is raised again where the load is made.
                except BaseException as why:  # noqa: BLE001
                    self._failed = why

    def _drain(self) -> None:
        """Wait until everything sent is in the database; the connection is free again after."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _raise(self) -> None:
        if self._failed is not None:
            self._drain()
            raise self._failed

    def _finish(self) -> None:
        if self.dry:
            return
        columns = ["num", "code", *(c for c in self._given if c not in ("num", "code"))]
        bulk_nums = _multirange(self._nums)
        found = digest(self.conn, self.where, columns, self._nums) if self._nums else None
        nums = _multirange([*self._nums, *((n, n + 1) for n in self._own)])
        counts = {
            "inserted": self.counts.inserted,
            "updated": self.counts.updated,
            "unchanged": self.counts.unchanged,
        }
        self.conn.execute(
            text(
                "update twin.load set nums = cast(:n as int4multirange), columns = :c, digest = :d, "
                "counts = cast(:counts as jsonb) where id = :id"
            ),
            {
                "n": nums,
                "c": columns,
                "d": found,
                "counts": journal.dumped(counts),
                "id": self.load,
            },
        )
        note = {"load": self.load, "nums": bulk_nums, "columns": columns, "digest": found}
        journal.append(
            self.conn, cls="load", action="load", actor=self.actor, kind=self.kind.kind,
            level=self.kind.level, note=note | counts | {"source": self.source, "file": self.file},
        )  # fmt: skip


def _multirange(parts: Iterable[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{a},{b})" for a, b in parts) + "}"


def digest(
    conn: Connection, where: str, columns: Iterable[str], nums: Iterable[tuple[int, int]]
) -> str:
    """Return the SM3 of rows in the order of their numbers [a, b).

    A row is what PostgreSQL's record_send makes of it, the shape as WKB: binary, the same on every
    installation.
    Rows come in blocks: an answer for each row would cost more than the SM3 of it.
    """
    listed = ", ".join("st_asbinary(geom)" if c == "geom" else f'"{c}"' for c in columns)
    block = text(
        f"select string_agg(record_send(row({listed})), '' order by num) from {where} "
        "where num >= :a and num < :b"
    )
    found = hashlib.new("sm3")
    for first, end in nums:
        for start in range(first, end, _BLOCK):
            rows = conn.execute(block, {"a": start, "b": min(end, start + _BLOCK)}).scalar_one()
            found.update(rows or b"")
    return found.hexdigest()


def broken(conn: Connection, kinds: Mapping[str, Kind]) -> list[dict[str, Any]]:
    """Return the loads whose rows, as they first came, are not what their journal entry proves."""
    entries = conn.execute(
        text(
            "select j.id, j.kind, j.note, array(select field from twin.retyped r "
            "where r.kind = j.kind and r.at > j.at) as retyped from twin.journal j "
            "where class = 'load' and action = 'load' and note->>'digest' is not null order by id"
        )
    ).all()
    found = []
    for entry in entries:
        kind = kinds.get(entry.kind)
        note = entry.note
        if kind is None:
            continue
        now = pastnames.former(conn, kind.kind)
        columns = [now.get(c, c) for c in note["columns"]]
        if any(c not in table(kind).c or c in entry.retyped for c in columns):
            continue  # a field was given up or retyped since: these rows cannot be proved any more
        if (
            digest(conn, first_versions(kind, columns), columns, spans(note["nums"]))
            != note["digest"]
        ):
            found.append({"entry": entry.id, "load": note["load"], "kind": entry.kind})
    return found


def spans(nums: str) -> list[tuple[int, int]]:
    """Return the ranges of numbers of a load's entry, each from its first to behind its last."""
    parts = [part.strip("[()]{} ").split(",") for part in nums.strip("{}").split("),") if part]
    return [(int(a), int(b)) for a, b in parts]


def _areas(conn: Connection, kind: Kind) -> dict[str, Areas]:
    """Return where districts and streets lie, for kinds that are placed by the map."""
    if kind.geometry == "none" or kind.kind == "district":
        return {}
    made = {}
    for place in (p for p in PLACES if p != kind.kind):
        rows = conn.execute(
            text(f"select code, st_asbinary(geom) as shape from base.{place} order by code")
        ).all()
        shapes = shapely.from_wkb(np.array([bytes(r.shape) for r in rows], dtype=object))
        made[place] = Areas([r.code for r in rows], shapes)
    return made


def _only(columns: Columns, which: np.ndarray) -> dict[str, list[Any]]:
    chosen = np.flatnonzero(which).tolist()
    return {name: [values[i] for i in chosen] for name, values in columns.items()}


def _sum(a: Counts, b: Counts) -> Counts:
    return Counts(
        inserted=a.inserted + b.inserted,
        updated=a.updated + b.updated,
        unchanged=a.unchanged + b.unchanged,
    )


def _types(kind: Kind) -> dict[str, Any]:
    return {f.name: f.type for f in kind.fields.values()}


def _copy(where: str, columns: Iterable[str]) -> str:
    listed = ", ".join(f'"{c}"' for c in columns)
    return f"copy {where} ({listed}) from stdin (format csv)"


def _encode(columns: Columns, types: Mapping[str, str], order: np.ndarray | None) -> bytes:
    """Return the rows as CSV: what is nothing stands unquoted, every text in quotes."""
    arrays = [_array(values, types.get(name)) for name, values in columns.items()]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    if order is not None:
        batch = batch.take(pa.array(order))
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(batch, sink, arrow_csv.WriteOptions(include_header=False))
    return bytes(sink.getvalue())


def _array(values: Sequence[Any], kind: str | None) -> Any:
    if kind == "list":
        values = [None if v is None else _literal(v) for v in values]
    try:
        return pa.array(values, _ARROW.get(kind or ""), from_pandas=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as why:
        raise BadRequest(f"A column holds values of different types ({why}).") from why


def _literal(said: Iterable[Any]) -> str:
    """Return a list as PostgreSQL writes an array of text."""
    parts = (str(one).replace("\\", "\\\\").replace('"', '\\"') for one in said)
    return "{" + ",".join(f'"{part}"' for part in parts) + "}"


def _driver(conn: Connection) -> Any:
    raw = conn.connection.driver_connection
    if raw is None:
        raise Unavailable("The database connection was lost; run the load again.")
    return raw


def _run(conn: Connection, statement: str, raw: bytes) -> None:
    with _driver(conn).cursor() as cursor, cursor.copy(statement) as out:
        out.write(raw)
