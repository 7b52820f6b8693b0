"""The one way things are written: staged by COPY, then set-based into table, registry, history, journal.

Rows are known by (source, source_key): writing the same rows again changes nothing. District and
street come from the map. Everything happens in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import shapely
from sqlalchemy import Connection, text

from twin import codes, ids, journal, kinds, values
from twin.errors import BadRequest, NotFound
from twin.kinds import Field, Kind
from twin.scope import Actor
from twin.tables import GEOMETRY, column_type

# These two carry the official code of their place; every other thing gets one of the city's codes.
OFFICIAL = ("district", "street")
_OPTIONAL = ("name", "state")


@dataclass(frozen=True)
class Counts:
    """What a write did."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    @property
    def total(self) -> int:
        """All rows that now stand."""
        return self.inserted + self.updated + self.unchanged


def write(
    conn: Connection, kind: Kind, frame: pd.DataFrame, *, actor: str, source: str
) -> Counts:
    """Write rows with `source_key`, optionally `name state code`, fields and `geometry` (EPSG:4326).

    Columns that are absent are left as they stand. Geometries must be valid.
    """
    if frame.empty:
        return Counts()
    if "source_key" not in frame.columns:
        raise ValueError("rows need a source_key")
    has = [c for c in (*_OPTIONAL, *kind.fields) if c in frame.columns]
    geom = kind.geometry != "none" and "geometry" in frame.columns
    stage = _Stage(conn, kind, source, actor, has, geom)
    stage.fill(frame)
    stage.place()
    unchanged = stage.match()
    updated = stage.update()
    inserted = stage.insert()
    return Counts(inserted, updated, unchanged)


