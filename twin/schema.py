"""Tables of kinds in the database: made and widened as owner, never narrowed."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from twin.kinds import Kind
from twin.tables import TOPICS, history, table

_READERS = "twin_app, twin_tiles, twin_audit, twin_ingest"


def ensure_topics(conn: Connection) -> None:
    """Make the schema and the history table of each topic."""
    for topic in TOPICS:
        conn.execute(text(f"create schema if not exists {topic}"))
        conn.execute(text(f"grant usage on schema {topic} to {_READERS}"))
        if not inspect(conn).has_table("history", schema=topic):
            conn.execute(CreateTable(history(topic)))
            for column in ("kind, valid_to", "num"):
                conn.execute(text(f"create index on {topic}.history ({column})"))
            conn.execute(text(f"create index on {topic}.history using gist (geom)"))
        conn.execute(text(f"grant select on {topic}.history to {_READERS}"))
        conn.execute(text(f"grant insert on {topic}.history to twin_app"))


def ensure_table(conn: Connection, kind: Kind) -> list[str]:
    """Make the table of a kind or add the columns it lacks; return the columns that were added."""
    made = table(kind)
    seen = inspect(conn)
    if not seen.has_table(kind.kind, schema=kind.topic):
        conn.execute(CreateTable(made))
        for index in sorted(made.indexes, key=lambda i: str(i.name)):
            conn.execute(CreateIndex(index))
        _grant(conn, kind)
        return [c.name for c in made.columns]
    has = {c["name"] for c in seen.get_columns(kind.kind, schema=kind.topic)}
    added = []
    for column in made.columns:
        if column.name not in has:
            words = CreateColumn(column).compile(conn.engine)
            conn.execute(text(f"alter table {kind.topic}.{kind.kind} add column {words}"))
            added.append(column.name)
    return added


def _grant(conn: Connection, kind: Kind) -> None:
    where = f"{kind.topic}.{kind.kind}"
    conn.execute(text(f"grant select on {where} to {_READERS}"))
    conn.execute(text(f"grant insert, update, delete on {where} to twin_app"))
