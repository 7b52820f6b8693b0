"""What rules read of many devices at once: newest values, windows, series; one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

Values = dict[str, tuple[datetime, float]]
Array = np.ndarray[Any, Any]


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


def newest(conn: Connection, nums: Sequence[int]) -> dict[int, Values]:
    """Return the newest values of things by property."""
    rows = conn.execute(
        text(
            "select num, property, at, value from twin.last_observation where num = any(:nums) "
            "and value is not null"
        ),
        {"nums": list(nums)},
    )
    found: dict[int, Values] = {}
    for num, name, at, value in rows:
        found.setdefault(num, {})[name] = (at, value)
    return found


def heard_since(conn: Connection, product: str, since: datetime, limit: int) -> list[int]:
    """Return the devices of a product that said something since a moment."""
    return list(
        conn.scalars(
            text(
                "select d.num from twin.device d where d.product = :p and exists (select from "
                "twin.last_observation o where o.num = d.num and o.at >= :since) "
                "order by d.num limit :n"
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
            "select o.num, count(*) as n, min(value) as low, max(value) as high, avg(value) as mean, "
            "(array_agg(value order by at))[1] as first, (array_agg(value order by at desc))[1] as last, "
            "min(at) as first_at, max(at) as last_at from twin.observation o "
            "join twin.device d on d.num = o.num where d.product = :p and o.property = :prop "
            "and o.at > :start and o.at <= :end and o.value is not null group by o.num"
        ),
        {"p": product, "prop": prop, "start": start, "end": end},
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
            "select o.num, extract(epoch from o.at)::float8 as at, o.value from twin.observation o "
            "join twin.device d on d.num = o.num where d.product = :p and o.property = :prop "
            "and o.at > :start and o.at <= :end and o.value is not null "
            "order by o.num, o.at limit :limit"
        ),
        {"p": product, "prop": prop, "start": start, "end": end, "limit": limit},
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
