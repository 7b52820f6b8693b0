"""HTTP doors of NGSI-LD (ETSI GS CIM 009): entities by type, `q`, place; their values over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime
from starlette.responses import JSONResponse

from services.ngsild import entities, query
from services.web.auth import Person
from twin import db
from twin.errors import BadRequest

router = APIRouter(prefix="/ngsi-ld/v1", tags=["ngsi-ld"])
CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"
LINK = f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
Text = Annotated[str | None, Query(max_length=2000)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Id = Annotated[str, Path(max_length=160)]
Last = Annotated[int, Query(ge=1, le=10_000)]
Relation = Literal["before", "after", "between"]


def _answer(request: Request, said: Any, count: int | None = None) -> JSONResponse:
    """Return JSON-LD to who asks for it, else JSON with a link to the context."""
    head = {} if count is None else {"NGSILD-Results-Count": str(count)}
    if "ld+json" in request.headers.get("accept", ""):
        every = said if isinstance(said, list) else [said]
        for one in every:
            one["@context"] = CONTEXT
        return JSONResponse(said, headers=head, media_type="application/ld+json")
    return JSONResponse(said, headers={**head, "Link": LINK})


@router.get("/types")
def types(request: Request, person: Person) -> JSONResponse:
    """Return the entity types: the products of devices that the caller may see."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        known = sorted({row.product for row in entities.rows(conn, person, None)})
    return _answer(
        request, {"id": "urn:ngsi-ld:EntityTypeList:1", "type": "EntityTypeList", "typeList": known}
    )


@router.get("/entities")
def many(
    request: Request,
    person: Person,
    type: Text = None,
    id: Text = None,
    q: Text = None,
    attrs: Text = None,
    georel: Text = None,
    geometry: Text = None,
    coordinates: Annotated[str | None, Query(max_length=100_000)] = None,
    options: Text = None,
    limit: Limit = 100,
    offset: Offset = 0,
    count: bool = False,
) -> JSONResponse:
    """Return entities of a type (or of some ids) whose last values and places fit."""
    person.need("map.read")
    near = _near(georel, geometry, coordinates)
    test = query.parse(q) if q else None
    with db.engine("app").connect() as conn:
        found = entities.found(conn, person, _types(type, id), _ids(id), test, near, _names(attrs))
        page = found[offset : offset + limit]
        said = entities.shown(conn, page, _names(attrs), simple=_simple(options))
    return _answer(request, said, len(found) if count else None)


@router.get("/entities/{id}")
def one(
    request: Request, person: Person, id: Id, attrs: Text = None, options: Text = None
) -> JSONResponse:
    """Return one entity with its last values."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        row = entities.one(conn, person, id)
        said = entities.shown(conn, [row], _names(attrs), simple=_simple(options))[0]
    return _answer(request, said)


@router.get("/temporal/entities")
def history(
    request: Request,
    person: Person,
    timerel: Relation,
    timeAt: AwareDatetime,
    endTimeAt: AwareDatetime | None = None,
    type: Text = None,
    id: Text = None,
    q: Text = None,
    attrs: Text = None,
    georel: Text = None,
    geometry: Text = None,
    coordinates: Annotated[str | None, Query(max_length=100_000)] = None,
    options: Text = None,
    lastN: Last = 1000,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Offset = 0,
) -> JSONResponse:
    """Return what entities said within a stretch of time."""
    person.need("map.read")
    span = _span(timerel, timeAt, endTimeAt)
    near = _near(georel, geometry, coordinates)
    test = query.parse(q) if q else None
    with db.engine("app").connect() as conn:
        page = entities.found(
            conn, person, _types(type, id), _ids(id), test, near, _names(attrs)
        )[offset : offset + limit]  # fmt: skip
        simple = "temporalValues" in (options or "")
        said = [entities.past(conn, row, _names(attrs), span, lastN, simple) for row in page]
    return _answer(request, said)


@router.get("/temporal/entities/{id}")
def history_of_one(
    request: Request,
    person: Person,
    id: Id,
    timerel: Relation,
    timeAt: AwareDatetime,
    endTimeAt: AwareDatetime | None = None,
    attrs: Text = None,
    options: Text = None,
    lastN: Last = 1000,
) -> JSONResponse:
    """Return what one entity said within a stretch of time."""
    person.need("map.read")
    span = _span(timerel, timeAt, endTimeAt)
    with db.engine("app").connect() as conn:
        row = entities.one(conn, person, id)
        simple = "temporalValues" in (options or "")
        said = entities.past(conn, row, _names(attrs), span, lastN, simple)
    return _answer(request, said)


def _near(georel: str | None, geometry: str | None, coordinates: str | None) -> query.Near | None:
    if not (georel or geometry or coordinates):
        return None
    if not (georel and geometry and coordinates):
        raise BadRequest("A geo-query needs georel, geometry and coordinates.")
    return query.geo(georel, geometry, coordinates)


def _span(
    relation: str, at: datetime, end: datetime | None
) -> tuple[datetime, datetime]:  # fmt: skip
    now = datetime.now(UTC)
    if relation == "between":
        if end is None or end <= at:
            raise BadRequest("between needs an endTimeAt after timeAt.")
        return at, end
    if relation == "before":
        return at - timedelta(days=entities.MOST_DAYS), at
    return at, now + timedelta(minutes=5)


def _names(said: str | None) -> list[str]:
    return [name for name in (said or "").split(",") if name]


def _ids(said: str | None) -> list[str]:
    return _names(said)


def _types(said: str | None, ids: str | None) -> list[str]:
    found = _names(said)
    if not found and not ids:
        raise BadRequest("Name a type or an id; GET /ngsi-ld/v1/types tells which there are.")
    return found


def _simple(options: str | None) -> bool:
    return "keyValues" in (options or "")
