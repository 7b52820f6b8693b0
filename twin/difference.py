"""The difference of two moments of a kind: what was added, changed, moved, removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from twin import catalogue
from twin.history import as_of
from twin.kinds import Kind
from twin.scope import Actor, visible
from twin.tables import history, table

Filter = Callable[[Any], sa.ColumnElement[bool]]
Box = tuple[float, float, float, float]
HEADER = ("num", "code", "name", "state", "district", "street")
_geo = sa.func.public
_SLICE = 40


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Two moments (`to` None is now), and what to look at."""

    since: datetime
    to: datetime | None
    bbox: Box | None = None
    filtered: Filter | None = None


def statements(
    kind: Kind, actor: Actor, asked: Asked, *, after: int, limit: int
) -> tuple[Any, Any]:
    """Return the statement of a page of changed things (num, id), and of the counts of all.

    What they say is read for the page alone (`details`): to write it for a city would be slow.
    """
    old, new, both = _both(kind, actor, asked, None)
    differs = [old.c.version.is_distinct_from(new.c.version), sa.or_(old.c.fits, new.c.fits)]
    num, one = sa.func.coalesce(new.c.num, old.c.num), sa.func.coalesce(new.c.id, old.c.id)
    page = (
        sa.select(num.label("num"), one.label("id"))
        .select_from(both)
        .where(*differs, num > after)
        .order_by(num)
        .limit(limit)
    )
    how, moved = _how(kind, old, new)
    n = sa.func.count()
    counts = (
        sa.select(*(n.filter(how == w).label(w) for w in ("added", "changed", "removed")),
                  n.filter(moved).label("moved"))
        .select_from(both)
        .where(*differs)
    )  # fmt: skip
    return page, counts


def details(kind: Kind, actor: Actor, asked: Asked, ids: list[UUID]) -> Any:
    """Return the statement of what things said at both moments, by number."""
    old, new, both = _both(kind, actor, asked, ids)
    how, moved = _how(kind, old, new)
    shapes: list[Any] = [sa.null(), sa.null()]
    if kind.geometry != "none":
        shapes = [_geo.ST_AsGeoJSON(side.c.geom, 7) for side in (old, new)]
    num = sa.func.coalesce(new.c.num, old.c.num)
    return (
        sa.select(
            num.label("num"), sa.func.coalesce(new.c.id, old.c.id).label("id"), how.label("how"),
            moved.label("moved"), old.c.said.label("before"), new.c.said.label("after"),
            shapes[0].label("was"), shapes[1].label("now"),
            old.c.version.label("from_version"), new.c.version.label("to_version"),
        )
        .select_from(both)
        .order_by(num)
    )  # fmt: skip


def _both(kind: Kind, actor: Actor, asked: Asked, ids: list[UUID] | None) -> tuple[Any, Any, Any]:
    old = _side(kind, actor, asked.since, asked, ids).subquery("old")
    new = _side(kind, actor, asked.to, asked, ids).subquery("new")
    return old, new, sa.join(old, new, old.c.id == new.c.id, full=True)


def _how(kind: Kind, old: Any, new: Any) -> tuple[Any, Any]:
    how = sa.case((old.c.id.is_(None), "added"), (new.c.id.is_(None), "removed"), else_="changed")
    if kind.geometry == "none":
        return how, sa.false()
    return how, sa.and_(how == "changed", old.c.geom.is_distinct_from(new.c.geom))


def _side(
    kind: Kind, actor: Actor, moment: datetime | None, asked: Asked, ids: list[UUID] | None
) -> Any:
    source = as_of(kind, moment)
    columns = [source.c.id, source.c.num, source.c.version]
    if kind.geometry != "none":
        columns.append(source.c.geom)
    if ids is not None:
        wanted = source.c.id == sa.any_(sa.literal(ids, sa.ARRAY(sa.Uuid)))
        columns.append(_said(kind, actor, source).label("said"))
    else:
        wanted = source.c.id.in_(_touched(kind, asked))
        columns.append(_fits(kind, asked, source).label("fits"))
    return sa.select(*columns).where(visible(actor, source, kind), wanted)


def _said(kind: Kind, actor: Actor, source: Any) -> Any:
    names = [*HEADER, *catalogue.fields(kind, actor)]
    said: Any = None
    for i in range(0, len(names), _SLICE):
        pairs: list[Any] = []
        for name in names[i : i + _SLICE]:
            pairs += [sa.literal_column(f"'{name}'"), source.c[name]]
        made = sa.func.jsonb_build_object(*pairs)
        said = made if said is None else said.op("||")(made)
    return said


def _fits(kind: Kind, asked: Asked, source: Any) -> Any:
    fits: list[Any] = [sa.true()]
    if asked.bbox and kind.geometry != "none":
        box = _geo.ST_MakeEnvelope(*asked.bbox, 4326)
        fits += [source.c.geom.bool_op("&&")(box), _geo.ST_Intersects(source.c.geom, box)]
    if asked.filtered is not None:
        fits.append(asked.filtered(source))
    return sa.func.coalesce(sa.and_(*fits), False)


def _touched(kind: Kind, asked: Asked) -> Any:
    """Return the ids of things of which a version began or ended between the moments."""
    now, past = table(kind), history(kind.topic)

    def between(column: Any) -> Any:
        later = column > asked.since
        return later if asked.to is None else sa.and_(later, column <= asked.to)

    # Reading a million things twice to find the few that differ would be slow.
    return sa.union(
        sa.select(now.c.id).where(between(now.c.valid_from)),
        sa.select(past.c.id).where(
            past.c.kind == kind.kind,
            sa.or_(between(past.c.valid_to), between(past.c.valid_from)),
        ),
    )


def feature(row: Any) -> dict[str, Any]:
    """Return one changed thing as a GeoJSON feature: how, and which fields from what to what."""
    before: Mapping[str, Any] = row.before or {}
    after: Mapping[str, Any] = row.after or {}
    fields = [
        {"key": key, "before": before.get(key), "after": after.get(key)}
        for key in after or before
        if key not in ("num", "code") and before.get(key) != after.get(key)
    ]
    shown = after or before
    return {
        "type": "Feature",
        "id": str(row.id),
        "geometry": json.loads(row.now or row.was) if row.now or row.was else None,
        "properties": {
            "num": row.num,
            "code": shown.get("code"),
            "name": shown.get("name"),
            "district": shown.get("district"),
            "change": row.how,
            "moved": bool(row.moved),
            "was": json.loads(row.was) if row.moved and row.was else None,
            "from_version": row.from_version,
            "to_version": row.to_version,
            "fields": fields if row.how == "changed" else [],
        },
    }
