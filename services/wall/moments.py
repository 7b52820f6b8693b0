"""The difference of two moments over everything: things by kind, events, alarms."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, catalogue, difference
from twin.alarms.raising import PROCESS as ALARM
from twin.eventview import PROCESS
from twin.kinds import Kind
from twin.scope import Actor

MAX_KINDS = 40
MAX_MARKS = 400


def between(
    conn: Connection, actor: Actor, start: datetime, end: datetime,
    box: tuple[float, float, float, float] | None,
) -> dict[str, Any]:  # fmt: skip
    """Return what is different at `end` from what stood at `start`, with marks for the map."""
    kinds = _touched(conn, actor, start, end)
    marks: list[dict[str, Any]] = []
    found = []
    for kind in kinds[:MAX_KINDS]:
        counts, shown = _of_kind(conn, actor, kind, start, end, box)
        if any(counts.values()):
            found.append({"kind": kind.kind, "title": dict(kind.title), **counts})
            marks += shown
    said = {"from": start, "to": end, "things": found, "marks": marks[:MAX_MARKS],
            "kinds_left_out": max(0, len(kinds) - MAX_KINDS)}  # fmt: skip
    said["events"] = _cases(conn, actor, PROCESS, start, end, box)
    if actor.may("alarm.read"):
        said["alarms"] = _cases(conn, actor, ALARM, start, end, box)
    return said


def _touched(conn: Connection, actor: Actor, start: datetime, end: datetime) -> list[Kind]:
    """Return the kinds that the journal names between the two moments."""
    rows = conn.execute(
        text(
            "select kind, count(*) as n from twin.journal where class in ('thing', 'load') "
            "and kind is not null and at > :a and at <= :b group by kind order by n desc"
        ),
        {"a": start, "b": end},
    )
    known = catalogue.readable(conn, actor)
    return [known[row.kind] for row in rows if row.kind in known]


def _of_kind(
    conn: Connection, actor: Actor, kind: Kind, start: datetime, end: datetime,
    box: tuple[float, float, float, float] | None,
) -> tuple[dict[str, int], list[dict[str, Any]]]:  # fmt: skip
    in_box = box if kind.geometry != "none" else None
    asked = difference.Asked(since=start, to=end, bbox=in_box, filtered=None)
    page, counts = difference.statements(kind, actor, asked, after=0, limit=60)
    total = dict(conn.execute(counts).one()._mapping)
    if kind.geometry == "none" or not any(total.values()):
        return total, []
    ids = [row.id for row in conn.execute(page)]
    rows = conn.execute(difference.details(kind, actor, asked, ids)).all()
    return total, [_mark(difference.feature(row), kind) for row in rows]


def _mark(feature: dict[str, Any], kind: Kind) -> dict[str, Any]:
    return {"kind": kind.kind, "title": dict(kind.title)} | {
        "geometry": feature["geometry"], **feature["properties"],
    }  # fmt: skip


def _cases(
    conn: Connection, actor: Actor, process: str, start: datetime, end: datetime,
    box: tuple[float, float, float, float] | None,
) -> dict[str, Any]:  # fmt: skip
    before = {c["code"]: c for c in cases.at_moment(conn, actor, start, process=process)}
    after = {c["code"]: c for c in cases.at_moment(conn, actor, end, process=process)}
    if box:
        before, after = _in(before, box), _in(after, box)
    moved = [c for c in after if c in before and after[c]["state"] != before[c]["state"]]
    return {
        "before": len(before),
        "after": len(after),
        "opened": [_brief(after[c]) for c in after if c not in before][:MAX_MARKS],
        "ended": [_brief(before[c]) for c in before if c not in after][:MAX_MARKS],
        "moved": [_brief(after[c]) | {"was": before[c]["state"]} for c in moved][:MAX_MARKS],
    }


def _in(found: dict[str, Any], box: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = box
    return {
        code: c for code, c in found.items()
        if c["lon"] is not None and west <= c["lon"] <= east and south <= c["lat"] <= north
    }  # fmt: skip


def _brief(case: dict[str, Any]) -> dict[str, Any]:
    keys = "code title severity state".split()
    return {key: case[key] for key in keys} | {"point": [case["lon"], case["lat"]]}
