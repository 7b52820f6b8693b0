"""What devices last said and said before, as pages, standards and maps ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import products
from twin.products import TEXT, Product
from twin.telemetry import read, store

# From these spans on the roll-ups answer: a year of hours is 8,760 rows, whatever was reported.
MINUTES_FROM = timedelta(hours=12)
HOURS_FROM = timedelta(days=14)
LONGEST = timedelta(days=31)
Last = Any


def last(conn: Connection, nums: Sequence[int]) -> dict[int, list[Any]]:
    """Return the newest values of things, `num property at value`, by number."""
    found: dict[int, list[Any]] = {num: [] for num in nums}
    for row in read.last(conn, nums) if nums else ():
        found.setdefault(row.num, []).append(row)
    return found


def heard(conn: Connection, nums: Sequence[int]) -> dict[int, datetime]:
    """Return when each thing last reported a value or its place."""
    parts = [f"select num, at from {store.last(key)} where num = any(:n)" for key in _stored(conn)]
    parts.append("select num, at from twin.last_position where num = any(:n)")
    parts.append("select num, max(at) from twin.last_observation where num = any(:n) group by num")
    rows = conn.execute(text(" union all ".join(parts)), {"n": list(nums)})
    found: dict[int, datetime] = {}
    for num, at in rows:
        if num not in found or at > found[num]:
            found[num] = at
    return found


def _stored(conn: Connection) -> list[str]:
    """Return the products whose tables are made: one just published waits for the worker."""
    there = {
        row.relname
        for row in conn.execute(
            text(
                "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where n.nspname = 'iot' and c.relname like 'last\\_%'"
            )
        )
    }
    return [key for key in products.running(conn) if f"last_{key}" in there]


def texts(conn: Connection, product: str, num: int) -> Mapping[str, str]:
    """Return the newest texts of a thing by property."""
    model = products.running(conn).get(product)
    if model is None or not any(one.type == TEXT for one in model.properties):
        return {}
    return read.texts(conn, num)


def values(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, limit: int = 50_000
) -> Sequence[Any]:
    """Return `at, value` between two moments, oldest first."""
    return read.values(conn, num, prop, start, end, limit)


def newest(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, limit: int
) -> Sequence[Any]:
    """Return the last `at, value` between two moments, oldest first."""
    return read.values(conn, num, prop, start, end, limit, newest=True)[::-1]


def buckets(
    conn: Connection, num: int, prop: str, start: datetime, end: datetime, step_s: float
) -> Sequence[Any]:
    """Return `at, n, low, mean, high` of each span in which something was reported."""
    table = None
    if end - start >= HOURS_FROM and step_s >= 3600:
        table = "iot.hour"
    elif end - start >= MINUTES_FROM and step_s >= 60:
        table = "iot.minute"
    if table is None:
        return read.buckets(conn, num, prop, start, end, step_s)
    found = conn.execute(
        text(
            "select date_bin(make_interval(secs => :s), at, :a) as at, sum(n)::int8 as n, "
            "min(low) as low, sum(mean * n) / sum(n) as mean, max(high) as high "
            f"from {table} where num = :n and property = :p and at >= :a and at < :b "
            "group by 1 order by 1"
        ),
        {"s": step_s, "a": start, "b": end, "n": num, "p": prop},
    ).all()
    # Roll-ups follow seconds later, and may not reach back to before there were any.
    return found or read.buckets(conn, num, prop, start, end, step_s)


def reach(period_s: float | None) -> timedelta:
    """Return how far back a value still counts: a day, or three of its periods where these are longer."""
    return min(max(timedelta(days=1), timedelta(seconds=3 * (period_s or 0))), LONGEST)


def at_moment(
    conn: Connection, product: Product, prop: str, moment: datetime | None, nums: Sequence[int]
) -> Sequence[Any]:
    """Return `num, at, value` of one property of many things: now, or as it then was.

    Of a past moment the newest value within the property's reach counts; later ones are not yet known.
    """
    kind = "::int" if product[prop].type == products.BOOLEAN else ""
    if moment is None:
        rows = text(
            f'select num, "{prop}__at" as at, "{prop}"{kind}::float8 as value '
            f'from {store.last(product.key)} where "{prop}" is not null and num = any(:n)'
        )
        return conn.execute(rows, {"n": list(nums)}).all()
    return conn.execute(
        text(
            f'select distinct on (num) num, at, "{prop}"{kind}::float8 as value '
            f"from {store.up(product.key)} where at <= :t and at > :b "
            f'and "{prop}" is not null and num = any(:n) order by num, at desc'
        ),
        {"t": moment, "b": moment - reach(product[prop].period_s), "n": list(nums)},
    ).all()


def heard_at(
    conn: Connection, product: Product, moment: datetime, nums: Sequence[int]
) -> dict[int, datetime]:
    """Return when each thing of a product had last reported at a past moment, within its longest reach."""
    longest = max((one.period_s or 0 for one in product.properties), default=0)
    rows = conn.execute(
        text(
            f"select num, max(at) as at from {store.up(product.key)} "
            "where at <= :t and at > :b and num = any(:n) group by num"
        ),
        {"t": moment, "b": moment - reach(longest), "n": list(nums)},
    )
    return {row.num: row.at for row in rows}
