"""Column mappings that a person confirmed, kept for each source and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

_KEEP = text(
    "insert into twin.source_mapping (source, kind, mapping, options, actor) "
    "values (:source, :kind, :mapping, :options, :actor) on conflict (source, kind) do update "
    "set mapping = excluded.mapping, options = excluded.options, actor = excluded.actor, "
    "updated_at = now()"
).bindparams(bindparam("mapping", type_=JSONB), bindparam("options", type_=JSONB))


def keep(
    conn: Connection,
    source: str,
    kind: str,
    mapping: Mapping[str, str],
    options: Mapping[str, Any],
    actor: str,
) -> None:
    """Remember column → field and what else was said (key, crs, encoding, x, y, layer)."""
    said = {"source": source, "kind": kind, "mapping": dict(mapping), "actor": actor}
    conn.execute(_KEEP, {**said, "options": {k: v for k, v in options.items() if v}})


def kinds_of(conn: Connection, source: str) -> list[str]:
    """Return the kinds that a source was loaded into, the last first."""
    return list(
        conn.scalars(
            text("select kind from twin.source_mapping where source = :s order by updated_at desc"),
            {"s": source},
        )
    )


def recall(
    conn: Connection, source: str, kind: str, columns: Iterable[str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the mapping of a source, as far as the file has its columns, and the options."""
    row = conn.execute(
        text("select mapping, options from twin.source_mapping where source = :s and kind = :k"),
        {"s": source, "k": kind},
    ).first()
    if row is None:
        return {}, {}
    there = set(columns)
    options = {k: v for k, v in row.options.items() if k not in ("key", "x", "y") or v in there}
    return {c: f for c, f in row.mapping.items() if c in there}, options
