"""Records that hang on a thing: inspections, work, tonnage, animals, the newest of each kind first."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from twin import catalogue, units
from twin.kinds import Kind
from twin.scope import Actor, visible
from twin.tables import table


def of_thing(
    conn: Connection, actor: Actor, kind: str, code: str, limit: int
) -> list[dict[str, Any]]:
    """Return `{kind, title, total, fields, rows}` for each kind of record that hangs on a thing."""
    found = []
    for one in catalogue.readable(conn, actor).values():
        if one.is_record and kind in one.relations["about"]:
            shown = _of_kind(conn, actor, one, code, limit)
            if shown["total"]:
                found.append(shown)
    return found


def linked(
    conn: Connection, actor: Actor, kind: str, code: str, limit: int
) -> list[dict[str, Any]]:
    """Return the things whose relations lead here: what lies in a park, what a contractor keeps."""
    found = []
    for one in catalogue.readable(conn, actor).values():
        if one.is_record:
            continue
        for name, targets in one.relations.items():
            if kind not in targets or name not in catalogue.fields(one, actor):
                continue
            made = table(one)
            where = [made.c[name] == code, visible(actor, made, one)]
            count = sa.select(sa.func.count()).select_from(made).where(*where)
            total = conn.execute(count).scalar_one()
            if total:
                rows = conn.execute(
                    sa.select(made.c.num, made.c.code, made.c.name)
                    .where(*where).order_by(made.c.num).limit(limit)
                ).mappings()  # fmt: skip
                found.append(
                    {"kind": one.kind, "title": one.title, "relation": name,
                     "relation_title": one.fields[name].title, "total": total,
                     "things": [dict(row) for row in rows]}
                )  # fmt: skip
    return found


def _of_kind(conn: Connection, actor: Actor, kind: Kind, code: str, limit: int) -> dict[str, Any]:
    made = table(kind)
    allowed = catalogue.fields(kind, actor)
    order = [n for n in (kind.happened, *kind.card, *allowed) if n in allowed and n != "about"]
    names = list(dict.fromkeys(order))[:12]
    where = [made.c.about == code, visible(actor, made, kind)]
    total = conn.execute(sa.select(sa.func.count()).select_from(made).where(*where)).scalar_one()
    newest = (
        made.c[kind.happened].desc().nulls_last() if kind.happened in names else made.c.num.desc()
    )
    rows = conn.execute(
        sa.select(made.c.num, made.c.code, made.c.name, *(made.c[n] for n in names))
        .where(*where).order_by(newest, made.c.num.desc()).limit(limit)
    ).mappings()  # fmt: skip
    fields = [kind.fields[n] for n in names]
    return {
        "kind": kind.kind,
        "title": kind.title,
        "total": total,
        "happened": kind.happened,
        "fields": [{"key": f.name, "title": f.title, "unit": units.shown(f.unit)} for f in fields],
        "rows": [
            {
                "num": row["num"], "code": row["code"], "name": row["name"],
                "values": {f.name: row[f.name] for f in fields if row[f.name] is not None},
                "text": {
                    f.name: {"zh": f.text(row[f.name], "zh"), "en": f.text(row[f.name], "en")}
                    for f in fields if row[f.name] is not None
                },
            }
            for row in rows
        ],
    }  # fmt: skip
