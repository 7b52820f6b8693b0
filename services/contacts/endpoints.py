"""HTTP doors of the address book: /api/v1/contacts, /api/v1/groups, /api/v1/roster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query

from services.contacts import service
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, moment
from twin import db
from twin.errors import BadRequest

router = APIRouter(prefix="/api/v1", tags=["contacts"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Word = Annotated[str | None, Query(max_length=64)]
Who = Annotated[UUID, Path()]
LONGEST = timedelta(days=62)


@router.get("/contacts")
def contacts(
    person: Person,
    q: Word = None,
    unit: Annotated[str | None, Query(max_length=120)] = None,
    group: Word = None,
    on_duty: bool = False,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> dict[str, Any]:
    """List people of the address book: post, unit, masked telephone, whether they are on duty."""
    with db.engine("app").connect() as conn:
        return service.listed(
            conn, person, q=q, unit=unit, on_duty=on_duty, group=group, limit=limit
        )


@router.post("/contacts", status_code=201)
def add(new: service.Contact, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Write a person into the address book."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, new.model_dump(), lambda: service.add(conn, person, new)
        )


@router.put("/contacts/{contact}")
def change(contact: Who, new: service.Changed, person: Person) -> dict[str, Any]:
    """Change a person; what is not said stays."""
    with db.engine("app").begin() as conn:
        return service.change(conn, person, contact, new)


@router.delete("/contacts/{contact}", status_code=204)
def remove(contact: Who, person: Person) -> None:
    """Take a person out of the address book."""
    with db.engine("app").begin() as conn:
        service.remove(conn, person, contact)


@router.post("/contacts/{contact}/reveal")
def reveal(contact: Who, person: Person) -> dict[str, Any]:
    """Show a telephone number; the audit keeps who asked for whose."""
    with db.engine("app").begin() as conn:
        return service.reveal(conn, person, contact)


@router.get("/groups")
def groups(person: Person) -> dict[str, Any]:
    """List the groups that are told together, with who belongs to each now."""
    with db.engine("app").connect() as conn:
        return {"groups": service.groups(conn)}


@router.get("/roster")
def roster(
    person: Person, from_: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    to: Moment = None,
) -> dict[str, Any]:  # fmt: skip
    """List who is on duty, of now and the next seven days where nothing is said."""
    start = moment(from_) or datetime.now(UTC)
    end = moment(to) or start + timedelta(days=7)
    if not timedelta(0) < end - start <= LONGEST:
        raise BadRequest("`from` lies before `to`, at most 62 days.", parameter="from")
    with db.engine("app").connect() as conn:
        return {"from": start, "to": end, "shifts": service.roster(conn, person, start, end)}


@router.post("/roster", status_code=201)
def put_shift(new: service.Shift, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Write a shift into the roster."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, new.model_dump(),
            lambda: service.put_shift(conn, person, new),
        )  # fmt: skip


@router.delete("/roster/{number}", status_code=204)
def drop_shift(number: Annotated[int, Path(ge=1, le=2**62)], person: Person) -> None:
    """Take a shift off the roster."""
    with db.engine("app").begin() as conn:
        service.drop_shift(conn, person, number)
