"""Candidates by name, code, word and pinyin, ranked; what lies at and near a place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, text

from twin import tables
from twin.kinds import Kind
from twin.pool import Statements
from twin.scope import Actor, binds, scope_sql, shape, visible
from twin.settings import CITY_BOUNDS

# Of a word that half the city carries in its name so many are ranked, and so many around the view.
CANDIDATES, NEAR = 2_000, 400
# More names than this make a common word; of each kind that carries it so many things are looked at.
COMMON, WALKED = 4_000, 2_000
VIEW = "st_setsrid(st_makepoint(:lon, :lat), 4326)"
MIDDLE = ((CITY_BOUNDS[0] + CITY_BOUNDS[2]) / 2, (CITY_BOUNDS[1] + CITY_BOUNDS[3]) / 2)
_SHORT_CODE = re.compile(r"^([A-Za-z]{2,3})[ -]?(\d{1,9})$")
_LETTERS = re.compile(r"^(?=.*[a-z])[a-z0-9]{2,40}$")
ADDRESS_M = 500.0
_STATEMENTS = Statements(256)
RANKED = "array['district','street','event','park','vehicle','crew']"


def find(
    conn: Connection,
    actor: Actor,
    query: str,
    *,
    known: Mapping[str, Kind],
    kinds: Sequence[str],
    words: Mapping[str, Sequence[str]],
    near: tuple[float, float] | None,
    limit: int,
) -> Sequence[Any]:
    """Return the best rows: num, kind, code, name, district, lon, lat, field, word.

    `known` are the kinds that the actor may read, `kinds` their names and what is found besides;
    `words` the fields of each by whose words it may find. `near` is lon, lat of the view.
    """
    scope, names = scope_sql(actor, "t", 1)
    mine = f"t.gone_at is null and t.kind = any(:kinds) and (t.open or {scope})"
    spread = _like("".join(c + c for c in query.lower()))
    # A single character has no piece of three in the index but at the start of a name.
    part = f"%{spread}%" if len(query) > 1 else f"{spread}%"
    lon, lat = near or MIDDLE
    names |= {
        "q": query, "start": f"{_like(query)}%", "code": query.upper(), "beyond": query.upper() + "\U0010ffff",
        "part": part, "kinds": list(kinds), "n": limit, "ahead": limit * 3, "cap": CANDIDATES, "few": NEAR,
        "fields": sorted(f"{k} {f}" for k, of in words.items() for f in of), "lon": lon, "lat": lat,
    }  # fmt: skip
    parts = [
        _named(mine, "t.code >= :code and t.code < :beyond", "code"),
        _named(mine, "t.name <> '' and t.name = :q", "name"),
        *_by_name(conn, actor, mine, part, known),
    ]
    if short := _SHORT_CODE.match(query):
        names["codes"] = _codes(conn, short[1].upper(), int(short[2]))
        parts.append(_named(mine, "t.code = any(:codes)", "code"))
    parts += _by_word(mine, query)
    if _LETTERS.match(query.lower()):
        names["letters"] = query.lower()
        parts.append(_by_pinyin(mine))
    return conn.execute(text(_ranked(parts, near=near is not None)), names).all()


def _named(mine: str, where: str, how: str, cap: str = "cap", order: str = "") -> str:
    return (
        f"(select t.num, '{how}' as how, null::text as field, null::text as word "
        f"from twin.thing t where {mine} and {where} {order} limit :{cap})"
    )


def _by_name(
    conn: Connection, actor: Actor, mine: str, part: str, kinds: Mapping[str, Kind]
) -> list[str]:
    """Find by part of a name. Of a word that very many carry the nearest are taken one by one.

    To gather hundreds of thousands of matches from the index only to rank a few takes half a second.
    Walking outwards from the view among the kinds that carry the word meets enough of them at once.
    """
    if _expected(conn, part) <= COMMON:
        return [_named(mine, "t.name <> '' and twin.spread(t.name) like :part", "name")]
    carry = conn.scalars(
        text(
            "select kind from twin.name_sample where twin.spread(name) like :part and kind = any(:kinds) "
            "group by 1 order by count(*) desc limit 4"
        ),
        {"part": part, "kinds": [n for n, k in kinds.items() if k.geometry != "none"]},
    ).all()
    around = _around(conn, actor)
    return [_walk(actor, kinds[name], around) for name in carry]


def _walk(actor: Actor, kind: Kind, around: str) -> str:
    scope = "true" if kind.open else scope_sql(actor, "t", kind.level, geom="geom")[0]
    return (
        "(select q.num, 'name' as how, null::text as field, null::text as word from "
        f"(select t.num, t.name from {kind.topic}.{kind.kind} t where {scope}{around} "
        f"order by t.geom <-> {VIEW} limit {WALKED}) q "
        "where twin.spread(q.name) like :part limit :ahead)"
    )


def _expected(conn: Connection, part: str) -> float:
    """Return how many names the planner expects to match."""
    plan = conn.execute(
        text(
            "explain (format json) select 1 from twin.thing t "
            "where t.name <> '' and twin.spread(t.name) like :part"
        ),
        {"part": part},
    ).scalar_one()
    return float(plan[0]["Plan"]["Plan Rows"])


def _around(conn: Connection, actor: Actor) -> str:
    """Return the box of a limited actor's districts: the walk must not leave it."""
    if actor.districts is None:
        return ""
    box = conn.execute(
        text("select st_extent(geom)::geometry as box from base.district where code = any(:d)"),
        {"d": list(actor.districts)},
    ).scalar()
    return f" and t.geom && st_setsrid('{box}'::geometry, 4326)" if box else ""


