"""The tables of a product, made from its declaration; a changed one is only added to and widened."""

from __future__ import annotations

from sqlalchemy import Connection, text

from twin.products import Product
from twin.products.model import BOOLEAN, ENUM, INTEGER, NUMBER, TEXT

TYPES = {
    NUMBER: "double precision",
    INTEGER: "bigint",
    BOOLEAN: "boolean",
    ENUM: "smallint",
    TEXT: "text",
}
# What the catalogue calls a type that another may take up without loss, and how.
_WIDER = {
    ("boolean", "bigint"): "{0}::int::bigint",
    ("boolean", "double precision"): "{0}::int::double precision",
    ("bigint", "double precision"): "{0}::double precision",
}
AT = "__at"


def up(product: str) -> str:
    """Return the table of all records of a product."""
    return f'iot."up_{product}"'


def last(product: str) -> str:
    """Return the table of last values of a product."""
    return f'iot."last_{product}"'


def ensure(conn: Connection, product: Product) -> None:
    """Make or widen the tables of a product as owner; doing it again changes nothing."""
    conn.execute(text("select pg_advisory_xact_lock(7012)"))
    key = product.key
    _make(conn, key)
    for table in (f"up_{key}", f"last_{key}"):
        there = _columns(conn, table)
        for prop in product.properties:
            _column(conn, table, there, prop.name, TYPES[prop.type])
            if table.startswith("last_"):
                _column(conn, table, there, prop.name + AT, "timestamp with time zone")


def _make(conn: Connection, key: str) -> None:
    for made in (
        f"create table if not exists {up(key)} (at timestamptz not null, num integer not null, "
        "seq bigint not null, received timestamptz not null) partition by range (at)",
        f'create index if not exists "up_{key}_at" on {up(key)} using brin (at) '
        "with (pages_per_range = 32)",
        f'create index if not exists "up_{key}_received" on {up(key)} using brin (received) '
        "with (pages_per_range = 32)",
        # prev: the newest moment before the last batch; tells the writer which rows may be known.
        f"create table if not exists {last(key)} (num integer primary key, at timestamptz not null, "
        "prev timestamptz) with (fillfactor = 50)",
        f"grant select on {up(key)}, {last(key)} to twin_app, twin_tiles, twin_audit, twin_ingest",
        f"grant insert on {up(key)} to twin_ingest",
        f"grant insert, update on {last(key)} to twin_ingest",
        f"grant delete on {up(key)}, {last(key)} to twin_app",
    ):
        conn.execute(text(made))


def _columns(conn: Connection, table: str) -> dict[str, str]:
    rows = conn.execute(
        text(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'iot' and table_name = :t"
        ),
        {"t": table},
    )
    return {row.column_name: row.data_type for row in rows}


def _column(conn: Connection, table: str, there: dict[str, str], name: str, wanted: str) -> None:
    known = there.get(name)
    if known is None:
        conn.execute(text(f'alter table iot."{table}" add column "{name}" {wanted}'))
    elif known != wanted and (known, wanted) in _WIDER:
        using = _WIDER[(known, wanted)].format(f'"{name}"')
        conn.execute(
            text(f'alter table iot."{table}" alter column "{name}" type {wanted} using {using}')
        )
