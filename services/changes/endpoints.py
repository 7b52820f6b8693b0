"""HTTP doors of the feed (市区两级回流): /api/v1/changes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ingest.feed.incoming import MAX_CHANGES
from services.changes import service
from services.web import xml
from services.web.auth import Person
from twin import db
from twin.errors import BadRequest
from twin.feed.outgoing import Cursor, Page

router = APIRouter(prefix="/api/v1", tags=["feed"])
MAX_BYTES = 24 * 1024 * 1024
LOOK_EVERY_S = 0.5
Kinds = Annotated[
    str | None, Query(max_length=2_000, description="kinds, with commas; all when left out")
]


class Changes(BaseModel):
    """Changes of a peer, in the shape that the same door gives them out."""

    changes: list[dict[str, Any]] = Field(max_length=MAX_CHANGES)


def _listed(said: str | None) -> list[str]:
    return [name.strip() for name in (said or "").split(",") if name.strip()]


@router.get("/changes", responses=xml.ALSO)
async def changes(
    person: Person,
    after: Annotated[
        str, Query(max_length=32, description="`next` of an earlier answer; 0 to begin")
    ] = "0",
    kinds: Kinds = None,
    limit: Annotated[int, Query(ge=1, le=MAX_CHANGES)] = 500,
    wait: Annotated[float, Query(ge=0, le=25, description="seconds to wait for something new")] = 0,
    f: Literal["json", "xml"] = "json",
) -> Response:
    """Return what changed in the caller's scope, in the order of the journal; go on with `next`."""
    person.need("map.read")
    cursor, wanted = Cursor.parse(after), _listed(kinds)
    until = time.monotonic() + wait
    while True:
        page: Page = await run_in_threadpool(service.page, person, cursor, wanted, limit)
        if page.changes or page.more or time.monotonic() >= until:
            break
        await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, until - time.monotonic())))
    if f == "xml":
        said = await run_in_threadpool(xml.changes, page.changes, str(page.next), page.more)
        return Response(said, media_type=xml.TYPE)
    return Response(service.dumped(page), media_type="application/json")


@router.post("/changes")
async def take(request: Request, person: Person, body: Changes) -> dict[str, Any]:
    """Take over changes of a peer; each gets its own result, and a repeat changes nothing."""
    person.need("feed.write")
    if int(request.headers.get("content-length") or 0) > MAX_BYTES:
        raise BadRequest(
            f"Send at most {MAX_BYTES // 1024**2} MB at once: fewer changes a request."
        )
    return await run_in_threadpool(service.take, person, body.changes)


@router.get("/changes/me")
def me(person: Person) -> dict[str, Any]:
    """Return what a peer must know of itself: its name here, its districts, its clearance."""
    person.need("map.read")
    return {"user": person.user, "districts": person.districts, "clearance": person.clearance}


@router.get("/changes.xsd")
def schema() -> Response:
    """Return the XML Schema of changes and events."""
    raw = (Path(__file__).parent / "changes.xsd").read_bytes()
    return Response(raw, media_type="application/xml")


@router.get("/changes/digest")
def digest(person: Person, kinds: Kinds = None) -> dict[str, Any]:
    """Return count and SM3 of what the caller should hold, by kind and district."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.digest(conn, person, _listed(kinds))


@router.get("/changes/digest/{kind}")
def digest_of(
    kind: str,
    person: Person,
    district: Annotated[str, Query(max_length=12)] = "",
    after: Annotated[str, Query(max_length=36)] = "",
    limit: Annotated[int, Query(ge=1, le=50_000)] = 20_000,
) -> dict[str, Any]:
    """Return id and SM3 of each thing of a kind in a district, so that a difference can be named."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.digest_of(conn, person, kind, district, after, limit)


@router.get("/changes/feeds")
def feeds(person: Person) -> dict[str, Any]:
    """Return how the feeds stand: peers, cursors, what was refused, the last reconciliation."""
    person.need("data.write")
    if person.districts is not None:
        raise BadRequest("The feeds are shown to city-wide accounts.")
    with db.engine("app").connect() as conn:
        return service.feeds(conn)
