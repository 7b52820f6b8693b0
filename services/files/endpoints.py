"""Evidence files: kept by content hash, type judged by content, read through scope."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import text

from services.web.auth import Person
from twin import cases, db, journal
from twin.errors import BadRequest, NotFound, TooMany, Unavailable
from twin.files import path_of
from twin.scope import Actor, scope_sql

router = APIRouter(prefix="/api/v1/files", tags=["files"])
MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 60_000_000
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def type_of(raw: bytes) -> str:
    """Return the type that the content itself shows; BadRequest when it is no whole picture."""
    try:
        with Image.open(io.BytesIO(raw)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadRequest("This picture has more than 60 megapixels; send a smaller one.")
            kind = TYPES.get(picture.format or "")
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as why:
        raise BadRequest("This is not a whole JPEG, PNG or WebP picture.") from why
    if kind is None:
        raise BadRequest("Only JPEG, PNG and WebP pictures are taken.")
    return kind


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
    kind = type_of(raw)
    digest = hashlib.sha256(raw).hexdigest()
    _write(path_of(digest), raw)
    with db.engine("app").begin() as conn:
        new = conn.execute(
            text(
                "insert into twin.file (hash, bytes, type, owner) values (:h, :b, :t, :o) "
                "on conflict do nothing"
            ),
            {"h": digest, "b": len(raw), "t": kind, "o": person.user},
        ).rowcount
        if new:
            note = {"hash": digest, "bytes": len(raw), "type": kind}
            journal.append(conn, cls="file", action="upload", actor=person.user, note=note, level=2)
    return {"url": f"/api/v1/files/{digest}", "hash": digest, "bytes": len(raw), "type": kind}


def _write(path: Path, raw: bytes) -> None:
    if path.exists():
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as why:
        part.unlink(missing_ok=True)
        raise Unavailable("The file could not be stored; the disk may be full. Try later.") from why


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
