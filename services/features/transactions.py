"""HTTP doors that change features (Part 4): create, replace, update, delete, with ETag and If-Match."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from services.features import described, writes
from services.features.asked import read as read_query
from services.features.direct import Direct
from services.features.items import kind_of, single
from services.features.links import GEOJSON, url
from services.web.auth import caller
from services.web.once import once
from twin import db
from twin.errors import BadRequest, NotFound, PreconditionMissing, TooLarge, WrongMedia
from twin.kinds import Kind
from twin.scope import Actor

router = APIRouter(prefix="/ogc", tags=["OGC API Features"], route_class=Direct)
MAX_BODY = 8 * 1024 * 1024
_FEATURE = frozenset({GEOJSON, "application/json"})
_PATCH = frozenset({"application/merge-patch+json", GEOJSON, "application/json"})
ACT = "data.write"


@router.post("/collections/{collectionId}/items", openapi_extra=described.CREATE, status_code=201)
async def create(request: Request) -> Response:
    """Create a feature; `Location` says where it is."""
    actor, kind = await _who_and_what(request)
    raw = await _body(request, _FEATURE)
    crs = request.headers.get("content-crs")

    def work(conn: Connection) -> dict[str, Any]:
        draft = writes.read(raw, kind, actor, crs, patch=False)
        return {"id": str(writes.create(conn, kind, actor, draft))}

    made = await run_in_threadpool(_once, request, actor, raw, work)
    return await _shown(kind, actor, made["id"], 201)


@router.put("/collections/{collectionId}/items/{featureId}", openapi_extra=described.REPLACE)
async def put(request: Request) -> Response:
    """Replace a feature by another state of it; what you cannot see stays as it is."""
    return await _change(request, _FEATURE, patch=False)


@router.patch("/collections/{collectionId}/items/{featureId}", openapi_extra=described.UPDATE)
async def patch(request: Request) -> Response:
    """Change the named properties of a feature (JSON merge patch); null takes a value away."""
    return await _change(request, _PATCH, patch=True)


@router.delete(
    "/collections/{collectionId}/items/{featureId}", openapi_extra=described.DELETE, status_code=204
)
async def delete(request: Request) -> Response:
    """Take a feature out of service; its history stays."""
    actor, kind = await _who_and_what(request)
    key, version = _key(request), _if_match(request)

    def work(conn: Connection) -> dict[str, Any]:
        writes.remove(conn, kind, actor, key, version)
        return {}

    await run_in_threadpool(_once, request, actor, b"", work)
    return Response(status_code=204)


async def _change(request: Request, media: frozenset[str], *, patch: bool) -> Response:
    actor, kind = await _who_and_what(request)
    key, version = _key(request), _if_match(request)
    raw = await _body(request, media)
    crs = request.headers.get("content-crs")

    def work(conn: Connection) -> dict[str, Any]:
        draft = writes.read(raw, kind, actor, crs, patch=patch)
        return {"id": str(writes.change(conn, kind, actor, key, version, draft))}

    made = await run_in_threadpool(_once, request, actor, raw, work)
    return await _shown(kind, actor, made["id"], 200)


async def _who_and_what(request: Request) -> tuple[Actor, Kind]:
    actor = await caller(request)
    actor.need(ACT)
    if request.query_params:
        raise BadRequest("Changes take no parameters; what they say stands in the body.")
    return actor, await kind_of(actor, request.path_params["collectionId"])


def _key(request: Request) -> str:
    key: str = request.path_params["featureId"]
    if len(key) > 200 or "\0" in key:
        raise NotFound("There is no such feature.")
    return key


def _if_match(request: Request) -> str:
    said = request.headers.get("if-match")
    if said is None:
        raise PreconditionMissing
    return said[:1000]


async def _body(request: Request, media: frozenset[str]) -> bytes:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in media:
        raise WrongMedia(f"Send {' or '.join(sorted(media))}, not {said[:60] or 'nothing named'}.")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise TooLarge(f"A feature is at most {MAX_BODY >> 20} MiB here.")
    return bytes(raw)


def _once(
    request: Request, actor: Actor, raw: bytes, work: Callable[[Connection], dict[str, Any]]
) -> dict[str, Any]:
    """Do a change in one transaction; repeated with the same Idempotency-Key it is done once."""
    asked = {"method": request.method, "path": request.url.path,
             "body": hashlib.sha256(raw).hexdigest(),
             "if_match": request.headers.get("if-match")}  # fmt: skip
    key = request.headers.get("idempotency-key")
    with db.engine("app").begin() as conn:
        return once(conn, actor, key, asked, lambda: work(conn))


async def _shown(kind: Kind, actor: Actor, key: str, status: int) -> Response:
    """Return a feature as it now stands, with its address and version."""
    version, raw = await single(kind, actor, key, read_query(kind, actor, {}))
    headers = {"ETag": f'"{version}"', "Cache-Control": "private, no-store"}
    if status == 201:
        headers["Location"] = url(f"/collections/{kind.kind}/items/{key}")
    return Response(raw, status, headers, media_type=GEOJSON)
