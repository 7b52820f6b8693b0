"""When quality is looked at: after every change, by following the journal, and every night."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin import db, defects, jobs, journal, kinds, quality
from twin.calendar import ZONE
from twin.kinds import Kind

log = structlog.get_logger("quality")
NIGHTLY = "quality.nightly"
AT = time(2, 0)
READER = "quality"
_BATCH = 500
# More changed things than this are looked at with their whole kind.
_MANY = 20_000


def inspect(kind: Kind, nums: Any = None, *, why: str) -> quality.Checked:
    """Check a kind (or some of its things) and settle its cases, in one transaction."""
    with db.engine("app").begin() as conn:
        conn.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:k, 11))"), {"k": kind.kind}
        )
        done = quality.check(conn, kind, nums, why=why)
        defects.settle(conn, kind)
    return done


@jobs.task(NIGHTLY)
def nightly(job: jobs.Job) -> dict[str, Any]:
    """Check every kind; one that cannot be checked is named and does not stop the others."""
    with db.engine("app").connect() as conn:
        running = list(kinds.catalogue(conn).values())
    failures, broken = 0, []
    for i, kind in enumerate(running):
        try:
            failures += inspect(kind, why="nightly").failures
        except DBAPIError as why:
            broken.append(f"{kind.kind}: {str(why.orig).splitlines()[0]}")
        job.say((i + 1) / len(running))
    return {"kinds": len(running), "failures": failures, "broken": broken}


def plan_tonight(now: datetime) -> None:
    """Put tonight's check into the queue, once; a new installation is checked at once."""
    local = now.astimezone(ZONE)
    at = datetime.combine(local.date(), AT, ZONE)
    at = at if at > local else at + timedelta(days=1)
    with db.engine("app").begin() as conn:
        jobs.enqueue(conn, NIGHTLY, {}, due=at, key=f"{NIGHTLY} {at.date()}")
        if not conn.execute(text("select exists (select 1 from twin.quality_run)")).scalar_one():
            jobs.enqueue(conn, NIGHTLY, {}, key=f"{NIGHTLY} first")


def follow() -> int:
    """Check what the journal says has changed since the last time; return how many entries."""
    with db.engine("app").begin() as conn:
        after = _position(conn)
        found = journal.entries(conn, after=after, limit=_BATCH, classes=("thing", "load"))
        running = kinds.catalogue(conn) if found else {}
    if not found:
        return 0
    for name, nums in _changed(found).items():
        if name in running:
            try:
                inspect(running[name], nums, why="change")
            except DBAPIError as why:
                # The night looks at everything again; following must go on.
                log.warning("check failed", kind=name, why=str(why.orig).splitlines()[0])
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.reader set seq = :s, at = now() where name = :n"),
            {"s": found[-1].seq, "n": READER},
        )
    return len(found)


def _position(conn: Connection) -> int:
    """Return how far the reader has come; a new one begins at the end of the journal."""
    conn.execute(
        text(
            "insert into twin.reader (name, seq) select :n, coalesce(max(seq), 0) from twin.sealed "
            "on conflict do nothing"
        ),
        {"n": READER},
    )
    asked = text("select seq from twin.reader where name = :n")
    return int(conn.execute(asked, {"n": READER}).scalar_one())


def _changed(found: Any) -> dict[str, Any]:
    """Return kind → numbers that changed, or None for the whole kind."""
    said: dict[str, Any] = {}
    for entry in found:
        kind = entry.kind
        if entry[3] == "load":
            if (entry.note or {}).get("nums", "{}") != "{}":
                said[kind] = None
        elif said.get(kind, []) is not None:
            row = entry.after or entry.before or {}
            if "num" in row:
                said.setdefault(kind, []).append(row["num"])
    return {k: None if v is not None and len(v) > _MANY else v for k, v in said.items()}
