"""The road graph of this process, built from the road kind and rebuilt when roads changed."""

from __future__ import annotations

import threading
import time

import numpy as np
import shapely
import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gis import network
from twin import catalogue, db
from twin.errors import NotFound, Unavailable
from twin.scope import SYSTEM

log = structlog.get_logger("dispatch")
CHECK_EVERY_S = 30.0
DEFAULT_KMH = {"expressway": 80.0, "elevated": 60.0, "arterial": 40.0, "secondary": 30.0}
OTHER_KMH = 20.0


class Roads:
    """Keeps the graph; one thread builds, the others wait for the first and use the old after."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graph: network.RoadGraph | None = None
        self._sign: tuple[object, ...] = ()
        self._checked = 0.0

    def graph(self, conn: Connection) -> network.RoadGraph:
        """Return the graph; Unavailable when the city has no roads yet."""
        if self._graph is not None and time.monotonic() - self._checked < CHECK_EVERY_S:
            return self._graph
        with self._lock:
            sign = tuple(
                conn.execute(text("select count(*), max(updated_at) from base.road")).one()
            )
            if sign != self._sign or self._graph is None:
                self._graph = self._build(conn)
                self._sign = sign
            self._checked = time.monotonic()
            return self._graph

    def _build(self, conn: Connection) -> network.RoadGraph:
        start = time.perf_counter()
        known = catalogue.one(conn, SYSTEM, "road").fields
        speed = "speed_kmh" if "speed_kmh" in known else "null"
        oneway = "oneway" if "oneway" in known else "null"
        rows = conn.execute(
            text(
                f"select st_asbinary((st_dump(geom)).geom) as line, class, {speed} as speed, "
                f"{oneway} as oneway from base.road where geom is not null"
            )
        ).all()
        if not rows:
            raise Unavailable(
                "No roads are loaded, so no travel time can be told; load road first."
            )
        shapes = shapely.from_wkb([bytes(r.line) for r in rows])
        lines = [shapely.get_coordinates(s) for s in shapes]
        speeds = np.array([r.speed or DEFAULT_KMH.get(r[1], OTHER_KMH) for r in rows], dtype=float)
        ways = np.array([bool(r.oneway) for r in rows])
        made = network.build(lines, speeds, ways)
        log.info("road graph", nodes=len(made.nodes), seconds=round(time.perf_counter() - start, 2))
        return made


roads = Roads()


def warm() -> None:
    """Build the graph ahead of the first proposal; a city without roads is no fault at start."""
    try:
        with db.engine("app").connect() as conn:
            roads.graph(conn)
    except (Unavailable, NotFound, DBAPIError) as why:
        log.info("no road graph yet", why=str(why).splitlines()[0])
