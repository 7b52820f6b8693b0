"""Candidates by name, code, word and pinyin, ranked; what lies at and near a place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, text

from twin import tables
from twin.kinds import Kind
from twin.scope import Actor, scope_sql, visible

# Of a word that half the city carries in its name so many are ranked, and so many around the view.
CANDIDATES, NEAR = 2_000, 400
NEAR_DEG = 0.03
_SHORT_CODE = re.compile(r"^([A-Za-z]{2,3})[ -]?(\d{1,9})$")
_LETTERS = re.compile(r"^[a-z0-9]{2,40}$")
RANKED = "array['district','street','event','park','vehicle','crew']"


def find(
    conn: Connection,
    actor: Actor,
    query: str,
    *,
    kinds: Sequence[str],
    words: Mapping[str, Sequence[str]],
    near: tuple[float, float] | None,
    limit: int,
) -> Sequence[Any]:
    """Return the best rows: num, kind, code, name, district, lon, lat, field, word.

    `kinds` are those that the actor may read; `words` the fields of each by whose words it may find.
    """
    scope, names = scope_sql(actor, "t", 1)
    mine = f"t.gone_at is null and t.kind = any(:kinds) and (t.open or {scope})"
    spread = _like("".join(c + c for c in query.lower()))
    names |= {
        "q": query, "start": f"{_like(query)}%", "code": query.upper(), "beyond": query.upper() + "\U0010ffff",
        "whole": spread, "part": f"%{spread}%", "kinds": list(kinds), "n": limit, "cap": CANDIDATES, "few": NEAR,
        "fields": sorted(f"{k} {f}" for k, of in words.items() for f in of), "lon": None, "lat": None, "r": NEAR_DEG,
    }  # fmt: skip
    parts = [
        _named(mine, "t.code >= :code and t.code < :beyond", "code"),
        _named(mine, "t.name <> '' and twin.spread(t.name) like :whole", "name"),
        _named(mine, "t.name <> '' and twin.spread(t.name) like :part", "name"),
    ]
    if short := _SHORT_CODE.match(query):
        names["codes"] = _codes(conn, short[1].upper(), int(short[2]))
        parts.append(_named(mine, "t.code = any(:codes)", "code"))
    if near is not None:
        names |= {"lon": near[0], "lat": near[1]}
        here = "t.point && st_expand(st_setsrid(st_makepoint(:lon, :lat), 4326), :r)"
        parts.append(
            _named(
                mine, f"t.name <> '' and twin.spread(t.name) like :part and {here}", "name", "few"
            )
        )
    parts += _by_word(mine, query)
    if _LETTERS.match(query.lower()):
        names["letters"] = f"{query.lower()}%"
        parts.append(_by_pinyin(mine))
    return conn.execute(text(_ranked(parts)), names).all()


def _named(mine: str, where: str, how: str, cap: str = "cap") -> str:
    return (
        f"(select t.num, '{how}' as how, null::text as field, null::text as word "
        f"from twin.thing t where {mine} and {where} limit :{cap})"
    )


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
    return (
        "(select t.num, 'pinyin' as how, null::text as field, null::text as word from "
        "(select name from twin.name_pinyin where initials like :letters or spelled like :letters "
        "order by length(initials), name limit :few) p "
        f"join twin.thing t on t.name = p.name where {mine} limit :cap)"
    )


def _ranked(parts: Sequence[str]) -> str:
    return (
        "select t.num, t.kind, t.code, t.name, t.district, t.level, st_x(t.point) as lon, st_y(t.point) as lat, "
        "f.field, f.word, (t.name = :q or t.code = upper(:q) or f.word = twin.word(:q)) as exact, "
        "(t.name ilike :start or t.code ilike :start or f.word like twin.word(:q) || '%') as first, "
        f"array_position({RANKED}, t.kind) as rank "
        f"from (select distinct on (num) * from ({' union all '.join(parts)}) u "
        "order by num, (how = 'word') desc) f join twin.thing t on t.num = f.num "
        "order by exact desc nulls last, first desc nulls last, rank nulls last, "
        "case when cast(:lon as float) is null then 0 else "
        "st_distance(t.point, st_setsrid(st_makepoint(:lon, :lat), 4326)) end nulls last, "
        "length(t.name), t.num limit :n"
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
    f = sa.func.public
    spot = f.ST_SetSRID(f.ST_MakePoint(at[0], at[1]), 4326)
    parts = []
    for name, kind in kinds.items():
        if kind.geometry != "polygon":
            continue
        t = tables.table(kind).alias()
        parts.append(
            sa.select(sa.literal(name).label("kind"), t.c.num, t.c.code, t.c.name, t.c.district)
            .where(t.c.geom.op("&&")(spot), f.ST_Covers(t.c.geom, spot), visible(actor, t, kind))
            .limit(20)
        )
    if not parts:
        return []
    return [
        dict(row)
        for row in conn.execute(sa.union_all(*(sa.select(p.subquery()) for p in parts))).mappings()
    ]


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
    for row in nearest(conn, actor, list(kinds), at, 500, 40):
        t = tables.table(kinds[row.kind])
        said = conn.execute(sa.select(t.c.address).where(t.c.num == row.num)).scalar()
        if said:
            return {"address": said, "num": row.num, "kind": row.kind, "code": row.code, "name": row.name,
                    "metres": round(row.metres, 1)}  # fmt: skip
    return None


class _Geography(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type for a cast."""
        return "geography"


_GEOGRAPHY = _Geography()