def _by_word(mine: str, query: str) -> list[str]:
    """Find by plates, permit numbers, addresses; a single character would match half of them."""
    select = (
        "(select t.num, 'word' as how, k.field, k.word from twin.search_key k join twin.thing t on t.num = k.num "
        f"where {mine} and k.kind || ' ' || k.field = any(:fields) and {{}} limit :few)"
    )
    # The pattern is reckoned once, outside of the scan, or the index could not be used.
    pattern = "twin.spread(k.word) like (select {} || twin.spread(twin.word(:q)) || '%')"
    made = [select.format(pattern.format("''"))]
    if len(query) > 1:
        made.append(select.format(pattern.format("'%'")))
    return made


def _by_pinyin(mine: str) -> str:
    # Bounds, not a pattern: the plan must use the index whatever the letters are.
    found = " union ".join(
        f"(select name, length({c}) as long from twin.name_pinyin where {c} ~>=~ :letters "
        f"and {c} ~<~ (:letters || '~') order by {c} using ~<~ limit :few)"
        for c in ("initials", "spelled")
    )
    return (
        "(select t.num, 'pinyin' as how, null::text as field, null::text as word from "
        f"(select name, min(long) as long from ({found}) u group by 1 order by 2 limit :few) p "
        f"cross join lateral (select t.num from twin.thing t where t.name = p.name and t.name <> '' "
        f"and {mine} limit :few) t limit :cap)"
    )


def _ranked(parts: Sequence[str], *, near: bool) -> str:
    order = f"st_distance(t.point, {VIEW}) nulls last, " if near else ""
    return (
        "select t.num, t.kind, t.code, t.name, t.district, t.level, st_x(t.point) as lon, st_y(t.point) as lat, "
        "f.field, f.word, (t.name = :q or t.code = upper(:q) or f.word = twin.word(:q)) as exact, "
        "(t.name ilike :start or t.code ilike :start or f.word like twin.word(:q) || '%') as first, "
        f"array_position({RANKED}, t.kind) as rank "
        f"from (select distinct on (num) * from ({' union all '.join(parts)}) u "
        "order by num, (how = 'word') desc) f join twin.thing t on t.num = f.num "
        "order by exact desc nulls last, first desc nulls last, rank nulls last, "
        f"{order}length(t.name), t.num limit :n"
    )


def _codes(conn: Connection, letters: str, serial: int) -> list[str]:
    """Return the codes that `TO 123` may mean: one in each district."""
    found = conn.execute(
        text("select distinct district from twin.code_serial where class = :c"), {"c": letters}
    )
    return [f"{district}-{letters}-{serial:06d}" for district in found.scalars()]


def _like(said: str) -> str:
    return said.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def nearest(
    conn: Connection,
    actor: Actor,
    kinds: Sequence[str],
    at: tuple[float, float],
    metres: float,
    limit: int,
) -> Sequence[Any]:
    """Return things around a place by their distance in metres, the nearest first."""
    scope, names = scope_sql(actor, "t", 1)
    return conn.execute(
        text(
            "select * from (select t.num, t.kind, t.code, t.name, t.district, st_x(point) as lon, st_y(point) as lat, "
            "st_distance(t.point::geography, st_setsrid(st_makepoint(:lon, :lat), 4326)::geography) as metres "
            f"from twin.thing t where gone_at is null and kind = any(:kinds) and (t.open or {scope}) "
            "and t.point && st_expand(st_setsrid(st_makepoint(:lon, :lat), 4326), :r) "
            "order by t.point <-> st_setsrid(st_makepoint(:lon, :lat), 4326) limit :n) q where metres <= :m"
        ),
        {**names, "kinds": list(kinds), "lon": at[0], "lat": at[1], "m": metres,
         "r": metres / 90_000, "n": limit},
    ).all()  # fmt: skip


