"""HTTP doors of reports from other systems: /api/v1/intake, signed pushes and keys of partners."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from services.intake import service
from services.web.auth import Person
from services.web.limits import Rate, address
from twin import db, pushes
from twin.errors import BadRequest, TooLarge
from twin.scope import Actor

router = APIRouter(prefix="/api/v1/intake", tags=["events"])
MAX_BODY = 24 * 1024 * 1024
Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.]{0,63}$")]
_pushed = Rate(per_minute=1200, burst=200)
_BODY = {
    "requestBody": {
        "required": True, "content": {"application/json": {"schema": {"type": ["object", "array"]}}}
    }
}  # fmt: skip


@router.post("/{source}", openapi_extra=_BODY)
async def take(source: Key, request: Request, person: Person) -> dict[str, Any]:
    """Take reports of a partner system; each gets its own answer, and sent again changes nothing."""
    raw = await _raw(request)
    return await run_in_threadpool(_store, source, raw, person)


@router.post("/{source}/push", openapi_extra=_BODY)
async def push(source: Key, request: Request) -> dict[str, Any]:
    """Take what a platform pushes, signed with the secret of its source."""
    _pushed.take(f"{source} {address(request)}")
    raw = await _raw(request)
    await run_in_threadpool(_signed, source, dict(request.headers), raw)
    return await run_in_threadpool(_store, source, raw, None)


async def _raw(request: Request) -> bytes:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise TooLarge(f"A push has at most {MAX_BODY >> 20} MiB; send fewer records at once.")
    return bytes(raw)


def _signed(source: str, headers: dict[str, str], raw: bytes) -> None:
    with db.engine("app").connect() as conn:
        pushes.check(conn, source, headers, raw)


def _store(source: str, raw: bytes, person: Actor | None) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as why:
        raise BadRequest("The body is not readable as JSON in UTF-8.") from why
    with db.engine("app").begin() as conn:
        return service.take(conn, source, body, person)
