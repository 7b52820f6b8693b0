"""Commands to devices: given to one or many, delivered when they are there, with an end and a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import ids, journal
from twin.errors import BadRequest, NotFound
from twin.products import Command, NotInModel, Product
from twin.scope import Actor, scope_sql

MAX_DEVICES = 20_000
MAX_TTL_S = 30 * 86400
OPEN = ("queued", "sent", "delivered")


def known(product: Product, name: str, args: Mapping[str, Any]) -> Command:
    """Return the declared command; BadRequest when it or an argument does not fit the product."""
    for one in product.commands:
        if one.name == name:
            _fit(one, args)
            return one
    raise BadRequest(
        f"{product.key} declares no command {name}.", known=[c.name for c in product.commands]
    )


def _fit(command: Command, args: Mapping[str, Any]) -> None:
    declared = {one.name: one for one in command.args}
    for name, value in args.items():
        if name not in declared:
            raise BadRequest(f"{command.name} takes no {name}.", known=sorted(declared))
        try:
            (declared[name].number if declared[name].is_numeric else declared[name].text)(value)
        except NotInModel as why:
            raise BadRequest(f"{why}.", parameter=name) from why


_GIVE = text(
    "insert into iot.command (id, num, name, args, batch, actor, expires_at) "
    "select unnest(cast(:ids as uuid[])), unnest(cast(:nums as int[])), :name, :args, :batch, "
    ":actor, :expires"
).bindparams(bindparam("args", type_=JSONB))


def give(
    conn: Connection,
    nums: Sequence[int],
    name: str,
    args: Mapping[str, Any],
    *,
    actor: str,
    ttl_s: float,
    why: Mapping[str, Any] | None = None,
) -> UUID:
    """Give a command to devices, journal it once, ring for the doors; return the id of the batch.

    Whom the actor may reach and what the product declares is asked before.
    """
    if not 0 < len(nums) <= MAX_DEVICES:
        raise BadRequest(f"A command goes to 1 to {MAX_DEVICES} devices at once.")
    if not 0 < ttl_s <= MAX_TTL_S:
        raise BadRequest("ttl_s lies between 1 second and 30 days.")
    batch = ids.uuid7()
    conn.execute(
        _GIVE,
        {
            "ids": ids.uuid7_many(len(nums)), "nums": list(nums), "name": name,
            "args": dict(args), "batch": batch, "actor": actor,
            "expires": datetime.now(UTC) + timedelta(seconds=ttl_s),
        },
    )  # fmt: skip
    note = {"batch": str(batch), "name": name, "args": dict(args), "devices": len(nums)}
    journal.append(
        conn, cls="device", action="command.give", actor=actor, level=2,
        note={**note, "nums": list(nums)[:1000], **(why or {})},
    )  # fmt: skip
    conn.execute(
        text("select pg_notify('twin_downlink', n::text) from unnest(cast(:n as int[])) n"),
        {"n": list(nums)},
    )
    return batch


def cancel(conn: Connection, batch: UUID, actor: Actor) -> int:
    """Take back what of a batch has not ended; return how many."""
    scope, params = scope_sql(actor, "t", 2)
    done = conn.execute(
        text(
            "update iot.command c set state = 'cancelled', ended_at = now() from twin.thing t "
            f"where t.num = c.num and c.batch = :b and c.state in ('queued', 'sent') and {scope}"
        ),
        {"b": batch, **params},
    ).rowcount
    if not done:
        raise NotFound("Nothing of this batch waits to be sent any more.")
    journal.append(
        conn, cls="device", action="command.cancel", actor=actor.user, level=2,
        note={"batch": str(batch), "devices": done},
    )  # fmt: skip
    return done


def expire(conn: Connection, limit: int = 5000) -> int:
    """End what nobody took in time or answered; journalled by batch."""
    rows = conn.execute(
        text(
            "with late as (select id from iot.command where state in ('queued', 'sent', 'delivered') "
            "and (expires_at <= now() or (state = 'sent' and attempts >= max_attempts "
            "and next_at <= now())) order by expires_at limit :n for update skip locked), "
            "ended as (update iot.command c set state = 'expired', ended_at = now() from late "
            "where c.id = late.id returning c.batch) "
            "select batch, count(*) as n from ended group by batch"
        ),
        {"n": limit},
    ).all()
    for row in rows:
        journal.append(
            conn, cls="device", action="command.expire", actor="system", level=2,
            note={"batch": str(row.batch), "devices": row.n},
        )  # fmt: skip
    return sum(row.n for row in rows)


def listed(
    conn: Connection, actor: Actor, *, num: int | None, batch: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Return commands, the newest first, of devices that the actor may see."""
    scope, params = scope_sql(actor, "t", 2)
    where = [scope]
    if num is not None:
        where.append("c.num = :num")
    if batch is not None:
        where.append("c.batch = :batch")
    rows = conn.execute(
        text(
            "select c.*, t.code, t.name as thing_name from iot.command c "
            f"join twin.thing t on t.num = c.num where {' and '.join(where)} "
            "order by c.created_at desc, c.id desc limit :limit"
        ),
        {"num": num, "batch": batch, "limit": limit, **params},
    ).all()
    return [dict(row._mapping) for row in rows]


def tally(conn: Connection, batch: UUID) -> dict[str, int]:
    """Return how many commands of a batch stand in which state."""
    rows = conn.execute(
        text("select state, count(*) as n from iot.command where batch = :b group by state"),
        {"b": batch},
    )
    return {row.state: row.n for row in rows}
