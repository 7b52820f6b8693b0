"""The write path of things: set-based upsert with history, registry, codes and journal.

Rows arrive column-wise, are copied into a stage table and compared with what stands: new rows get
id and code, changed rows leave their old version in the history, equal rows are left alone. All of
it, journal entries included, is one transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from twin import ids, journal
from twin.codes import CITY
from twin.errors import BadRequest, Unavailable
from twin.kinds import Kind
from twin.tables import table

PLACES = ("district", "street")
# The relations by which a record says where it belongs, the nearest first.
HOSTS = ("about", "located_in", "part_of", "belongs_to")
HEAD = ("source_key", "code", "name", "state", "district", "street", "geom")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a write did, in things."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


def write(
    conn: Connection,
    kind: Kind,
    columns: Mapping[str, Sequence[Any]],
    *,
    actor: str,
    source: str,
    load: int | None = None,
    note: Mapping[str, Any] | None = None,
) -> Counts:
    """Upsert things by (source, source_key).

    `columns` maps header names (`source_key` required; `code name state geom`) and field names to
    sequences of equal length. `geom` is hex EWKB in EPSG:4326 of the kind's (multi) type. District
    and street are found by the map, for kinds that are not districts or streets themselves. `load`
    is the twin.load that the journal entries name, `note` what else they say.
    """
    rows = check(kind, columns)
    if rows == 0:
        return Counts()
    columns = {**columns, **_said(columns)}
    given = [name for name in columns if name in HEAD or name in kind.fields]
    _stage(conn, kind, columns, given, rows)
    _find_place(conn, kind)
    names = {"kind": kind.kind, "source": source, "actor": actor, "level": kind.level,
             "note": _note(load, note)}  # fmt: skip
    compared = [c for c in given if c not in ("source_key", "code")]
    # Without a shape, or what it hangs on, nothing says that the place has changed.
    placed = host_field(kind) if kind.geometry == "none" else "geom"
    if kind.kind != "district" and placed in columns:
        compared += [p for p in PLACES if p not in compared and p != kind.kind]
    _match(conn, kind, compared, names)
    updated = _update(conn, kind, compared, names)
    inserted = _insert(conn, kind, given, names)
    conn.execute(text("drop table stage"))
    return Counts(inserted=inserted, updated=updated, unchanged=rows - inserted - updated)


def _said(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return the header columns that are never nothing: an empty name is a name, no state is active."""
    usual = {"name": "", "state": "active"}
    return {c: [v or usual[c] for v in columns[c]] for c in usual if c in columns}


def check(kind: Kind, columns: Mapping[str, Sequence[Any]]) -> int:
    """Return the number of rows; BadRequest when the columns are not those of the kind."""
    if "source_key" not in columns:
        raise BadRequest("Things are written by key: the column source_key is missing.")
    unknown = [c for c in columns if c not in HEAD and c not in kind.fields]
    if unknown:
        raise BadRequest(f"{kind.kind} has no field {', '.join(unknown)}.")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1:
        raise BadRequest("The columns differ in length.")
    keys = columns["source_key"]
    if len(set(keys)) != len(keys):
        raise BadRequest("A key stands twice in the same load; make the keys unique.")
    return sizes.pop()


def _stage(
    conn: Connection,
    kind: Kind,
    columns: Mapping[str, Sequence[Any]],
    given: list[str],
    rows: int,
) -> None:
    made = table(kind)
    types = {
        c.name: "geometry(geometry, 4326)" if c.name == "geom" else c.type.compile(dialect=_DIALECT)
        for c in made.columns
    }
    wanted = dict.fromkeys(["code", "name", "district", "street", *given])
    defined = ", ".join(f'"{c}" {types[c]}' for c in wanted)
    conn.execute(text("drop table if exists stage"))
    conn.execute(
        text(
            "create temp table stage (id uuid, was uuid, num int4, same boolean, at geometry, "
            f"{defined}) on commit drop"
        )
    )
    raw = conn.connection.driver_connection
    if raw is None:
        raise Unavailable("The database connection was lost; run the load again.")
    listed = ", ".join(f'"{c}"' for c in ("id", *given))
    with raw.cursor() as cursor, cursor.copy(f"copy stage ({listed}) from stdin") as out:
        for row in zip(ids.uuid7_many(rows), *(columns[c] for c in given), strict=True):
            out.write_row(row)
    conn.execute(text("create index on stage (source_key)"))
    conn.execute(text("create index on stage (id)"))
    conn.execute(text("analyze stage"))


