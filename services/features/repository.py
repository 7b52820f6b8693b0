"""Features of a kind as text made in SQL: the statements of pages, of one feature, of all.

A page is one statement: what matches is found once, counted, and only the rows of the page are
read again by where they lie. Its text depends on the form of the request alone, so it is compiled
and prepared once and answered thousands of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.features.asked import Asked, type_of
from services.features.crs import Reference
from twin import filters, pool, scope
from twin.calendar import ZONE
from twin.history import as_of
from twin.kinds import Kind
from twin.scope import Actor, visible
from twin.tables import table

_STATEMENTS = pool.Statements(2048)
# Filters and moments are as many as people write: they must not push out the statements of all days.
_FILTERED = pool.Statements(512)
# Up to here all things of a kind are counted at every look; above, the kept figure is a second old.
_COUNTED = 20_000
_BOX = ("west", "south", "east", "north")


def page(asked: Asked) -> tuple[pool.Prepared, dict[str, Any]]:
    """Return the statement of a page with its values.

    Rows are (matched, num, *sort values, feature); of a page without rows one with num None.
    In a CRS outside SQL the feature is (id, shape as WKB, properties).
    """
    named = asked.filter is not None or asked.moment is not None
    kept = _FILTERED if named else _STATEMENTS
    return kept.get(_form(asked), lambda: _page(asked)), _values(asked)


def one(kind: Kind, actor: Actor, key: str, asked: Asked) -> tuple[pool.Prepared, dict[str, Any]]:
    """Return the statement of one feature by id or code: (version, feature)."""
    try:
        value: Any = UUID(key)
    except ValueError:
        value = key
    by = "id" if isinstance(value, UUID) else "code"
    kept = _FILTERED if asked.moment is not None else _STATEMENTS
    made = kept.get(("one", by, *_form(asked)), lambda: _one(asked, by))
    return made, {**_values(asked), "key": value}


def everything(asked: Asked) -> tuple[sa.Select[Any], dict[str, Any]]:
    """Return the rows that a request matches, `names` then `geom`, for the writers of files."""
    source = _source(asked)
    found = sa.select(*(source.c[n] for n in asked.names)).where(*_where(asked, source))
    if asked.geometry:
        found = found.add_columns(source.c.geom)
    columns = [source.c[name] for name, _ in asked.order]
    found = found.where(*_after(asked, columns, source.c.num))
    found = found.order_by(*_directions(asked, columns), source.c.num)
    values = _values(asked)
    if not asked.whole:
        found = found.limit(asked.limit)
    return found, values


def registered(kind: Kind, thing_id: str) -> sa.Select[Any]:
    """Return the statement of the id of a thing of a kind, by id or code, standing or gone."""
    thing = sa.table("thing", sa.column("id"), sa.column("code"), sa.column("kind"), schema="twin")
    same: Any
    try:
        same = thing.c.id == sa.literal(UUID(thing_id), sa.Uuid)
    except ValueError:
        same = thing.c.code == thing_id
    return sa.select(thing.c.id).where(same, thing.c.kind == kind.kind)


def _form(asked: Asked) -> tuple[Any, ...]:
    """Return all that the text of a statement depends on."""
    after = asked.after
    return (
        asked.kind.kind, asked.kind.version, scope.shape(asked.actor, asked.kind), asked.names,
        asked.fields if asked.filter else None,
        asked.geometry, asked.crs.name, asked.crs.north_first, asked.order,
        None if after is None else tuple(v is None for v in after[1]),
        asked.box.form if asked.box else None, tuple(asked.equals),
        (asked.happened, asked.since is None, asked.until is None) if asked.happened else
        (asked.since, asked.until), asked.filter,
    )  # fmt: skip


def _values(asked: Asked) -> dict[str, Any]:
    said = {"limit": asked.limit + 1, **scope.binds(asked.actor)}
    if asked.box:
        said.update(asked.box.values)
    for i, value in enumerate(asked.equals.values()):
        said[f"equal{i}"] = value
    if asked.after is not None:
        said["after_num"] = asked.after[0]
        for i, value in enumerate(asked.after[1]):
            said[f"after{i}"] = value
    if asked.happened:
        said.update(_ends(asked))
    return said


def _ends(asked: Asked) -> dict[str, Any]:
    """Return the ends of the time asked for, as the column that says when it happened has them."""
    days = type_of(asked.kind, asked.kind.happened or "") == "date"
    ends = {"since": asked.since, "until": asked.until}
    return {n: at.astimezone(ZONE).date() if days else at for n, at in ends.items() if at}


def _page(asked: Asked) -> sa.Select[Any]:
    source = _source(asked)
    where = _where(asked, source)
    past = asked.moment is not None
    if past or where:
        found: tuple[Any, Any] = _of_hits(asked, source, where, past)
    else:
        found = _of_all(asked, source)
    counted, shown = found
    total = sa.select(counted.label("n")).subquery("c")
    keys = [shown.c[f"key{i}"] for i in range(len(asked.order))]
    order = [_directed(k, down) for k, (_, down) in zip(keys, asked.order, strict=True)]
    rest = [c for c in shown.c if c.name.startswith("out")]
    return (
        sa.select(total.c.n, shown.c.num, *keys, *rest)
        .select_from(total.outerjoin(shown, sa.true()))
        .order_by(*order, shown.c.num)
    )


def _of_hits(asked: Asked, source: Any, where: Sequence[Any], past: bool) -> tuple[Any, Any]:
    """Find what matches once: count it, and read the page's rows again by where they lie.

    Of the past nothing lies anywhere: its rows are kept whole.
    """
    keys = [source.c[name].label(f"key{i}") for i, (name, _) in enumerate(asked.order)]
    if past:
        rows = [source.c[n] for n in dict.fromkeys(("id", "num", *asked.names))]
        rows += [source.c.geom] if asked.geometry else []
        hits = sa.select(*rows, *keys).where(*where).cte("hits")
        own = hits.alias("t")
        kept = [own.c[f"key{i}"] for i in range(len(keys))]
        shown = (
            sa.select(own.c.num, *kept, *_feature(asked)).select_from(own)
            .where(*_after(asked, kept, own.c.num))
            .order_by(*_directions(asked, kept), own.c.num).limit(_LIMIT)
        )  # fmt: skip
    else:
        at: Any = sa.literal_column("t.ctid").label("lies")
        hits = sa.select(at, source.c.num, *keys).where(*where).cte("hits")
        kept = [hits.c[f"key{i}"] for i in range(len(keys))]
        places = (
            sa.select(hits.c.lies)
            .where(*_after(asked, kept, hits.c.num))
            .order_by(*_directions(asked, kept), hits.c.num).limit(_LIMIT)
        )  # fmt: skip
        here = sa.func.array(places.scalar_subquery())
        shown = sa.select(source.c.num, *keys, *_feature(asked)).where(
            sa.literal_column("t.ctid") == sa.any_(here)
        )
    counted = sa.select(sa.func.count()).select_from(hits).scalar_subquery()
    return counted, shown.subquery("p")


def _of_all(asked: Asked, source: Any) -> tuple[Any, Any]:
    """Read a page of all things of a kind along the index; how many there are is kept elsewhere."""
    columns = [source.c[name] for name, _ in asked.order]
    keys = [c.label(f"key{i}") for i, c in enumerate(columns)]
    shown = (
        sa.select(source.c.num, *keys, *_feature(asked))
        .where(*_after(asked, columns, source.c.num))
        .order_by(*_directions(asked, columns), source.c.num).limit(_LIMIT)
    )  # fmt: skip
    held = sa.table("kind_count", sa.column("kind"), sa.column("things"), schema="twin")
    kept = (
        sa.select(sa.func.coalesce(sa.func.sum(held.c.things), 0))
        .where(held.c.kind == asked.kind.kind)
        .scalar_subquery()
    )
    exact = sa.select(sa.func.count()).select_from(source).scalar_subquery()
    return sa.case((kept > _COUNTED, kept), else_=exact), shown.subquery("p")


_LIMIT: Any = sa.bindparam("limit", type_=sa.Integer)


def _one(asked: Asked, by: str) -> sa.Select[Any]:
    source = _source(asked)
    column = source.c[by]
    mine = visible(asked.actor, source, asked.kind, bound=True)
    key: Any = sa.bindparam("key", type_=column.type)
    return sa.select(source.c.version, *_feature(asked)).where(column == key, mine)


def _source(asked: Asked) -> Any:
    """Return the rows of a kind as `t`: the table, or what it held in the time asked for."""
    if asked.moment is None:
        return table(asked.kind).alias("t")
    return as_of(asked.kind, asked.moment, since=asked.from_).alias("t")


def _where(asked: Asked, source: Any) -> list[Any]:
    kind, actor = asked.kind, asked.actor
    where: list[Any] = []
    if scope.shape(actor, kind) != scope.ALL:
        mine = visible(actor, source, kind, bound=True)
        # Of a small box the planner would still collect a whole district from its index first.
        near = asked.box is not None and asked.box.form == "near"
        where.append(mine.is_(sa.true()) if near and kind.geometry != "none" else mine)
    if asked.box:
        where.append(
            _in_box(asked.box.form, source.c.geom) if kind.geometry != "none" else sa.true()
        )
    for i, name in enumerate(asked.equals):
        where.append(_equal(kind, source.c[name], name, i))
    if asked.happened:
        where += _happened(asked, source.c[kind.happened])
    if asked.filter is not None:
        said = asked.filter
        where.append(
            filters.compile_filter(
                said.said, source, kind, lang=said.lang, crs=said.crs, swap=said.swap,
                names=asked.fields,
            )
        )  # fmt: skip
    return where


def _in_box(form: str, geom: Any) -> Any:
    f = sa.func.public
    values: dict[str, Any] = {n: sa.bindparam(n, type_=sa.Double) for n in _BOX}
    west, south, east, north = values.values()
    if form == "shape":
        shape = f.ST_GeomFromWKB(sa.bindparam("box_shape", type_=sa.LargeBinary), 4326)
        return sa.and_(geom.op("&&")(shape), f.ST_Intersects(geom, shape))
    if form == "split":
        sides = (f.ST_MakeEnvelope(west, south, 180.0, north, 4326),
                 f.ST_MakeEnvelope(-180.0, south, east, north, 4326))  # fmt: skip
        return sa.or_(*(sa.and_(geom.op("&&")(s), f.ST_Intersects(geom, s)) for s in sides))
    box = f.ST_MakeEnvelope(west, south, east, north, 4326)
    inner = [sa.bindparam(f"in_{n}", type_=sa.Double) for n in _BOX]
    # Most of what the index finds lies wholly inside: only the edge is worth the exact test.
    # Said as a test, it is no second walk through the index.
    inside = geom.bool_op("@")(f.ST_MakeEnvelope(*inner, 4326)).is_(sa.true())
    return sa.and_(geom.op("&&")(box), sa.or_(inside, f.ST_Intersects(geom, box)))


def _equal(kind: Kind, column: Any, name: str, i: int) -> Any:
    if type_of(kind, name) == "list":
        return sa.bindparam(f"equal{i}", type_=sa.Text) == sa.any_(column)
    if type_of(kind, name) == "integer":
        return column == sa.bindparam(f"equal{i}", type_=sa.BigInteger)
    return column == sa.bindparam(f"equal{i}", type_=column.type)


def _happened(asked: Asked, column: Any) -> list[Any]:
    where = []
    if asked.since is not None:
        where.append(column >= sa.bindparam("since", type_=column.type))
    if asked.until is not None:
        where.append(column <= sa.bindparam("until", type_=column.type))
    return where


def _directed(column: Any, down: bool) -> Any:
    return (column.desc() if down else column.asc()).nulls_last()


def _directions(asked: Asked, columns: Sequence[Any]) -> list[Any]:
    return [_directed(c, down) for c, (_, down) in zip(columns, asked.order, strict=True)]


def _after(asked: Asked, columns: Sequence[Any], num: Any) -> list[Any]:
    """Say that a row comes after the one of the cursor; nothing comes last in either direction."""
    if asked.after is None:
        return []
    said: Any = num > sa.bindparam("after_num", type_=sa.Integer)
    told = list(zip(columns, asked.order, asked.after[1], strict=True))
    for i, (column, (_, down), value) in reversed(list(enumerate(told))):
        if value is None:
            said = sa.and_(column.is_(None), said)
            continue
        bind: Any = sa.bindparam(f"after{i}", type_=column.type)
        beyond = column < bind if down else column > bind
        said = sa.or_(beyond, column.is_(None), sa.and_(column == bind, said))
    return [said]


def _feature(asked: Asked) -> list[Any]:
    """Return the columns that make a feature: one text, or its parts where the CRS is not SQL's."""
    names = ", ".join(f't."{n}"' for n in asked.names)
    said = f"(select row_to_json(r)::text from (select {names}) r)" if names else "'{}'"
    if asked.geometry and asked.crs.srid is None:
        parts = ("t.id::text", "public.st_asbinary(t.geom)", said)
        return [sa.literal_column(p).label(f"out{i}") for i, p in enumerate(parts)]
    shape = f"coalesce({_shape(asked.crs)}, 'null')" if asked.geometry else "'null'"
    text = (
        f"""convert_to('{{"type":"Feature","id":"' || t.id || '","geometry":' || {shape} """
        f"""|| ',"properties":' || {said} || '}}', 'UTF8')"""
    )
    return [sa.literal_column(text).label("out")]


def _shape(crs: Reference) -> str:
    shape = "t.geom" if crs.plain else f"public.st_transform(t.geom, {crs.srid})"
    if crs.north_first:
        shape = f"public.st_flipcoordinates({shape})"
    return f"public.st_asgeojson({shape}, {crs.digits}, 0)"
