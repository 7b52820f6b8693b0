"""The one process engine: a case moves by declared actions, each one update and one journal entry.

A case is a thing (code, place, scope); its history is the journal, unique (subject, version).
Guards are CEL over `c` (the case), `p` (parameters), `actor`, `children` and `duty`; a guard that
fails to evaluate refuses the action with its reason. The parts are in `twin.process`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import calendar, codes, declarations, duty, ids
from twin.errors import BadRequest, NotFound, TwinError, VersionConflict
from twin.process import clocks, families, rows, steps, sweeps
from twin.process.rows import (
    COLUMNS,
    LEVEL,
    Case,
    Step,
    by_source,
    definition,
    place_of,
    snapshot,
)
from twin.process.steps import Course, actions_now
from twin.scope import SYSTEM, Actor, scope_sql

__all__ = [
    "CITY", "COLUMNS", "LEVEL", "Case", "actions_now", "annotate", "at_moment", "bulk", "by_source",
    "current", "definition", "escalate_due", "find", "open_case", "perform", "place_of",
    "recompute_deadlines", "snapshot", "story",
]  # fmt: skip
CITY = "event.city"
# What the rules of a definition may name beside the case itself.
steps.providers["duty"] = duty.provide
URGENT = clocks.URGENT
MAX_BULK = 20_000


def current(conn: Connection, process: str) -> dict[str, Any]:
    """Return the definition that new cases get."""
    try:
        _, key, number = declarations.newest(conn, "process", process)
    except NotFound as why:
        raise NotFound(f"No process is called {process}.") from why
    return declarations.kept(conn, "process", key, number)


_THING = text(
    "insert into twin.thing (id, kind, code, name, district, street, level, point) values "
    "(:id, 'event', :code, :name, :d, :s, :level, st_setsrid(st_makepoint(:lon, :lat), 4326))"
    " returning num"
)


def open_case(
    conn: Connection,
    process: str,
    *,
    actor: Actor,
    category: str,
    title: str,
    lon: float | None,
    lat: float | None,
    source: str,
    source_id: str | None = None,
    severity: int | None = None,
    data: Mapping[str, Any] | None = None,
    holder: str | None = None,
    parent: UUID | None = None,
    opened_at: datetime | None = None,
    go_on: bool = True,
    due_at: datetime | None = None,
    place: tuple[str | None, str | None] | None = None,
) -> Case:
    """Open a case at a point (or of no place); the same (source, source_id) again returns it."""
    if source_id is not None:
        known = by_source(conn, source, source_id)
        if known is not None:
            return known
    said = current(conn, process)
    kind = said["categories"].get(category)
    if kind is None:
        raise BadRequest(f"No category is called {category!r}.", known=sorted(said["categories"]))
    if place is None and lon is not None and lat is not None:
        place = place_of(conn, lon, lat)
    district, street = place or (None, None)
    # A report of the past (an import) begins its clock when it was made.
    now = opened_at or datetime.now(UTC)
    code = codes.reserve_case(conn, kind["letters"], now.astimezone(calendar.ZONE).date())
    new = ids.uuid7()
    num = conn.execute(
        _THING,
        {"id": new, "code": code, "name": title, "d": district, "s": street, "level": LEVEL,
         "lon": lon, "lat": lat},
    ).scalar_one()  # fmt: skip
    case: Case = dict.fromkeys(rows.FIELDS) | {
        "id": new, "num": num, "code": code, "process": process,
        "process_version": said["_version"], "state": said["initial"], "title": title,
        "category": category, "holder": holder, "parent": parent,
        "severity": severity or kind["severity"], "district": district, "street": street,
        "lon": lon, "lat": lat, "source": source, "source_id": source_id,
        "data": {"photos": [], "description": "", **(data or {})}, "version": 1, "opened_at": now,
        "entered_at": now, "escalated": 0.0, "used_s": 0, "provisional": False,
    }  # fmt: skip
    clocks.enter(conn, said, case, None, now)
    if due_at is not None:
        clocks.due_by(conn, said, case, due_at)
    rows.insert(conn, case, actor, {"to": case["state"]})
    if not go_on:
        return case
    course = Course(conn, said, case)
    course.go_on(actor)
    return _finish(course)


def go_on(conn: Connection, case_id: UUID, actor: Actor) -> Case:
    """Let a case do what its definition does by itself where it is."""
    case = rows.locked(conn, case_id, SYSTEM)
    course = Course(conn, definition(conn, case), case)
    course.go_on(actor)
    return _finish(course)


def settle(conn: Connection, case: Case, at: datetime) -> Case:
    """Close a case that another system has handled, at the moment when that was."""
    course = Course(conn, definition(conn, case), case, at=at)
    course.take("settle", SYSTEM, {})
    return _finish(course)


def fault(conn: Connection, case_id: UUID, rule: str, why: str) -> Case:
    """Keep that a rule about a case is broken: it stays with a person, who sees why."""
    said = {"rule": rule, "why": why, "at": datetime.now(UTC).isoformat()}
    return annotate(conn, case_id, {"rule_fault": said}, action="rule_fault")


def find(conn: Connection, actor: Actor, key: str) -> Case:
    """Return a case by id or code if the actor may see it; NotFound otherwise."""
    try:
        where, value = "id = :k", str(UUID(key))
    except ValueError:
        where, value = "code = :k", key
    row = conn.execute(
        text(f'select {COLUMNS} from twin."case" where {where}'), {"k": value}
    ).first()
    case = None if row is None else dict(row._mapping)
    if case is None or not rows.seen(actor, case):
        raise NotFound("There is no such event, or it is outside your districts.")
    return case


def perform(
    conn: Connection,
    case_id: UUID,
    action: str,
    *,
    actor: Actor,
    params: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Case:
    """Perform an action and return the case after it; racing callers get exactly one success."""
    case = rows.locked(conn, case_id, actor)
    if version is not None and version != case["version"]:
        raise VersionConflict(
            f"{case['code']} is at version {case['version']}, you acted on {version}; "
            "look at it again and repeat.",
            version=case["version"],
        )
    given = steps.given(params)
    course = Course(conn, definition(conn, case), case)
    _run(course, action, actor, given)
    done = _finish(course)
    _after(conn, course, action, actor, given)
    return done


def _run(course: Course, action: str, actor: Actor, given: Mapping[str, Any]) -> None:
    how = course.said["actions"].get(action, {})
    if "join" in how:
        families.join(course, action, actor, given)
    elif "undo" in how:
        families.part(course, action, actor, given)
    else:
        course.perform(action, actor, given)


def _finish(course: Course) -> Case:
    """Write the steps of a case, and those of others that belong to them, in their order."""
    if course.steps:
        rows.store(course.conn, course.steps)
    return course.case


def _after(
    conn: Connection, course: Course, action: str, actor: Actor, given: Mapping[str, Any]
) -> None:
    """Open the child that the action declares; tell the parent that a child has ended."""
    how = course.said["actions"][action]
    if "child" in how:
        _spawn(conn, course.said, course.case, how["child"], given, actor)
    if course.case["closed_at"] is not None and course.case["parent"] and "join" not in how:
        parent = rows.locked(conn, course.case["parent"], SYSTEM)
        above = Course(conn, definition(conn, parent), parent)
        above.go_on(SYSTEM)
        _finish(above)


def _spawn(
    conn: Connection,
    said: Mapping[str, Any],
    case: Case,
    how: Mapping[str, Any],
    given: Mapping[str, Any],
    actor: Actor,
) -> Case:
    asked = families.child_of(said, case, how, given, actor)
    return open_case(conn, asked.pop("process"), actor=actor, parent=case["id"], **asked)


def bulk(
    conn: Connection,
    keys: Sequence[str],
    action: str,
    *,
    actor: Actor,
    params: Mapping[str, Any] | None = None,
) -> dict[str, list[Any]]:
    """Perform an action on many cases at once: what cannot be done is told, the rest is done."""
    if len(keys) > MAX_BULK:
        raise BadRequest(f"At most {MAX_BULK} cases at once; choose fewer.")
    found = rows.ids_of(conn, keys)
    refused = [
        {"code": key, "why": "There is no such event.", "error": NotFound.code}
        for key in dict.fromkeys(map(str, keys))
        if key not in found
    ]
    given = steps.given(params)
    courses: list[Course] = []
    now = datetime.now(UTC)
    with rows.Writer(conn) as writer:
        for case in rows.locked_many(conn, list(found.values())):
            try:
                course = _one_of_many(conn, case, action, actor, given, now)
            except TwinError as why:
                refused.append({"code": case["code"], "why": why.detail, "error": why.code})
                continue
            if any(step.after["id"] != case["id"] for step in course.steps):
                # Joined cases change another case too: each must see what the one before left there.
                rows.store(conn, course.steps)
            else:
                writer.put(course.steps)
            courses.append(course)
    for course in courses:
        _after(conn, course, action, actor, given)
    return {"done": [course.case["code"] for course in courses], "refused": refused}


def _one_of_many(
    conn: Connection, case: Case, action: str, actor: Actor, given: Mapping[str, Any], now: datetime
) -> Course:
    if not (actor is SYSTEM or rows.seen(actor, case)):
        raise NotFound("There is no such event, or it is outside your districts.")
    course = Course(conn, definition(conn, case), case, now=now)
    _run(course, action, actor, given)
    return course


def annotate(
    conn: Connection,
    case_id: UUID,
    data: Mapping[str, Any],
    *,
    action: str,
    actor: Actor = SYSTEM,
) -> Case:
    """Add to the data of a case without moving it; one entry, as for every change."""
    case = rows.locked(conn, case_id, actor)
    after = {**case, "version": case["version"] + 1, "data": {**case["data"], **data}}
    rows.store(conn, [Step(after, action, actor, rows.written(case), {})])
    return after


def escalate_due(conn: Connection, limit: int = 500) -> list[Case]:
    """Fire what is due of the declared levels, each once; bounded so no outage ends in a herd."""
    fired, spawned = sweeps.escalate(conn, limit)
    for said, case, how in spawned:
        _spawn(conn, said, case, how, {"reason": how["title"]["zh"]}, SYSTEM)
    return [step.after for step in fired if step.action != sweeps.ARMED]


def recompute_deadlines(conn: Connection, name: str, version: int) -> int:
    """Reckon the running deadlines of a calendar anew; return how many moved."""
    return sweeps.recompute(conn, name, version)


def at_moment(
    conn: Connection, actor: Actor, t: datetime, *, open_only: bool = True, process: str = CITY
) -> list[Case]:
    """Return the cases of a process as they stood at a moment, from the journal."""
    still = "and (c.closed_at is null or c.closed_at > :t)" if open_only else ""
    where, params = scope_sql(actor, "c", LEVEL)
    found = conn.execute(
        text(
            'select j.after from twin."case" c cross join lateral (select after from twin.journal '
            "where subject = c.id and at <= :t order by version desc limit 1) j "
            f"where c.opened_at <= :t and c.process = :process {still} and {where} order by c.opened_at desc limit 5000"
        ),
        {"t": t, "process": process, **params},
    )
    return [row.after for row in found]


def story(conn: Connection, case_id: UUID) -> Sequence[Any]:
    """Return the journal of a case in order, with the sequence number where it is sealed."""
    return conn.execute(
        text(
            "select s.seq, j.* from twin.journal j left join twin.sealed s on s.entry = j.id "
            "where j.subject = :id order by j.version"
        ),
        {"id": case_id},
    ).all()
