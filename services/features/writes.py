"""Changing features: bodies read against the kind, in the caller's scope, journalled by the write path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import orjson
import shapely
import sqlalchemy as sa
from sqlalchemy import Connection

from gis.geometry import mend, wkb_hex
from services.features import crs as references
from services.features.asked import HEADER
from services.features.crs import Reference
from twin import batchfilter, catalogue, door, journal, rulebook, scope, things
from twin.errors import BadRequest, Forbidden, NotFound, PreconditionFailed
from twin.kinds import Field, Kind
from twin.revise import revise
from twin.scope import Actor
from twin.tables import table

SOURCE = "ogc"
MAX_TEXT = 10_000
MAX_NAME = 400
MAX_LIST = 1000
_READ_ONLY = {*HEADER, "id", "source_key", "valid_from"} - {"name", "state"}


class InvalidFeature(BadRequest):
    """The feature does not fit its kind."""

    code = "feature_invalid"
    status = 422


@dataclass
class Draft:
    """What a body says of a feature: values by column, and its shape as it is stored."""

    values: dict[str, Any] = field(default_factory=dict)
    shape: Any = None
    shaped: bool = False
    failures: list[dict[str, str]] = field(default_factory=list)

    def fail(self, name: str, why: str) -> None:
        """Remember what is wrong with a property."""
        self.failures.append({"property": name, "detail": why})

    def hold(self) -> None:
        """Raise InvalidFeature when anything is wrong; all of it is named."""
        if self.failures:
            first = self.failures[0]
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise InvalidFeature(
                f"{first['property']}: {first['detail']}{more}", failures=self.failures[:50]
            )


def read(raw: bytes, kind: Kind, actor: Actor, crs: str | None, *, patch: bool) -> Draft:
    """Return what a body says; InvalidFeature names every property that does not fit."""
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError as why:
        raise BadRequest(f"The body is no JSON that is read here: {why}.") from why
    if not isinstance(said, dict) or said.get("type", "Feature" if patch else None) != "Feature":
        raise InvalidFeature("The body is no GeoJSON Feature; send one feature at a time.")
    unknown = set(said) - {"type", "id", "geometry", "properties", "links", "bbox", "@context"}
    if unknown:
        raise InvalidFeature(f"A Feature has no member {sorted(unknown)[0][:60]!r} here.")
    told = said.get("properties")
    if told is not None and not isinstance(told, dict):
        raise InvalidFeature("properties is an object of names and values.")
    draft = Draft()
    _properties(draft, kind, actor, told or {})
    if "geometry" in said or not patch:
        _geometry(draft, kind, said.get("geometry"), references.known(_uri(crs), "Content-Crs"))
    if not patch:
        _complete(draft, kind, actor)
    draft.hold()
    return draft


def _uri(said: str | None) -> str | None:
    return said.strip().strip("<>") if said else None


def _properties(draft: Draft, kind: Kind, actor: Actor, told: Mapping[str, Any]) -> None:
    allowed = set(catalogue.fields(kind, actor))
    for name, value in told.items():
        if name in _READ_ONLY and name not in kind.fields:
            continue
        if name not in allowed and name not in ("name", "state"):
            draft.fail(name[:60], "there is no such property that you may write")
            continue
        try:
            draft.values[name] = _value(kind, name, value)
        except (ValueError, TypeError, OverflowError) as why:
            draft.fail(name, str(why) or "the value does not fit")


def _value(kind: Kind, name: str, value: Any) -> Any:
    if name == "name" and name not in kind.fields:
        return _text(value or "", MAX_NAME)
    if name == "state" and name not in kind.fields:
        if value is not None and value not in kind.states:
            raise ValueError(f"state is one of {', '.join(kind.states)}")
        return value or "active"
    return None if value is None else _typed(kind.fields[name], value)


def _text(value: Any, most: int = MAX_TEXT) -> str:
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise ValueError(f"is a text of up to {most} characters")
    return value


def _typed(of: Field, value: Any) -> Any:
    reader = _READ.get(of.type)
    return reader(value) if reader else _text(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise ValueError("is a whole number")
    if not -(2**63) <= value < 2**63:
        raise ValueError("is a whole number of up to 64 bits")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        raise ValueError("is a number")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        raise ValueError("is a date like 2026-11-20") from None


def _datetime(value: Any) -> datetime:
    try:
        made = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        made = None
    if made is None or made.tzinfo is None:
        raise ValueError("is a time with offset like 2026-11-20T08:00:00+08:00")
    return made


def _list(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise ValueError(f"is a list of up to {MAX_LIST} texts")
    return [_text(v) for v in value]


def _json(value: Any) -> str:
    made = journal.dumped(value)
    if len(made) > 64_000 or "\\u0000" in made:
        raise ValueError("is a document of up to 64,000 characters")
    return made


_READ: dict[str, Any] = {
    "integer": _integer, "number": _number, "boolean": _boolean, "date": _date,
    "datetime": _datetime, "list": _list, "json": _json,
}  # fmt: skip


def _geometry(draft: Draft, kind: Kind, said: Any, of: Reference) -> None:
    draft.shaped = True
    if kind.geometry == "none":
        if said is not None:
            draft.fail("geometry", f"{kind.kind} has no place of its own")
        return
    if said is None:
        draft.fail("geometry", f"a {kind.geometry} is needed")
        return
    try:
        made = shapely.from_geojson(orjson.dumps(said))
        made = references.stored(np.array([made], dtype=object), of)[0]
    except (shapely.errors.ShapelyError, ValueError, TypeError, BadRequest) as why:
        draft.fail("geometry", f"is no GeoJSON geometry in its CRS ({str(why)[:120]})")
        return
    mended = mend(made, kind.geometry)
    why_not = mended.reason or mended.repair
    if mended.shape is None or why_not:
        draft.fail("geometry", why_not or "is empty")
    draft.shape = mended.shape


def _complete(draft: Draft, kind: Kind, actor: Actor) -> None:
    """Say nothing of what a whole feature leaves out; what the caller cannot see stays as it is."""
    draft.values = {
        "name": "", "state": "active", **dict.fromkeys(catalogue.fields(kind, actor)), **draft.values,
    }  # fmt: skip


def create(conn: Connection, kind: Kind, actor: Actor, draft: Draft) -> UUID:
    """Write a new feature and return its id."""
    hidden = {n: None for n in kind.fields if n not in draft.values}
    _check(conn, kind, draft, draft.values | hidden, set(draft.values))
    key = str(uuid4())
    columns: dict[str, list[Any]] = {"source_key": [key]}
    columns |= {name: [value] for name, value in draft.values.items()}
    if draft.shape is not None:
        columns["geom"] = wkb_hex(np.array([draft.shape], dtype=object))
    things.write(conn, kind, columns, actor=actor.user, source=SOURCE)
    made = table(kind)
    found = conn.execute(
        sa.select(made.c.id).where(made.c.source == SOURCE, made.c.source_key == key)
    ).scalar_one()
    _in_place(conn, kind, actor, found)
    return UUID(str(found))


def change(
    conn: Connection, kind: Kind, actor: Actor, key: str, if_match: str, draft: Draft
) -> UUID:
    """Change what a draft says of a feature, if it still is the version that the caller read."""
    row = _standing(conn, kind, actor, key, if_match)
    values = dict(draft.values)
    _check(conn, kind, draft, {n: row[n] for n in kind.fields} | values, set(values))
    changes: dict[str, Any] = {name: [value] for name, value in values.items()}
    if draft.shaped and draft.shape is not None:
        changes["geom"] = wkb_hex(np.array([draft.shape], dtype=object))
    revise(conn, kind, [row["id"]], changes, actor=actor.user)
    _in_place(conn, kind, actor, row["id"])
    return UUID(str(row["id"]))


def remove(conn: Connection, kind: Kind, actor: Actor, key: str, if_match: str) -> None:
    """Take a feature out of service; its past stays readable."""
    row = _standing(conn, kind, actor, key, if_match)
    things.remove(conn, kind, [row["id"]], actor=actor.user)


def _standing(conn: Connection, kind: Kind, actor: Actor, key: str, if_match: str) -> Any:
    """Return the row of a feature, locked; errors when it is not there, not the caller's, or newer."""
    made = table(kind)
    try:
        same: Any = made.c.id == UUID(key)
    except ValueError:
        same = made.c.code == key
    columns = [c for c in made.c if c.name != "geom"]
    row = (
        conn.execute(
            sa.select(*columns).where(same, scope.visible(actor, made, kind)).with_for_update()
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(f"There is no such {kind.kind}, or it is outside your districts.")
    _in_place(conn, kind, actor, row["id"])
    if if_match.strip() != "*" and f'"{row["version"]}"' not in _tags(if_match):
        raise PreconditionFailed(version=row["version"])
    return row


def _tags(said: str) -> set[str]:
    return {tag.strip() for tag in said.split(",")}


def _in_place(conn: Connection, kind: Kind, actor: Actor, thing: Any) -> None:
    """Refuse what lies outside the caller's place: what all may see, not all may change."""
    if actor.districts is None and not actor.narrow:
        return
    made = table(kind)
    point: list[Any] = [sa.null(), sa.null()]
    if kind.geometry != "none":
        f = sa.func.public
        on = f.ST_PointOnSurface(made.c.geom)
        point = [f.ST_X(on), f.ST_Y(on)]
    row = conn.execute(
        sa.select(made.c.district, made.c.street, *point).where(made.c.id == thing)
    ).one()
    lonlat = None if row[2] is None else (row[2], row[3])
    anywhere = replace(actor, kinds=None)
    if not scope.sees(anywhere, None, row[0], row[1], lonlat, level=kind.level):
        raise Forbidden("This lies outside your districts; you may not change it.")


def _check(
    conn: Connection, kind: Kind, draft: Draft, row: Mapping[str, Any], changed: set[str]
) -> None:
    """Hold the changed values against the rules of the kind, as a load does at the door."""
    columns = {name: [row[name]] for name in kind.fields}
    shapes = np.array([draft.shape], dtype=object) if draft.shape is not None else None
    named = {
        r.id: set(r.fields) or set(batchfilter.names(r.expr) if r.expr else ())
        for r in rulebook.rules(kind)
    }
    for _, rule, why, severity in door.at_door(kind, columns, shapes, implied=True):
        if severity == "error" and (named[rule] & changed or not named[rule]):
            draft.fail(rule, why)
    _references(conn, kind, draft)
    draft.hold()


def _references(conn: Connection, kind: Kind, draft: Draft) -> None:
    thing = sa.table(
        "thing", sa.column("code"), sa.column("kind"), sa.column("gone_at"), schema="twin"
    )
    for name, value in draft.values.items():
        of = kind.fields.get(name)
        if value is None or of is None or not of.targets:
            continue
        found = conn.execute(
            sa.select(thing.c.kind).where(thing.c.code == value, thing.c.gone_at.is_(None))
        ).scalar()
        if found not in of.targets:
            draft.fail(name, f"no {' or '.join(of.targets)} has the code {value[:60]!r}")
