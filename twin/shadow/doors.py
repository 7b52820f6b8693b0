"""The shadow for the device doors: what is to be delivered, and what devices answer.

At least once: what was sent and not acknowledged is sent again, later each time, until its end;
a device tells repeats by the id of a command and by the version of what is desired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from twin.ota import doors as ota
from twin.shadow import patch

NEWS = "twin_downlink"
# The interface names first; the second of each is understood too.
CHANNELS = {
    "shadow/reported": "reported",
    "command/reply": "reply",
    "command/result": "reply",
    "ota/progress": "progress",
    "ota/state": "progress",
}
RETRY_S, RETRY_MOST_S = 15, 900
MAX_REPLY = 4096


class Refused(Exception):
    """A message of a device that cannot be used; the text says why."""


class Downlink(NamedTuple):
    """One message for a device: topic `twin/v1/{product}/{device}/{topic_suffix}`, QoS 1."""

    num: int
    topic_suffix: str
    payload: bytes
    id: str


_COMMANDS = (
    "with mine as (select id from iot.command where num = any(%(nums)s) "
    "and state in ('queued', 'sent') and next_at <= now() and expires_at > now() "
    "and attempts < max_attempts order by num, created_at limit %(limit)s "
    "for update skip locked) "
    "update iot.command c set state = 'sent', attempts = c.attempts + 1, sent_at = now(), "
    f"next_at = now() + least(interval '{RETRY_MOST_S} seconds', "
    f"interval '{RETRY_S} seconds' * power(2, c.attempts)) "
    "from mine where c.id = mine.id returning c.num, c.id, c.name, c.args, c.created_at"
)
_SHADOWS = (
    "with mine as (select num from iot.shadow where num = any(%(nums)s) "
    "and desired_rev > delivered_rev and (told_rev < desired_rev or told_at is null "
    f"or told_at < now() - least(interval '{RETRY_MOST_S} seconds', "
    f"interval '{RETRY_S} seconds' * power(2, least(tries, 10)))) "
    "order by num limit %(limit)s for update skip locked) "
    "update iot.shadow s set tries = case when s.told_rev = s.desired_rev then s.tries + 1 else 1 end, "
    "told_rev = s.desired_rev, told_at = now() from mine where s.num = mine.num "
    "returning s.num, s.desired, s.reported, s.desired_rev"
)


_WAITING = (
    "with mine as (select id from iot.command where num = %s and expires_at > now() "
    "and state in ('queued', 'sent', 'delivered') order by created_at limit %s for update) "
    "update iot.command c set sent_at = coalesce(c.sent_at, now()), "
    "attempts = greatest(c.attempts, 1), "
    "state = case when c.state = 'queued' then 'sent' else c.state end "
    "from mine where c.id = mine.id returning c.id, c.name, c.args, c.created_at"
)
_STANDING = (
    "select desired, desired_rev from iot.shadow where num = %s and desired_rev > 0 "
    "and (delivered_rev >= desired_rev or told_rev = desired_rev)"
)


def due(conn: psycopg.Connection[Any], nums: Sequence[int], limit: int = 1000) -> list[Downlink]:
    """Return what these connected devices should get now, and note that it is on its way."""
    said = {"nums": list(nums), "limit": limit}
    with conn.cursor(row_factory=dict_row) as cursor:
        orders = cursor.execute(_COMMANDS, said).fetchall()
        shadows = cursor.execute(_SHADOWS, said).fetchall()
    orders.sort(key=lambda row: (row["num"], row["created_at"], str(row["id"])))
    made = [_command(row) for row in orders] + [_shadow(row) for row in shadows]
    return made + [Downlink(*one) for one in ota.due(conn, nums, limit)]


def standing(conn: psycopg.Connection[Any], num: int) -> Downlink | None:
    """Return what a device is to be, for one that subscribes anew: all of it, as it stands.

    What it was never told is left to `due`, so that it does not come twice.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_STANDING, (num,)).fetchone()
    if row is None:
        return None
    said = orjson.dumps({**row["desired"], "version": row["desired_rev"]})
    return Downlink(num, "shadow/desired", said, f"s:{num}:{row['desired_rev']}")


def desired(conn: psycopg.Connection[Any], num: int) -> bytes:
    """Return what a device is to be, for one that asks; that it arrived only its report says."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "update iot.shadow set told_rev = desired_rev, told_at = now() where num = %s "
            "returning desired, desired_rev",
            (num,),
        ).fetchone()
    return orjson.dumps(
        {**row["desired"], "version": row["desired_rev"]} if row else {"version": 0}
    )


def waiting(conn: psycopg.Connection[Any], num: int, limit: int = 20) -> list[dict[str, Any]]:
    """Return the commands that a device has not answered, for one that asks; they are sent then."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_WAITING, (num, limit)).fetchall()
    rows.sort(key=lambda row: (row["created_at"], str(row["id"])))
    return [{"id": str(row["id"]), "name": row["name"], "args": row["args"]} for row in rows]


def _command(row: dict[str, Any]) -> Downlink:
    said = {"id": str(row["id"]), "name": row["name"], "args": row["args"]}
    return Downlink(row["num"], "command", orjson.dumps(said), f"c:{row['id']}")


