"""Supervision: what is overdue, repeated, reopened or complained about, and the cases opened over it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from twin import cases
from twin.eventview import View, by_ids
from twin.scope import Actor, scope_sql

PROCESS = "event.supervise"
MOST = 300
# Events that somebody should ask about, each with why; one may stand for several reasons.
_WORTH = """
select c.id, array_remove(array[
  case when c.due_at < now() then 'overdue' end,
  case when c.data ? 'repeat_of' then 'repeated' end,
  case when coalesce((c.data->>'reworks')::int, 0) > 0 or c.data ? 'restored' or c.data ? 'reopened'
    then 'reopened' end,
  case when c.data ? 'complaints' then 'complained' end], null) as reasons
from twin."case" c where c.process = :process and c.closed_at is null and {scope}
union all
-- Closed, and somebody was not satisfied: until whoever is asked about it has answered.
select c.id, array['complained'] from twin."case" c where c.process = :process and c.data ? 'complaints'
  and c.closed_at > now() - interval '90 days' and exists (select 1 from twin."case" k where k.parent = c.id
  and k.process = :supervise and k.category = 'complained' and k.closed_at is null) and {scope}
"""


def shown(conn: Connection, actor: Actor) -> dict[str, Any]:
    """Return what is worth asking about, and the supervision that runs, with its replies."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    worth = conn.execute(
        text(
            f"with w as ({_WORTH.replace('{scope}', scope)}) select w.id, w.reasons, "
            '(select count(*) from twin."case" k where k.parent = w.id and k.process = :supervise '
            "and k.closed_at is null) as asked from w where cardinality(w.reasons) > 0 "
            f"order by cardinality(w.reasons) desc limit {MOST}"
        ),
        {"process": cases.CITY, "supervise": PROCESS, **params},
    ).all()
    view, known = View(conn), by_ids(conn, [r.id for r in worth])
    rows = []
    for row in worth:
        event = view.show(known[str(row.id)], actor)
        rows.append({**event, "reasons": row.reasons, "asked": row.asked})
    counts = {name: sum(name in r["reasons"] for r in rows) for name in
              ("overdue", "repeated", "reopened", "complained")}  # fmt: skip
    return {"worth": rows, "counts": counts, "running": _running(conn, actor, scope, params)}


def _running(
    conn: Connection, actor: Actor, scope: str, params: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = conn.execute(
        text(
            "select c.id, c.code, c.state, c.category, c.opened_at, c.due_at, c.closed_at, c.data, p.code as about, "
            'p.title as about_title, c.due_at < now() and c.closed_at is null as late from twin."case" c '
            'left join twin."case" p on p.id = c.parent where c.process = :process '
            f"and (c.closed_at is null or c.closed_at > now() - interval '7 days') and {scope} "
            f"order by c.closed_at nulls first, c.due_at limit {MOST}"
        ),
        {"process": PROCESS, **params},
    ).all()
    view, known = View(conn), by_ids(conn, [r.id for r in rows])
    return [_supervised(view.show(known[str(r.id)], actor), r) for r in rows]


def _supervised(event: dict[str, Any], row: Any) -> dict[str, Any]:
    return {
        **event, "about": row.about, "about_title": row.about_title,
        "replies": row.data.get("replies") or [], "why": row.data.get("description") or row.data.get("why"),
        "late": row.late,
    }  # fmt: skip
