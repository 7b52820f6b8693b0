"""The difference of two moments of a kind: what was added, changed, moved, removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin import catalogue
from twin.history import as_of
from twin.kinds import Kind
from twin.scope import Actor, visible

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
    """Return the statement of a page of changed things, and of the counts of all."""
    old = _side(kind, actor, asked.since, asked, "old")
    new = _side(kind, actor, asked.to, asked, "new")
    both = sa.join(old, new, old.c.id == new.c.id, full=True)
    differs = [old.c.version.is_distinct_from(new.c.version), sa.or_(old.c.fits, new.c.fits)]
    num = sa.func.coalesce(new.c.num, old.c.num)
    how = sa.case((old.c.id.is_(None), "added"), (new.c.id.is_(None), "removed"), else_="changed")
    moved: Any = sa.false()
    shapes: list[Any] = [sa.null(), sa.null()]
    if kind.geometry != "none":
        moved = sa.and_(how == "changed", old.c.geom.is_distinct_from(new.c.geom))
        shapes = [_geo.ST_AsGeoJSON(side.c.geom, 7) for side in (old, new)]
    page = (
        sa.select(
            num.label("num"), sa.func.coalesce(new.c.id, old.c.id).label("id"), how.label("how"),
            moved.label("moved"), old.c.said.label("before"), new.c.said.label("after"),
            shapes[0].label("was"), shapes[1].label("now"),
            old.c.version.label("from_version"), new.c.version.label("to_version"),
        )
        .select_from(both)
        .where(*differs, num > after)
        .order_by(num)
        .limit(limit)
    )  # fmt: skip
    n = sa.func.count()
    counts = (
        sa.select(*(n.filter(how == w).label(w) for w in ("added", "changed", "removed")),
                  n.filter(moved).label("moved"))
        .select_from(both)
        .where(*differs)
    )  # fmt: skip
    return page, counts


def _side(kind: Kind, actor: Actor, moment: datetime | None, asked: Asked, name: str) -> Any:
    source = as_of(kind, moment)
    names = [*HEADER, *catalogue.fields(kind, actor)]
    said: Any = None
    for i in range(0, len(names), _SLICE):
        pairs = [
            x for n in names[i : i + _SLICE] for x in (sa.literal_column(f"'{n}'"), source.c[n])
        ]
        made = sa.func.jsonb_build_object(*pairs)
        said = made if said is None else said.op("||")(made)
    fits: list[Any] = [sa.true()]
    if asked.bbox and kind.geometry != "none":
        box = _geo.ST_MakeEnvelope(*asked.bbox, 4326)
        fits += [source.c.geom.bool_op("&&")(box), _geo.ST_Intersects(source.c.geom, box)]
    if asked.filtered is not None:
        fits.append(asked.filtered(source))
    shape = [source.c.geom] if kind.geometry != "none" else []
    return (
        sa.select(source.c.id, source.c.num, source.c.version, said.label("said"),
                  sa.func.coalesce(sa.and_(*fits), False).label("fits"), *shape)
        .where(visible(actor, source, kind))
        .subquery(name)
    )  # fmt: skip


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
