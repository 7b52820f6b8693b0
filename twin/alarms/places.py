"""Spatial conditions of moving things: inside, near, off the route, stopped, unloaded; in SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import shapely
from sqlalchemy import Connection, text

from twin import calendar, catalogue
from twin.alarms.rule import Rule, seconds
from twin.errors import BadRequest
from twin.kinds import Kind

# A thing that has not told its place for this long is nowhere: silence rules speak of it.
FRESH = timedelta(minutes=15)
STOP_M = 30.0
_PLACE = "st_setsrid(st_makepoint(p.lon, p.lat), 4326)"
Row = tuple[int, float, bool, float | None, float, float]


def _kind(conn: Connection, name: str) -> Kind:
    found = catalogue.all_kinds(conn).get(name)
    if found is None or found.geometry == "none":
        raise BadRequest(f"No kind with a place is called {name}.")
    return found


def _movers(conn: Connection, rule: Rule) -> tuple[str, str, dict[str, Any]]:
    """Return table, condition and values of the things that a rule watches."""
    if rule.product is not None:
        where = "m.num in (select num from twin.device where product = :product)"
        name, params = "twin.thing", {"product": rule.product}
    else:
        kind = _kind(conn, rule.kind or "")
        where, params = "true", {}
        name = f"{kind.topic}.{kind.kind}"
        for i, (key, value) in enumerate(rule.among.items()):
            _field(kind, key)
            where += f" and m.{key} = :among{i}"
            params[f"among{i}"] = value
    return name, where, params


def _field(kind: Kind, name: str) -> None:
    if name not in kind.fields:
        raise BadRequest(f"{kind.kind} has no field {name}.")


def _where(kind: Kind, said: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    where, params = "", {}
    for i, (key, value) in enumerate(said.items()):
        _field(kind, key)
        where += f" and z.{key} = :where{i}"
        params[f"where{i}"] = value
    return where, params


def _near(metres: float) -> str:
    """Return the condition that z lies within metres of the place; the box lets the index work."""
    if metres <= 0:
        return f"z.geom && {_PLACE} and st_covers(z.geom, {_PLACE})"
    # One degree of longitude is at least 94 km in the city.
    box = metres / 94_000 * 1.02
    return (
        f"z.geom && st_expand({_PLACE}, {box!r}) and "
        f"st_dwithin(z.geom::geography, {_PLACE}::geography, {float(metres)!r})"
    )


def _rows(conn: Connection, sql: str, params: Mapping[str, Any]) -> list[Row]:
    return [
        (r.num, r.at, bool(r.up), r.value, r.lon, r.lat) for r in conn.execute(text(sql), params)
    ]


def zone(conn: Connection, rule: Rule, now: datetime) -> list[Row]:
    """Tell which things are inside (or outside) the things of a kind."""
    inside = rule.when.get("is", "inside") == "inside"
    return _among(conn, rule, now, 0.0, "" if inside else "not ")


def near(conn: Connection, rule: Rule, now: datetime) -> list[Row]:
    """Tell which things are within so many metres of the things of a kind."""
    return _among(conn, rule, now, float(rule.when["within_m"]), "")


def _among(conn: Connection, rule: Rule, now: datetime, metres: float, no: str) -> list[Row]:
    kind = _kind(conn, rule.when["of"])
    where, more = _where(kind, rule.when.get("where", {}))
    name, mine, params = _movers(conn, rule)
    sql = (
        "select p.num, extract(epoch from p.at)::float8 as at, p.lon, p.lat, "
        f"null::float8 as value, {no}exists (select from {kind.topic}.{kind.kind} z "
        f"where {_near(metres)}{where}) as up from twin.last_position p "
        f"join {name} m on m.num = p.num where p.at > :fresh and {mine}"
    )
    return _rows(conn, sql, params | more | {"fresh": now - FRESH})


def fence(conn: Connection, rule: Rule, now: datetime) -> list[Row]:
    """Tell which things break a fence that was drawn: inside, outside, or inside for too long."""
    said = rule.when
    no = "not " if said["breach"] == "leave" else ""
    at_work = "true" if _in_hours(said.get("hours"), now) else "false"
    where = ""
    params: dict[str, Any] = {}
    if rule.among:
        kind = _kind(conn, said["kinds"][0])
        more, params = _where(kind, rule.among)
        where = f" and exists (select from {kind.topic}.{kind.kind} z where z.num = m.num{more})"
    mine = (
        "m.kind = any(:kinds) and (cardinality(cast(:codes as text[])) = 0 "
        f"or m.code = any(:codes) or m.name = any(:codes)){where}"
    )
    area = shapely.geometry.shape(said["area"])
    box = dict(zip(("west", "south", "east", "north"), area.bounds, strict=True))
    # Nobody outside of its box is inside of a fence: most things are done with by four comparisons.
    near = "true" if no else "p.lon between :west and :east and p.lat between :south and :north"
    # What stands in breach is looked at even when the fence no longer watches it: so that it ends.
    # Whoever is neither in breach nor was is nobody's news: ten thousand rows stay where they are.
    sql = (
        "with area as materialized (select st_setsrid(st_geomfromgeojson(:area), 4326) as geom), "
        "watched as materialized (select num from iot.watch where rule = :rule), "
        "moving as materialized (select p.*, w.num is not null as was from twin.last_position p "
        f"left join watched w on w.num = p.num where p.at > :fresh and ({near} or w.num is not null)) "
        "select num, at, lon, lat, null::float8 as value, up from (select p.num, p.was, p.lon, p.lat, "
        f"extract(epoch from p.at)::float8 as at, {at_work} and {mine} "
        f"and {no}st_covers(a.geom, {_PLACE}) as up from moving p "
        "join twin.thing m on m.num = p.num cross join area a) s where up or was"
    )
    given = {"area": json.dumps(said["area"]), "kinds": list(said["kinds"]),
             "codes": list(said.get("codes", ())), "fresh": now - FRESH,
             "rule": rule.key}  # fmt: skip
    return _rows(conn, sql, params | given | ({} if no else box))


def _in_hours(hours: Mapping[str, Any] | None, now: datetime) -> bool:
    """Tell whether a fence watches now; past midnight the day is the one on which it began."""
    if not hours:
        return True
    local = now.astimezone(calendar.ZONE)
    clock, begin, end = local.strftime("%H:%M"), hours["from"], hours["to"]
    day = local.isoweekday()
    if begin < end:
        inside = begin <= clock < end
    else:
        inside = clock >= begin or clock < end
        day = day if clock >= begin else (day - 2) % 7 + 1
    return inside and day in hours.get("days", range(1, 8))


def route(conn: Connection, rule: Rule, now: datetime) -> list[Row]:
    """Tell which things are off every approved route of theirs; who has none is not judged."""
    kind = _kind(conn, rule.when["of"])
    mover = _kind(conn, rule.kind or "")
    pairs = []
    for theirs, ours in rule.when["match"].items():
        _field(kind, theirs)
        _field(mover, ours)
        pairs.append(f"z.{theirs} = m.{ours}")
    where, more = _where(kind, rule.when.get("where", {}))
    name, mine, params = _movers(conn, rule)
    line = f"{kind.topic}.{kind.kind}"
    sql = (
        "select p.num, extract(epoch from p.at)::float8 as at, p.lon, p.lat, r.metres as value, "
        "r.metres > :within as up from twin.last_position p "
        f"join {name} m on m.num = p.num cross join lateral (select "
        f"min(st_distance(z.geom::geography, {_PLACE}::geography)) as metres from {line} z "
        f"where {' and '.join(pairs)}{where}) r "
        f"where p.at > :fresh and {mine} and r.metres is not null"
    )
    within = {"within": float(rule.when["within_m"]), "fresh": now - FRESH}
    return _rows(conn, sql, params | more | within)


def _allowed(conn: Connection, rule: Rule) -> str:
    """Return the condition that the place is none of those where it is allowed."""
    metres = float(rule.when.get("allowed_m", 0))
    tests = []
    for name in rule.when.get("allowed", ()):
        kind = _kind(conn, name)
        # A site that is drawn as a point has no inside: a few metres make one.
        reach = max(metres, 60.0) if kind.geometry == "point" else metres
        tests.append(f"not exists (select from {kind.topic}.{kind.kind} z where {_near(reach)})")
    return " and ".join(tests) or "true"


def stop(conn: Connection, rule: Rule, now: datetime) -> list[Row]:
    """Tell which things have stood for so long where they may not; the value is minutes."""
    longer = seconds(rule.when["longer"])
    metres = float(rule.when.get("within_m", STOP_M))
    name, mine, params = _movers(conn, rule)
    # Degrees that are metres long at this latitude: a square is enough to say that it stands.
    high, wide = metres / 111_000, metres / 95_000
    sql = (
        "select p.num, extract(epoch from p.at)::float8 as at, p.lon, p.lat, "
        "s.stood / 60 as value, coalesce(s.stood, 0) >= :longer and "
        f"{_allowed(conn, rule)} as up from twin.last_position p join {name} m on m.num = p.num "
        "left join lateral (select extract(epoch from p.at - coalesce("
        "(select max(q.at) from twin.position q where q.num = p.num and q.at between :begin and p.at "
        "and (abs(q.lon - p.lon) > :wide or abs(q.lat - p.lat) > :high)), "
        "(select min(q.at) from twin.position q where q.num = p.num and q.at between :begin and p.at)"
        "))::float8 as stood) s on true "
        f"where p.at > :fresh and {mine}"
    )
    begin = now - timedelta(seconds=2 * longer) - FRESH
    said = {"longer": longer, "wide": wide, "high": high, "begin": begin, "fresh": now - FRESH}
    return _rows(conn, sql, params | said)


def unloaded(conn: Connection, rule: Rule, drops: Sequence[tuple[int, float, float]]) -> list[Row]:
    """Tell which drops of a load (thing, when, how much) happened where unloading is not allowed."""
    if not drops:
        return []
    nums, at, much = zip(*drops, strict=True)
    sql = (
        "select p.num, p.at, p.lon, p.lat, p.much as value, "
        f"{_allowed(conn, rule)} as up from (select d.num, d.at, d.much, "
        "coalesce(w.lon, st_x(t.point)) as lon, coalesce(w.lat, st_y(t.point)) as lat "
        "from unnest(cast(:nums as int[]), cast(:at as float8[]), cast(:much as float8[])) "
        "as d (num, at, much) join twin.thing t on t.num = d.num left join lateral ("
        "select q.lon, q.lat from twin.position q where q.num = d.num "
        "and q.at <= to_timestamp(d.at) + interval '1 minute' "
        "and q.at > to_timestamp(d.at) - interval '30 minutes' order by q.at desc limit 1) w on true"
        ") p where p.lon is not null"
    )
    return _rows(conn, sql, {"nums": list(nums), "at": list(at), "much": list(much)})


def metres_between(lon: float, lat: float, lons: Any, lats: Any) -> Any:
    """Return metres on a plane that touches the city: good to a part in a thousand over 50 km."""
    east = math.cos(math.radians(lat)) * 111_320
    return ((lons - lon) ** 2 * east**2 + (lats - lat) ** 2 * 110_870**2) ** 0.5