_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def _find_place(conn: Connection, kind: Kind) -> None:
    """Find district and street of each staged row by a point on it, or of what it hangs on."""
    if kind.geometry == "none":
        _place_of_host(conn, kind)
    if kind.geometry == "none" or kind.kind == "district" or not _has_column(conn, "geom"):
        return
    # A scalar subquery, not a join: the planner expects one match in all and would loop over pairs.
    point = "geom" if kind.geometry == "point" else "st_pointonsurface(geom)"
    found = ", ".join(
        f"{place} = (select p.code from base.{place} p where p.geom && q.at "
        "and st_covers(p.geom, q.at) order by p.code limit 1)"
        for place in PLACES
        if place != kind.kind
    )
    conn.execute(text(f"update stage s set at = {point} where geom is not null"))
    conn.execute(text(f"update stage q set {found} where at is not null"))


def host_field(kind: Kind) -> str | None:
    """Return the relation that says where a kind without a place belongs."""
    return next((name for name in HOSTS if name in kind.fields), None)


def _place_of_host(conn: Connection, kind: Kind) -> None:
    """Give a record the district of what it hangs on: scope reaches records like things."""
    host = host_field(kind)
    if host is None or not _has_column(conn, host):
        return
    for place in PLACES:
        conn.execute(
            text(
                f"update stage s set {place} = g.{place} from twin.thing g "
                f'where g.code = s."{host}" and s.{place} is null'
            )
        )


def _has_column(conn: Connection, name: str) -> bool:
    return bool(
        conn.execute(
            text(
                "select 1 from pg_attribute where attrelid = 'stage'::regclass and attname = :n "
                "and not attisdropped"
            ),
            {"n": name},
        ).first()
    )


# The way to another CRS and back moves a coordinate by 1e-10 degree: below a millimetre (1e-8
# degree) a shape has not moved.
_SAME_SHAPE = (
    "(s.geom is not distinct from t.geom or (st_npoints(s.geom) = st_npoints(t.geom) "
    "and st_hausdorffdistance(s.geom, t.geom) < 1e-8))"
)


def _match(conn: Connection, kind: Kind, compared: list[str], names: Mapping[str, Any]) -> None:
    equal = " and ".join(_SAME_SHAPE if c == "geom" else f's."{c}" is not distinct from t."{c}"'
                         for c in compared) or "true"  # fmt: skip
    where = f"{kind.topic}.{kind.kind}"
    conn.execute(
        text(
            f"update stage s set was = t.id, num = t.num, same = ({equal}) from {where} t "
            "where t.source = :source and t.source_key = s.source_key"
        ),
        names,
    )


def row_json(alias: str, kind: Kind) -> str:
    """Return the SQL of a row as the journal keeps it: attributes, and the shape as GeoJSON."""
    if kind.geometry == "none":
        return f"to_jsonb({alias})"
    shape = f"st_asgeojson({alias}.geom, 7)::jsonb"
    return f"(to_jsonb({alias}) - 'geom') || jsonb_build_object('geom', {shape})"


def _lonlat(alias: str, kind: Kind) -> str:
    if kind.geometry == "none":
        return "null, null"
    return f"st_x(st_pointonsurface({alias}.geom)), st_y(st_pointonsurface({alias}.geom))"


def _update(conn: Connection, kind: Kind, compared: list[str], names: Mapping[str, Any]) -> int:
    where = f"{kind.topic}.{kind.kind}"
    changed = "s.was = t.id and not s.same"
    geom = "t.geom" if kind.geometry != "none" else "null::geometry"
    done = conn.execute(
        text(
            f"insert into {kind.topic}.history (id, version, kind, num, valid_from, valid_to, geom, "
            f"district, level, attributes) select t.id, t.version, :kind, t.num, t.valid_from, "
            f"greatest(now(), t.valid_from + interval '1 microsecond'), {geom}, t.district, :level, "
            f"to_jsonb(t) - 'geom' from {where} t join stage s on {changed}"
        ),
        names,
    ).rowcount
    if done == 0:
        return 0
    conn.execute(
        text(
            f"create temp table was on commit drop as select t.id, {row_json('t', kind)} as row "
            f"from {where} t join stage s on {changed}"
        )
    )
    sets = ", ".join(f'"{c}" = s."{c}"' for c in compared)
    conn.execute(
        text(
            f"update {where} t set {sets}, version = t.version + 1, updated_at = now(), "
            "valid_from = greatest(now(), t.valid_from + interval '1 microsecond') "
            f"from stage s where {changed}"
        )
    )
    _register(
        conn, kind, f"from {where} t join stage s on s.was = t.id and not s.same where g.id = t.id"
    )
    _journal(conn, kind, "update", f"{where} t join was w on w.id = t.id", "w.row", names)
    conn.execute(text("drop table was"))
    return done


def _register(conn: Connection, kind: Kind, source: str) -> None:
    """Bring the registry up to the rows that changed."""
    point = "null" if kind.geometry == "none" else "st_pointonsurface(t.geom)"
    conn.execute(
        text(
            "update twin.thing g set name = t.name, district = t.district, street = t.street, "
            f"point = {point} {source}"
        )
    )


