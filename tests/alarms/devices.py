"""A few devices of declared products in the mini city, and values of theirs as the writer stores them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import shapely
from sqlalchemy import text

from tests import minicity
from twin import db, products, series
from twin.alarms import candidates
from twin.telemetry.columns import Columns
from twin.telemetry.write import write


class Noted(NamedTuple):
    """What the journal says of a batch."""

    stored: int
    first: datetime | None
    last: datetime | None
    digest: str


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
        received = datetime.now(UTC)
        columns = Columns(
            product=products.one(conn, product),
            num=np.array([num for num, _, _ in said], np.int32),
            at=np.array([at for _, at, _ in said], float),
            received=received.timestamp(),
            seq=np.arange(len(said), dtype=np.int64),
            values={n: np.array([v.get(n, np.nan) for _, _, v in said], float) for n in names},
        )
        raw: Any = conn.connection.driver_connection
        kept = write(raw, columns)
        noted = Noted(int(kept.new.sum()), kept.first, kept.last, kept.digest)
        series.note_batch(conn, f"iot.up_{product}", noted, received)
        return candidates.keep(raw, columns)