class _Stage:
    """One write: a temporary table and the statements that carry it over."""

    def __init__(
        self, conn: Connection, kind: Kind, source: str, actor: str, has: Sequence[str], geom: bool
    ) -> None:
        self.conn, self.kind, self.has, self.geom = conn, kind, list(has), geom
        self.target = f"{kind.topic}.{kind.kind}"
        self.params: dict[str, Any] = {
            "kind": kind.kind, "source": source, "actor": actor, "level": kind.level, "open": kind.open,
        }  # fmt: skip

    def run(self, sql: str, **more: Any) -> int:
        """Run a statement with the parameters of this write; return its row count."""
        needed = {k: v for k, v in {**self.params, **more}.items() if f":{k}" in sql}
        return self.conn.execute(text(sql), needed).rowcount

    def fill(self, frame: pd.DataFrame) -> None:
        """COPY the rows into a temporary table that ends with the transaction."""
        # One writer of a kind at a time: two loads of the same file must not race to insert.
        self.run("select pg_advisory_xact_lock(7100, hashtext(:kind))")
        self.run("drop table if exists pg_temp.staged")
        columns = [f"{c} {_sql_type(self.kind.fields.get(c))}" for c in self.has]
        if self.geom:
            columns.append("geom geometry")
        self.run(
            "create temp table staged (n integer primary key, source_key text not null, code text, "
            f"{''.join(c + ', ' for c in columns)}id uuid, district text, street text, at geometry, act text) "
            "on commit drop"
        )
        names = ["n", "source_key", "code", *self.has, *(["geom"] if self.geom else [])]
        data = [range(len(frame)), frame["source_key"].astype(str).tolist()]
        data.append(_plain(frame["code"]) if "code" in frame.columns else [None] * len(frame))
        data += [_column(self.kind.fields.get(c), frame[c]) for c in self.has]
        if self.geom:
            shapes = np.asarray(frame["geometry"], dtype=object)
            data.append(shapely.to_wkb(shapely.set_srid(shapes, 4326), hex=True, include_srid=True).tolist())
        raw = self.conn.connection.driver_connection
        assert raw is not None
        with raw.cursor() as cursor, cursor.copy(f"copy staged ({', '.join(names)}) from stdin") as copy:
            for row in zip(*data, strict=True):
                copy.write_row(row)
        if self.geom and self.kind.geometry != "point":
            self.run("update staged set geom = st_multi(geom) where geom is not null")
        # The last row of a key wins; earlier ones of the same file are no separate things.
        self.run(
            "delete from staged s using staged o where o.source_key = s.source_key and o.n > s.n"
        )

    def place(self) -> None:
        """Find district and street of each row by a point of it."""
        if not self.geom:
            return
        self.run("update staged set at = case st_dimension(geom) when 0 then st_geometryn(geom, 1) else st_pointonsurface(geom) end")
        if self.kind.kind == "district":
            return
        wanted = ("district",) if self.kind.kind == "street" else ("district", "street")
        for which in wanted:
            self._parts(which)
            self.run(
                f"update staged s set {which} = p.code from (select distinct on (s.n) s.n, p.code from staged s "
                f"join {which}_parts p on p.geom && s.at and st_covers(p.geom, s.at) order by s.n, p.code) p "
                "where p.n = s.n"
            )

    def _parts(self, which: str) -> None:
        # Small pieces: a point against a border of a thousand corners costs fifty times as much.
        self.run(f"drop table if exists pg_temp.{which}_parts")
        self.run(
            f"create temp table {which}_parts on commit drop as "
            f"select code, st_subdivide(geom, 48) as geom from base.{which} where geom is not null"
        )
        self.run(f"create index on pg_temp.{which}_parts using gist (geom)")
        self.run(f"analyze pg_temp.{which}_parts")

    def match(self) -> int:
        """Mark each row: insert, update, or as it stands; return how many stand as they are."""
        self.run("analyze pg_temp.staged")
        compared = [*self.has, *(["geom", "district", "street"] if self.geom else [])]
        if self.kind.kind in OFFICIAL:
            compared = [c for c in compared if c != "street"]
        old = ", ".join(f"t.{c}" for c in compared) or "1"
        new = ", ".join(f"s.{c}" for c in compared) or "1"
        self.run(
            f"update staged s set id = t.id, act = case when ({old}) is not distinct from ({new}) "
            f"then 'same' else 'update' end from {self.target} t "
            "where t.source = :source and t.source_key = s.source_key"
        )
        return self.run("delete from staged where act = 'same'")

    def update(self) -> int:
        """Keep the version that ends, then change the row, its registry entry, and journal it."""
        if not self.conn.execute(text("select 1 from staged where act = 'update' limit 1")).first():
            return 0
        shape = "t.geom" if self.kind.geometry != "none" else "null::geometry"
        self.run("drop table if exists pg_temp.ended")
        self.run(
            f"create temp table ended on commit drop as select t.id, t.version, {_snapshot(self.kind)} as said "
            f"from {self.target} t join staged s on s.id = t.id and s.act = 'update'"
        )
        self.run(
            f"insert into {self.kind.topic}.history (id, version, kind, num, valid_from, valid_to, geom, "
            f"district, level, attributes) select t.id, t.version, :kind, t.num, t.valid_from, now(), {shape}, "
            f"t.district, :level, to_jsonb(t) - 'geom' from {self.target} t join ended e on e.id = t.id"
        )
        moved = ", district = s.district, street = s.street" if self.geom else ""
        columns = [*self.has, *(["geom"] if self.geom else [])]
        changed = "".join(f", {c} = {_filled(c)}" for c in columns)
        done = self.run(
            f"update {self.target} t set version = t.version + 1, valid_from = now(), updated_at = now()"
            f"{changed}{moved} from staged s where s.id = t.id and s.act = 'update'"
        )
        point = ", point = s.at" if self.geom else ""
        name = ", name = s.name" if "name" in self.has else ""
        if point or name:
            self.run(
                f"update twin.thing g set gone_at = null{name.replace('s.name', _filled('name'))}{moved}{point} "
                "from staged s where s.id = g.id and s.act = 'update'"
            )
        self._journal("update", "e.said", "join ended e on e.id = s.id")
        return done

    def insert(self) -> int:
        """Give ids and codes to the new rows and write them."""
        new = self.conn.execute(
            text("select n, district, code from staged where act is null order by district nulls last, n")
        ).all()
        if not new:
            return 0
        # The numbers stand in the statement's parameters once, as arrays: no row-by-row round trips.
        self.conn.execute(
            text(
                "update staged s set id = u.id, code = u.code, act = 'insert' from "
                "unnest(cast(:n as int[]), cast(:ids as uuid[]), cast(:codes as text[])) u(n, id, code) "
                "where s.n = u.n"
            ),
            {"n": [r.n for r in new], "ids": ids.uuid7_many(len(new)), "codes": self._codes(new)},
        )
        name = _filled("name") if "name" in self.has else "''"
        self.run(
            "insert into twin.thing (id, kind, code, name, district, street, level, open, point) select "
            f"s.id, :kind, s.code, {name}, s.district, s.street, :level, :open, s.at "
            "from staged s where s.act = 'insert' order by s.n"
        )
        columns = [*self.has, *(["geom"] if self.geom else [])]
        done = self.run(
            f"insert into {self.target} (id, num, code, district, street, source, source_key"
            f"{''.join(', ' + c for c in columns)}) select s.id, g.num, s.code, s.district, s.street, :source, "
            f"s.source_key{''.join(', ' + _filled(c) for c in columns)} from staged s "
            "join twin.thing g on g.id = s.id where s.act = 'insert' order by s.n"
        )
        self._journal("insert", "null::jsonb", "")
        return done

    def _codes(self, new: Sequence[Any]) -> list[str]:
        if self.kind.kind in OFFICIAL and all(r.code for r in new):
            return [r.code for r in new]
        out: list[str] = []
        start = 0
        while start < len(new):
            end = start
            while end < len(new) and new[end].district == new[start].district:
                end += 1
            out += codes.reserve(self.conn, new[start].district, self.kind.code, end - start)
            start = end
        return out

    def _journal(self, act: str, before: str, join: str) -> None:
        journal.append_many(
            self.conn,
            "select 'thing', cast(:act as text), cast(:actor as text), t.id, cast(:kind as text), t.version, "
            "t.district, cast(:level as smallint), st_x(s.at), st_y(s.at), "
            f"{before}, {_snapshot(self.kind)}, null::jsonb from staged s "
            f"join {self.target} t on t.id = s.id {join} where s.act = :act order by s.n",
            {k: self.params[k] for k in ("actor", "kind", "level")} | {"act": act},
        )


