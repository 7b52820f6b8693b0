"""Every version of a thing: what it said, where it lay, who made it so, and the entry that proves it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import catalogue, lineage, pastnames
from twin.kinds import Kind
from twin.scope import Actor, scope_sql

HEADER = ("num", "code", "name", "district", "street", "state", "source", "version", "updated_at")


def entries(conn: Connection, thing_id: UUID) -> Sequence[Any]:
    """Return the journal entries of a thing, newest first.

    A thing that came in a bulk load has no first entry of its own: the entry of the load stands
    for it, and so does the entry that undid the load.
    """
    return conn.execute(
        text(
            "select * from (select s.seq, j.* from twin.journal j left join twin.sealed s "
            "on s.entry = j.id where j.subject = :id union all "
            "select s.seq, j.* from twin.thing g join twin.load l on l.nums @> g.num "
            "join twin.journal j on j.class = 'load' and (j.note->>'load')::bigint = l.id "
            "left join twin.sealed s on s.entry = j.id where g.id = :id and not exists "
            "(select 1 from twin.journal o where o.subject = g.id and o.version = 1)) e "
            "order by coalesce(version, case action when 'load' then 1 else 2147483647 end) desc"
        ),
        {"id": thing_id},
    ).all()


def history(conn: Connection, kind: Kind, actor: Actor, thing_id: UUID) -> list[dict[str, Any]]:
    """Return every version of a thing that the actor may see as GeoJSON features, newest first."""
    scope, params = ("true", {}) if kind.open else scope_sql(actor, "v", kind.level, geom="geom")
    placed = kind.geometry != "none"
    shape = "st_asgeojson(geom, 7)" if placed else "null::text"
    geom = "geom" if placed else "null::geometry as geom"
    rows = conn.execute(
        text(
            f"select * from (select version, valid_from, null::timestamptz as valid_to, district, street, {geom}, "
            f"{shape} as shape, to_jsonb(t) - 'geom' as attributes from {kind.topic}.{kind.kind} t "
            "where id = :id union all select version, valid_from, valid_to, district, "
            "attributes->>'street', geom, "
            f"st_asgeojson(geom, 7), attributes from {kind.topic}.history where id = :id "
            f"and kind = :kind) v where {scope} order by version desc"
        ),
        {"id": thing_id, "kind": kind.kind, **params},
    ).all()
    told = {_number(e): e for e in entries(conn, thing_id) if e.action not in ("remove", "undo")}
    names = pastnames.former(conn, kind.kind)
    allowed = catalogue.fields(kind, actor)
    return [_feature(kind, thing_id, row, told.get(row.version), names, allowed) for row in rows]


def _number(entry: Any) -> int:
    return int(entry.version or 1)


def renamed(attributes: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return attributes under the names that fields have now."""
    made = dict(attributes)
    for former, name in names.items():
        if former in made:
            made.setdefault(name, made.pop(former))
    return made


def _feature(
    kind: Kind, thing_id: UUID, row: Any, entry: Any, names: Mapping[str, str], allowed: list[str]
) -> dict[str, Any]:
    said = renamed(row.attributes, names)
    shown = {name: said.get(name) for name in (*HEADER, *allowed)}
    shown |= {
        "valid_from": _time(row.valid_from),
        "valid_to": _time(row.valid_to),
        "actor": entry.actor if entry else None,
        "action": entry.action if entry else None,
        "journal_seq": entry.seq if entry else None,
        "note": entry.note if entry else None,
    }
    return {
        "type": "Feature",
        "id": f"{thing_id}/{row.version}",
        "geometry": json.loads(row.shape) if row.shape else None,
        "properties": shown,
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def removed(conn: Connection, thing_id: UUID) -> dict[str, Any] | None:
    """Return when and by whom a thing was taken out of service; None while it stands."""
    gone = conn.scalar(text("select gone_at from twin.thing where id = :id"), {"id": thing_id})
    if gone is None:
        return None
    told = next((e for e in entries(conn, thing_id) if e.action in ("remove", "undo")), None)
    return {
        "at": _time(gone),
        "actor": told.actor if told else None,
        "journal_seq": told.seq if told else None,
    }


def collection(conn: Connection, kind: Kind, actor: Actor, thing_id: UUID) -> dict[str, Any]:
    """Return the history of a thing as a FeatureCollection with its lineage."""
    found = history(conn, kind, actor, thing_id)
    return {
        "type": "FeatureCollection",
        "numberReturned": len(found),
        "features": found,
        "removed": removed(conn, thing_id),
        "lineage": lineage.of(conn, actor, thing_id),
    }


__all__ = ["collection", "entries", "history", "removed", "renamed"]
