"""Roll-ups of what devices measure: values to minutes, minutes to hours; and the end of what is old.

The sealed journal says which batches came in. Every minute that a batch touched is computed anew
from all its values, so a late value is counted as a punctual one, and doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from twin import db, journal, products
from twin.products import Product
from twin.products.model import BOOLEAN, Property
from twin.telemetry import store

CURSOR = "telemetry"
ENTRIES = 2_000
RETIRE_ROWS = 50_000
# A moment may be rounded by a microsecond on its way to the journal; looking wider does no harm.
EDGE = timedelta(milliseconds=5)
ACTOR = "system:rollup"


@dataclass
class Touched:
    """Which rows of a product are new: when they were received, and the moments that they tell of."""

    received_from: datetime
    received_to: datetime
    at_from: datetime
    at_to: datetime

    def widen(self, other: Touched) -> None:
        """Take up another batch."""
        self.received_from = min(self.received_from, other.received_from)
        self.received_to = max(self.received_to, other.received_to)
        self.at_from = min(self.at_from, other.at_from)
        self.at_to = max(self.at_to, other.at_to)


def follow(conn: Connection) -> tuple[int, int]:
    """Roll up what the sealed journal brought; return how many entries were read and spans written."""
    seq = conn.execute(
        text("select seq from iot.rolled where key = :k for update"), {"k": CURSOR}
    ).scalar_one()
    rows = journal.entries(conn, after=seq, limit=ENTRIES, classes=("observation",))
    if not rows:
        return 0, 0
    batches: dict[str, Touched] = {}
    for row in rows:
        note = row.note or {}
        name = _product_of(str(note.get("table", "")))
        if name is None:
            continue
        said = (note["received_at"], note["received_at"], note["from"], note["to"])
        touched = Touched(*(datetime.fromisoformat(moment) for moment in said))
        if name in batches:
            batches[name].widen(touched)
        else:
            batches[name] = touched
    running = products.running(conn)
    written = sum(
        roll(conn, running[key], touched) for key, touched in batches.items() if key in running
    )
    conn.execute(
        text("update iot.rolled set seq = :s where key = :k"), {"s": rows[-1].seq, "k": CURSOR}
    )
    return len(rows), written


def _product_of(table: str) -> str | None:
    bare = table.replace('"', "")
    return bare.removeprefix("iot.up_") if bare.startswith("iot.up_") else None


def roll(conn: Connection, product: Product, touched: Touched) -> int:
    """Compute every minute and hour anew that rows of a product touch."""
    pairs = ", ".join(f"('{one.name}', {_number(one)})" for one in product.numeric)
    if not pairs:
        return 0
    said = {
        "ra": touched.received_from - EDGE, "rb": touched.received_to + EDGE,
        "a": touched.at_from - EDGE, "b": touched.at_to + EDGE,
    }  # fmt: skip
    up = store.up(product.key)
    conn.execute(
        text(
            "create temp table if not exists rolled_minutes (num integer, at timestamptz) on commit drop"
        )
    )
    conn.execute(text("truncate rolled_minutes"))
    conn.execute(
        text(
            "insert into rolled_minutes select distinct num, date_trunc('minute', at) "
            f"from {up} where received between :ra and :rb and at between :a and :b"
        ),
        said,
    )
    minutes = conn.execute(
        text(
            "insert into iot.minute (num, property, at, n, low, mean, high) "
            "select t.num, v.property, t.at, count(*), min(v.value), avg(v.value), max(v.value) "
            f"from rolled_minutes t join {up} u on u.num = t.num "
            "and date_trunc('minute', u.at) = t.at "
            f"cross join lateral (values {pairs}) as v(property, value) where v.value is not null "
            "and u.at >= date_trunc('minute', cast(:a as timestamptz)) "
            "and u.at < cast(:b as timestamptz) + interval '1 minute' "
            "group by 1, 2, 3 " + _UPSERT
        ),
        said,
    ).rowcount
    hours = conn.execute(
        text(
            "insert into iot.hour (num, property, at, n, low, mean, high) "
            "select m.num, m.property, h.at, sum(m.n), min(m.low), sum(m.mean * m.n) / sum(m.n), "
            "max(m.high) from (select distinct num, date_trunc('hour', at) as at from rolled_minutes) h "
            "join iot.minute m on m.num = h.num and m.at >= h.at and m.at < h.at + interval '1 hour' "
            "where m.property = any(:names) group by 1, 2, 3 " + _UPSERT
        ),
        {"names": [one.name for one in product.numeric]},
    ).rowcount
    return minutes + hours


_UPSERT = (
    "on conflict (num, property, at) do update set n = excluded.n, low = excluded.low, "
    "mean = excluded.mean, high = excluded.high"
)


def _number(prop: Property) -> str:
    between = "::int" if prop.type == BOOLEAN else ""
    return f'u."{prop.name}"{between}::float8'


def once() -> int:
    """Follow the journal until nothing is left; for the worker."""
    done = 0
    while True:
        with db.engine("app").begin() as conn:
            read, written = follow(conn)
        done += written
        if read < ENTRIES:
            return done


def retire(now: datetime | None = None) -> dict[str, int]:
    """Let go what is older than its product keeps it: whole days of values, rows of roll-ups.

    Days go only when the journal has been rolled up beyond them: nothing is lost but its fineness.
    """
    moment = now or datetime.now(UTC)
    with db.engine("app").connect() as conn:
        running = list(products.running(conn, fresh=True).values())
        behind = _behind(conn)
    gone = {"days": 0, "minutes": 0, "hours": 0}
    for product in running:
        keep = product.retention
        if not behind:
            gone["days"] += _drop_days(product, moment - timedelta(days=keep.raw_days))
        for table, days in (("minute", keep.minute_days), ("hour", keep.hour_days)):
            gone[f"{table}s"] += _drop_rows(product, table, moment - timedelta(days=days))
    return gone


def _behind(conn: Connection) -> bool:
    """Tell whether batches wait to be rolled up."""
    seq = conn.execute(
        text("select seq from iot.rolled where key = :k"), {"k": CURSOR}
    ).scalar_one()
    return bool(journal.entries(conn, after=seq, limit=1, classes=("observation",)))


def _drop_days(product: Product, before: datetime) -> int:
    """Drop the partitions that end before a moment, each in a transaction that waits for nobody long."""
    dropped = 0
    for part in _old_days(product, before):
        try:
            with db.engine("owner").begin() as conn:
                conn.execute(text("set local lock_timeout = '900ms'"))
                rows = conn.execute(text(f'select count(*) from iot."{part}"')).scalar_one()
                conn.execute(text(f'drop table iot."{part}"'))
                note = {"table": f"iot.{part}", "rows": rows, "older_than": before.isoformat()}
                journal.append(
                    conn, cls="setting", action="retire", actor=ACTOR, kind=product.key, note=note
                )
        except OperationalError:
            break  # somebody reads it: tomorrow is soon enough
        dropped += 1
    return dropped


def _old_days(product: Product, before: datetime) -> Sequence[str]:
    last = (before - timedelta(days=1)).strftime("%Y%m%d")
    with db.engine("app").connect() as conn:
        names = conn.scalars(
            text(
                "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
                "where i.inhparent = to_regclass(:parent) order by 1"
            ),
            {"parent": store.up(product.key)},
        ).all()
    return [name for name in names if name.rsplit("_", 1)[-1] <= last]


def _drop_rows(product: Product, table: str, before: datetime) -> int:
    """Delete old rows of the roll-ups of a product's devices, a bounded batch at a time."""
    total = 0
    while True:
        with db.engine("app").begin() as conn:
            gone = conn.execute(
                text(
                    f"delete from iot.{table} where ctid = any(array(select r.ctid from iot.{table} r "
                    "join twin.device d on d.num = r.num where d.product = :p and r.at < :b limit :n))"
                ),
                {"p": product.key, "b": before, "n": RETIRE_ROWS},
            ).rowcount
        total += gone
        if gone < RETIRE_ROWS:
            return total