def _snapshot(kind: Kind) -> str:
    if kind.geometry == "none":
        return "to_jsonb(t)"
    return "(to_jsonb(t) - 'geom') || jsonb_build_object('geom', st_asgeojson(t.geom, 7)::jsonb)"


def _filled(column: str) -> str:
    """Return the staged column with what the table wants where a row leaves it empty."""
    return {"name": "coalesce(s.name, '')", "state": "coalesce(s.state, 'active')"}.get(column, f"s.{column}")


def _sql_type(field: Field | None) -> str:
    from sqlalchemy.dialects import postgresql

    return "text" if field is None else str(column_type(field).compile(dialect=postgresql.dialect())) if not isinstance(column_type(field), type) else str(column_type(field)().compile(dialect=postgresql.dialect()))


def _plain(column: pd.Series) -> list[Any]:
    return [None if values.missing(v) else v for v in column.astype(object).tolist()]


def _column(field: Field | None, column: pd.Series) -> list[Any]:
    out = _plain(column)
    if field is not None and field.type == "json":
        return [None if v is None else json.dumps(v, ensure_ascii=False) for v in out]
    if field is not None and field.type == "integer":
        return [None if v is None else int(v) for v in out]
    return out


def create(
    conn: Connection, kind: Kind, said: Mapping[str, Any], *, actor: Actor, source: str = "manual"
) -> UUID:
    """Create one thing from `name`, fields and `geometry` (GeoJSON); return its id."""
    key = str(ids.uuid7())
    row = _row(kind, said, whole=True) | {"source_key": key}
    write(conn, kind, _one(row), actor=actor.user, source=source)
    found = conn.execute(
        text(f"select id from {kind.topic}.{kind.kind} where source = :s and source_key = :k"),
        {"s": source, "k": key},
    ).scalar_one()
    return UUID(str(found))


