"""The dispatch desk: what waits for a crew, with the picks and lacks that the last round found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from twin import cases, scheduling
from twin.eventview import View, by_ids
from twin.scope import Actor, scope_sql

MOST = 300


def waiting(conn: Connection, actor: Actor) -> dict[str, Any]:
    """Return the events without a crew, the heaviest first, and how the scheduling stands."""
    doc = cases.current(conn, cases.CITY)
    said = scheduling.current(conn)
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            'select c.id, s.at, s.mode, s.picks, s.shortfall, s.fault from twin."case" c '
            "left join twin.suggestion s on s.case_id = c.id where c.process = :process "
            "and c.closed_at is null and c.state = any(:states) "
            f"and {scope} order by c.severity, c.opened_at limit :most"
        ),
        {
            "process": cases.CITY,
            "states": list(doc["actions"]["dispatch"]["from"]),
            "most": MOST,
            **params,
        },
    ).all()
    view, known = View(conn), by_ids(conn, [r.id for r in rows])
    shown = []
    for row in rows:
        event = view.show(known[str(row.id)], actor)
        plan = {"at": row.at, "mode": row.mode, "picks": row.picks or [],
                "shortfall": row.shortfall or [], "fault": row.fault}  # fmt: skip
        shown.append({**event, "plan": plan if row.at is not None else None})
    return {
        "waiting": shown,
        "scheduling": {"title": said.doc["title"], "mode": said.doc["mode"], "version": said.version,
                       "every_s": said.doc.get("every_s", 15),
                       "profiles": {k: v["title"] for k, v in said.doc["profiles"].items()}},
    }  # fmt: skip
