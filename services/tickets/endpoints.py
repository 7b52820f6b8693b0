"""HTTP doors of predictions: /api/v1/tickets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.web.auth import Person
from twin import db
from twin.errors import BadRequest
from twin.predictions import outlook, tickets

router = APIRouter(prefix="/api/v1/tickets", tags=["predictions"])


class Outcome(BaseModel):
    """What somebody found or did."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["confirmed", "averted", "false"]
    note: Annotated[str, Field(max_length=500)] | None = None
    reading: Annotated[float, Field(allow_inf_nan=False)] | None = None


@router.get("")
def listed(
    person: Person,
    state: Literal["open", "confirmed", "averted", "false", "all"] = "open",
    kind: Literal["threshold", "silence", "northbound", "maintenance"] | None = None,
    thing: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """List what is expected, the soonest first, and how right each kind has been so far."""
    with db.engine("app").connect() as conn:
        found = tickets.listed(conn, person, kind=kind, state=state, thing=thing, limit=limit)
        return {"tickets": found, "record": tickets.record(conn), "plans": outlook.plans()}


@router.post("/{which}/outcome")
def outcome(which: UUID, said: Outcome, person: Person) -> dict[str, Any]:
    """Say what came of a ticket: the track record is made of this."""
    now = datetime.now(UTC)
    with db.engine("app").begin() as conn:
        row = tickets.one(conn, person, which)
        if row.kind == "maintenance" and said.outcome == "confirmed":
            if row.num is None:
                raise BadRequest("This ticket names no device.")
            outlook.maintained(
                conn, row.num, row.evidence["plan"], actor=person.user, reading=said.reading,
                note=said.note, now=now,
            )  # fmt: skip
        else:
            tickets.end(conn, which, said.outcome, now, actor=person.user, note=said.note)
    return {"id": str(which), "state": said.outcome}
