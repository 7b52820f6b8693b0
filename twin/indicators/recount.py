"""A recount that a person asks for: the kept days of an indicator counted anew from what is there now."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import db, jobs, journal
from twin.errors import BadRequest, NotFound
from twin.indicators import cells, measuring
from twin.indicators.model import Indicator
from twin.indicators.published import running

TASK = "indicator.recount"
# So many days are counted in one transaction: others are not kept waiting, and progress is seen.
STEP_DAYS = 31
LISTED = 60
_SUMS = text(
    "select day, sum(num) as num, sum(den) as den from twin.indicator_cell "
    "where indicator = :k and day between :a and :b group by day"
)
Sums = dict[date, tuple[float, float]]


def ask(
    conn: Connection, key: str, first: date, last: date, reason: str, actor: str
) -> dict[str, Any]:
    """Put a recount into the queue, journalled with its reason."""
    if key not in running(conn).indicators:
        raise NotFound(f"No indicator is called {key}.")
    today = measuring.today()
    if not first <= last <= today:
        raise BadRequest("A recount is of days up to today: `from` lies before `to`.")
    if first < today - timedelta(days=cells.KEPT_DAYS):
        raise BadRequest(
            f"Days are kept for {cells.KEPT_DAYS} days; older ones cannot be recounted."
        )
    args = {"key": key, "from": first.isoformat(), "to": last.isoformat(), "reason": reason}
    number = jobs.enqueue(conn, TASK, args, actor=actor)
    journal.append(
        conn, cls="indicator", action="recount.ask", actor=actor, kind=f"indicator:{key}",
        note=args | {"job": number},
    )  # fmt: skip
    return {"job": number, **args}


@jobs.task(TASK)
def work(job: jobs.Job) -> dict[str, Any]:
    """Count every part of the indicator over the days asked for; say what has changed."""
    first, last = date.fromisoformat(job.args["from"]), date.fromisoformat(job.args["to"])
    with db.engine("app").connect() as conn:
        parts = list(running(conn).parts(job.args["key"]).values())
    spans = [(one, *span) for one in parts for span in _spans(one, first, last)]
    changed: list[dict[str, Any]] = []
    for done, (one, start, end) in enumerate(spans):
        job.say(done / len(spans))
        with db.engine("app").begin() as conn:
            before = _read(conn, one.key, start, end)
            days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
            cells.count(conn, one, days)
            changed += _changes(one.key, before, _read(conn, one.key, start, end))
    said = {"indicator": job.args["key"], "from": job.args["from"], "to": job.args["to"],
            "parts": [one.key for one in parts], "days": (last - first).days + 1,
            "changed": len(changed), "changes": changed[:LISTED]}  # fmt: skip
    with db.engine("app").begin() as conn:
        journal.append(
            conn, cls="indicator", action="recount", actor=job.actor,
            kind=f"indicator:{job.args['key']}",
            note=said | {"job": job.id, "reason": job.args["reason"]},
        )  # fmt: skip
    return said


def _spans(one: Indicator, first: date, last: date) -> list[tuple[date, date]]:
    """Return the spans to count; what is only a state of today has no other day to count."""
    if one.window is None:
        today = measuring.today()
        return [(today, today)] if first <= today <= last else []
    found = []
    while first <= last:
        end = min(last, first + timedelta(days=STEP_DAYS - 1))
        found.append((first, end))
        first = end + timedelta(days=1)
    return found


def _read(conn: Connection, key: str, first: date, last: date) -> Sums:
    rows = conn.execute(_SUMS, {"k": key, "a": first, "b": last})
    return {row.day: (float(row.num or 0), float(row.den or 0)) for row in rows}


def _changes(key: str, before: Sums, after: Sums) -> list[dict[str, Any]]:
    return [
        {"indicator": key, "day": day.isoformat(), "was": before.get(day), "is": after.get(day)}
        for day in sorted(before.keys() | after.keys())
        if before.get(day) != after.get(day)
    ]


def latest(conn: Connection, key: str) -> list[dict[str, Any]]:
    """Return the recounts of an indicator, the newest first."""
    rows = conn.execute(
        text(
            "select j.at, j.actor, j.action, j.note from twin.journal j where j.class = 'indicator' "
            "and j.kind = :k order by j.id desc limit 20"
        ),
        {"k": f"indicator:{key}"},
    )
    return [{"at": r.at, "by": r.actor, "done": r.action == "recount", **r.note} for r in rows]
