"""What was measured: last values, values of a stretch of time, and buckets of it; by property."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import products
from twin.products import Product
from twin.products.model import BOOLEAN, NUMBER, TEXT
from twin.telemetry.store import AT, up
from twin.telemetry.store import last as last_table

MOST = 50_000


def product_of(conn: Connection, num: int) -> Product | None:
    """Return the product of the device of a thing; None where it reports under its own kind."""
    key = conn.scalar(text("select product from twin.device where num = :n"), {"n": num})
    return products.running(conn).get(str(key)) if key else None


def last(conn: Connection, nums: Sequence[int]) -> list[Any]:
    """Return the last value of every property of things: rows of num, property, at, value."""
    listed = list(nums)
    parts = ["select num, property, at, value from twin.last_observation where num = any(:nums)"]
    for product in _products_of(conn, listed):
        pairs = ", ".join(
            f"('{one.name}', l.\"{one.name}{AT}\", {_number(one)})" for one in product.numeric
        )
        if pairs:
            parts.append(
                f"select l.num, v.property, v.at, v.value from {last_table(product.key)} l "
                f"cross join lateral (values {pairs}) as v(property, at, value) "
                "where l.num = any(:nums) and v.at is not null"
            )
    rows = conn.execute(text(" union all ".join(parts) + " order by 1, 2"), {"nums": listed})
    return list(rows)


def texts(conn: Connection, num: int) -> dict[str, str]:
    """Return the last texts of a thing by property."""
    product = product_of(conn, num)
    names = [one.name for one in product.properties if one.type == TEXT] if product else []
    if product is None or not names:
        return {}
    listed = ", ".join(f'"{name}"' for name in names)
    row = conn.execute(
        text(f"select {listed} from {last_table(product.key)} where num = :n"), {"n": num}
    ).first()
    return {name: said for name, said in row._mapping.items() if said is not None} if row else {}


def values(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, limit: int = MOST,
    *, newest: bool = False,
) -> Sequence[Any]:  # fmt: skip
    """Return the values of a property between two moments, oldest first, or the newest first."""
    order = "desc" if newest else "asc"
    return conn.execute(
        text(f"{_source(conn, num, prop)} order by at {order} limit :limit"),
        {"n": num, "p": prop, "a": start, "b": end, "limit": limit},
    ).all()


def buckets(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, step_s: float
) -> Sequence[Any]:
    """Return count, least, mean and greatest value of each stretch of `step_s` that has any."""
    return conn.execute(
        text(
            "select date_bin(make_interval(secs => :step), at, timestamptz '2000-01-01 00:00Z') as at, "
            "count(*) as n, min(value) as low, avg(value) as mean, max(value) as high "
            f"from ({_source(conn, num, prop)}) v group by 1 order by 1 limit :limit"
        ),
        {"n": num, "p": prop, "a": start, "b": end, "step": step_s, "limit": MOST},
    ).all()


def _products_of(conn: Connection, nums: list[int]) -> list[Product]:
    keys = conn.scalars(
        text("select distinct product from twin.device where num = any(:nums)"), {"nums": nums}
    ).all()
    known = products.running(conn)
    return [known[key] for key in sorted(keys) if key in known]


def _source(conn: Connection, num: int, prop: str) -> str:
    """Return the statement that yields a property's values, wherever they are kept.

    What a device said before it had a product stands among the loose observations still.
    """
    loose = (
        "select at, value from twin.observation where num = :n and property = :p "
        "and at between :a and :b"
    )
    product = product_of(conn, num)
    found = product.by_name.get(prop) if product else None
    if product is None or found is None or not found.is_numeric:
        return loose
    value = _number(found, "t")
    return (
        f"{loose} union all select t.at, {value} from {up(product.key)} t where t.num = :n "
        f"and t.at between :a and :b and {value} is not null"
    )


def _number(prop: Any, table: str = "l") -> str:
    column = f'{table}."{prop.name}"'
    if prop.type == NUMBER:
        return column
    return f"{column}::int::double precision" if prop.type == BOOLEAN else f"{column}::float8"
