"""Delivery: read a batch, send it, move the cursor; killed anywhere, the same batch goes again.

Where a batch ends is written down before it is sent. What is sent again after a crash is therefore
the same batch under the same key, and a receiver that knows keys (or the ids of events) has each
event's effect once.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from services.subscriptions import events, senders
from services.subscriptions.senders import NotSent, Sender
from twin import db, sealing

log = structlog.get_logger("north")
LOCK = 31
# One look at a subscription ends after this, so that none keeps the others waiting.
LOOK_S = 20.0
RETRY_S, RETRY_MOST_S = 2, 300
LAG_EVERY_S = 60.0
LAG_KEPT = "7 days"
USE = "subscription"
_ROW = text("select * from iot.subscription where id = :id")


class Delivery:
    """Delivery of this process: keeps its connections between looks."""

    def __init__(self) -> None:
        self._senders: dict[UUID, tuple[str, Sender]] = {}
        self._noted = float("-inf")

    def once(self) -> int:
        """Serve every subscription that is due; return how many events were taken."""
        if time.monotonic() - self._noted >= LAG_EVERY_S:
            self._noted = time.monotonic()
            with db.engine("app").begin() as conn:
                note_lag(conn)
        with db.engine("app").connect() as conn:
            due = conn.scalars(
                text(
                    "select id from iot.subscription where enabled and next_at <= now() order by id"
                )
            ).all()
        return sum(self.serve(one) for one in due)

    def serve(self, which: UUID) -> int:
        """Send what is new to one subscription, for a while; return how many events were taken."""
        end, sent = time.monotonic() + LOOK_S, 0
        with db.engine("app").connect() as conn:
            got = conn.scalar(
                text("select pg_try_advisory_lock(:k, hashtext(:n))"), {"k": LOCK, "n": str(which)}
            )
            conn.commit()
            if not got:
                return 0
            try:
                while time.monotonic() < end:
                    done = self._one(conn, which)
                    if done is None:
                        break
                    sent += done
            finally:
                conn.rollback()
                conn.execute(
                    text("select pg_advisory_unlock(:k, hashtext(:n))"),
                    {"k": LOCK, "n": str(which)},
                )
                conn.commit()
        return sent

    def _one(self, conn: Connection, which: UUID) -> int | None:
        """Send one batch; None when nothing is left or it was not taken."""
        row = conn.execute(_ROW, {"id": which}).first()
        if row is None or not row.enabled:
            return None
        batch = events.read(conn, events.filter_of(row), row.seq, row.sending_to)
        if batch is None:
            conn.commit()
            return None
        if row.sending_to is None:
            conn.execute(_BEGIN, {"id": which, "to": batch.upto})
        conn.commit()
        try:
            if batch.events:
                key = f"{row.id}/{row.seq}-{batch.upto}"
                self._sender(row).send(key, batch.events)
        except NotSent as why:
            self._failed(conn, row, why.detail)
            return None
        conn.execute(_TAKEN, {"id": which, "to": batch.upto, "n": len(batch.events)})
        conn.commit()
        return len(batch.events)

    def _sender(self, row: Any) -> Sender:
        mark = repr((row.kind, row.target, row.secret, row.digest))
        known = self._senders.get(row.id)
        if known is not None and known[0] == mark:
            return known[1]
        self._drop(row.id)
        secret = sealing.opened(USE, row.secret, str(row.id)) if row.secret else ""
        made = senders.sender(row, secret)
        self._senders[row.id] = (mark, made)
        return made

    def _drop(self, which: UUID) -> None:
        known = self._senders.pop(which, None)
        if known is not None:
            known[1].close()

    def _failed(self, conn: Connection, row: Any, why: str) -> None:
        log.warning("not taken", subscription=row.name, why=why)
        self._drop(row.id)
        conn.execute(
            text(
                "update iot.subscription set fails = fails + 1, last_error = :why, next_at = now() + "
                f"least(interval '{RETRY_MOST_S} seconds', interval '{RETRY_S} seconds' * "
                "power(2, least(fails, 10))) where id = :id"
            ),
            {"id": row.id, "why": why},
        )
        conn.commit()

    def close(self) -> None:
        """Let go of all connections."""
        for which in list(self._senders):
            self._drop(which)


_BEGIN = text("update iot.subscription set sending_to = :to where id = :id")
_TAKEN = text(
    "update iot.subscription set seq = :to, sending_to = null, fails = 0, last_error = null, "
    "sent = sent + :n, sent_at = case when :n > 0 then now() else sent_at end where id = :id"
)
_LAG = text(
    "insert into iot.lag (subscription, at, entries, oldest_s) select s.id, now(), "
    "greatest(e.seq - s.seq, 0), coalesce(extract(epoch from now() - (select j.at from twin.sealed x "
    "join twin.journal j on j.id = x.entry where x.seq > s.seq order by x.seq limit 1)), 0) "
    "from iot.subscription s cross join (select coalesce(max(seq), 0) as seq from twin.sealed) e "
    "where s.enabled on conflict do nothing"
)


def note_lag(conn: Connection) -> None:
    """Write down how far behind each subscription is: what its prediction reads."""
    conn.execute(_LAG)
    conn.execute(text(f"delete from iot.lag where at < now() - interval '{LAG_KEPT}'"))
