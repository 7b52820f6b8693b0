"""A process as it lives: open cases by state, how long they stay, how often each way is taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import cases
from twin.scope import Actor, scope_sql

_OPEN = (
    "select state, count(*) as open, count(*) filter (where due_at < now()) as late "
    'from twin."case" c where process = :key and closed_at is null and {scope} group by state'
)
# A stay is from the entry that led into a state to the entry that led out of it.
_STAYS = (
    "with walk as (select j.subject, j.at, j.action, j.after->>'state' as state, j.before->>'state' as was "
    'from twin.journal j join twin."case" c on c.id = j.subject '
    "where c.process = :key and j.class = 'case' and j.at > :since and {scope} "
    "and (j.before is null or j.before->>'state' <> j.after->>'state')), "
    "stays as (select state, extract(epoch from lead(at) over (partition by subject order by at) - at) as s "
    "from walk) select state, count(s) as n, percentile_cont(0.5) within group (order by s) as median_s, "
    "percentile_cont(0.9) within group (order by s) as p90_s from stays where s is not null group by state"
)
_ARCS = (
    "select j.action, j.before->>'state' as source, j.after->>'state' as target, count(*) as n "
    'from twin.journal j join twin."case" c on c.id = j.subject where c.process = :key '
    "and j.class = 'case' and j.at > :since and j.before is not null and {scope} "
    "and j.action = any(:actions) group by 1, 2, 3 order by 4 desc"
)


def flow(conn: Connection, actor: Actor, key: str, days: int) -> dict[str, Any]:
    """Return per state how many are open and late and how long cases stay, and per way how many."""
    said = cases.current(conn, key)
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    params |= {"key": key, "since": datetime.now(UTC) - timedelta(days=days),
               "actions": list(said["actions"])}  # fmt: skip
    still = {r.state: r for r in conn.execute(text(_OPEN.format(scope=scope)), params)}
    stays = {r.state: r for r in conn.execute(text(_STAYS.format(scope=scope)), params)}
    states = []
    for name, state in said["states"].items():
        now, was = still.get(name), stays.get(name)
        states.append(
            {
                "state": name, "title": state["title"], "stage": state["stage"],
                "final": state.get("final", False), "open": now.open if now else 0,
                "late": now.late if now else 0, "n": was.n if was else 0,
                "median_s": float(was.median_s) if was else None,
                "p90_s": float(was.p90_s) if was else None,
            }
        )  # fmt: skip
    arcs = [
        {"action": r.action, "from": r.source, "to": r.target, "n": r.n,
         "title": said["actions"][r.action]["title"]}
        for r in conn.execute(text(_ARCS.format(scope=scope)), params)
    ]  # fmt: skip
    return {"key": key, "version": said["_version"], "days": days, "states": states, "arcs": arcs}
