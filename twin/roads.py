"""The road graphs of this process: one a vehicle profile, with what is closed now; rebuilt when that changed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gis import network
from twin import catalogue, db, scheduling
from twin.errors import NotFound, Unavailable
from twin.scope import SYSTEM

log = structlog.get_logger("roads")
CHECK_EVERY_S = 30.0
CLOSURES_EVERY_S = 2.0
DEFAULT_KMH = {"expressway": 80.0, "elevated": 60.0, "arterial": 40.0, "secondary": 30.0}
OTHER_KMH = 20.0
_CLOSED = text(
    "select id, st_asbinary(geom) as geom, profiles from twin.road_closure "
    "where lifted_at is null and starts_at <= now() and (ends_at is null or ends_at > now()) "
    "order by id limit 500"
)


@dataclass(frozen=True, eq=False)
class Base:
    """The graph as declared, with class and speed of each of its lines."""

    graph: network.RoadGraph
    classes: NDArray[np.str_]
    speeds: NDArray[np.float64]


class Roads:
    """Keeps the graphs; one thread builds, the others wait for the first and use the old after."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base: Base | None = None
        self._sign: tuple[object, ...] = ()
        self._checked = 0.0
        self._closed: list[Any] = []
        self._closed_at = 0.0
        self._turned: dict[tuple[object, ...], network.RoadGraph] = {}

    def graph(self, conn: Connection, profile: dict[str, Any] | None = None) -> network.RoadGraph:
        """Return the graph for a vehicle profile; Unavailable when the city has no roads yet."""
        with self._lock:
            base = self._current(conn)
            closed = [c for c in self._closures(conn) if _stops(c, profile)]
            if not closed and profile is None:
                return base.graph
            said = profile or {"key": "", "factor": 1.0}
            shape = (said.get("max_kmh"), said["factor"], *sorted(said.get("never", ())))
            key = (*shape, *(c.id for c in closed))
            if key not in self._turned:
                if len(self._turned) > 12:
                    self._turned.clear()
                self._turned[key] = _turn(base, said, closed)
            return self._turned[key]

    def changed(self) -> None:
        """Look at the closures anew at the next question: one was drawn or lifted here."""
        self._closed_at = 0.0

    def _current(self, conn: Connection) -> Base:
        if self._base is not None and time.monotonic() - self._checked < CHECK_EVERY_S:
            return self._base
        sign = tuple(conn.execute(text("select count(*), max(updated_at) from base.road")).one())
        if sign != self._sign or self._base is None:
            self._base = self._build(conn)
            self._sign = sign
            self._turned.clear()
        self._checked = time.monotonic()
        return self._base

    def _closures(self, conn: Connection) -> list[Any]:
        if time.monotonic() - self._closed_at >= CLOSURES_EVERY_S:
            self._closed = list(conn.execute(_CLOSED))
            self._closed_at = time.monotonic()
        return self._closed

    def _build(self, conn: Connection) -> Base:
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
        return Base(made, np.array([r[1] or "" for r in rows]), speeds)


def _stops(closure: Any, profile: dict[str, Any] | None) -> bool:
    return closure.profiles is None or (profile or {}).get("key") in closure.profiles


def _turn(base: Base, profile: dict[str, Any], closed: list[Any]) -> network.RoadGraph:
    """Return the graph as a profile drives it: slower, not everywhere, round what is closed."""
    top = float(profile.get("max_kmh") or 200.0)
    factor = profile["factor"] * np.maximum(1.0, base.speeds / top)
    factor[np.isin(base.classes, list(profile.get("never", ())))] = np.inf
    blocked = np.zeros(len(base.graph.line), dtype=bool)
    for closure in closed:
        blocked |= network.crossed(base.graph, shapely.from_wkb(bytes(closure.geom)))
    return network.turned(base.graph, factor, blocked)


roads = Roads()


def profile(said: scheduling.Scheduling, key: str) -> dict[str, Any]:
    """Return a declared profile with its key, as `Roads.graph` takes it."""
    found = said.doc["profiles"].get(key)
    if found is None:
        raise NotFound(f"No vehicle profile is called {key}.", known=sorted(said.doc["profiles"]))
    return {"key": key, **found}


def warm() -> None:
    """Build the graph ahead of the first proposal; a city without roads is no fault at start."""
    try:
        with db.engine("app").connect() as conn:
            roads.graph(conn)
    except (Unavailable, NotFound, DBAPIError) as why:
        log.info("no road graph yet", why=str(why).splitlines()[0])
