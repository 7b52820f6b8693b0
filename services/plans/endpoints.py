"""HTTP doors of /api/v1/warnings, /api/v1/plans, /api/v1/responses, /api/v1/scenes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from services.plans import briefing, service
from services.web.acts import Act
from services.web.auth import Person
from services.web.once import once
from twin import db, scenes
from twin.errors import TooLarge
from twin.plans import cap, intake, response, warnings

router = APIRouter(prefix="/api/v1", tags=["plans"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Code = Annotated[str, Path(min_length=1, max_length=64)]
Level = Annotated[int, Field(ge=1, le=4)]


class Lead(BaseModel):
    """Which step or resource, and what is said about it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64)] = ""
    note: Annotated[str, Field(max_length=500)] = ""


class Chosen(BaseModel):
    """For which warning, and at which level, a person chooses a plan."""

    model_config = ConfigDict(extra="forbid")

    warning: Annotated[str, Field(min_length=1, max_length=200)]
    level: Level


class Drill(BaseModel):
    """At which level a plan is drilled, and what is assumed."""

    model_config = ConfigDict(extra="forbid")

    level: Level
    note: Annotated[str, Field(min_length=2, max_length=200)]


@router.get("/warnings")
def standing(person: Person) -> dict[str, Any]:
    """List the official warnings that hold now, and the files of late that could not be taken."""
    with db.engine("app").connect() as conn:
        refused = warnings.refused(conn) if person.may("alarm.handle") else []
        return {"warnings": warnings.standing(conn), "refused": refused}


@router.post("/warnings", status_code=201)
async def warn(request: Request, person: Person) -> dict[str, Any]:
    """Take in a warning as CAP 1.2; the same identifier again changes nothing."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > cap.MAX_BYTES:
            raise TooLarge("A warning has at most 1 MiB.")

    def take() -> dict[str, Any]:
        with db.engine("app").begin() as conn:
            return intake.take(conn, bytes(raw), person.user)

    return await run_in_threadpool(take)


@router.get("/plans/match")
def match(
    person: Person, warning: Annotated[str, Query(min_length=1, max_length=200)]
) -> dict[str, Any]:
    """Return how well each plan fits a standing warning, with the parts of each score."""
    with db.engine("app").connect() as conn:
        return service.match(conn, warning)


@router.post("/plans/{key}/choose", status_code=201)
def choose(key: Code, asked: Chosen, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Open the response of a plan that a person chose for a warning; it still waits to be started."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"plan": key, **asked.model_dump()},
            lambda: service.propose(conn, person, key, asked.warning, asked.level),
        )  # fmt: skip


@router.get("/plans")
def plans(person: Person) -> dict[str, Any]:
    """List the risk plans that run."""
    with db.engine("app").connect() as conn:
        return {"plans": service.plans(conn)}


@router.post("/plans/{key}/drill", status_code=201)
def drill(key: Code, asked: Drill, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Open a drill of a plan: the same steps, marked as a drill everywhere."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"plan": key, **asked.model_dump()},
            lambda: service.show(
                conn, response.drill(conn, key, asked.level, person, asked.note), person
            ),
        )  # fmt: skip


@router.get("/responses")
def responses(person: Person, past: Annotated[bool, Query()] = False) -> dict[str, Any]:
    """List responses and drills that run; with `past`, those of the last ninety days."""
    with db.engine("app").connect() as conn:
        return {"responses": service.listed(conn, person, past=past)}


@router.get("/responses/{key}")
def one(key: Code, person: Person) -> dict[str, Any]:
    """Show a response."""
    with db.engine("app").connect() as conn:
        return service.show(conn, response.find(conn, person, key), person)


@router.get("/responses/{key}/report")
def after_action(key: Code, person: Person) -> dict[str, Any]:
    """Return the after-action report, counted from the journal of the response."""
    with db.engine("app").connect() as conn:
        return service.after_action(conn, person, key)


@router.get("/responses/{key}/briefing.pdf", response_class=Response)
def brief(key: Code, person: Person) -> Response:
    """Return the briefing of a response at this moment, with its map, marked with who asked for it."""
    with db.engine("app").connect() as conn:
        code, raw = briefing.made(conn, person, key)
    headers = {
        "Content-Disposition": f'inline; filename="briefing-{code}.pdf"',
        "Cache-Control": "no-store",
    }
    return Response(raw, media_type="application/pdf", headers=headers)


@router.post("/responses/{key}/actions/{action}")
def act(
    key: Code, action: Code, body: Act, person: Person, idempotency_key: Key = None
) -> dict[str, Any]:
    """Start, decline, change the level of, end or close a response."""
    said = body.params()
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"key": key, "action": action, **body.model_dump()},
            lambda: service.act(conn, person, key, action, said, body.version),
        )  # fmt: skip


@router.post("/responses/{key}/{what}")
def lead(
    key: Code, what: Literal["acknowledge", "reached", "step", "resource"], body: Lead, person: Person,
    idempotency_key: Key = None,
) -> dict[str, Any]:  # fmt: skip
    """Answer a notice, note who was reached by telephone, tick a step, call a resource (then: it is there)."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"key": key, "what": what, **body.model_dump()},
            lambda: service.lead(conn, person, key, what, body.name, body.note),
        )  # fmt: skip


@router.get("/scenes")
def all_scenes(person: Person) -> dict[str, Any]:
    """List the scenes of the wall."""
    with db.engine("app").connect() as conn:
        return {"scenes": scenes.scenes(conn)}
