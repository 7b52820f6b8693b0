"""Statements about devices: those that an actor may see, with what they last said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import deviceview
from twin.errors import NotFound
from twin.scope import Actor


def page(
    conn: Connection, actor: Actor, *, product: str | None, words: str | None,
    after: tuple[str, str] | None, limit: int,
) -> Sequence[Any]:  # fmt: skip
    """Return devices in the order of product and name."""
    where, params = deviceview.where(conn, actor)
    if product:
        where += " and d.product = :product"
    if words:
        where += " and (d.device ilike :words or t.name ilike :words or t.code ilike :words)"
    if after:
        where += " and (d.product, d.device) > (:after_product, :after_device)"
    escaped = (words or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return conn.execute(
        text(f"select {deviceview.COLUMNS} {deviceview.FROM} where {where} order by d.product, d.device limit :limit"),
        {
            **params, "product": product, "words": f"%{escaped}%", "limit": limit,
            "after_product": after[0] if after else "", "after_device": after[1] if after else "",
        },
    ).all()  # fmt: skip


def one(conn: Connection, actor: Actor, product: str, device: str) -> Any:
    """Return one device; NotFound outside of the actor's scope."""
    where, params = deviceview.where(conn, actor)
    row = conn.execute(
        text(f"select {deviceview.COLUMNS} {deviceview.FROM} where {where} "
            "and d.product = :product and d.device = :device"),
        {**params, "product": product, "device": device},
    ).first()  # fmt: skip
    if row is None:
        raise NotFound("There is no such device that you may see.")
    return row


def of_thing(conn: Connection, actor: Actor, key: str) -> Any | None:
    """Return the device of a thing by number or code; None where it has none to be seen."""
    where, params = deviceview.where(conn, actor)
    by = "t.num = :key" if key.isdigit() and len(key) < 10 else "t.code = :key"
    value: int | str = int(key) if by.startswith("t.num") else key
    return conn.execute(
        text(f"select {deviceview.COLUMNS} {deviceview.FROM} where {where} and {by}"),
        {**params, "key": value},
    ).first()


# One reason whatever the number was: "rain_mm 310.55 is not within 0 to 200" reads alike for all.
_REASON = r"regexp_replace(reason, ' -?[0-9][0-9.e+-]* is not', ' is not')"


def revoked_since(conn: Connection, at: datetime) -> list[tuple[str, str]]:
    """Return product and name of the devices whose right to report was taken after a moment."""
    rows = conn.execute(
        text(
            "select note->>'product' as product, note->>'device' as device from twin.journal "
            "where class = 'security' and action = 'device.revoke' and at > :at limit 50000"
        ),
        {"at": at},
    )
    return [(row.product, row.device) for row in rows]


def rejected(conn: Connection, num: int, limit: int) -> Sequence[Any]:
    """Return what a device sent that could not be used, newest first, with the reason."""
    return conn.execute(
        text(
            "select at, door, topic, reason, records, left(encode(raw, 'escape'), 400) as payload "
            "from iot.reject where num = :n order by at desc limit :limit"
        ),
        {"n": num, "limit": limit},
    ).all()


def rejects(
    conn: Connection, actor: Actor, hours: int, reason: str | None, limit: int
) -> Sequence[Any]:
    """Return messages that were refused, newest first, with what they said."""
    where, params = deviceview.where(conn, actor)
    asked = f" and {_REASON} = :reason" if reason else ""
    return conn.execute(
        text(
            "select r.at, r.door, r.topic, r.reason, r.records, d.product, d.device, t.name, "
            "left(encode(r.raw, 'escape'), 400) as payload from iot.reject r "
            "join twin.device d on d.num = r.num join twin.thing t on t.num = d.num "
            f"where r.at > now() - make_interval(hours => :h) and {where}{asked} "
            "order by r.at desc limit :limit"
        ),
        {**params, "h": hours, "reason": reason, "limit": limit},
    ).all()


def product_entries(conn: Connection, product: str, limit: int) -> Sequence[Any]:
    """Return what the journal says of a product and of the accounts of its devices, newest first."""
    return conn.execute(
        text(
            "select at, class, action, actor, note from twin.journal where at > now() - interval "
            "'400 days' and ((class = 'declaration' and kind = :declared) or (class = 'security' "
            "and action like any(array['device.%', 'product.%']) and note->>'product' = :product)) "
            "order by at desc limit :limit"
        ),
        {"product": product, "declared": f"product:{product}", "limit": limit},
    ).all()


