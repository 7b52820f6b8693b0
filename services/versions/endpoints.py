"""HTTP doors of time: the difference of two moments, undo, split and merge."""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

import shapely
from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from services.versions import repository
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, box, moment
from twin import catalogue, db, difference, filters, lineage, undo
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.scope import Actor

router = APIRouter(prefix="/api/v1", tags=["versions"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Code = Annotated[str, Path(max_length=64)]


@router.get("/diff/{name}")
async def diff(
    name: str,
    person: Person,
    since: Annotated[str, Query(alias="from", max_length=64)],
    to: Moment = None,
    bbox: Annotated[str | None, Query(max_length=160)] = None,
    said: Annotated[str | None, Query(alias="filter")] = None,
    lang: Annotated[filters.Lang, Query(alias="filter-lang")] = "cql2-text",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> dict[str, Any]:
    """Return what is different in a kind between two moments (`to` defaults to now), by pages."""
    person.need("map.read")
    start, end = moment(since), moment(to)
    if start is None or (end is not None and end <= start):
        raise BadRequest("`from` must be a moment before `to`.", parameter="from")
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, person, name)
        names = catalogue.fields(kind, person)
        filtered = None
        if said is not None:
            filtered = repository.filter_of(said, lang, kind, names)
        asked = difference.Asked(since=start, to=end, bbox=box(bbox), filtered=filtered)
        page, counts = difference.statements(kind, person, asked, after=after, limit=limit + 1)
        rows = (await conn.execute(page)).all()
        total = (await conn.execute(counts)).one()
        ids = [row.id for row in rows[:limit]]
        shown = (await conn.execute(difference.details(kind, person, asked, ids))).all()
    return {
        "type": "FeatureCollection",
        "counts": dict(total._mapping),
        "numberReturned": len(shown),
        "next": shown[-1].num if len(rows) > limit else None,
        "features": [difference.feature(row) for row in shown],
    }


class Back(BaseModel):
    """Which change to undo."""

    version: int = Field(ge=1, le=2**31 - 1)


class Split(BaseModel):
    """How a polygon is split: by a line across it, or into given parts (GeoJSON, EPSG:4326)."""

    line: dict[str, Any] | None = None
    parts: list[dict[str, Any]] | None = Field(default=None, max_length=100)
    keep: str = Field(default="none", pattern="^(none|largest)$")


class Merge(BaseModel):
    """Which other things join this one, and whose code goes on (none: a new one)."""

    others: list[str] = Field(min_length=1, max_length=100)
    keep: str | None = Field(default=None, max_length=64)


def _writable(conn: Connection, person: Actor, code: str) -> tuple[Kind, UUID]:
    person.need("data.write")
    return repository.writable(conn, person, code)


@router.post("/things/{code}/undo")
def undo_change(code: Code, asked: Back, person: Person, key: Key = None) -> dict[str, Any]:
    """Undo the change that made a version of a thing, also its removal."""
    with db.engine("app").begin() as conn:
        _kind, thing = _writable(conn, person, code)
        said = {"undo": code, **asked.model_dump()}
        return once(
            conn, person, key, said,
            lambda: undo.change(conn, thing, asked.version, person.user).json(),
        )  # fmt: skip


@router.post("/loads/{load}/undo")
def undo_load(
    load: Annotated[int, Path(ge=1, le=2**62)], person: Person, key: Key = None
) -> dict[str, Any]:
    """Undo a load: what it brought goes, what it changed goes back; later changes stand."""
    person.need("data.write")
    with db.engine("app").begin() as conn:
        repository.loaded(conn, person, load)
        said = {"undo_load": load}
        return once(conn, person, key, said, lambda: undo.load(conn, load, person.user).json())


@router.post("/things/{code}/split")
def split(code: Code, asked: Split, person: Person, key: Key = None) -> dict[str, Any]:
    """Split a polygon; its parts get codes of their own, or the largest keeps it."""
    with db.engine("app").begin() as conn:
        kind, thing = _writable(conn, person, code)
        return once(
            conn, person, key, {"split": code, **asked.model_dump()},
            lambda: {"children": _shown(_split(conn, kind, thing, asked, person))},
        )  # fmt: skip


def _split(
    conn: Connection, kind: Kind, thing: UUID, asked: Split, person: Actor
) -> list[dict[str, Any]]:
    if (asked.line is None) == (asked.parts is None):
        raise BadRequest("Give either a line across the polygon or its parts.")
    if asked.line is not None:
        shapes = lineage.cut(repository.shape(conn, kind, thing), _geojson(asked.line))
    else:
        shapes = [_geojson(one) for one in asked.parts or []]
    return lineage.split(conn, kind, thing, shapes, person.user, keep=asked.keep)


@router.post("/things/{code}/merge")
def merge(code: Code, asked: Merge, person: Person, key: Key = None) -> dict[str, Any]:
    """Merge other polygons of the same kind into one with this one."""
    with db.engine("app").begin() as conn:
        kind, thing = _writable(conn, person, code)
        found = [_writable(conn, person, other) for other in asked.others]
        if any(other.kind != kind.kind for other, _ in found):
            raise BadRequest("Only things of one kind are merged.")
        ids = [thing, *(one for _, one in found)]
        return once(
            conn, person, key, {"merge": code, **asked.model_dump()},
            lambda: {"child": _shown([lineage.merge(conn, kind, ids, asked.keep, person.user)])[0]},
        )  # fmt: skip


def _shown(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": str(one["id"]), "code": one["code"]} for one in made]


def _geojson(said: dict[str, Any]) -> Any:

    try:
        made = shapely.from_geojson(json.dumps(said))
    except (shapely.errors.ShapelyError, ValueError, TypeError) as why:
        raise BadRequest("A shape is no GeoJSON geometry.") from why
    if made is None or made.is_empty or shapely.get_num_coordinates(made) > 100_000:
        raise BadRequest("A shape is empty or has more than 100,000 vertices.")
    return shapely.force_2d(made)


@router.get("/loads/{load}/changes")
def load_changes(load: Annotated[int, Path(ge=1, le=2**62)], person: Person) -> dict[str, Any]:
    """Return what an undo of a load would do: how many go, go back, and have changed since."""
    person.need("data.write")
    with db.engine("app").connect() as conn:
        row = repository.loaded(conn, person, load)
        return {"load": row.id, "kind": row.kind, "undone_at": row.undone_at,
                **undo.preview(conn, row)}  # fmt: skip
