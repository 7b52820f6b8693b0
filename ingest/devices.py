"""Which thing speaks as which device, and in which district a point lies: kept in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely import STRtree
from sqlalchemy import Connection, text

REFRESH_S = 60.0
ASK_AGAIN_S = 2.0


class Source(NamedTuple):
    """The thing behind a device, and how the device shows who it is."""

    num: int
    level: int
    district: str | None
    product: str = ""
    device: str = ""
    sealed: str | None = None
    certificate: bytes | None = None
    token: str | None = None
    client: str | None = None
    state: str = "registered"


_COLUMNS = (
    "t.num, t.level, t.district, d.product, d.device, d.secret_sealed as sealed, d.certificate, "
    "d.token_sealed as token, d.client, d.state from twin.device d join twin.thing t on t.num = d.num "
    "where d.enabled and t.gone_at is null"
)
# A registered device, or a thing that reports under its own kind and code.
_KNOWN = text(
    f"select {_COLUMNS} union all "
    "select t.num, t.level, t.district, t.kind, t.code, null, null, null, null, 'registered' "
    "from twin.thing t where t.kind in ('vehicle', 'vessel', 'crew', 'sensor', 'camera') "
    "and t.gone_at is null and not exists ("
    "select from twin.device d where d.product = t.kind and d.device = t.code)"
)
_SOME = text(
    f"select {_COLUMNS} and (d.product, d.device) in "
    "(select * from unnest(cast(:p as text[]), cast(:d as text[])))"
)
_DISTRICTS = text(
    "select coalesce(nullif(t.district, ''), d.code) as district, st_asbinary(d.geom) as shape "
    "from base.district d join twin.thing t on t.id = d.id where d.geom is not null"
)


class Registry:
    """Devices and districts as of a moment ago; what changed is read again at once when told."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Source] = {}
        self._read_at = 0.0
        self._codes: list[str] = []
        self._tree: STRtree | None = None
        self._lock = threading.Lock()
        # One reading at a time: an older look at the database must never overwrite a newer one.
        self._turn = threading.Lock()

    def refresh(self, conn: Connection, *, unknown: bool = False) -> None:
        """Read all again when old, or soon after an unknown device spoke."""
        with self._turn:
            age = time.monotonic() - self._read_at
            if not self._read_at or age >= (ASK_AGAIN_S if unknown else REFRESH_S):
                self._read_all(conn)

    def _read_all(self, conn: Connection) -> None:
        found = {(row.product, row.device): _source(row) for row in conn.execute(_KNOWN)}
        shapes = conn.execute(_DISTRICTS).all()
        with self._lock:
            self._sources = found
            self._codes = [row.district for row in shapes]
            self._tree = STRtree(shapely.from_wkb([bytes(row.shape) for row in shapes]))
            self._read_at = time.monotonic()

    def reload(self, conn: Connection, who: Collection[tuple[str, str]]) -> None:
        """Read some devices again, because somebody changed them."""
        given = {"p": [product for product, _ in who], "d": [device for _, device in who]}
        with self._turn:
            found = {(row.product, row.device): _source(row) for row in conn.execute(_SOME, given)}
            self._put(who, found)

    def _put(
        self, who: Collection[tuple[str, str]], found: Mapping[tuple[str, str], Source]
    ) -> None:
        with self._lock:
            for one in who:
                if one in found:
                    self._sources[one] = found[one]
                elif one in self._sources:
                    del self._sources[one]

    def find(self, product: str, device: str) -> Source | None:
        """Return the thing behind a device, if it is known and enabled."""
        return self._sources.get((product, device))

    def everyone(self) -> dict[tuple[str, str], Source]:
        """Return all that are known."""
        return dict(self._sources)

    def districts(self, lons: Sequence[float], lats: Sequence[float]) -> list[str | None]:
        """Return the district of each point, None where it lies in none."""
        found: list[str | None] = [None] * len(lons)
        with self._lock:
            tree, codes = self._tree, self._codes
        if tree is not None and lons and codes:
            points = shapely.points(np.column_stack([lons, lats]))
            for point, shape in tree.query(points, predicate="intersects").T:
                found[point] = codes[shape]
        return found


def _source(row: Any) -> Source:
    certificate = bytes(row.certificate) if row.certificate is not None else None
    return Source(
        row.num,
        row.level,
        row.district,
        row.product,
        row.device,
        row.sealed,
        certificate,
        row.token,
        row.client,
        row.state,
    )
