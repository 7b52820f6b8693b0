"""HTTP doors of events: /api/v1/events, /categories, /tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Response

from services.events import repository, service
from services.events.schemas import Act, Bulk, NewEvent
from services.web import xml
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, box, moment
from twin import cases, db
from twin.errors import Forbidden
from twin.eventview import PROCESS, View
from twin.scope import Actor

router = APIRouter(prefix="/api/v1", tags=["events"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]


@router.get("/categories")
def categories(person: Person) -> list[dict[str, Any]]:
    """List what can be reported."""
    with db.engine("app").connect() as conn:
        said = cases.current(conn, PROCESS)
    return [{"key": key, "service_code": key, **kind} for key, kind in said["categories"].items()]


Codes = Annotated[str | None, Query(max_length=400)]


def asked(
    state: Literal["open", "closed", "all"] = "open",
    bbox: Annotated[str | None, Query(max_length=128)] = None,
    district: Annotated[str | None, Query(max_length=12)] = None,
    holder: Annotated[str | None, Query(max_length=64)] = None,
    category: Codes = None,
    department: Annotated[str | None, Query(max_length=64)] = None,
    source: Annotated[str | None, Query(max_length=64)] = None,
    severity: Annotated[str | None, Query(pattern=r"^[1-4](,[1-4])*$", max_length=8)] = None,
    stage: Annotated[str | None, Query(pattern=r"^[1-9](,[1-9])*$", max_length=18)] = None,
    status: Codes = None,
    words: Annotated[str | None, Query(alias="text", max_length=80)] = None,
    late: bool | None = None,
    opened_from: Moment = None,
    opened_to: Moment = None,
    tag: Annotated[str | None, Query(max_length=40)] = None,
    parent: Annotated[str | None, Query(max_length=40)] = None,
    process: Literal["event.city", "event.supervise"] = PROCESS,  # type: ignore[assignment]
) -> repository.Asked:
    """Return what a list of events is narrowed to; lists are separated by commas."""
    return repository.Asked(
        state=state, bbox=box(bbox), district=district, holder=holder, category=_list_of(category),
        department=department, source=source, severity=_numbers(severity), stage=_numbers(stage),
        state_is=_list_of(status), words=words, late=late, opened_from=moment(opened_from),
        opened_to=moment(opened_to), tag=tag, parent=parent, process=process,
    )  # fmt: skip


def _list_of(said: str | None) -> list[str] | None:
    return said.split(",") if said else None


def _numbers(said: str | None) -> list[int] | None:
    return [int(n) for n in said.split(",")] if said else None


@router.get("/events", responses=xml.ALSO)
def events(
    person: Person,
    narrow: Annotated[repository.Asked, Depends(asked)],
    at: Moment = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    sort: Literal["severity", "opened", "-opened", "due", "-due", "entered", "code"] = "severity",
    f: Literal["json", "xml"] = "json",
) -> Any:
    """List events now, or as they stood at a moment."""
    person.need("event.read")
    said = _list(person, narrow, moment(at), limit, cursor, sort)
    if f == "xml":
        return Response(xml.events(said["events"], said["next"]), media_type=xml.TYPE)
    return said


def _list(
    person: Actor, narrow: repository.Asked, then: datetime | None, limit: int,
    cursor: str | None, sort: str,
) -> dict[str, Any]:  # fmt: skip
    with db.engine("app").connect() as conn:
        view = View(conn)
        if then is not None:
            found = cases.at_moment(
                conn, person, then, open_only=narrow.state == "open", process=narrow.process
            )
            shown = [view.show(c, person, then) for c in found]
            return {"events": _sorted(shown), "total": len(shown), "next": None}
        found, total, following = repository.listed(
            conn, person, narrow, sort=sort, limit=limit, cursor=cursor
        )
        return {"events": [view.show(c, person) for c in found], "total": total, "next": following}


@router.post("/events/bulk")
def bulk(body: Bulk, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Perform an action on many events: what was done, and why the rest was not."""
    person.need("event.read")
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, body.model_dump(),
            lambda: service.bulk(conn, person, body),
        )  # fmt: skip


@router.get("/events/{key}/duty")
def duty(key: str, person: Person) -> dict[str, Any]:
    """Tell whom the duty list proposes for an event, by which row and why."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        return service.proposed(conn, person, key)


@router.get("/events/{key}/duplicates")
def duplicates(
    key: str, person: Person, limit: Annotated[int, Query(ge=1, le=20)] = 5
) -> list[dict[str, Any]]:
    """Rank the open events that this one may be a second report of, and earlier ones at the spot."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        return service.duplicates(conn, person, key, limit)


def _sorted(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(shown, key=lambda e: (e["severity"], -e["num"]))


@router.post("/events", status_code=201)
def report(new: NewEvent, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Report an event from the map or the phone."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, new.model_dump(),
            lambda: service.report(conn, person, new, None),
        )  # fmt: skip


@router.get("/events/{key}")
def event(key: str, person: Person, at: Moment = None) -> dict[str, Any]:
    """Show one event, now or at a moment."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        return service.one(conn, person, key, moment(at))


@router.get("/events/{key}/timeline")
def story(key: str, person: Person) -> dict[str, Any]:
    """Show every step of an event."""
    person.need("event.read")
    with db.engine("app").connect() as conn:
        return service.story(conn, person, key)


@router.post("/events/{key}/actions/{action}")
def act(
    key: str, action: str, body: Act, person: Person, idempotency_key: Key = None
) -> dict[str, Any]:
    """Perform an action; the same Idempotency-Key again gives the same answer."""
    with db.engine("app").begin() as conn:
        asked = {"key": key, "action": action, **body.model_dump()}
        return once(
            conn, person, idempotency_key, asked,
            lambda: service.act(conn, person, key, action, body.params(), body.version),
        )  # fmt: skip


@router.get("/tasks")
def tasks(person: Person) -> dict[str, Any]:
    """List the open tasks of the caller's crew, the nearest deadline first, and what they are asked back."""
    with db.engine("app").connect() as conn:
        view = View(conn)
        asked_of = [view.show(c, person) for c in repository.asked_back(conn, person)]
        if not person.crew and not asked_of:
            raise Forbidden("Your account belongs to no crew; ask the administrator to set it.")
        mine = repository.Asked(holder=person.crew)
        found = (
            repository.listed(conn, person, mine, limit=200, cursor=None)[0] if person.crew else []
        )
        shown = [view.show(c, person) for c in found]
        name = view.names.get(person.crew or "")
        crew = {"code": person.crew, "name": name} if person.crew else None
    return {
        "crew": crew,
        "tasks": sorted(shown, key=lambda e: e["due_at"] or "9"),
        "asked": asked_of,
    }
