"""Tickets: what is expected, by when, how sure and why; revised while it is open, scored in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import ids, journal
from twin.errors import Conflict, NotFound
from twin.scope import Actor, scope_sql

KINDS = ("threshold", "silence", "northbound", "maintenance")
# A due time that has passed by so much of its lead, or at least so long, was wrong.
GRACE = timedelta(hours=24)
LEVEL = 2


@dataclass(kw_only=True)
class Ticket:
    """Something that is expected of one thing (or of a subscription)."""

    kind: str
    key: str
    due_from: datetime
    due_at: datetime
    due_to: datetime
    confidence: float
    evidence: dict[str, Any] = field(default_factory=dict)
    num: int | None = None
    product: str | None = None
    property: str | None = None
    rule: str | None = None


_PUT = text(
    "insert into iot.ticket (id, kind, key, num, product, property, rule, due_from, due_at, due_to, "
    "confidence, evidence, district, street, point) select :id, :kind, :key, "
    "cast(:num as int), :product, :property, :rule, :due_from, :due_at, :due_to, :confidence, "
    ":evidence, t.district, t.street, t.point from (select 1) o left join twin.thing t "
    "on t.num = cast(:num as int) on conflict (kind, key) where state = 'open' do update set "
    "due_from = excluded.due_from, due_at = excluded.due_at, due_to = excluded.due_to, "
    "confidence = excluded.confidence, evidence = excluded.evidence, revised_at = now() "
    "returning (xmax = 0) as new"
).bindparams(bindparam("evidence", type_=JSONB))


def put(conn: Connection, found: Iterable[Ticket]) -> int:
    """Write new tickets and revise open ones; return how many are new."""
    new = []
    for one in found:
        row = conn.execute(_PUT, {"id": ids.uuid7(), **vars(one)}).one()
        if row.new:
            new.append({"kind": one.kind, "key": one.key, "due_at": one.due_at.isoformat()})
    if new:
        journal.append(
            conn, cls="ticket", action="predict", actor="system", level=LEVEL,
            note={"tickets": new[:200], "count": len(new)},
        )  # fmt: skip
    return len(new)


def end(
    conn: Connection, which: UUID, state: str, at: datetime, *, actor: str = "system",
    note: str | None = None,
) -> None:  # fmt: skip
    """End a ticket with what came of it; the lead is what it left to act."""
    row = conn.execute(
        text(
            "update iot.ticket set state = :state, outcome_at = :at, actor = :actor, note = :note, "
            "lead_s = extract(epoch from cast(:at as timestamptz) - predicted_at) "
            "where id = :id and state = 'open' returning kind, key"
        ),
        {"id": which, "state": state, "at": at, "actor": actor, "note": note},
    ).first()
    if row is None:
        raise Conflict("This ticket has ended already.")
    journal.append(
        conn, cls="ticket", action=state, actor=actor, level=LEVEL,
        note={"ticket": str(which), "kind": row.kind, "key": row.key, "note": note},
    )  # fmt: skip


def unforeseen(conn: Connection, kind: str, key: str, at: datetime) -> None:
    """Note what happened without a ticket: the recall is told by it."""
    conn.execute(
        text(
            "insert into iot.unforeseen (kind, key, at) values (:k, :key, :at) on conflict do nothing"
        ),
        {"k": kind, "key": key, "at": at},
    )


def record(conn: Connection) -> list[dict[str, Any]]:
    """Return the track record of each kind over the last year: recall, precision, lead."""
    rows = conn.execute(
        text(
            "select kind, count(*) filter (where state = 'open') as open, "
            "count(*) filter (where state = 'confirmed') as confirmed, "
            "count(*) filter (where state = 'averted') as averted, "
            "count(*) filter (where state = 'false') as false, "
            "percentile_cont(0.5) within group (order by lead_s) filter (where state = 'confirmed') "
            "as lead_s from iot.ticket where predicted_at > now() - interval '1 year' group by kind"
        )
    )
    told = {row.kind: dict(row._mapping) for row in rows}
    missed: dict[str, int] = {
        row.kind: row.n
        for row in conn.execute(
            text(
                "select kind, count(*) as n from iot.unforeseen "
                "where at > now() - interval '1 year' group by kind"
            )
        )
    }
    return [_scored(kind, told.get(kind, {}), missed.get(kind, 0)) for kind in KINDS]


def _scored(kind: str, said: Mapping[str, Any], missed: int) -> dict[str, Any]:
    right, wrong = said.get("confirmed", 0), said.get("false", 0)
    # What somebody averted was right: it did not happen because they acted.
    good = right + said.get("averted", 0)
    return {
        "kind": kind, "open": said.get("open", 0), "confirmed": right,
        "averted": said.get("averted", 0), "false": wrong, "unforeseen": missed,
        "precision": round(good / (good + wrong), 3) if good + wrong else None,
        "recall": round(good / (good + missed), 3) if good + missed else None,
        "median_lead_h": round(said["lead_s"] / 3600, 1) if said.get("lead_s") else None,
    }  # fmt: skip


def listed(
    conn: Connection, actor: Actor, *, kind: str | None, state: str, thing: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return tickets that the actor may see, what is due first."""
    scope, params = scope_sql(actor, "k", LEVEL)
    where = [scope, "true" if state == "all" else "k.state = :state"]
    if kind:
        where.append("k.kind = :kind")
    if thing:
        where.append("t.code = :thing")
    rows = conn.execute(
        text(
            "select k.*, t.code, t.name, st_x(k.point) as lon, st_y(k.point) as lat, "
            "s.name as subscription from iot.ticket k left join twin.thing t on t.num = k.num "
            "left join iot.subscription s on s.id::text = k.key "
            f"where {' and '.join(where)} order by k.due_at limit :limit"
        ),
        {"kind": kind, "state": state, "thing": thing, "limit": limit, **params},
    )
    return [{k: v for k, v in row._mapping.items() if k != "point"} for row in rows]


def one(conn: Connection, actor: Actor, which: UUID) -> Any:
    """Return an open or ended ticket that the actor may see."""
    scope, params = scope_sql(actor, "k", LEVEL)
    row = conn.execute(
        text(f"select k.* from iot.ticket k where k.id = :id and {scope}"), {"id": which, **params}
    ).first()
    if row is None:
        raise NotFound("There is no such ticket, or it is outside your districts.")
    return row