def covering(
    conn: Connection, actor: Actor, kinds: Mapping[str, Kind], at: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return the areas of every kind that a place lies in."""
    areas = {n: k for n, k in kinds.items() if k.geometry == "polygon"}
    return _each(conn, actor, areas, at, "covering", _covers)


def _covers(name: str, kind: Kind, actor: Actor) -> sa.Select[Any]:
    t, f, spot = tables.table(kind).alias(), sa.func.public, _spot()
    return (
        sa.select(sa.literal(name).label("kind"), t.c.num, t.c.code, t.c.name, t.c.district)
        .where(
            t.c.geom.op("&&")(spot),
            f.ST_Covers(t.c.geom, spot),
            visible(actor, t, kind, bound=True),
        )
        .limit(20)
    )


def _spot() -> Any:
    f = sa.func.public
    return f.ST_SetSRID(
        f.ST_MakePoint(sa.bindparam("lon", type_=sa.Float), sa.bindparam("lat", type_=sa.Float)),
        4326,
    )


def _each(
    conn: Connection,
    actor: Actor,
    kinds: Mapping[str, Kind],
    at: tuple[float, float],
    what: str,
    make: Callable[[str, Kind, Actor], sa.Select[Any]],
) -> list[dict[str, Any]]:
    """Ask every kind the same in one statement, which is compiled once for kinds and scope alike."""
    if not kinds:
        return []
    key = (what, tuple((n, k.version, shape(actor, k)) for n, k in kinds.items()))
    made = _STATEMENTS.get(
        key,
        lambda: sa.union_all(*(sa.select(make(n, k, actor).subquery()) for n, k in kinds.items())),
    )
    names = {**made.fixed, **binds(actor), "lon": at[0], "lat": at[1]}
    return [dict(row) for row in conn.exec_driver_sql(made.sql.decode(), names).mappings()]


def road(conn: Connection, kind: Kind, at: tuple[float, float]) -> Any | None:
    """Return the nearest road with a name within 300 m: name and metres."""
    f = sa.func.public
    t = tables.table(kind)
    spot = f.ST_SetSRID(f.ST_MakePoint(at[0], at[1]), 4326)
    close = (
        sa.select(
            t.c.name,
            f.ST_Distance(sa.cast(t.c.geom, _GEOGRAPHY), sa.cast(spot, _GEOGRAPHY)).label("metres"),
        )
        .where(t.c.geom.op("&&")(f.ST_Expand(spot, 0.0033)), t.c.name != "")
        .order_by(t.c.geom.op("<->")(spot))
        .limit(5)
        .subquery()
    )
    return conn.execute(
        sa.select(close).where(close.c.metres <= 300).order_by(close.c.metres).limit(1)
    ).first()


def address(
    conn: Connection, actor: Actor, kinds: Mapping[str, Kind], at: tuple[float, float]
) -> dict[str, Any] | None:
    """Return the nearest thing within 500 m that says an address: code, name, address, metres."""
    found = _each(conn, actor, kinds, at, "address", _addressed)
    nearest_ = min(found, key=lambda row: float(row["metres"]), default=None)
    if nearest_ is None or nearest_["metres"] > ADDRESS_M:
        return None
    return nearest_ | {"metres": round(nearest_["metres"], 1)}


def _addressed(name: str, kind: Kind, actor: Actor) -> sa.Select[Any]:
    t, f, spot = tables.table(kind).alias(), sa.func.public, _spot()
    away = f.ST_Distance(sa.cast(t.c.geom, _GEOGRAPHY), sa.cast(spot, _GEOGRAPHY)).label("metres")
    return (
        sa.select(sa.literal(name).label("kind"), t.c.num, t.c.code, t.c.name, t.c.address, away)
        .where(t.c.geom.op("&&")(f.ST_Expand(spot, ADDRESS_M / 90_000)), t.c.address != "",
               visible(actor, t, kind, bound=True))
        .order_by(t.c.geom.op("<->")(spot))
        .limit(1)
    )  # fmt: skip


class _Geography(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type for a cast."""
        return "geography"


_GEOGRAPHY = _Geography()
