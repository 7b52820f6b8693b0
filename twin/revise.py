"""Changing things by their id: only what is named changes, as a new version with its journal entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import things
from twin.kinds import Kind
from twin.things import PLACES


def revise(
    conn: Connection,
    kind: Kind,
    ids: Sequence[UUID],
    changes: Mapping[str, Sequence[Any]],
    *,
    actor: str,
    note: Mapping[str, Any] | None = None,
) -> int:
    """Set columns of things (one value each, in the order of `ids`); return how many changed.

    `geom` is hex EWKB in EPSG:4326; district and street follow the map.
    """
    shape = ", encode(st_asewkb(geom), 'hex') as geom" if kind.geometry != "none" else ""
    rows = {
        r.id: r
        for r in conn.execute(
            text(
                f"select id, source, source_key, district, street{shape} "
                f"from {kind.topic}.{kind.kind} where id = any(:ids) for update"
            ),
            {"ids": list(ids)},
        )
    }
    kept = ["source_key", *PLACES, *(("geom",) if shape else ())]
    changed = 0
    for source in sorted({r.source for r in rows.values()}):
        mine = [i for i, one in enumerate(ids) if one in rows and rows[one].source == source]
        columns: dict[str, list[Any]] = {
            name: [getattr(rows[ids[i]], name) for i in mine] for name in kept
        }
        columns |= {name: [values[i] for i in mine] for name, values in changes.items()}
        done = things.write(conn, kind, columns, actor=actor, source=source, note=note)
        changed += done.updated
    return changed
