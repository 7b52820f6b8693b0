"""Cases that belong to others: joined to a master and parted again byte for byte; children opened by a step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin.errors import NotAllowedNow, NotFound, VersionConflict
from twin.process import rows
from twin.process.rows import Case, Step
from twin.process.steps import Course
from twin.scope import SYSTEM, Actor

_HOLD = text(f'select {rows.COLUMNS} from twin."case" where id = :id for update nowait')
_MERGED = text(
    "select before from twin.journal where subject = :id and action = :action "
    "order by version desc limit 1"
)


def held(conn: Connection, case_id: UUID) -> Case:
    """Return another case of the same step; two steps that want each other's never wait for ever."""
    try:
        row = conn.execute(_HOLD, {"id": case_id}).first()
    except DBAPIError as why:
        if getattr(why.orig, "sqlstate", None) != "55P03":
            raise
        raise VersionConflict(
            "Somebody is working on the other case right now; repeat it in a moment."
        ) from why
    if row is None:
        raise NotFound("There is no such case.")
    return dict(row._mapping)


def join(course: Course, name: str, actor: Actor, p: Mapping[str, Any]) -> None:
    """Join a case to its master: it keeps its row, the master keeps count, channel and photos of it."""
    action = course.said["actions"][name]
    found = rows.ids_of(course.conn, [str(p.get(action["join"], ""))[:64]])
    if not found:
        # Says what is missing, as for every other parameter.
        course.take(name, actor, p)
        return
    master = held(course.conn, next(iter(found.values())))
    _fit(course, master, actor)
    course.take(name, actor, p)
    child = course.steps[-1].after
    child |= {"parent": master["id"]}
    child["data"]["merged_into"] = master["code"]
    course.case = child
    about = {"code": child["code"], "source": child["source"], "score": p.get("score"),
             "reporter_kind": child["data"].get("reporter_kind"),
             "photos": child["data"].get("photos", [])}  # fmt: skip
    data = {**master["data"], "merged": [*master["data"].get("merged", []), about]}
    data["reports"] = len(data["merged"]) + 1
    note = {"code": child["code"], "score": p.get("score"), "reason": p.get("reason")}
    course.steps.append(_beside(master, data, "joined", actor, note))


def _fit(course: Course, master: Case, actor: Actor) -> None:
    child = course.case
    if not (actor is SYSTEM or rows.seen(actor, master)):
        raise NotFound("There is no such event, or it is outside your districts.")
    if master["id"] == child["id"]:
        raise NotAllowedNow("A case cannot be joined to itself.")
    if master["process"] != child["process"]:
        raise NotAllowedNow("A case joins another case of the same process.")
    if master["data"].get("merged_into"):
        raise NotAllowedNow(
            f"{master['code']} is itself joined to {master['data']['merged_into']}; take that one.",
            master=master["data"]["merged_into"],
        )
    if master["closed_at"] is not None:
        raise NotAllowedNow(f"{master['code']} is closed; open cases join open cases.")
    if child["data"].get("merged"):
        raise NotAllowedNow(
            f"{child['code']} has {len(child['data']['merged'])} reports of its own; join "
            f"{master['code']} to it instead."
        )


def _beside(
    case: Case, data: Mapping[str, Any], action: str, actor: Actor, note: Mapping[str, Any]
) -> Step:
    after = {**case, "version": case["version"] + 1, "data": dict(data)}
    return Step(after, action, actor, rows.written(case), note)


def part(course: Course, name: str, actor: Actor, p: Mapping[str, Any]) -> None:
    """Undo a join: the case is again what it was before it, all but its version."""
    action = course.said["actions"][name]
    before = course.conn.execute(
        _MERGED, {"id": course.case["id"], "action": action["undo"]}
    ).scalar()
    master_id = course.case["parent"]
    course.take(name, actor, p)
    if before is None:
        raise NotAllowedNow(f"{course.case['code']} was not joined to anything.")
    step = course.steps[-1]
    step.after = rows.revived(before) | {"version": step.after["version"]}
    step.note = {**step.note, "to": step.after["state"]}
    course.case = step.after
    if master_id is not None:
        _leave(course, held(course.conn, master_id), actor)


def _leave(course: Course, master: Case, actor: Actor) -> None:
    code = course.case["code"]
    left = [one for one in master["data"].get("merged", []) if one["code"] != code]
    data = {k: v for k, v in master["data"].items() if k not in ("merged", "reports")}
    if left:
        data |= {"merged": left, "reports": len(left) + 1}
    course.steps.append(_beside(master, data, "parted", actor, {"code": code}))


def child_of(
    said: Mapping[str, Any], case: Case, how: Mapping[str, Any], p: Mapping[str, Any], actor: Actor
) -> dict[str, Any]:
    """Return what the child case that a step opens is opened with."""
    reason = str(p.get("reason") or p.get("note") or "")
    return {
        "process": how["process"],
        "category": how["category"],
        "title": f"{how['title']['zh']}：{case['title']}"[:120],
        "lon": case["lon"],
        "lat": case["lat"],
        "severity": case["severity"],
        "holder": case["holder"],
        "source": how["process"],
        "data": {
            "description": reason, "about": case["code"], "about_title": case["title"],
            "about_state": said["states"][case["state"]]["title"], "why": how.get("why", "manual"),
            "reporter": actor.user, "reporter_kind": "staff",
            "asked_at": datetime.now(UTC).isoformat(),
        },
    }  # fmt: skip
