"""The rolling assignment: every few seconds all events that wait against all crews; who is silent is replaced."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from gis import assignment
from services.dispatch import crews as fleet
from services.dispatch import planning, service
from twin import cases, db, duty, scheduling
from twin.errors import TwinError
from twin.scheduling import AUTO, Scheduling
from twin.scope import SYSTEM

log = structlog.get_logger("dispatch")
# As many events as one round looks at: the most urgent, then the oldest.
MOST = 300
_LOCK = text("select pg_try_advisory_xact_lock(7016)")
_WAITING = text(
    f'select {cases.COLUMNS} from twin."case" where process = :process and closed_at is null '
    "and state = any(:states) and point is not null "
    "order by severity, opened_at limit :most"
)
_SILENT = text(
    f'select {cases.COLUMNS} from twin."case" where process = :process and closed_at is null '
    "and state = 'dispatched' and holder is not null and entered_at < :before order by severity"
)
_KEEP = text(
    "insert into twin.suggestion (case_id, at, mode, picks, shortfall, fault, scheduling) "
    "values (:case, :at, :mode, :picks, :shortfall, :fault, :scheduling) "
    "on conflict (case_id) do update set at = excluded.at, mode = excluded.mode, "
    "picks = excluded.picks, shortfall = excluded.shortfall, fault = excluded.fault, "
    "scheduling = excluded.scheduling"
).bindparams(bindparam("picks", type_=JSONB), bindparam("shortfall", type_=JSONB))
_FORGET = text(
    'delete from twin.suggestion s where not exists (select 1 from twin."case" c '
    "where c.id = s.case_id and c.closed_at is null and c.state = any(:states))"
)


@dataclass
class Round:
    """What one round did."""

    waiting: int = 0
    sent: list[tuple[str, str]] = field(default_factory=list)
    taken_back: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    took_ms: float = 0.0


def run(now: datetime | None = None) -> Round:
    """Do one round; while another process is at it this one does nothing.

    Looking takes long and locks nothing; each step that follows is a short transaction of its own,
    so that nobody at a desk waits for a round.
    """
    begun = time.perf_counter()
    done, moment = Round(), now or fleet.clock()
    with db.engine("app").begin() as guard:
        if not guard.execute(_LOCK).scalar_one():
            return done
        said = scheduling.current(guard)
        done.taken_back = _take_back(guard, said, moment)
        waiting = _waiting(guard)
        done.waiting = len(waiting)
        if waiting:
            _assign(guard, waiting, said, moment, done)
        guard.execute(_FORGET, {"states": _states(guard)})
    done.took_ms = round((time.perf_counter() - begun) * 1000, 1)
    return done


def _waiting(conn: Connection) -> list[cases.Case]:
    said = {"process": cases.CITY, "states": _states(conn), "most": MOST}
    return [dict(r._mapping) for r in conn.execute(_WAITING, said)]


def _states(conn: Connection) -> list[str]:
    """Return the states in which an event waits for a crew."""
    return list(cases.current(conn, cases.CITY)["actions"]["dispatch"]["from"])


def _assign(
    conn: Connection, waiting: Sequence[cases.Case], said: Scheduling, now: datetime, done: Round
) -> None:
    everyone = fleet.everyone(conn, SYSTEM, said, now)
    skills = [service.skill_of(conn, c) for c in waiting]
    plan = planning.look(conn, waiting, everyone, skills, said, now, later=True)
    chosen = dict(assignment.pairs(plan.cost, plan.able))
    kept = []
    for row, case in enumerate(waiting):
        mode, fault = _mode(conn, case, said, now)
        column = chosen.get(row)
        kept.append(
            {"case": case["id"], "at": now, "mode": mode, "fault": fault,
             "picks": _picks(plan, row, column, said), "shortfall": plan.shortfall(row),
             "scheduling": said.version}
        )  # fmt: skip
        if mode == AUTO and column is not None:
            if plan.crews[column].load < said.doc.get("at_once", 1):
                _send(case, plan, row, column, done)
    conn.execute(_KEEP, kept)


def _mode(
    conn: Connection, case: cases.Case, said: Scheduling, now: datetime
) -> tuple[str, str | None]:
    """Return who decides: the duty list may say that the nearest crew goes at once."""
    mode, fault = said.mode(service.facts(case))
    if mode != AUTO and fault is None and case["severity"] <= cases.URGENT:
        made = duty.running(conn, case["process"]).decide(conn, case, now)
        mode = AUTO if made.nearest_crew else mode
    return mode, fault


def _picks(
    plan: planning.Plan, row: int, chosen: int | None, said: Scheduling
) -> list[dict[str, Any]]:
    """Return the crew that the round has chosen, then the next best, without their ways."""
    best = plan.ranked(row, said.doc.get("shown", 3))
    if chosen is not None:
        best = [chosen, *(j for j in best if j != chosen)][: said.doc.get("shown", 3)]
    return [
        {
            "code": plan.crews[j].code,
            "name": plan.crews[j].name,
            "travel_s": round(float(plan.travel_s[row, j])),
            "free_in_s": round(plan.crews[j].left_s),
            "chosen": j == chosen,
        }
        for j in best
    ]


def _send(case: cases.Case, plan: planning.Plan, row: int, column: int, done: Round) -> None:
    """Send one crew; an event that somebody acted on meanwhile is left to the next round."""
    crew = plan.crews[column]
    params = {
        "crew": crew.code, "mode": AUTO, "travel_s": round(float(plan.travel_s[row, column])),
        "reason": f"自动派发：{crew.name}，路程约 {max(1, round(plan.travel_s[row, column] / 60))} 分钟",
    }  # fmt: skip
    try:
        with db.engine("app").begin() as own:
            cases.perform(
                own, case["id"], "dispatch", actor=SYSTEM, params=params, version=case["version"]
            )
    except TwinError as why:
        done.refused.append((case["code"], why.detail))
    else:
        done.sent.append((case["code"], crew.code))


def _take_back(conn: Connection, said: Scheduling, now: datetime) -> list[tuple[str, str]]:
    """Take tasks back from crews that stay silent; after some tries a person must look."""
    shortest = min(filter(None, (said.silent_s(1), said.silent_s(4))), default=None)
    if shortest is None:
        return []
    before = now - timedelta(seconds=shortest)
    tries = said.doc["silent"].get("tries", 3)
    found: list[tuple[str, str]] = []
    rows = conn.execute(_SILENT, {"process": cases.CITY, "before": before}).all()
    for row in rows:
        case: cases.Case = dict(row._mapping)
        limit = said.silent_s(case["severity"]) or shortest
        declined = list(case["data"].get("declined") or [])
        if (now - case["entered_at"]).total_seconds() < limit or len(declined) >= tries:
            continue
        reason = f"班组 {round(limit / 60)} 分钟未接单，自动收回改派"
        try:
            with db.engine("app").begin() as own:
                cases.perform(
                    own, case["id"], "recall", actor=SYSTEM, params={"reason": reason},
                    version=case["version"],
                )  # fmt: skip
                cases.annotate(
                    own, case["id"], {"declined": [*declined, case["holder"]]}, action="silent"
                )
        except TwinError as why:
            log.warning("a silent crew was not replaced", case=case["code"], why=why.detail)
        else:
            found.append((case["code"], case["holder"]))
    return found


class Rolling:
    """Runs a round as often as the scheduling declares."""

    def __init__(self) -> None:
        """Start with a round that is due at once."""
        self._due = 0.0

    def once(self) -> int:
        """Run a round when one is due; return how many events it moved."""
        if time.monotonic() < self._due:
            return 0
        try:
            with db.engine("app").connect() as conn:
                every = scheduling.current(conn).doc.get("every_s", 15)
            self._due = time.monotonic() + every
            done = run()
        except TwinError as why:
            # A city without roads or scheduling has nothing to assign; the next round asks again.
            self._due = time.monotonic() + 15
            log.info("no assignment", why=why.detail)
            return 0
        return len(done.sent) + len(done.taken_back)
