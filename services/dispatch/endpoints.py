"""HTTP door of dispatch: proposals for an event."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.dispatch import service
from services.web.auth import Person
from twin import db

router = APIRouter(prefix="/api/v1", tags=["dispatch"])


@router.get("/events/{key}/proposals")
def proposals(
    key: str, person: Person, limit: Annotated[int, Query(ge=1, le=20)] = 5
) -> dict[str, Any]:
    """Return the nearest able crews by road time, with routes and reasons."""
    person.need("event.dispatch")
    with db.engine("app").connect() as conn:
        return service.proposals(conn, person, key, limit)