def _shadow(row: dict[str, Any]) -> Downlink:
    lacks = patch.lacking(row["desired"], row["reported"])
    said = orjson.dumps({**lacks, "version": row["desired_rev"]})
    return Downlink(row["num"], "shadow/desired", said, f"s:{row['num']}:{row['desired_rev']}")


def acknowledged(conn: psycopg.Connection[Any], id: str) -> None:
    """Note that a device has acknowledged what was sent under this id."""
    what, _, rest = id.partition(":")
    if what == "c":
        conn.execute(
            "update iot.command set state = 'delivered', delivered_at = now() "
            "where id = %s and state = 'sent'",
            (UUID(rest),),
        )
    elif what == "s":
        num, _, rev = rest.partition(":")
        conn.execute(
            "update iot.shadow set delivered_rev = greatest(delivered_rev, %s), tries = 0 "
            "where num = %s",
            (int(rev), int(num)),
        )
    elif what == "o":
        ota.acknowledged(conn, UUID(rest))


def uplink(conn: psycopg.Connection[Any], num: int, channel: str, payload: bytes) -> None:
    """Take what a device says on a channel of `CHANNELS`; Refused says why it cannot be used."""
    said = _object(payload)
    what = CHANNELS.get(channel)
    if what == "reported":
        _reported(conn, num, said)
    elif what == "reply":
        _replied(conn, num, said)
    elif what == "progress":
        try:
            ota.progress(conn, num, said)
        except ValueError as why:
            raise Refused(str(why)) from why
    else:
        raise Refused(f"{channel[:40]!r} is no channel of a device")


def _object(payload: bytes) -> dict[str, Any]:
    if len(payload) > patch.MAX_BYTES:
        raise Refused(f"longer than {patch.MAX_BYTES} bytes")
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError as why:
        raise Refused(f"not JSON: {why}") from why
    if not isinstance(said, dict):
        raise Refused("not a JSON object")
    if b"\\u0000" in payload:
        raise Refused("a text in it holds a zero byte")
    if patch.deep(said):
        raise Refused(f"nested deeper than {patch.MAX_DEPTH}")
    return said


def _reported(conn: psycopg.Connection[Any], num: int, said: dict[str, Any]) -> None:
    version = said.pop("version", None)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise Refused("version is not a whole number")
    conn.execute("insert into iot.shadow (num) values (%s) on conflict do nothing", (num,))
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select reported, desired_rev from iot.shadow where num = %s for update", (num,)
        ).fetchone()
        assert row is not None
        after = patch.merged(row["reported"], said)
        if len(orjson.dumps(after)) > patch.MAX_BYTES:
            raise Refused(f"the shadow would be longer than {patch.MAX_BYTES} bytes")
        changed = after != row["reported"]
        # A device that names the version it has taken over has been told, also when the
        # acknowledgement of the message itself was lost.
        known = min(version, row["desired_rev"]) if version is not None else 0
        cursor.execute(
            "update iot.shadow set reported = %s, reported_rev = reported_rev + %s, "
            "reported_at = now(), delivered_rev = greatest(delivered_rev, %s) where num = %s",
            (Jsonb(after), int(changed), known, num),
        )
    if changed:
        _journal(conn, num, "shadow.reported", row["reported"], after)


def _replied(conn: psycopg.Connection[Any], num: int, said: dict[str, Any]) -> None:
    try:
        command = UUID(str(said.get("id")))
    except ValueError as why:
        raise Refused("id is not the id of a command") from why
    ok = said.get("ok")
    if not isinstance(ok, bool):
        raise Refused("ok is not true or false")
    result = said.get("result")
    if result is not None and len(orjson.dumps(result)) > MAX_REPLY:
        raise Refused(f"result is longer than {MAX_REPLY} bytes")
    after = "done" if ok else "failed"
    found = conn.execute(
        "update iot.command set state = %s, ended_at = now(), result = %s, "
        "delivered_at = coalesce(delivered_at, now()) "
        "where id = %s and num = %s and state in ('queued', 'sent', 'delivered') returning name",
        (after, Jsonb(result), command, num),
    ).fetchone()
    if found is not None:
        _journal(conn, num, f"command.{after}", None, {"id": str(command), "result": result})
        return
    known = conn.execute(
        "select 1 from iot.command where id = %s and num = %s", (command, num)
    ).fetchone()
    # A reply that comes again says nothing new; one to a command of another device is refused.
    if known is None:
        raise Refused("no such command was given to this device")


def _journal(conn: psycopg.Connection[Any], num: int, action: str, before: Any, after: Any) -> None:
    conn.execute(
        "insert into twin.journal (class, action, actor, kind, district, level, lon, lat, before, "
        "after, note) select 'device', %(action)s, 'device:' || t.code, t.kind, t.district, t.level, "
        "st_x(t.point), st_y(t.point), %(before)s, %(after)s, "
        "jsonb_build_object('num', t.num, 'code', t.code) from twin.thing t where t.num = %(num)s",
        {
            "action": action,
            "num": num,
            "before": None if before is None else Jsonb(before),
            "after": Jsonb(after),
        },
    )
