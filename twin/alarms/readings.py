"""What rules read of many devices at once: newest values, windows, series; one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from twin import products
from twin.products import Product, Property
from twin.products.model import BOOLEAN, NUMBER

Values = dict[str, tuple[datetime, float]]
Array = np.ndarray[Any, Any]
# Loose numbers: of a product that is open, or from before the device had one.
_LOOSE = (
    "select o.num, o.at, o.value from twin.observation o join twin.device d on d.num = o.num "
    "where d.product = :product and o.property = :property and o.value is not null "
    "and o.at > :start and o.at <= :end"
)
_LOOSE_LAST = (
    "select o.num, o.property, o.at, o.value from twin.last_observation o "
    "where o.num = any(:nums) and o.value is not null"
)
_tables: set[tuple[str, str]] = set()


class Window(NamedTuple):
    """What a property of a thing did in a span of time."""

    num: int
    n: int
    low: float
    high: float
    mean: float
    first: float
    last: float
    first_at: datetime
    last_at: datetime


def has_tables(conn: Connection, product: str) -> bool:
    """Tell whether a product has its own tables yet: they are made after it is published."""
    where = (f"{conn.engine.url.database}:{conn.engine.url.port}", product)
    if where not in _tables:
        if conn.scalar(text("select to_regclass(:t)"), {"t": f'iot."last_{product}"'}) is None:
            return False
        _tables.add(where)
    return True


def number(prop: Property, alias: str) -> str:
    """Return a typed column as a number."""
    column = f'{alias}."{prop.name}"'
    if prop.type == NUMBER:
        return column
    return f"{column}::int::float8" if prop.type == BOOLEAN else f"{column}::float8"


def source(conn: Connection, product: str, prop: str) -> str:
    """Return the statement that yields num, at, value of a property between :start and :end."""
    declared = products.running(conn).get(product)
    found = declared.by_name.get(prop) if declared else None
    if found is None or not found.is_numeric or not has_tables(conn, product):
        return _LOOSE
    column = number(found, "u")
    return (
        f'{_LOOSE} union all select u.num, u.at, {column} as value from iot."up_{product}" u '
        f'where u."{found.name}" is not null and u.at > :start and u.at <= :end'
    )


def last_source(conn: Connection, product: Product) -> str | None:
    """Return the statement that yields num, property, at, value of the last values of a product."""
    if not product.numeric or not has_tables(conn, product.key):
        return None
    pairs = ", ".join(
        f"('{one.name}', l.\"{one.name}__at\", {number(one, 'l')})" for one in product.numeric
    )
    return (
        f'select l.num, v.property, v.at, v.value from iot."last_{product.key}" l '
        f"cross join lateral (values {pairs}) as v (property, at, value) where v.at is not null"
    )


def newest(conn: Connection, nums: Sequence[int]) -> dict[int, Values]:
    """Return the newest values of things by property."""
    listed = list(nums)
    keys = conn.scalars(
        text("select distinct product from twin.device where num = any(:nums)"), {"nums": listed}
    ).all()
    known = products.running(conn)
    parts = [_LOOSE_LAST]
    for key in keys:
        made = last_source(conn, known[key]) if key in known else None
        if made is not None:
            parts.append(f"{made} and l.num = any(:nums)")
    rows = conn.execute(text(" union all ".join(parts)), {"nums": listed})
    found: dict[int, Values] = {}
    for num, name, at, value in rows:
        mine = found.setdefault(num, {})
        if name not in mine or mine[name][0] < at:
            mine[name] = (at, value)
    return found


def last_statement(conn: Connection, product: str) -> str:
    """Return the statement that yields last values of a product's devices, loose ones included."""
    known = products.running(conn).get(product)
    loose = (
        "select o.num, o.property, o.at, o.value from twin.last_observation o "
        "where o.value is not null"
    )
    made = last_source(conn, known) if known else None
    return loose if made is None else f"{loose} union all {made}"


def last_of(conn: Connection, product: str, prop: str | None) -> list[Any]:
    """Return num, property, at, value of the last values of every enabled device of a product."""
    return list(
        conn.execute(
            text(
                "select distinct on (v.num, v.property) v.num, v.property, v.at, v.value "
                f"from ({last_statement(conn, product)}) v join twin.device d on d.num = v.num "
                "where d.product = :product and d.enabled "
                "and (cast(:property as text) is null or v.property = :property) "
                "order by v.num, v.property, v.at desc"
            ),
            {"product": product, "property": prop},
        )
    )


def heard_since(conn: Connection, product: str, since: datetime, limit: int) -> list[int]:
    """Return the devices of a product that said something since a moment."""
    own = (
        f'union select l.num from iot."last_{product}" l where l.at >= :since '
        if product in products.running(conn) and has_tables(conn, product)
        else ""
    )
    return list(
        conn.scalars(
            text(
                "select d.num from twin.device d join (select num from twin.last_observation "
                f"where at >= :since {own}) h on h.num = d.num where d.product = :p "
                "group by d.num order by d.num limit :n"
            ),
            {"p": product, "since": since, "n": limit},
        )
    )


def windows(
    conn: Connection, product: str, prop: str, start: datetime, end: datetime
) -> list[Window]:
    """Return what a property of every device of a product did between two moments."""
    rows = conn.execute(
        text(
            "select num, count(*) as n, min(value) as low, max(value) as high, avg(value) as mean, "
            "(array_agg(value order by at))[1] as first, "
            "(array_agg(value order by at desc))[1] as last, min(at) as first_at, "
            f"max(at) as last_at from ({source(conn, product, prop)}) v group by num"
        ),
        {"product": product, "property": prop, "start": start, "end": end},
    )
    return [Window(*row) for row in rows]


def series(
    conn: Connection,
    product: str,
    prop: str,
    start: datetime,
    end: datetime,
    limit: int = 2_000_000,
) -> dict[int, tuple[Array, Array]]:
    """Return the values of a property of every device as (seconds since 1970, values), in order."""
    rows = conn.execute(
        text(
            "select num, extract(epoch from at)::float8 as at, value from "
            f"({source(conn, product, prop)}) v order by num, at limit :limit"
        ),
        {"product": product, "property": prop, "start": start, "end": end, "limit": limit},
    ).all()
    return by_thing([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def by_thing(
    nums: Sequence[int], at: Sequence[float], values: Sequence[float]
) -> dict[int, tuple[Array, Array]]:
    """Cut rows that stand in order of their thing into one pair of arrays a thing."""
    if not nums:
        return {}
    whose = np.asarray(nums)
    moments, numbers = np.asarray(at, float), np.asarray(values, float)
    cuts = np.flatnonzero(np.diff(whose)) + 1
    edges = [0, *cuts.tolist(), len(whose)]
    return {
        int(whose[a]): (moments[a:b], numbers[a:b])
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    }


_THINGS = text(
    "select num, id, kind, code, name, district, street, level, st_x(point) as lon, "
    "st_y(point) as lat from twin.thing where num = any(:nums)"
)


def things(conn: Connection, nums: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Return what a rule may ask of things: code, name, kind, place."""
    return {row.num: dict(row._mapping) for row in conn.execute(_THINGS, {"nums": list(nums)})}
