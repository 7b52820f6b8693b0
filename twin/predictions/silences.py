"""Silences foreseen: a device that is late by its own learned period, before it counts as gone.

The ticket says when it will count as gone. It comes true when not a word has come by then, it was
wrong when the device spoke before, and a device that was gone without a ticket counts against us.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import products
from twin.alarms import readings
from twin.predictions import cadence, tickets
from twin.predictions.tickets import Ticket

KIND = "silence"
# A device is gone when it has missed so many of its reports, and is silent so long at least.
GONE_PERIODS, GONE_LEAST_S = 4.0, 1800.0
# What was silent longer than this before anybody looked is history, not a prediction that failed.
SEEN_WITHIN = timedelta(hours=24)


def gone_after(period_s: float) -> float:
    """Return after how many seconds of silence a device counts as gone."""
    return max(GONE_PERIODS * period_s, GONE_LEAST_S)


def look(conn: Connection, now: datetime) -> int:
    """Write a ticket for each device that has become late; return how many are new."""
    found: list[Ticket] = []
    for product in products.running(conn).values():
        late = _late(conn, product.key, now)
        known = _told(conn, [_key(row) for row in late])
        sure = _share(conn, product.key) if late else 0.0
        for row in late:
            key, gone = _key(row), row.heard + timedelta(seconds=gone_after(row.period_s))
            if key in known:
                continue
            if gone <= now:
                if now - row.heard < SEEN_WITHIN:
                    tickets.unforeseen(conn, KIND, key, gone)
                continue
            span = timedelta(seconds=row.period_s)
            found.append(
                Ticket(
                    kind=KIND, key=key, num=row.num, product=product.key, confidence=sure,
                    due_from=gone - span, due_at=gone, due_to=gone + span,
                    evidence={"heard": row.heard.isoformat(), "period_s": round(row.period_s, 1),
                              "mad_s": round(row.mad_s, 2)},
                )
            )  # fmt: skip
    return tickets.put(conn, found)


def score(conn: Connection, now: datetime) -> int:
    """End tickets: gone as foreseen, or heard again before; return how many ended."""
    done = 0
    rows = conn.execute(
        text("select * from iot.ticket where kind = :k and state = 'open' for update"), {"k": KIND}
    ).all()
    heard = _heard(conn, rows)
    for row in rows:
        since = datetime.fromisoformat(row.evidence["heard"])
        at = heard.get(row.num)
        if at is not None and at > since and at <= row.due_at:
            tickets.end(conn, row.id, "false", now, note="heard again before it was gone")
        elif now >= row.due_at:
            tickets.end(conn, row.id, "confirmed", row.due_at)
        else:
            continue
        done += 1
    return done


def _key(row: Any) -> str:
    return f"{row.num} {int(row.heard.timestamp())}"


def _late(conn: Connection, product: str, now: datetime) -> Sequence[Any]:
    """Return the devices of which no property came within its period, by the one that comes most often."""
    source = readings.last_statement(conn, product)
    return conn.execute(
        text(
            "select s.num, s.heard, s.period_s, s.mad_s from (select v.num, max(v.at) as heard, "
            "(array_agg(c.period_s order by c.period_s, c.property))[1]::float8 as period_s, "
            "(array_agg(c.mad_s order by c.period_s, c.property))[1]::float8 as mad_s "
            f"from ({source}) v join iot.cadence c on c.num = v.num and c.property = v.property "
            "join twin.device d on d.num = v.num and d.enabled where c.product = :p group by v.num"
            ") s where extract(epoch from cast(:now as timestamptz) - s.heard) "
            f"> s.period_s + {cadence.MADS} * s.mad_s"
        ),
        {"now": now, "p": product},
    ).all()


def _told(conn: Connection, keys: Sequence[str]) -> set[str]:
    asked = text(
        "select key from iot.ticket where kind = :k and key = any(:keys) "
        "union select key from iot.unforeseen where kind = :k and key = any(:keys)"
    )
    return set(conn.scalars(asked, {"k": KIND, "keys": list(keys)}))


def _heard(conn: Connection, rows: Sequence[Any]) -> dict[int, datetime]:
    newest = readings.newest(conn, [row.num for row in rows]) if rows else {}
    return {num: max(at for at, _ in values.values()) for num, values in newest.items() if values}


def _share(conn: Connection, product: str) -> float:
    """Return how often a ticket of this product came true, with doubt where there were few."""
    row = conn.execute(
        text(
            "select count(*) filter (where state = 'confirmed') as good, "
            "count(*) filter (where state in ('confirmed', 'false')) as n from iot.ticket "
            "where kind = :k and product = :p and predicted_at > now() - interval '1 year'"
        ),
        {"k": KIND, "p": product},
    ).one()
    return round(float(row.good + 2) / float(row.n + 3), 3)
