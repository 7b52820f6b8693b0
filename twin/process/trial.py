"""A new document tried over the cases of the last days: what would have gone otherwise; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin.process import rows
from twin.process.rows import Case
from twin.scope import Actor, scope_sql

MOST = 50_000
# As many are told one by one; all are counted.
TOLD = 2_000
Outcome = Callable[[Case], tuple[Any, Any, Mapping[str, Any]]]


def tried(
    conn: Connection, actor: Actor, process: str, days: int, outcome: Outcome,
    *, most: int = MOST, placed: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return how many of the latest cases in scope were read, how many differ, and which.

    `outcome` gives what was, what would be, and what else to tell of a case; `placed` leaves out
    cases without a place.
    """
    scope, params = scope_sql(actor, "c", rows.LEVEL)
    where = "and point is not null " if placed else ""
    found = conn.execute(
        text(
            f'select {rows.COLUMNS} from twin."case" c where process = :key and opened_at > :since '
            f"{where}and {scope} order by opened_at desc limit :most"
        ),
        params | {"key": process, "since": datetime.now(UTC) - timedelta(days=days), "most": most},
    ).all()
    moved: list[dict[str, Any]] = []
    changed = 0
    for row in found:
        case = dict(row._mapping)
        was, now, more = outcome(case)
        if was == now:
            continue
        changed += 1
        if len(moved) < TOLD:
            moved.append({"code": case["code"], "title": case["title"], "from": was, "to": now,
                          **more, "lon": case["lon"], "lat": case["lat"]})  # fmt: skip
    return {"read": len(found), "changed": changed, "moved": moved}
