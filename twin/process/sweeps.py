"""Work over many cases: escalation of what is due, deadlines anew after a calendar was published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin.process import clocks, rows
from twin.process.rows import Case, Step, definition, written
from twin.scope import SYSTEM

_DUE = text(
    f'select {rows.COLUMNS} from twin."case" where closed_at is null and next_at <= now() '
    "order by next_at limit :n for update skip locked"
)
# The entry of a case whose limits have moved since its escalation was armed.
ARMED = "armed"
Spawned = list[tuple[dict[str, Any], Case, Mapping[str, Any]]]


def escalate(conn: Connection, limit: int) -> tuple[list[Step], Spawned]:
    """Fire what is due, each level once; bounded so no outage ends in a herd."""
    now = datetime.now(UTC)
    steps: list[Step] = []
    spawned: Spawned = []
    for row in conn.execute(_DUE, {"n": limit}).all():
        case: Case = dict(row._mapping)
        said = definition(conn, case)
        step, reached = _fire(conn, said, case, now)
        steps.append(step)
        spawned += [(said, step.after, e["child"]) for e in reached if "child" in e]
    rows.store(conn, steps)
    return steps, spawned


def _fire(
    conn: Connection, said: dict[str, Any], case: Case, now: datetime
) -> tuple[Step, list[dict[str, Any]]]:
    """Return the step of the highest level reached; one entry tells all that were reached."""
    after = {**case, "version": case["version"] + 1}
    reached = sorted(
        (
            e
            for e in said.get("escalate", ())
            if e["at"] > case["escalated"] + 1e-6
            and case["clock_s"] is not None
            and clocks.moment(conn, said, case, e["at"]).at <= now
        ),
        key=lambda e: float(e["at"]),
    )
    if not reached:
        # The limits have moved since it was armed: it waits for the next one.
        after["next_at"] = None
        if case["clock_s"] is not None:
            clocks.arm(conn, said, after)
        return Step(after, ARMED, SYSTEM, written(case), {}), []
    top = reached[-1]
    after["escalated"] = float(top["at"])
    clocks.arm(conn, said, after)
    note = {"level": float(top["at"]), "levels": [float(e["at"]) for e in reached]}
    return Step(after, str(top["do"]), SYSTEM, written(case), note), reached


_ON = text(
    f'select {rows.COLUMNS} from twin."case" where closed_at is null and due_at is not null '
    "and clock in ('work', 'workday') order by id for update"
)


def recompute(conn: Connection, name: str, version: int) -> int:
    """Reckon the running deadlines of a calendar anew; return how many moved."""
    steps = []
    for row in conn.execute(_ON).all():
        case: Case = dict(row._mapping)
        said = definition(conn, case)
        if said.get("calendar", clocks.DEFAULT_CALENDAR) != name or case["clock_s"] is None:
            continue
        after = {**case, "version": case["version"] + 1}
        clocks.reckon(conn, said, after)
        if (after["due_at"], after["provisional"]) != (case["due_at"], case["provisional"]):
            note = {"calendar": name, "calendar_version": version,
                    "was": rows.plain(case["due_at"]), "due_at": rows.plain(after["due_at"])}  # fmt: skip
            steps.append(Step(after, "deadline", SYSTEM, written(case), note))
    rows.store(conn, steps)
    return len(steps)