def change(conn: Connection, thing: UUID, said: Mapping[str, Any], *, actor: Actor) -> Counts:
    """Change the given values of one thing; what is not given stays."""
    kind = _kind_of(conn, thing)
    key = conn.execute(
        text(f"select source, source_key from {kind.topic}.{kind.kind} where id = :id"), {"id": thing}
    ).one()
    row = _row(kind, said, whole=False) | {"source_key": key.source_key}
    return write(conn, kind, _one(row), actor=actor.user, source=key.source)


def remove(conn: Connection, thing: UUID, *, actor: Actor) -> None:
    """Take a thing off the map; its history and its journal stay, its code is never used again."""
    kind = _kind_of(conn, thing)
    target, shape = f"{kind.topic}.{kind.kind}", "t.geom" if kind.geometry != "none" else "null::geometry"
    conn.execute(text("select pg_advisory_xact_lock(7100, hashtext(:k))"), {"k": kind.kind})
    conn.execute(
        text(
            f"insert into {kind.topic}.history (id, version, kind, num, valid_from, valid_to, geom, district, "
            f"level, attributes) select t.id, t.version, :kind, t.num, t.valid_from, now(), {shape}, t.district, "
            f":level, to_jsonb(t) - 'geom' from {target} t where t.id = :id"
        ),
        {"kind": kind.kind, "level": kind.level, "id": thing},
    )
    journal.append_many(
        conn,
        "select 'thing', 'remove', cast(:actor as text), t.id, cast(:kind as text), t.version + 1, t.district, "
        f"cast(:level as smallint), st_x(g.point), st_y(g.point), {_snapshot(kind)}, null::jsonb, null::jsonb "
        f"from {target} t join twin.thing g on g.id = t.id where t.id = :id",
        {"actor": actor.user, "kind": kind.kind, "level": kind.level, "id": thing},
    )
    conn.execute(text(f"delete from {target} where id = :id"), {"id": thing})
    conn.execute(text("update twin.thing set gone_at = now() where id = :id"), {"id": thing})


def _kind_of(conn: Connection, thing: UUID) -> Kind:
    name = conn.execute(
        text("select kind from twin.thing where id = :id and gone_at is null"), {"id": thing}
    ).scalar()
    if name is None or name == "event":
        raise NotFound("There is no such thing.")
    return kinds.one(conn, name)


def _one(row: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({k: pd.Series([v], dtype=object) for k, v in row.items()})


def _row(kind: Kind, said: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    given = dict(said)
    row: dict[str, Any] = {c: given.pop(c) for c in _OPTIONAL if c in given}
    shape = given.pop("geometry", None)
    row |= values.checked(kind, given, whole=whole)
    if shape is not None and kind.geometry != "none":
        row["geometry"] = _shape(kind, shape)
    elif whole and kind.geometry != "none":
        raise BadRequest(f"A {kind.kind} needs a geometry of type {kind.geometry}.")
    return row


def _shape(kind: Kind, said: Any) -> Any:
    try:
        made = shapely.from_geojson(json.dumps(said))
    except (shapely.errors.GEOSException, TypeError, ValueError) as why:
        raise BadRequest("The geometry is not GeoJSON.") from why
    wanted = GEOMETRY[kind.geometry].removeprefix("MULTI")
    if made.is_empty or not made.is_valid or wanted not in made.geom_type.upper():
        raise BadRequest(f"A {kind.kind} needs a valid, non-empty {kind.geometry}, not {made.geom_type}.")
    return made
