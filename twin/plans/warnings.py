"""Official warnings kept: once each; an update or a cancel ends what it refers to, its time ends it too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import shapely
from sqlalchemy import Connection, text

from twin import ids, journal

Warning_ = dict[str, Any]


_INSERT = text(
    "insert into twin.warning (id, identifier, sender, sent, kind, exercise, event, level, color, "
    "headline, description, onset, expires, area, districts, dialect, refers, geom, ended_at) values "
    "(:id, :identifier, :sender, :sent, :kind, :exercise, :event, :level, :color, :headline, "
    ":description, :onset, :expires, :area, :districts, :dialect, :refers, cast(:shape as geometry), "
    # Files come in any order: what was already replaced or cancelled never begins.
    "(select min(received_at) from twin.warning where refers @> array[cast(:identifier as text)])) "
    "on conflict (identifier) do nothing returning *"
)
_END = text(
    "update twin.warning set ended_at = now() where identifier = any(:refers) and ended_at is null"
)


def keep(conn: Connection, said: Mapping[str, Any], actor: str) -> tuple[Warning_, bool]:
    """Keep a warning once; end what it updates or cancels. Returns it, and whether it is new."""
    geom = said["geom"]
    row = {k: v for k, v in said.items() if k not in ("references", "geom")} | {
        "id": ids.uuid7(), "refers": said["references"],
        "shape": shapely.to_wkb(shapely.set_srid(geom, 4326), hex=True, include_srid=True)
        if geom is not None else None,
    }  # fmt: skip
    made = conn.execute(_INSERT, row).mappings().first()
    if made is None:
        known = conn.execute(
            text("select * from twin.warning where identifier = :identifier"), row
        ).mappings()
        return dict(known.one()), False
    if said["references"]:
        conn.execute(_END, row)
    shown = {k: v for k, v in row.items() if k not in ("shape", "id")}
    journal.append(
        conn, cls="warning", action=said["kind"], actor=actor, subject=made["id"], kind="warning",
        version=1, level=1, after=journal_doc(shown), note={"references": said["references"]},
    )  # fmt: skip
    return dict(made), True


def expire(conn: Connection) -> int:
    """End warnings whose time is over, each in the journal; return how many."""
    rows = conn.execute(
        text(
            "update twin.warning set ended_at = expires where id in (select id from twin.warning "
            "where ended_at is null and expires <= now() order by expires limit 200 "
            "for update skip locked) returning id, identifier, expires"
        )
    ).all()
    for row in rows:
        journal.append(
            conn, cls="warning", action="expire", actor="system", subject=row.id, kind="warning",
            version=2, level=1, note={"identifier": row.identifier, "expires": row.expires.isoformat()},
        )  # fmt: skip
    return len(rows)


def journal_doc(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values, times in RFC 3339."""
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in said.items()}


def standing(conn: Connection) -> list[dict[str, Any]]:
    """Return the warnings that hold now, the gravest first."""
    rows = conn.execute(
        text(
            "select id, identifier, sender, sent, exercise, event, level, color, headline, "
            "description, onset, expires, area, districts, dialect, st_asgeojson(geom, 5)::jsonb as geometry "
            "from twin.warning where ended_at is null and kind <> 'cancel' "
            "and (expires is null or expires > now()) and sent > now() - interval '14 days' "
            "order by level, sent desc limit 200"
        )
    ).mappings()
    return [dict(row) for row in rows]


def refused(conn: Connection) -> list[dict[str, Any]]:
    """Return the files of the last seven days that could not be taken, and why."""
    rows = conn.execute(
        text(
            "select at, note->>'file' as file, note->>'why' as why from twin.journal "
            "where class = 'warning' and action = 'refuse' and at > now() - interval '7 days' "
            "order by id desc limit 50"
        )
    )
    return [dict(row._mapping) for row in rows]
