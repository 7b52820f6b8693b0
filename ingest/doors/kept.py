"""Sessions of MQTT clients in the database: they outlive the door, killed or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from ingest.doors.sessions import Sent, Session

MOST = 200_000
_LOAD = (
    "select name, client, subscriptions, sent, number, expiry_s, "
    "extract(epoch from now() - coalesce(left_at, now()))::float8 from iot.session limit %s"
)
_SAVE = (
    "insert into iot.session (name, client, subscriptions, sent, number, expiry_s, left_at) "
    "values (%s, %s, %s, %s, %s, %s, case when %s then null else now() end) "
    "on conflict (name, client) do update set subscriptions = excluded.subscriptions, "
    "sent = excluded.sent, number = excluded.number, expiry_s = excluded.expiry_s, "
    "left_at = case when excluded.left_at is null then null "
    "else coalesce(iot.session.left_at, excluded.left_at) end"
)


def load(conn: psycopg.Connection[Any]) -> list[tuple[Session, float]]:
    """Return all sessions that have not ended, with how many seconds each has still."""
    found = []
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_LOAD, (MOST,))
        for name, client, subscriptions, sent, number, expiry_s, absent_s in cursor:
            one = Session((name, client), expiry_s=expiry_s, last=number)
            one.subscriptions = {str(k): int(v) for k, v in subscriptions.items()}
            one.sent = {int(n): Sent(d, t, p.encode()) for n, d, t, p in sent}
            found.append((one, expiry_s - absent_s))
    return found


def save(conn: psycopg.Connection[Any], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write sessions as they stand."""
    with conn.cursor() as cursor:
        cursor.executemany(_SAVE, [_row(one) for one in rows])


def drop(conn: psycopg.Connection[Any], keys: Iterable[tuple[str, str]]) -> None:
    """Forget sessions that have ended."""
    with conn.cursor() as cursor:
        cursor.executemany("delete from iot.session where name = %s and client = %s", list(keys))


def as_row(one: Session) -> tuple[Any, ...]:
    """Return a session as it stands now, to be written by another thread."""
    sent = [[n, s.downlink, s.topic, s.payload.decode()] for n, s in one.sent.items()]
    return (*one.key, dict(one.subscriptions), sent, one.last, one.expiry_s, one.connection is not None)  # fmt: skip


def _row(one: tuple[Any, ...]) -> tuple[Any, ...]:
    name, client, subscriptions, sent, *rest = one
    return (name, client, Jsonb(subscriptions), Jsonb(sent), *rest)
