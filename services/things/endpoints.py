"""HTTP doors of things: card, history, records."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.things import records, service
from services.web.auth import Person
from services.web.params import Moment, moment
from twin import db

router = APIRouter(prefix="/api/v1", tags=["things"])


@router.get("/things/{key}")
def card(key: str, person: Person, at: Moment = None) -> dict[str, Any]:
    """Return the card of a thing by number, id or code."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.card(conn, person, key, moment(at))


@router.get("/things/{key}/history")
def history(key: str, person: Person) -> dict[str, Any]:
    """Return the versions of a thing."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return {"versions": service.versions(conn, person, key)}


@router.get("/things/{key}/records")
def records_of(
    key: str, person: Person, limit: Annotated[int, Query(ge=1, le=500)] = 20
) -> dict[str, Any]:
    """Return the records that hang on a thing, by kind, the newest first."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        shown = service.card(conn, person, key, None)
        asked = (conn, person, shown["kind"], shown["code"], limit)
        found, links = records.of_thing(*asked), records.linked(*asked)
    return {"code": shown["code"], "records": found, "linked": links}
