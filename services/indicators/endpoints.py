"""HTTP doors of indicators: /api/v1/indicators/board, /{key}, its things and recounts, /checks, /acceptance."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.indicators import service
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, moment
from twin import calendar, db
from twin.indicators import acceptance, measuring, recount

router = APIRouter(prefix="/api/v1/indicators", tags=["indicators"])
Topic = Literal[
    "greening", "forestry", "sanitation", "appearance", "landscape", "activity", "events", "devices",
    "data", "government",
]  # fmt: skip
Code = Annotated[str | None, Query(max_length=16)]
Key = Annotated[str, Path(max_length=81, pattern="^[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*$")]

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]


class Recount(BaseModel):
    """Which days are counted anew, and why."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    reason: Annotated[str, Field(min_length=2, max_length=300)]


def _day(at: str | None) -> date:
    then = moment(at)
    return measuring.today() if then is None else then.astimezone(calendar.ZONE).date()


@router.get("/board")
def board(
    person: Person, topic: Topic | None = None, district: Code = None, at: Moment = None,
    keys: Annotated[str, Query(max_length=4000, pattern="^[a-z0-9_.,]*$")] = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the indicators of a topic with value, target, trend; of a past day with `at`.

    `keys` names indicators wanted beside those of the topic (or, without a topic, these alone).
    """
    named = frozenset(keys.split(",")) - {""}
    with db.engine("app").connect() as conn:
        return service.board(conn, person, topic, district, _day(at), named)


@router.get("/checks")
def checks(person: Person, at: Moment = None) -> dict[str, Any]:
    """Return the declared checks between indicators and whether they hold."""
    with db.engine("app").connect() as conn:
        return {"checks": service.checks(conn, person, _day(at))}


@router.get("/acceptance")
def accepted(person: Person) -> dict[str, Any]:
    """Return each number that the documents ask for: formula, live value, target, evidence."""
    with db.engine("app").connect() as conn:
        return {"items": service.accepted(conn, person, acceptance.items(), _day(None))}


@router.get("/{key}")
def one(key: Key, person: Person, district: Code = None, at: Moment = None) -> dict[str, Any]:
    """Return an indicator with its definition, sources, parts and value by district and street."""
    with db.engine("app").connect() as conn:
        return service.one(conn, person, key, district, _day(at))


@router.get("/{key}/map")
def areas(
    key: Key, person: Person, by: Literal["district", "street"] = "district",
    district: Code = None, at: Moment = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the value in each district or street as GeoJSON."""
    with db.engine("app").connect() as conn:
        return service.areas(conn, person, key, by, district, _day(at))


@router.get("/{key}/things")
def things(
    key: Key, person: Person, district: Code = None, street: Code = None, counted: bool = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:  # fmt: skip
    """Return the things behind a number; of a share with `counted=false` those that fall short."""
    with db.engine("app").connect() as conn:
        return service.things(
            conn, person, key, district=district, street=street, counted=counted, limit=limit,
            offset=offset, day=_day(None),
        )  # fmt: skip


@router.get("/{key}/recounts")
def recounts(key: Key, person: Person) -> dict[str, Any]:
    """List the recounts of an indicator that people asked for, and what each has changed."""
    with db.engine("app").connect() as conn:
        return {"recounts": recount.latest(conn, key)}


@router.post("/{key}/recount", status_code=202)
def ask_recount(
    key: Key, asked: Recount, person: Person, idempotency_key: IdempotencyKey = None
) -> dict[str, Any]:
    """Ask for days of an indicator to be counted anew; the job tells its progress."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"key": key, **asked.model_dump(by_alias=True)},
            lambda: recount.ask(conn, key, asked.first, asked.last, asked.reason, person.user),
        )  # fmt: skip
