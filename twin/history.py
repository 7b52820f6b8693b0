"""Reading the past: the rows of a kind as they stood at a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin.kinds import Kind
from twin.tables import table


def as_of(kind: Kind, moment: datetime | None) -> sa.FromClause:
    """Return the table of a kind, or what it held at a moment (same columns either way).

    Past rows come back typed: the kept JSON is read into the row type of the table.
    """
    now = table(kind)
    if moment is None:
        return now
    names = [c.name for c in now.columns if c.name != "geom"]
    current = ", ".join(f"t.{n}" for n in names)
    past = ", ".join(f"r.{n}" for n in names)
    geom = kind.geometry != "none"
    where = f"{kind.topic}.{kind.kind}"
    sql = (
        f"select {current}{', t.geom' if geom else ''} from {where} t where t.valid_from <= :moment "
        f"union all select {past}{', h.geom' if geom else ''} from {kind.topic}.history h, "
        f"lateral jsonb_populate_record(null::{where}, h.attributes) r "
        "where h.kind = :of_kind and h.valid_from <= :moment and h.valid_to > :moment"
    )
    columns: list[Any] = [sa.column(c.name, c.type) for c in now.columns]
    made = sa.text(sql).bindparams(moment=moment, of_kind=kind.kind).columns(*columns)
    return made.subquery("as_of")


def versions(conn: sa.Connection, thing_id: Any) -> list[Any]:
    """Return the journal entries of a thing, newest first."""
    return list(
        conn.execute(
            sa.text(
                "select s.seq, j.* from twin.journal j left join twin.sealed s on s.entry = j.id "
                "where j.subject = :id order by j.version desc"
            ),
            {"id": thing_id},
        )
    )
