"""Cards and history of things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, text

from twin import cases, catalogue, history, lineage, names, pastnames, units
from twin import versions as past
from twin.errors import NotFound
from twin.eventview import View
from twin.kinds import Field, Kind
from twin.scope import Actor, scope_sql, sees, visible


def registered(conn: Connection, key: str) -> Any:
    """Return the registry row for a num, an id or a code."""
    if key.isdigit() and len(key) < 11:
        where, value = "num = :k", key
    else:
        try:
            where, value = "id = :k", str(UUID(key))
        except ValueError:
            where, value = "code = :k", key
    row = conn.execute(
        text(f"select id, num, kind, code from twin.thing where {where}"), {"k": value}
    ).first()
    if row is None or row.kind == "event":
        raise NotFound("There is no such thing that you may see.")
    return row


def card(conn: Connection, actor: Actor, key: str, moment: datetime | None) -> dict[str, Any]:
    """Return the card of a thing, now or at a moment."""
    entry = registered(conn, key)
    kind = catalogue.one(conn, actor, entry.kind)
    source = history.as_of(kind, moment)
    allowed = catalogue.fields(kind, actor)
    columns = [
        c for c in source.c if c.name != "geom" and (c.name not in kind.fields or c.name in allowed)
    ]
    if kind.geometry != "none":
        f = sa.func.public
        columns += [
            sa.cast(f.ST_AsGeoJSON(f.ST_Simplify(source.c.geom, 0.00001, True), 6), sa.Text).label(
                "shape"
            ),
            f.ST_X(f.ST_PointOnSurface(source.c.geom)).label("lon"),
            f.ST_Y(f.ST_PointOnSurface(source.c.geom)).label("lat"),
        ]
    row = (
        conn.execute(
            sa.select(*columns).where(source.c.id == entry.id, visible(actor, source, kind))
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound("There is no such thing that you may see, or not at that moment.")
    return _shown(conn, actor, kind, row, allowed, moment)


def _shown(
    conn: Connection,
    actor: Actor,
    kind: Kind,
    row: Any,
    allowed: list[str],
    moment: datetime | None,
) -> dict[str, Any]:
    known = names.things(conn)
    shape = json.loads(row["shape"]) if row.get("shape") else None
    order = [*kind.card, *(f for f in allowed if f not in kind.card)]
    fields = [_field(kind.fields[n], row[n]) for n in order if n in allowed and n in kind.fields]
    head = {
        k: row[k]
        for k in ("num", "code", "name", "district", "street", "state", "source", "version")
    }
    point = [row["lon"], row["lat"]] if row.get("lon") is not None else None
    return head | {
        "id": str(row["id"]),
        "kind": kind.kind,
        "kind_title": kind.title,
        "topic": kind.topic,
        "district_name": known.get(row["district"] or ""),
        "street_name": known.get(row["street"] or ""),
        "point": point,
        "geometry": shape,
        "fields": _linked(conn, actor, kind, [f for f in fields if f["value"] is not None]),
        "card": list(kind.card),
        "events": _events_near(conn, actor, point) if moment is None else [],
        "updated_at": row["updated_at"],
        "valid_from": row["valid_from"],
        "generated": row["source"] == "demo",
        "public": kind.public and kind.level == 1,
        "lineage": lineage.of(conn, actor, row["id"]),
    }


def _linked(
    conn: Connection, actor: Actor, kind: Kind, fields: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give each reference the name of the thing it leads to, where the actor may see that."""
    codes = [f["value"] for f in fields if kind.fields[f["key"]].is_ref]
    if not codes:
        return fields
    readable = catalogue.readable(conn, actor)
    rows = conn.execute(
        text(
            "select code, name, kind, district, street, st_x(point) as lon, st_y(point) as lat "
            "from twin.thing "
            "where code = any(:c) and gone_at is null"
        ),
        {"c": codes},
    )
    found = {
        r.code: {"code": r.code, "name": r.name, "kind": r.kind}
        for r in rows
        if r.kind in readable
        and sees(actor, readable[r.kind], r.district, r.street, (r.lon, r.lat))
    }
    return [
        f | {"ref": found.get(f["value"])} if kind.fields[f["key"]].is_ref else f for f in fields
    ]


def _field(field: Field, value: Any) -> dict[str, Any]:
    said = {"zh": field.text(value, "zh"), "en": field.text(value, "en")}
    return {
        "key": field.name,
        "title": field.title,
        "value": value,
        "text": said,
        "unit": units.shown(field.unit),
    }


def _events_near(conn: Connection, actor: Actor, point: list[float] | None) -> list[dict[str, Any]]:
    """Return open events within 60 m: what a person at this thing would be asked about."""
    if point is None or not actor.may("event.read"):
        return []
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where closed_at is null and {scope} and '
            "point && st_expand(st_setsrid(st_makepoint(:lon, :lat), 4326), 0.001) and "
            "st_dwithin(point::geography, st_setsrid(st_makepoint(:lon, :lat), 4326)::geography, 60) "
            "order by severity, opened_at desc limit 10"
        ),
        {"lon": point[0], "lat": point[1], **params},
    ).all()
    view = View(conn)
    return [view.show(dict(r._mapping), actor) for r in rows]


def versions(conn: Connection, actor: Actor, key: str) -> list[dict[str, Any]]:
    """Return every version of a thing with what changed, newest first."""
    entry = registered(conn, key)
    kind = catalogue.one(conn, actor, entry.kind)
    card(conn, actor, key, None)
    people = names.people(conn)
    former = pastnames.former(conn, kind.kind)
    return [_version(row, kind, actor, people, former) for row in past.entries(conn, entry.id)]


def _version(
    row: Any, kind: Kind, actor: Actor, people: Mapping[str, Any], former: Mapping[str, str]
) -> dict[str, Any]:
    before, after = past.renamed(row.before or {}, former), past.renamed(row.after or {}, former)
    allowed = {*catalogue.fields(kind, actor), "name", "state"}
    changes = []
    for name in after if row.before else ():
        if name not in allowed or before.get(name) == after.get(name):
            continue
        field = kind.fields.get(name)
        title = field.title if field else {"zh": name, "en": name}
        changes.append(
            {"key": name, "title": title, "before": before.get(name), "after": after[name]}
        )
    return {
        "seq": row.seq,
        "version": row.version or (1 if row.action == "load" else None),
        "at": row.at,
        "actor": row.actor,
        "actor_name": people.get(row.actor),
        "action": row.action,
        "note": row.note,
        "changes": changes,
        "moved": bool(row.before) and before.get("geom") != after.get("geom"),
    }
