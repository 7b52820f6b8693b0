"""Subscriptions made, changed, tried and taken away; each change is in the journal."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from services.subscriptions import events, senders
from services.subscriptions.delivery import USE
from twin import ids, journal, sealing
from twin.errors import BadRequest, Conflict, NotFound
from twin.scope import Actor
from twin.settings import settings

MOST = 200


def target(kind: str, said: str) -> str:
    """Return an address that may be sent to; BadRequest says what is wrong with it."""
    if kind == "mqtt" and said == senders.OWN_BROKER:
        return said
    parts = urlsplit(said)
    schemes = ("https", "http") if kind == "webhook" else ("mqtts", "mqtt")
    if parts.scheme not in schemes or not parts.hostname:
        raise BadRequest(f"target begins with {' or '.join(f'{s}://' for s in schemes)}.")
    if parts.password or (kind == "webhook" and parts.username):
        raise BadRequest("Give secrets as secret, never in the address.")
    if parts.scheme in ("http", "mqtt") and not (_near(parts.hostname) or settings().insecure):
        raise BadRequest("Outside this machine and its own network only https or mqtts is used.")
    return said


def _near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def make(
    conn: Connection, actor: Actor, *, name: str, kind: str, address: str, digest: str,
    said: dict[str, Any], secret: str | None, from_start: bool,
) -> dict[str, Any]:  # fmt: skip
    """Make a subscription; a webhook's secret is shown this once."""
    if conn.scalar(text("select count(*) from iot.subscription")) >= MOST:
        raise Conflict(f"There are {MOST} subscriptions already; take one away first.")
    if conn.scalar(text("select 1 from iot.subscription where name = :n"), {"n": name}):
        raise Conflict(f"A subscription is called {name} already.")
    new = ids.uuid7()
    given = secret or ("whsec_" + secrets.token_urlsafe(32) if kind == "webhook" else "")
    conn.execute(
        text(
            "insert into iot.subscription (id, name, kind, target, secret, digest, filter, districts, "
            "clearance, created_by, seq) values (:id, :name, :kind, :target, :secret, :digest, "
            ":filter, :districts, :clearance, :by, case when :start then 0 else "
            "(select coalesce(max(seq), 0) from twin.sealed) end)"
        ).bindparams(bindparam("filter", type_=JSONB)),
        {
            "id": new, "name": name, "kind": kind, "target": target(kind, address),
            "secret": sealing.shut(USE, given, str(new)) if given else None, "digest": digest,
            "filter": events.checked(said), "by": actor.user, "start": from_start,
            "districts": list(actor.districts) if actor.districts is not None else None,
            "clearance": min(actor.clearance, 2),
        },
    )  # fmt: skip
    _note(conn, actor, "make", {"subscription": str(new), "name": name, "target": address})
    return {"id": str(new), "secret": given if kind == "webhook" else None}


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return all subscriptions with how far behind they are; secrets never leave."""
    rows = conn.execute(
        text(
            "select s.id, s.name, s.kind, s.target, s.digest, s.filter, s.districts, s.clearance, "
            "s.enabled, s.created_by, s.created_at, s.seq, s.fails, s.next_at, s.sent, s.sent_at, "
            "s.last_error, greatest(e.seq - s.seq, 0) as behind, extract(epoch from now() - "
            "(select j.at from twin.sealed x join twin.journal j on j.id = x.entry "
            "where x.seq > s.seq order by x.seq limit 1))::float8 as behind_s "
            "from iot.subscription s "
            "cross join (select coalesce(max(seq), 0) as seq from twin.sealed) e order by s.name"
        )
    )
    return [dict(row._mapping) for row in rows]


def change(
    conn: Connection, actor: Actor, which: UUID, enabled: bool | None, said: dict[str, Any] | None
) -> None:
    """Switch a subscription on or off, change its filter, and let it be tried at once."""
    row = _one(conn, which)
    conn.execute(
        text(
            "update iot.subscription set enabled = :enabled, filter = :filter, next_at = now(), "
            "fails = 0 where id = :id"
        ).bindparams(bindparam("filter", type_=JSONB)),
        {
            "id": which,
            "enabled": row.enabled if enabled is None else enabled,
            "filter": row.filter if said is None else events.checked(said),
        },
    )
    _note(conn, actor, "change", {"subscription": str(which), "enabled": enabled, "filter": said})


def remove(conn: Connection, actor: Actor, which: UUID) -> None:
    """Take a subscription away."""
    row = _one(conn, which)
    conn.execute(text("delete from iot.subscription where id = :id"), {"id": which})
    _note(conn, actor, "remove", {"subscription": str(which), "name": row.name, "sent": row.sent})


def _one(conn: Connection, which: UUID) -> Any:
    row = conn.execute(
        text("select * from iot.subscription where id = :id for update"), {"id": which}
    ).first()
    if row is None:
        raise NotFound("There is no such subscription.")
    return row


def _note(conn: Connection, actor: Actor, what: str, note: dict[str, Any]) -> None:
    journal.append(
        conn, cls="setting", action=f"subscription.{what}", actor=actor.user, level=2, note=note
    )