def _insert(conn: Connection, kind: Kind, given: list[str], names: Mapping[str, Any]) -> int:
    _give_codes(conn, kind)
    place = "st_pointonsurface(geom)" if "geom" in given else "null"
    conn.execute(
        text(
            "with made as (insert into twin.thing (id, kind, code, name, district, street, level, "
            "open, point) select id, :kind, code, coalesce(name, ''), district, street, :level, "
            f":open, {place} from stage where was is null order by id returning id, num) "
            "update stage s set num = made.num from made where made.id = s.id"
        ),
        {**names, "open": kind.open},
    )
    own = [c for c in given if c not in ("source_key", "name", "state", "code", *PLACES)]
    listed = "".join(f', "{c}"' for c in own)
    state = "coalesce(state, 'active')" if "state" in given else "'active'"
    where = f"{kind.topic}.{kind.kind}"
    done = conn.execute(
        text(
            f"insert into {where} (id, num, code, name, district, street, state, source, "
            f"source_key{listed}) select id, num, code, coalesce(name, ''), district, street, "
            f"{state}, :source, source_key{listed} from stage where was is null order by id"
        ),
        names,
    ).rowcount
    if done:
        new = f"{where} t join stage s on s.id = t.id and s.was is null"
        _journal(conn, kind, "insert", new, "null::jsonb", names)
    return done


def _give_codes(conn: Connection, kind: Kind) -> None:
    """Give codes `district-CLASS-serial` to new rows without one; serials are never reused."""
    conn.execute(
        text(
            "with need as (select coalesce(district, :city) as d, count(*) as n from stage "
            "where was is null and code is null group by 1), taken as ("
            "insert into twin.code_serial as c (district, class, last) select d, :letters, n from need "
            "on conflict (district, class) do update set last = c.last + excluded.last "
            "returning district, last), numbered as (select id, coalesce(district, :city) as d, "
            "row_number() over (partition by coalesce(district, :city) order by id) as i "
            "from stage where was is null and code is null) "
            "update stage s set code = x.d || '-' || :letters || '-' || "
            "lpad((t.last - n.n + x.i)::text, greatest(6, length((t.last - n.n + x.i)::text)), '0') from numbered x "
            "join need n on n.d = x.d join taken t on t.district = x.d where x.id = s.id"
        ),
        {"city": CITY, "letters": kind.code},
    )


def _journal(
    conn: Connection, kind: Kind, action: str, source: str, before: str, names: Mapping[str, Any]
) -> None:
    journal.append_many(
        conn,
        f"select 'thing', '{action}', cast(:actor as text), t.id, cast(:kind as text), t.version, "
        f"t.district, cast(:level as int), {_lonlat('t', kind)}, {before}, {row_json('t', kind)}, "
        f"cast(:note as jsonb) from {source} order by t.id",
        names,
    )


def journal_rows(
    conn: Connection,
    kind: Kind,
    action: str,
    thing_ids: Sequence[UUID],
    *,
    actor: str,
    note: Mapping[str, Any] | None = None,
) -> None:
    """Write the entry of things as they stand now, without a state before."""
    names = {"kind": kind.kind, "actor": actor, "level": kind.level, "ids": list(thing_ids),
             "note": _note(None, note)}  # fmt: skip
    rows = f"(select * from {kind.topic}.{kind.kind} where id = any(:ids)) t"
    _journal(conn, kind, action, rows, "null::jsonb", names)


def _note(load: int | None, more: Mapping[str, Any] | None) -> str | None:
    said = {**({"load": load} if load is not None else {}), **(more or {})}
    return journal.dumped(said) if said else None


def remove(
    conn: Connection,
    kind: Kind,
    thing_ids: Sequence[UUID],
    *,
    actor: str,
    note: Mapping[str, Any] | None = None,
) -> int:
    """Take things out of service: their last version goes into the history, the code stays taken."""
    names = {"ids": list(thing_ids), "kind": kind.kind, "level": kind.level, "actor": actor,
             "note": _note(None, note)}  # fmt: skip
    where = f"{kind.topic}.{kind.kind}"
    geom = "t.geom" if kind.geometry != "none" else "null::geometry"
    journal.append_many(
        conn,
        "select 'thing', 'remove', cast(:actor as text), t.id, cast(:kind as text), t.version + 1, "
        f"t.district, cast(:level as int), {_lonlat('t', kind)}, {row_json('t', kind)}, "
        f"null::jsonb, cast(:note as jsonb) from {where} t where t.id = any(:ids)",
        names,
    )
    conn.execute(
        text(
            f"insert into {kind.topic}.history (id, version, kind, num, valid_from, valid_to, geom, "
            "district, level, attributes) select t.id, t.version, :kind, t.num, t.valid_from, now(), "
            f"{geom}, t.district, :level, to_jsonb(t) - 'geom' from {where} t where t.id = any(:ids)"
        ),
        names,
    )
    conn.execute(text("update twin.thing set gone_at = now() where id = any(:ids)"), names)
    return conn.execute(text(f"delete from {where} where id = any(:ids)"), names).rowcount
