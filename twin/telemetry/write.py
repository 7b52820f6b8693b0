"""A batch of one product into its tables: last values, what is new of the history, its digest."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

import numpy as np
import psycopg
from psycopg.rows import tuple_row

from twin.products import Product
from twin.products.model import BOOLEAN, ENUM, INTEGER
from twin.telemetry import packing
from twin.telemetry.columns import Array, Columns
from twin.telemetry.packing import Packed
from twin.telemetry.store import AT, last, up

Connection = psycopg.Connection[Any]
DAY_US = 86_400_000_000
_CAST = {INTEGER: "::bigint", ENUM: "::smallint", BOOLEAN: " <> 0"}
_days: set[tuple[str, str, int]] = set()
# Things that have a row of last values: only those need not be looked for.
_rowed: dict[tuple[str, str], Array] = {}


class Kept(NamedTuple):
    """Which rows of the batch were new, and what the journal says of them."""

    new: Array
    digest: str
    first: datetime | None
    last: datetime | None


def forget() -> None:
    """Ask the database again after a failed batch: what it made may have been rolled back."""
    _days.clear()
    _rowed.clear()


def write(conn: Connection, columns: Columns) -> Kept:
    """Store what is not known already, in the caller's transaction.

    The row of last values tells how far a thing had come; only what is not newer than that can be
    a repetition, and only that is looked for in the history.
    """
    conn.adapters.register_dumper(Packed, packing._PackedDumper)
    micros = columns.micros()
    order = np.lexsort((columns.seq, micros, columns.num))
    num, at, seq = columns.num[order], micros[order], columns.seq[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (num[1:] == num[:-1]) & (at[1:] == at[:-1]) & (seq[1:] == seq[:-1])
    behind = _move_on(conn, columns, order, num, at)
    if behind.size:
        again |= _known(conn, columns.product, num, at, seq, np.isin(num, behind))
    kept = order[~again]
    if kept.size:
        _ensure_days(conn, columns.product.key, at[~again])
        _copy(conn, columns, kept, micros[kept])
    new = np.zeros(len(order), dtype=bool)
    new[kept] = True
    stamps = micros[kept]
    return Kept(
        new,
        digest(columns, kept, stamps),
        _moment(stamps.min()) if kept.size else None,
        _moment(stamps.max()) if kept.size else None,
    )


def digest(columns: Columns, rows: Array, micros: Array) -> str:
    """Return the SHA-256 of rows in order of thing, time, seq: anybody may compute it from the table."""
    names = [one.name for one in columns.product.numeric if one.name in columns.values]
    form = [("num", ">i4"), ("at", ">i8"), ("seq", ">i8"), *((name, ">f8") for name in names)]
    made = np.empty(len(rows), form)
    made["num"], made["at"], made["seq"] = columns.num[rows], micros, columns.seq[rows]
    for name in names:
        value = columns.values[name][rows]
        made[name] = np.where(np.isnan(value), np.nan, value)
    said = hashlib.sha256(made.tobytes())
    for name, texts in columns.texts.items():
        said.update(f"{name}\x1e".encode())
        said.update("\x1f".join(texts[i] or "" for i in rows.tolist()).encode())
    return said.hexdigest()


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(int(micros) / 1e6, UTC)


def _where(conn: Connection) -> str:
    return f"{conn.info.port}/{conn.info.dbname}"


def _ensure_days(conn: Connection, key: str, micros: Array) -> None:
    where = _where(conn)
    for day in np.unique(micros // DAY_US).tolist():
        if (where, key, day) not in _days:
            moment = date.fromordinal(date(1970, 1, 1).toordinal() + day)
            conn.execute("select iot.ensure_day(%s, %s)", (key, moment))
            _days.add((where, key, day))


def _copy(conn: Connection, columns: Columns, rows: Array, micros: Array) -> None:
    numeric = [one for one in columns.product.numeric if one.name in columns.values]
    received = np.full(len(rows), round(columns.received * 1e6) - packing.EPOCH_US)
    fixed = [
        (">i8", micros - packing.EPOCH_US),
        (">i4", columns.num[rows]),
        (">i8", columns.seq[rows]),
        (">i8", received),
    ]
    numbers = [(packing.STORED[one.type], columns.values[one.name][rows]) for one in numeric]
    texts = [[said[i] for i in rows.tolist()] for said in columns.texts.values()]
    named = ["at", "num", "seq", "received", *(one.name for one in numeric), *columns.texts]
    listed = ", ".join(f'"{name}"' for name in named)
    asked = f"copy {up(columns.product.key)} ({listed}) from stdin (format binary)"
    with conn.cursor() as cursor, cursor.copy(cast(Any, asked)) as out:
        # In one piece: the driver waits after each.
        out.write(b"".join([packing.HEAD, *packing.rows(fixed, numbers, texts), packing.TAIL]))


def _move_on(conn: Connection, columns: Columns, order: Array, num: Array, at: Array) -> Array:
    """Bring last values up to the batch; return the things that had come as far before it."""
    starts = np.flatnonzero(np.concatenate(([True], num[1:] != num[:-1])))
    ends = np.concatenate((starts[1:], [len(num)])) - 1
    things = num[starts]
    product = columns.product
    _ensure_rows(conn, product, things)
    given: list[Any] = [
        Packed(">i4", things),
        Packed("time", at[starts] - packing.EPOCH_US),
        Packed("time", at[ends] - packing.EPOCH_US),
    ]
    names = [one.name for one in product.numeric if one.name in columns.values]
    places = np.arange(len(num))
    for name in names:
        column = columns.values[name][order]
        found = np.maximum.reduceat(np.where(np.isnan(column), -1, places), starts)
        given.append(Packed(">f8", np.where(found < 0, np.nan, column[found])))
        moment = np.where(found < 0, packing.LONG_AGO, at[found])
        given.append(Packed("time", packing.since_2000(moment)))
    for said in columns.texts.values():
        said_in_order = [said[i] for i in order.tolist()]
        held = [int(one is not None) for one in said_in_order]
        found = np.maximum.reduceat(np.where(np.array(held) == 0, -1, places), starts)
        given.append([said_in_order[i] if i >= 0 else None for i in found.tolist()])
        moment = np.where(found < 0, packing.LONG_AGO, at[found])
        given.append(Packed("time", packing.since_2000(moment)))
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(cast(Any, _moving(product, names, list(columns.texts))), given)
        return np.array([row[0] for row in cursor], dtype=np.int32)


def _moving(product: Product, names: list[str], texts: list[str]) -> str:
    """Return the statement: each property moves on where what came is newer than what stood."""
    sets, given = [], ["%s", "%s", "%s"]
    aliases = ["num", "since", "till"]
    for place, name in enumerate([*names, *texts]):
        own = f'l."{name}{AT}"'
        newer = f"u.t{place} > coalesce({own}, '-infinity')"
        as_type = _CAST.get(product[name].type, "")
        sets.append(
            f'"{name}" = case when {newer} then u.v{place}{as_type} else l."{name}" end, '
            f"\"{name}{AT}\" = nullif(greatest({own}, u.t{place}), '-infinity')"
        )
        aliases += [f"v{place}", f"t{place}"]
        given += ["%s" if name in names else "%s::text[]", "%s"]
    values = "".join(f", {one}" for one in sets)
    return (
        f"with moved as (update {last(product.key)} l set prev = l.at, "
        f"at = greatest(l.at, u.till){values} "
        f"from unnest({', '.join(given)}) as u({', '.join(aliases)}) where l.num = u.num "
        "returning l.num, l.prev, u.since) select num from moved where prev >= since"
    )


def _ensure_rows(conn: Connection, product: Product, things: Array) -> None:
    key = (_where(conn), product.key)
    known = _rowed.get(key, np.zeros(0, dtype=bool))
    most = int(things.max()) + 1
    if most > len(known):
        known = np.concatenate([known, np.zeros(most * 5 // 4 - len(known), dtype=bool)])
    fresh = things[~known[things]]
    if fresh.size:
        conn.execute(
            cast(
                Any,
                f"insert into {last(product.key)} (num, at) select n, '-infinity' from "
                "unnest(%s) as n on conflict do nothing",
            ),
            (Packed(">i4", fresh),),
        )
        known[fresh] = True
    _rowed[key] = known


def _known(
    conn: Connection, product: Product, num: Array, at: Array, seq: Array, mine: Array
) -> Array:
    """Tell which rows of things that are not ahead stand in the history already."""
    low, high = _moment(at[mine].min() - 1), _moment(at[mine].max() + 1)
    things = np.unique(num[mine])
    with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(
            cast(
                Any,
                f"select num, (extract(epoch from at) * 1000000)::bigint, seq from {up(product.key)} "
                "where at between %s and %s and num = any(%s)",
            ),
            (low, high, Packed(">i4", things)),
        )
        there = set(cursor.fetchall())
    if not there:
        return np.zeros(len(num), dtype=bool)
    triples = zip(num.tolist(), at.tolist(), seq.tolist(), strict=True)
    return np.fromiter((one in there for one in triples), dtype=bool, count=len(num)) & mine
