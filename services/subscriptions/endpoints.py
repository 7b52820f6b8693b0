"""HTTP doors of northbound subscriptions: /api/v1/subscriptions."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.subscriptions import events, service
from services.web.auth import Person
from twin import db

router = APIRouter(prefix="/api/v1/subscriptions", tags=["subscriptions"])
Word = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[list[Word], Field(max_length=100)]


class Filter(BaseModel):
    """What is told; what is left out means all of it."""

    model_config = ConfigDict(extra="forbid")

    classes: Words | None = None
    kinds: Words | None = None
    products: Words | None = None
    rules: Words | None = None


class New(BaseModel):
    """A receiver and what it is told."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,64}$")]
    kind: Literal["webhook", "mqtt"]
    target: Annotated[str, Field(min_length=1, max_length=500)]
    digest: Literal["sha256", "sm3"] = "sha256"
    filter: Filter = Filter()
    secret: Annotated[str, Field(min_length=8, max_length=200)] | None = None
    from_start: bool = False


class Change(BaseModel):
    """What is changed of a subscription."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = None
    filter: Filter | None = None


@router.get("")
def listed(person: Person) -> dict[str, Any]:
    """List subscriptions, how far behind each is, and what its last trouble was."""
    with db.engine("app").connect() as conn:
        return {"subscriptions": service.listed(conn), "classes": events.CLASSES}


@router.post("", status_code=201)
def make(said: New, person: Person) -> dict[str, Any]:
    """Make a subscription; the secret of a webhook is shown this once."""
    with db.engine("app").begin() as conn:
        return service.make(
            conn, person, name=said.name, kind=said.kind, address=said.target, digest=said.digest,
            said=said.filter.model_dump(exclude_none=True), secret=said.secret,
            from_start=said.from_start,
        )  # fmt: skip


@router.patch("/{which}", status_code=204)
def change(which: UUID, said: Change, person: Person) -> None:
    """Switch on or off, change the filter; it is tried again at once."""
    asked = said.filter.model_dump(exclude_none=True) if said.filter is not None else None
    with db.engine("app").begin() as conn:
        service.change(conn, person, which, said.enabled, asked)


@router.delete("/{which}", status_code=204)
def remove(which: UUID, person: Person) -> None:
    """Take a subscription away."""
    with db.engine("app").begin() as conn:
        service.remove(conn, person, which)
