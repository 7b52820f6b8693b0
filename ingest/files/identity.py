"""Which thing a row is: its source and key, or the thing whose code it carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from ingest.files import columns as naming
from ingest.files import source as reading
from twin.kinds import Kind

Identity = tuple[str, str]


def taken_codes(
    conn: Connection, kind: Kind, read: reading.Source, named: naming.Mapping_, source: str
) -> dict[str, str | None]:
    """Return the official codes of a batch that stand already, with this source's key of each."""
    column = named.fields.get("code")
    if kind.kind not in naming.CODED or column is None:
        return {}
    rows = conn.execute(
        text(
            "select g.code, case when t.source = :s then t.source_key end as key "
            f"from twin.thing g left join {kind.topic}.{kind.kind} t on t.id = g.id "
            "where g.code = any(:codes)"
        ),
        {"s": source, "codes": [str(c) for c in read.columns[column] if c is not None]},
    )
    return {r.code: r.key for r in rows}


def by_code(
    conn: Connection, kind: Kind, named: naming.Mapping_, keys: Sequence[str]
) -> dict[str, Identity]:
    """Return source and key of the things whose codes a file carries in its key column.

    A file that was exported, worked on elsewhere and comes back names its things by their codes,
    whatever source they once came from.
    """
    if kind.kind in naming.CODED or named.key is None or named.key != named.fields.get("code"):
        return {}
    rows = conn.execute(
        text(
            f"select code, source, source_key from {kind.topic}.{kind.kind} where code = any(:codes)"
        ),
        {"codes": list(keys)},
    )
    return {r.code: (r.source, r.source_key) for r in rows}


def split(
    columns: dict[str, list[Any]], known: dict[str, Identity], source: str
) -> dict[str, tuple[dict[str, list[Any]], list[int]]]:
    """Return for each source its columns, keys replaced by the things' own, and the rows taken."""
    if not known:
        return {source: (columns, list(range(len(columns["source_key"]))))}
    parts: dict[str, list[int]] = {}
    keys = list(columns["source_key"])
    for i, key in enumerate(keys):
        of, keys[i] = known.get(key, (source, key))
        parts.setdefault(of, []).append(i)
    columns = {**columns, "source_key": keys}
    return {
        of: ({name: [cells[i] for i in rows] for name, cells in columns.items()}, rows)
        for of, rows in parts.items()
    }
