"""HTTP doors of the wall's numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from services.boards import service, topics
from services.web.auth import Person
from services.web.params import Moment, moment
from twin import boards as composed
from twin import db
from twin.errors import BadRequest

router = APIRouter(prefix="/api/v1", tags=["boards"])


@router.get("/indicators")
def indicators(person: Person, at: Moment = None) -> dict[str, Any]:
    """Return the cards of the wall's strip, now or at a moment."""
    person.need("event.read")
    then = moment(at)
    with db.engine("app").connect() as conn:
        cards = service.strip(conn, person, then)
    return {"at": then or datetime.now(UTC), "cards": cards}


@router.get("/timeline")
def timeline(
    person: Person,
    from_: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    to: Moment = None,
    bins: Annotated[int, Query(ge=1, le=500)] = 96,
) -> dict[str, Any]:
    """Return the histogram under the time slider; without a span, of the last 24 hours."""
    person.need("event.read")
    end = moment(to) or datetime.now(UTC)
    start = moment(from_) or end - timedelta(hours=24)
    if not timedelta(0) < end - start <= timedelta(days=400):
        raise BadRequest("from must lie before to, at most 400 days.")
    with db.engine("app").connect() as conn:
        return {"bins": service.bins(conn, person, start, end, bins)}


@router.get("/boards")
def boards(person: Person) -> dict[str, Any]:
    """Return the boards that are composed: their cards and sections in order."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        listed = [one for one in composed.boards(conn) if one["key"] != service.STRIP]
        return {"boards": listed}


@router.get("/boards/{topic}")
def board(
    topic: Annotated[str, Path(max_length=40)], person: Person, at: Moment = None
) -> dict[str, Any]:
    """Return the board of a topic: events by district, category and day, and what the topic keeps."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        return topics.board(conn, person, topic, moment(at) or datetime.now(UTC))
