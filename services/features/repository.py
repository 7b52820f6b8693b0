"""Features of a kind as GeoJSON text made in SQL; key-set paging over num."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from twin import catalogue
from twin.history import as_of
from twin.kinds import Kind
from twin.scope import Actor, visible

Filter = Callable[[Any], sa.ColumnElement[bool]]
HEADER = ("num", "code", "name", "district", "street", "state", "source", "version", "updated_at")


def _feature(kind: Kind, actor: Actor, source: Any) -> Any:
    f = sa.func
    names = [*HEADER, *catalogue.fields(kind, actor)]
    # jsonb_build_object takes at most 100 arguments: concatenate in slices of 40 pairs.
    parts = []
    for i in range(0, len(names), 40):
        pairs: list[Any] = []
        for name in names[i : i + 40]:
            pairs += [sa.literal_column(f"'{name}'"), source.c[name]]
        parts.append(f.jsonb_build_object(*pairs))
    properties: Any = parts[0]
    for part in parts[1:]:
        properties = properties.op("||")(part)
    geometry: Any = sa.null()
    if kind.geometry != "none":
        geometry = sa.cast(f.public.ST_AsGeoJSON(source.c.geom, 7), sa.JSON)
    return f.json_build_object(
        "type", "Feature", "id", sa.cast(source.c.id, sa.Text), "geometry", geometry,
        "properties", properties,
    )  # fmt: skip


def _where(
    kind: Kind,
    actor: Actor,
    source: Any,
    bbox: tuple[float, float, float, float] | None,
    equals: dict[str, str],
    filtered: Filter | None,
) -> list[Any]:
    where = [visible(actor, source, kind)]
    if bbox and kind.geometry != "none":
        box = sa.func.public.ST_MakeEnvelope(*bbox, 4326)
        where += [source.c.geom.op("&&")(box), sa.func.public.ST_Intersects(source.c.geom, box)]
    for name, value in equals.items():
        where.append(sa.cast(source.c[name], sa.Text) == value)
    if filtered is not None:
        where.append(filtered(source))
    return where


def items(
    kind: Kind,
    actor: Actor,
    *,
    bbox: tuple[float, float, float, float] | None,
    moment: datetime | None,
    equals: dict[str, str],
    filtered: Filter | None,
    after: int,
    limit: int,
) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return the statement of a page (num, feature text) and of the count of all that match."""
    source = as_of(kind, moment)
    where = _where(kind, actor, source, bbox, equals, filtered)
    feature = sa.cast(_feature(kind, actor, source), sa.Text)
    page = (
        sa.select(source.c.num, feature)
        .where(*where, source.c.num > after)
        .order_by(source.c.num)
        .limit(limit)
    )
    return page, sa.select(sa.func.count()).select_from(source).where(*where)


def item(kind: Kind, actor: Actor, thing_id: str, moment: datetime | None) -> sa.Select[Any]:
    """Return the statement of one feature by id or code."""
    source = as_of(kind, moment)
    same = sa.or_(sa.cast(source.c.id, sa.Text) == thing_id, source.c.code == thing_id)
    feature = sa.cast(_feature(kind, actor, source), sa.Text)
    return sa.select(source.c.version, feature).where(same, visible(actor, source, kind))


def registered(kind: Kind, thing_id: str) -> sa.Select[Any]:
    """Return the statement of the id of a thing of a kind, by id or code, standing or gone."""
    thing = sa.table("thing", sa.column("id"), sa.column("code"), sa.column("kind"), schema="twin")
    same: Any
    try:
        same = thing.c.id == sa.literal(UUID(thing_id), sa.Uuid)
    except ValueError:
        same = thing.c.code == thing_id
    return sa.select(thing.c.id).where(same, thing.c.kind == kind.kind)
