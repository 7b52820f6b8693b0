"""One look at events and crews: road times, costs, who is able, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from gis import assignment, network
from services.dispatch import crews as fleet
from services.dispatch.crews import REASONS, Crew
from twin.roads import profile, roads
from twin.scheduling import Scheduling

Floats = NDArray[np.float64]
Case = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Plan:
    """Events (rows) against crews (columns)."""

    cases: Sequence[Case]
    crews: Sequence[Crew]
    travel_s: Floats
    cost: Floats
    able: NDArray[np.bool_]
    lacks: Sequence[Counter[str]]

    def ranked(self, row: int, limit: int) -> list[int]:
        """Return the crews of an event, the best first."""
        return assignment.ranked(self.cost[row], self.able[row], limit)

    def shortfall(self, row: int) -> list[dict[str, Any]]:
        """Return how many crews cannot be asked, by reason, the most frequent first."""
        return [
            {"code": code, "title": REASONS[code], "count": n}
            for code, n in self.lacks[row].most_common()
        ]


def look(
    conn: Connection,
    cases: Sequence[Case],
    crews: Sequence[Crew],
    skills: Sequence[str | None],
    said: Scheduling,
    now: datetime,
    *,
    later: bool = False,
) -> Plan:
    """Reckon all pairs; with `later`, work that a crew has in hand is waited for, not queued behind."""
    lacks: list[Counter[str]] = [Counter() for _ in cases]
    able = np.zeros((len(cases), len(crews)), dtype=bool)
    for i, case in enumerate(cases):
        for j, crew in enumerate(crews):
            why = fleet.lack(crew, case, skills[i], said, now)
            if why is None:
                able[i, j] = True
            else:
                lacks[i][why] += 1
    travel = _travel(conn, cases, crews, able, said)
    _outside(cases, crews, travel, able, lacks, said)
    return Plan(cases, crews, travel, _cost(cases, crews, travel, said, now, later), able, lacks)


def _cost(
    cases: Sequence[Case], crews: Sequence[Crew], travel: Floats, said: Scheduling, now: datetime,
    later: bool,
) -> Floats:  # fmt: skip
    weight = np.array([said.weight(c["severity"]) for c in cases])
    waited = np.array([max(0.0, (now - c["opened_at"]).total_seconds()) for c in cases])
    load = np.array([0.0 if later else float(c.load) for c in crews])
    extra = np.array([[fleet.extra_s(crew, case, said) for crew in crews] for case in cases])
    if later:
        extra = extra + np.array([[c.left_s for c in crews]])
    return assignment.costs(travel, weight, load, waited, extra, said.terms)


def _travel(
    conn: Connection, cases: Sequence[Case], crews: Sequence[Crew],
    able: NDArray[np.bool_], said: Scheduling,
) -> Floats:  # fmt: skip
    """Return the road seconds of the able pairs, each crew with its own vehicle; wider where nobody is near."""
    found = np.full(able.shape, np.inf)
    kinds: dict[str, list[int]] = {}
    for j, crew in enumerate(crews):
        if able[:, j].any():
            kinds.setdefault(crew.profile, []).append(j)
    for limit in (said.minutes("limit_min", 45), said.minutes("widen_min", 120)):
        rows = np.flatnonzero(
            able.any(axis=1) & ~np.isfinite(np.where(able, found, np.inf)).any(axis=1)
        )
        for key, columns in kinds.items():
            if not len(rows):
                break
            graph = roads.graph(conn, profile(said, key))
            places = np.array([[cases[i]["lon"], cases[i]["lat"]] for i in rows.tolist()])
            starts = np.array([[crews[j].lon, crews[j].lat] for j in columns])
            found[np.ix_(rows, np.array(columns))] = network.matrix(graph, places, starts, limit)
    return found


def _outside(
    cases: Sequence[Case], crews: Sequence[Crew], travel: Floats, able: NDArray[np.bool_],
    lacks: Sequence[Counter[str]], said: Scheduling,
) -> None:  # fmt: skip
    """Count who is too far, and whose range would not do; neither is able."""
    reserve = float(said.doc.get("reserve_km", 0.0))
    for i in range(len(cases)):
        for j in np.flatnonzero(able[i]).tolist():
            why = None
            if not np.isfinite(travel[i, j]):
                why = "outside"
            elif (left := crews[j].range_km) is not None and left < reserve:
                why = "no_fuel"
            if why:
                able[i, j] = False
                lacks[i][why] += 1
