"""How often each property of each device is reported, learned from what it did; who is late by that.

A series is late when it has been silent for its learned period and six times its usual deviation;
looked at every ten seconds, a silence is known within period + 6 MAD + 10 s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from twin.alarms import readings
from twin.products import Product

Array = np.ndarray[Any, Any]
MADS = 6.0
LEAST = 20
LEARN_OVER = timedelta(days=14)
# A clock ticks in seconds and networks hesitate: no series is more exact than this.
FLOOR_S, FLOOR_SHARE = 1.0, 0.01


def learn(at: Array) -> tuple[float, float, int] | None:
    """Return period, deviation and number of gaps of moments in order; None where they are too few.

    The median is not moved by silences: they are few among the gaps, however long.
    """
    gaps = np.diff(at)
    gaps = gaps[gaps > 0]
    if len(gaps) < LEAST:
        return None
    period = float(np.median(gaps))
    mad = float(np.median(np.abs(gaps - period)))
    return period, max(mad, FLOOR_S, FLOOR_SHARE * period), len(gaps)


def late_after(period: float, mad: float) -> float:
    """Return after how many seconds of silence a series is late."""
    return period + MADS * mad


_KEEP = text(
    "insert into iot.cadence (num, property, product, period_s, mad_s, samples) select * from "
    "unnest(cast(:nums as int[]), cast(:names as text[]), cast(:products as text[]), "
    "cast(:periods as real[]), cast(:mads as real[]), cast(:counts as int[])) "
    "on conflict (num, property) do update set product = excluded.product, "
    "period_s = excluded.period_s, mad_s = excluded.mad_s, samples = excluded.samples, "
    "learned_at = now()"
)


def learn_product(conn: Connection, product: Product, now: datetime) -> int:
    """Learn the period of every series of a product from its last days; return how many."""
    found: list[tuple[int, str, str, float, float, int]] = []
    for prop in product.numeric:
        series = readings.series(conn, product.key, prop.name, now - LEARN_OVER, now)
        for num, (at, _) in series.items():
            made = learn(at)
            if made is not None:
                found.append((num, prop.name, product.key, *made))
    if found:
        nums, names, keys, periods, mads, counts = map(list, zip(*found, strict=True))
        conn.execute(
            _KEEP,
            {"nums": nums, "names": names, "products": keys, "periods": periods, "mads": mads,
             "counts": counts},
        )  # fmt: skip
    return len(found)


def silences(
    conn: Connection, product: str, prop: str | None, now: datetime
) -> list[tuple[int, float, bool]]:
    """Return for each device of a product how long it is silent, and whether that is too long.

    A property that nobody has learned yet says nothing; of several the latest news counts.
    """
    source = readings.last_statement(conn, product)
    rows = conn.execute(
        text(
            "select v.num, min(extract(epoch from :now - v.at))::float8 as silent, "
            f"bool_or(extract(epoch from :now - v.at) > c.period_s + {MADS} * c.mad_s) as late "
            f"from ({source}) v join iot.cadence c on c.num = v.num and c.property = v.property "
            "join twin.device d on d.num = v.num and d.enabled where c.product = :p "
            "and (cast(:prop as text) is null or v.property = :prop) group by v.num"
        ),
        {"now": now, "p": product, "prop": prop},
    )
    return [(row.num, row.silent, row.late) for row in rows]
