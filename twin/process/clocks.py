"""The clocks of a case: its deadline on wall time, working seconds or working days; pause and extension.

A deadline is kept as what it is made of (since when, how much in all, how much was used before), so
a pause, an extension or a newly published calendar moves it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from twin import calendar, processes, rules
from twin.beside import Beside
from twin.calendar import DAY_S, Deadline
from twin.process.rows import Case

URGENT = 2
DEFAULT_CALENDAR = "sh-workday"
STOPPED: Mapping[str, Any] = {
    "due_at": None, "warn_at": None, "remaining_s": None, "next_at": None, "paused_state": None,
    "clock": None, "clock_from": None, "clock_s": None, "used_s": 0, "provisional": False,
}  # fmt: skip


_levels: Beside[Mapping[str, Any], list[float]] = Beside(64)


def enter(
    conn: Connection, said: Mapping[str, Any], case: Case, left: str | None, now: datetime
) -> None:
    """Set the clock of the state just entered; `left` is the state before."""
    state = said["states"][case["state"]]
    if state.get("pause"):
        _pause(conn, said, case, left, now)
        return
    if case["paused_state"] == case["state"] and case["clock_s"] is not None:
        _resume(conn, said, case, now)
        return
    case |= STOPPED
    case["escalated"] = 0.0
    limit = said.get("deadlines", {}).get(case["state"])
    if limit is None or state.get("final"):
        return
    clock, span = limit_of(limit, case)
    case |= {"clock": clock, "clock_from": now, "clock_s": span, "used_s": 0}
    reckon(conn, said, case)


def limit_of(limit: Mapping[str, Any], case: Mapping[str, Any]) -> tuple[str, int]:
    """Return clock and seconds of a declared limit for a case, urgent or not."""
    urgent = case["severity"] <= URGENT and "urgent" in limit
    clock = limit.get("urgent_clock" if urgent else "clock") or limit.get("clock", "wall")
    span = processes.seconds(limit["urgent" if urgent else "normal"])
    given = limit.get("urgent_hours" if urgent else "hours")
    if given is not None:
        # Hours of the duty list go before the process's own; where it says none, these stand.
        hours = rules.value(given, {"c": case["data"], "p": {}, "actor": {}})
        if isinstance(hours, int | float) and 0 < hours <= 24 * 366:
            span = int(hours * 3600)
    return clock, span


def _pause(
    conn: Connection, said: Mapping[str, Any], case: Case, left: str | None, now: datetime
) -> None:
    """Stop the clock and keep what is left of it, however often the case waits."""
    if case["clock_s"] is not None and case["paused_state"] is None:
        used = case["used_s"] + _elapsed(conn, said, case, now)
        case |= {
            "used_s": int(used), "remaining_s": int(case["clock_s"] - used), "paused_state": left,
        }  # fmt: skip
    case |= {"due_at": None, "warn_at": None, "next_at": None}


def _resume(conn: Connection, said: Mapping[str, Any], case: Case, now: datetime) -> None:
    case |= {"clock_from": now, "remaining_s": None, "paused_state": None}
    reckon(conn, said, case)


def due_by(conn: Connection, said: Mapping[str, Any], case: Case, due: datetime) -> None:
    """Give a case the target that its source has set, on wall time; the past is not told again."""
    span = max(0, int((due - case["entered_at"]).total_seconds()))
    case |= {"clock": "wall", "clock_from": case["entered_at"], "clock_s": span, "used_s": 0}
    reckon(conn, said, case)
    case["due_at"] = due
    if due < datetime.now(UTC):
        case["next_at"] = None


def extend(conn: Connection, said: Mapping[str, Any], case: Case, hours: float) -> None:
    """Give a case more time on its own clock; one that waits gets it when it goes on."""
    if case["clock_s"] is None:
        return
    more = hours * (DAY_S / 24 if case["clock"] == "workday" else 3600)
    case["clock_s"] += int(more)
    if case["paused_state"] is not None:
        case["remaining_s"] = case["clock_s"] - case["used_s"]
    else:
        reckon(conn, said, case)


def _elapsed(conn: Connection, said: Mapping[str, Any], case: Case, now: datetime) -> float:
    since: datetime = case["clock_from"]
    if case["clock"] == "wall":
        return max(0.0, (now - since).total_seconds())
    made = calendar.load(conn, said.get("calendar", DEFAULT_CALENDAR))
    if case["clock"] == "workday":
        return made.days_between(since, now) * DAY_S
    return made.between(since, now)


def moment(conn: Connection, said: Mapping[str, Any], case: Case, share: float) -> Deadline:
    """Return when a share of the limit is used up, on the case's own clock."""
    return _moment(_days(conn, said, case), case, share)


def _days(conn: Connection, said: Mapping[str, Any], case: Case) -> calendar.Calendar | None:
    """Return the calendar that the clock of a case follows; wall time follows none."""
    if case["clock"] == "wall":
        return None
    return calendar.load(conn, said.get("calendar", DEFAULT_CALENDAR))


def _moment(days: calendar.Calendar | None, case: Case, share: float) -> Deadline:
    span = case["clock_s"] * share - case["used_s"]
    if days is None:
        return Deadline(case["clock_from"] + timedelta(seconds=span), provisional=False)
    if case["clock"] == "workday":
        return days.add_days(case["clock_from"], math.ceil(span / DAY_S))
    return days.add(case["clock_from"], span)


def reckon(conn: Connection, said: Mapping[str, Any], case: Case) -> None:
    """Set due_at, warn_at and the next escalation from what the clock is made of."""
    days = _days(conn, said, case)
    due = _moment(days, case, 1.0)
    shares = levels(said)
    case |= {"due_at": due.at, "provisional": due.provisional}
    case["warn_at"] = _moment(days, case, min([*shares, 1.0])).at
    if case["escalated"]:
        # More time than before: what was told at a share that is ahead again will be told again.
        passed = [s for s in shares if _moment(days, case, s).at <= datetime.now(UTC)]
        case["escalated"] = min(case["escalated"], max(passed, default=0.0))
    _arm(days, said, case)


def arm(conn: Connection, said: Mapping[str, Any], case: Case) -> None:
    """Set when the next escalation is due."""
    _arm(_days(conn, said, case), said, case)


def _arm(days: calendar.Calendar | None, said: Mapping[str, Any], case: Case) -> None:
    ahead = [s for s in levels(said) if s > case["escalated"] + 1e-6]
    case["next_at"] = _moment(days, case, min(ahead)).at if ahead else None


def levels(said: Mapping[str, Any]) -> list[float]:
    """Return the declared shares at which something is told, in order; made once a definition."""
    return _levels.get(said, _shares)


def _shares(said: Mapping[str, Any]) -> list[float]:
    return sorted(float(e["at"]) for e in said.get("escalate", ()))
