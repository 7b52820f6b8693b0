"""The one journal: an entry for every change, written in the transaction of the change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

COLUMNS = "class action actor subject kind version district level lon lat before after note".split()
_APPEND = text(
    "insert into twin.journal (class, action, actor, subject, kind, version, district, level, "
    "lon, lat, before, after, note) values (:cls, :action, :actor, :subject, :kind, :version, "
    ":district, :level, :lon, :lat, :before, :after, :note) returning id"
).bindparams(
    *(bindparam(name, type_=JSONB(none_as_null=True)) for name in ("before", "after", "note"))
)


def dumped(said: Mapping[str, Any]) -> str:
    """Return a document as JSON text, Chinese as it is."""
    return json.dumps(said, ensure_ascii=False, default=str)


def append(
    conn: Connection,
    *,
    cls: str,
    action: str,
    actor: str,
    subject: UUID | None = None,
    kind: str | None = None,
    version: int | None = None,
    district: str | None = None,
    level: int = 1,
    point: tuple[float, float] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: Mapping[str, Any] | None = None,
) -> int:
    """Write one entry and return its id; point is lon, lat in EPSG:4326."""
    lon, lat = point or (None, None)
    return int(
        conn.execute(
            _APPEND,
            {
                "cls": cls,
                "action": action,
                "actor": actor,
                "subject": subject,
                "kind": kind,
                "version": version,
                "district": district,
                "level": level,
                "lon": lon,
                "lat": lat,
                "before": dict(before) if before is not None else None,
                "after": dict(after) if after is not None else None,
                "note": dict(note) if note is not None else None,
            },
        ).scalar_one()
    )


def append_many(conn: Connection, select_sql: str, params: Mapping[str, Any] | None = None) -> int:
    """Write an entry for each row of a SELECT that yields `journal.COLUMNS` in order."""
    sql = f"insert into twin.journal ({', '.join(COLUMNS)}) {select_sql}"
    return conn.execute(text(sql), dict(params or {})).rowcount


# Entries of class security that end no session and change no grant.
HARMLESS = frozenset(
    {
        "login",
        "login.refused",
        "refused",
        "token.issue",
        "step_up",
        "key.add",
        "contact.reveal",
        "camera.view",
    }
)


def whom(entry: Mapping[str, Any]) -> str | None:
    """Return the user (or `key:id`) whose sessions or grants a security entry is about; None: all."""
    said = {**(entry["note"] or {}), **(entry["after"] or {})}
    if str(entry["action"]).startswith(("organisation.", "grants.")):
        return None
    if entry["action"] == "key.revoke":
        return f"key:{said.get('key')}"
    return str(said.get("user") or entry["actor"])


def entries(
    conn: Connection, *, after: int, limit: int = 500, classes: Sequence[str] = ()
) -> Sequence[Any]:
    """Return sealed entries with seq > after, in sequence: what readers of the journal follow."""
    only = "and j.class = any(:classes)" if classes else ""
    return conn.execute(
        text(
            "select s.seq, j.* from twin.sealed s join twin.journal j on j.id = s.entry "
            f"where s.seq > :after {only} order by s.seq limit :limit"
        ),
        {"after": after, "limit": limit, "classes": list(classes)},
    ).all()
