"""Evidence files: kept by content hash, type judged by content, read through scope."""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps
from sqlalchemy import text

from services.web.auth import Person
from twin import cases, db, files
from twin.errors import NotFound, TooMany
from twin.files import MAX_BYTES, path_of
from twin.scope import Actor, scope_sql

router = APIRouter(prefix="/api/v1/files", tags=["files"])


@router.post("", status_code=201)
async def upload(request: Request, person: Person) -> dict[str, Any]:
    """Keep the bytes of the body."""
    person.need("file.write")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BYTES:
            raise TooMany(f"A file has at most {MAX_BYTES // 1024 // 1024} MiB.")
    return await run_in_threadpool(_keep, bytes(raw), person)


def _keep(raw: bytes, person: Actor) -> dict[str, Any]:
    with db.engine("app").begin() as conn:
        return files.keep(conn, raw, person.user)


_READABLE = (
    "select f.type, f.owner, exists (select 1 from twin.\"case\" c where c.data->'photos' @> "
    "cast(:photo as jsonb) and {scope}) as in_scope from twin.file f where f.hash = :h"
)


@router.get("/{digest}")
def read(
    digest: str, person: Person, w: Annotated[int | None, Query(ge=16, le=2048)] = None
) -> Response:
    """Return a file that the caller uploaded or that belongs to an event in the caller's scope."""
    photo = f'[{{"url": "/api/v1/files/{digest}"}}]' if digest.isalnum() else "[]"
    scope, names = scope_sql(person, "c", cases.LEVEL)
    with db.engine("app").connect() as conn:
        row = conn.execute(
            text(_READABLE.format(scope=scope)), {"h": digest, "photo": photo, **names}
        ).first()
    if row is None or not (row.owner == person.user or (row.in_scope and person.may("event.read"))):
        raise NotFound("There is no such file that you may see.")
    raw = path_of(digest).read_bytes()
    kind = row.type
    if w:
        raw, kind = _shrunk(raw, w), "image/jpeg"
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Disposition": f'inline; filename="{digest[:12]}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(raw, media_type=kind, headers=headers)


def _shrunk(raw: bytes, width: int) -> bytes:
    with Image.open(io.BytesIO(raw)) as picture:
        small = ImageOps.exif_transpose(picture).convert("RGB")
        small.thumbnail((width, width * 2))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=82)
    return out.getvalue()