def entries(conn: Connection, thing: Any, product: str, device: str, limit: int) -> Sequence[Any]:
    """Return what the journal says of a device and of its thing, newest first."""
    return conn.execute(
        text(
            "select at, class, action, actor, note from twin.journal where subject = :id "
            "union all (select at, class, action, actor, note from twin.journal "
            "where class = 'security' and action like 'device.%' and at > now() - interval '400 days' "
            "and note->>'product' = :product and note->>'device' = :device limit :limit) "
            "order by at desc limit :limit"
        ),
        {"id": thing, "product": product, "device": device, "limit": limit},
    ).all()


def _devices(conn: Connection, actor: Actor) -> tuple[str, dict[str, Any]]:
    where, params = deviceview.where(conn, actor)
    return f"select d.num {deviceview.FROM} where {where}", params


def hours(conn: Connection, actor: Actor, hours: int) -> list[dict[str, Any]]:
    """Return the ledger of all devices that the actor may see, by hour."""
    inside, params = _devices(conn, actor)
    rows = conn.execute(
        text(
            "select hour, sum(accepted) as accepted, sum(stored) as stored, sum(rejected) as rejected, "
            "sum(duplicate) as duplicate, count(*) as devices from iot.ledger "
            f"where hour > now() - make_interval(hours => :h) and num in ({inside}) "
            "group by hour order by hour"
        ),
        {**params, "h": hours},
    )
    return [_whole(row) for row in rows]


def _whole(row: Any) -> dict[str, Any]:
    """Return a row with sums as whole numbers: the database adds bigints up to numeric."""
    counts = ("accepted", "stored", "rejected", "duplicate")
    return {k: int(v) if k in counts else v for k, v in row._mapping.items()}


def commands(conn: Connection, actor: Actor, hours: int) -> list[dict[str, Any]]:
    """Return what was sent down by hour, and how it ended."""
    inside, params = _devices(conn, actor)
    rows = conn.execute(
        text(
            "select date_trunc('hour', created_at) as hour, count(*) as sent, "
            "count(*) filter (where state = 'done') as done, "
            "count(*) filter (where state in ('failed', 'expired')) as failed from iot.command "
            f"where created_at > now() - make_interval(hours => :h) and num in ({inside}) "
            "group by 1 order by 1"
        ),
        {**params, "h": hours},
    )
    return [dict(row._mapping) for row in rows]


def reasons(conn: Connection, actor: Actor, hours: int) -> list[dict[str, Any]]:
    """Return why records were refused, the most frequent reason first."""
    inside, params = _devices(conn, actor)
    rows = conn.execute(
        text(
            f"select {_REASON} as reason, sum(records) as records, "
            "count(distinct num) as devices, max(at) as last_at "
            f"from iot.reject where at > now() - make_interval(hours => :h) and num in ({inside}) "
            "group by 1 order by 2 desc limit 20"
        ),
        {**params, "h": hours},
    )
    return [{**row._mapping, "records": int(row.records)} for row in rows]


def worst(conn: Connection, actor: Actor, hours: int) -> list[dict[str, Any]]:
    """Return the devices that lost the most: refused and repeated records."""
    where, params = deviceview.where(conn, actor)
    rows = conn.execute(
        text(
            "select d.product, d.device, t.name, t.code, sum(l.accepted) as accepted, "
            "sum(l.stored) as stored, sum(l.rejected) as rejected, sum(l.duplicate) as duplicate "
            "from iot.ledger l join twin.device d on d.num = l.num join twin.thing t on t.num = d.num "
            f"where l.hour > now() - make_interval(hours => :h) and {where} "
            "group by 1, 2, 3, 4 having sum(l.rejected) + sum(l.duplicate) > 0 "
            "order by sum(l.rejected) desc, sum(l.duplicate) desc limit 50"
        ),
        {**params, "h": hours},
    )
    return [_whole(row) for row in rows]


def unknown(conn: Connection, hours: int) -> dict[str, int]:
    """Return what nobody known has sent: the ledger of number 0."""
    row = conn.execute(
        text(
            "select coalesce(sum(accepted), 0) as accepted, coalesce(sum(rejected), 0) as rejected "
            "from iot.ledger where num = 0 and hour > now() - make_interval(hours => :h)"
        ),
        {"h": hours},
    ).one()
    return {"accepted": int(row.accepted), "rejected": int(row.rejected)}
