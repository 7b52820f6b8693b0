"""A few devices of declared products in the mini city, and values of theirs as the writer stores them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text

from tests import minicity
from twin import db, observations, products
from twin.alarms import candidates
from twin.observations import Observation


@dataclass
class Columns:
    """A batch as the writer has it."""

    product: Any
    num: Any
    at: Any
    values: dict[str, Any]
    received: float = 0.0
    seq: Any = field(default_factory=lambda: np.zeros(0, np.int64))


def build(product: str, places: Sequence[tuple[float, float]], prefix: str = "d") -> list[int]:
    """Make a device of a product at each place; return their numbers."""
    with db.engine("app").begin() as conn:
        made = products.one(conn, product)
        keys = [f"{product}-{prefix}{i}" for i in range(len(places))]
        columns: dict[str, list[Any]] = {
            "source_key": keys,
            "name": keys,
            "geom": [minicity.ewkb(shapely.Point(p)) for p in places],
        }
        kind = made.kind
        if kind == "sensor":
            columns["type"] = [made.thing.get("type", product)] * len(keys)
        minicity.write(conn, kind, columns)
        nums = dict(
            conn.execute(
                text(f"select source_key, num from {_table(kind)} where source_key = any(:k)"),
                {"k": keys},
            ).all()
        )
        conn.execute(
            text(
                "insert into twin.device (product, device, num) select :p, * from "
                "unnest(cast(:d as text[]), cast(:n as int[]))"
            ),
            {"p": product, "d": keys, "n": [nums[k] for k in keys]},
        )
        return [nums[k] for k in keys]


def _table(kind: str) -> str:
    topic = {"sensor": "appearance", "vehicle": "sanitation", "vessel": "sanitation"}[kind]
    return f"{topic}.{kind}"


def say(product: str, rows: Iterable[tuple[int, float, dict[str, float]]]) -> int:
    """Store values (thing, seconds since 1970, values) and keep candidates in one transaction."""
    said = list(rows)
    names = sorted({name for _, _, values in said for name in values})
    with db.engine("ingest").begin() as conn:
        observations.write(
            conn,
            [
                Observation(num, name, datetime.fromtimestamp(at, UTC), value)
                for num, at, values in said
                for name, value in values.items()
            ],
            datetime.now(UTC),
        )
        columns = Columns(
            products.one(conn, product),
            np.array([num for num, _, _ in said], np.int32),
            np.array([at for _, at, _ in said], float),
            {n: np.array([v.get(n, np.nan) for _, _, v in said], float) for n in names},
        )
        raw: Any = conn.connection.driver_connection
        return candidates.keep(raw, columns)
