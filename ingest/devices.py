"""Which thing speaks as which device, and in which district a point lies: kept in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from shapely import STRtree
from sqlalchemy import Connection, text

REFRESH_S = 60.0
ASK_AGAIN_S = 2.0


class Source(NamedTuple):
    """The thing behind a device."""

    num: int
    level: int
    district: str | None


# A registered device, or a thing that reports under its own kind and code.
_KNOWN = text(
    "select d.product, d.device, t.num, t.level, t.district from twin.device d "
    "join twin.thing t on t.num = d.num where d.enabled and t.gone_at is null "
    "union all select t.kind, t.code, t.num, t.level, t.district from twin.thing t "
    "where t.kind in ('vehicle', 'vessel', 'crew', 'sensor', 'camera') and t.gone_at is null "
    "and not exists (select from twin.device d where d.product = t.kind and d.device = t.code)"
)
_DISTRICTS = text(
    "select coalesce(nullif(t.district, ''), d.code) as district, st_asbinary(d.geom) as shape "
    "from base.district d join twin.thing t on t.id = d.id where d.geom is not null"
)


class Registry:
    """Devices and districts as of a moment ago; unknown names are asked for again."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Source] = {}
        self._read_at = 0.0
        self._codes: list[str] = []
        self._tree: STRtree | None = None

    def refresh(self, conn: Connection, *, unknown: bool) -> None:
        """Read again when old, or soon after an unknown device spoke."""
        age = time.monotonic() - self._read_at
        if self._read_at and age < (ASK_AGAIN_S if unknown else REFRESH_S):
            return
        self._sources = {
            (row.product, row.device): Source(row.num, row.level, row.district)
            for row in conn.execute(_KNOWN)
        }
        shapes = conn.execute(_DISTRICTS).all()
        self._codes = [row.district for row in shapes]
        self._tree = STRtree(shapely.from_wkb([bytes(row.shape) for row in shapes]))
        self._read_at = time.monotonic()

    def find(self, product: str, device: str) -> Source | None:
        """Return the thing behind a device, if it is known and enabled."""
        return self._sources.get((product, device))

    def districts(self, lons: Sequence[float], lats: Sequence[float]) -> list[str | None]:
        """Return the district of each point, None where it lies in none."""
        found: list[str | None] = [None] * len(lons)
        if self._tree is not None and lons and self._codes:
            points = shapely.points(np.column_stack([lons, lats]))
            for point, shape in self._tree.query(points, predicate="intersects").T:
                found[point] = self._codes[shape]
        return found
