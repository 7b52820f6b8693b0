"""HTTP doors of alarms: /api/v1/alarms, /api/v1/silences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.alarms import repository, service
from services.web.acts import Act
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, moment
from twin import db
from twin.alarms.view import View

router = APIRouter(prefix="/api/v1", tags=["alarms"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Code = Annotated[str, Path(min_length=1, max_length=64)]
Word = Annotated[str, Field(min_length=1, max_length=64)]


class Answer(BaseModel):
    """An answer to a call: one's own, or that of somebody who was reached by telephone."""

    model_config = ConfigDict(extra="forbid")

    reached: Annotated[str, Field(min_length=3, max_length=80)] | None = None
    note: Annotated[str, Field(max_length=500)] | None = None


class Many(BaseModel):
    """Which alarms are acknowledged."""

    model_config = ConfigDict(extra="forbid")

    codes: Annotated[list[Word], Field(min_length=1, max_length=500)]
    note: Annotated[str, Field(max_length=500)] | None = None


class Silence(BaseModel):
    """What is silenced, until when, and why."""

    model_config = ConfigDict(extra="forbid")

    rule: Word | None = None
    thing: Word | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    starts_at: datetime | None = None
    ends_at: datetime
    reason: Annotated[str, Field(min_length=2, max_length=300)]


@router.get("/alarms")
def alarms(
    person: Person,
    state: Literal["open", "ringing", "closed", "all"] = "open",
    level: Annotated[int | None, Query(ge=1, le=4)] = None,
    district: Annotated[str | None, Query(max_length=12)] = None,
    rule: Annotated[str | None, Query(max_length=64)] = None,
    thing: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str | None, Query(max_length=16)] = None,
) -> dict[str, Any]:
    """List alarms, the loudest and newest first; `level` 2 means 1 and 2."""
    with db.engine("app").connect() as conn:
        found, total, following = repository.listed(
            conn, person, state=state, level=level, district=district, rule=rule, thing=thing,
            limit=limit, cursor=cursor,
        )  # fmt: skip
        view = View(conn)
        return {
            "alarms": [view.show(case, person) for case in found],
            "total": total,
            "next": following,
            "counts": repository.counts(conn, person),
        }


@router.get("/alarms.geojson")
def on_map(person: Person, at: Moment = None) -> dict[str, Any]:
    """Return every standing alarm with its place, now or at a moment: a layer of the map."""
    with db.engine("app").connect() as conn:
        return service.features(repository.standing(conn, person, moment(at)))


@router.post("/alarms/acknowledge")
def acknowledge(said: Many, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Acknowledge many alarms at once."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, said.model_dump(),
            lambda: service.acknowledge_many(conn, person, said.codes, said.note),
        )  # fmt: skip


@router.get("/alarms/called")
def called(person: Person) -> dict[str, Any]:
    """Return the alarms in which you were called and have not answered."""
    with db.engine("app").connect() as conn:
        return {"alarms": service.called(conn, person)}


@router.get("/alarms/{key}")
def alarm(key: Code, person: Person) -> dict[str, Any]:
    """Show one alarm: its things, its story, what can be done."""
    with db.engine("app").connect() as conn:
        return service.one(conn, person, key)


@router.post("/alarms/{key}/actions/{action}")
def act(
    key: Code, action: Code, body: Act, person: Person, idempotency_key: Key = None
) -> dict[str, Any]:
    """Acknowledge, confirm, close by hand, or raise the level of an alarm."""
    with db.engine("app").begin() as conn:
        asked = {"key": key, "action": action, **body.model_dump()}
        return once(
            conn, person, idempotency_key, asked,
            lambda: service.act(conn, person, key, action, body.params(), body.version),
        )  # fmt: skip


@router.post("/alarms/{key}/answer")
def answer(key: Code, said: Answer, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Answer a call: who was called and may handle alarms takes this one on."""
    with db.engine("app").begin() as conn:
        asked = {"key": key, **said.model_dump()}
        return once(
            conn, person, idempotency_key, asked,
            lambda: service.answer(conn, person, key, said.reached, said.note),
        )  # fmt: skip


@router.get("/silences")
def silences(person: Person, past: bool = False) -> dict[str, Any]:
    """List what is silenced, how many alarms it has kept quiet, and why."""
    with db.engine("app").connect() as conn:
        rows = repository.silences(conn, past)
    mine = [
        dict(row._mapping)
        for row in rows
        if person.districts is None
        or (row.district or row.thing_district) in (None, *person.districts)
    ]
    return {"silences": mine}


@router.post("/silences", status_code=201)
def silence(said: Silence, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Silence a rule, a thing or a district for a time."""

    def do() -> dict[str, Any]:
        made = service.silence(
            conn, person, rule_key=said.rule, thing=said.thing, district=said.district,
            starts=said.starts_at or datetime.now(UTC), ends=said.ends_at, reason=said.reason,
        )  # fmt: skip
        return {"id": made}

    with db.engine("app").begin() as conn:
        return once(conn, person, idempotency_key, said.model_dump(), do)


@router.delete("/silences/{number}", status_code=204)
def end_silence(number: Annotated[int, Path(ge=1, le=2**62)], person: Person) -> None:
    """End a silence before its time."""
    with db.engine("app").begin() as conn:
        service.end_silence(conn, person, number)
