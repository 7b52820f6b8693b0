"""What positions and observations share: binary COPY, day partitions, one journal entry a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import db, journal
from twin.errors import Unavailable

_days: set[tuple[str, str, date]] = set()


def copy_rows(
    conn: Connection, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Send rows into a staging table by binary COPY."""
    raw = conn.connection.driver_connection
    if raw is None:
        raise Unavailable("The database connection was lost; the batch will be tried again.")
    with (
        raw.cursor() as cursor,
        cursor.copy(f"copy {table} from stdin (format binary)") as out,
    ):
        out.set_types(types)
        for row in rows:
            out.write_row(row)


def ensure_days(conn: Connection, series: str, moments: Iterable[datetime]) -> None:
    """Make the day partitions that a batch needs; known ones cost nothing."""
    where = db.place(conn)
    for day in {moment.astimezone(UTC).date() for moment in moments}:
        if (where, series, day) not in _days:
            conn.execute(text("select twin.ensure_day(:s, :d)"), {"s": series, "d": day})
            _days.add((where, series, day))


def forget_days() -> None:
    """Ask the database again after a failed batch: its partitions may have been rolled back."""
    _days.clear()


def note_batch(conn: Connection, series: str, kept: Any, received: datetime) -> int:
    """Write the one journal entry of a batch: table, range, count and digest; return its id."""
    if not kept.stored:
        return 0
    return journal.append(
        conn,
        cls="observation",
        action="append",
        actor="system:ingest",
        note={
            "table": series,
            "received_at": received.isoformat(),
            "from": kept.first.isoformat(),
            "to": kept.last.isoformat(),
            "count": kept.stored,
            "digest": kept.digest,
        },
    )
