"""HTTP doors of loads: send a file in parts, ask what it is and what it would do, do it."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from ingest.files import uploads
from services.loads import repository, service
from services.loads.schemas import Check, Corrections, Layer, Suggest
from services.web.auth import Person
from twin import catalogue, db
from twin.errors import BadRequest, NotFound

router = APIRouter(prefix="/api/v1/loads", tags=["loads"])
PART = 16 * 1024 * 1024
UploadId = Annotated[str, Path(min_length=36, max_length=36)]
JobId = Annotated[int, Path(ge=1, le=2**62)]
Size = Annotated[int, Query(ge=1, le=2**40, description="bytes of the whole file")]


@router.post("", status_code=201)
async def begin(
    request: Request,
    person: Person,
    name: Annotated[str, Query(min_length=1, max_length=300)],
    size: Annotated[int | None, Query(alias="bytes", ge=1, le=2**40)] = None,
) -> dict[str, Any]:
    """Send a file. With `bytes` and no body its parts follow by PATCH; else the body is the file."""
    service.allowed(person)
    said = request.headers.get("content-length", "0")
    there = int(said) if said.isdigit() else 0
    if size is not None and there == 0:
        made = await run_in_threadpool(uploads.begin, person.user, name, size)
        return {"upload": made.id, "offset": 0}
    if there == 0:
        raise BadRequest(
            "Say the file's size: with Content-Length, or with bytes= and parts by PATCH."
        )
    made = await run_in_threadpool(uploads.begin, person.user, name, there)
    await _receive(request, made, 0)
    return await run_in_threadpool(service.describe, person, made, Layer())


async def _receive(request: Request, upload: uploads.Upload, offset: int) -> int:
    part = bytearray()
    async for piece in request.stream():
        part += piece
        if len(part) >= PART:
            offset = await run_in_threadpool(uploads.append, upload, offset, bytes(part))
            part.clear()
    return await run_in_threadpool(uploads.append, upload, offset, bytes(part))


@router.patch("/{upload}")
async def go_on(
    request: Request,
    person: Person,
    upload: UploadId,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**40)],
) -> dict[str, Any]:
    """Send the next part; a part that does not begin where the file ends here names that place."""
    service.allowed(person)
    found = uploads.get(person.user, upload)
    return {
        "upload": found.id,
        "offset": await _receive(request, found, offset),
        "bytes": found.bytes,
    }


@router.get("")
def listed(
    person: Person,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List loads, newest first."""
    person.need("data.write")
    with db.engine("app").connect() as conn:
        kinds = catalogue.readable(conn, person)
        rows = repository.loads(conn, kinds, before=before, limit=limit + 1)
    loads = [dict(r._mapping) | {"kind_title": kinds[r.kind].title} for r in rows[:limit]]
    following = (
        f"/api/v1/loads?before={loads[-1]['id']}&limit={limit}" if len(rows) > limit else None
    )
    return {"loads": loads, "next": following}


@router.get("/kinds")
def kinds(person: Person) -> dict[str, Any]:
    """List the kinds that a file may be loaded into, and the topic databases that they belong to."""
    service.allowed(person)
    return service.kinds(person)


@router.get("/jobs/{job}")
def state(person: Person, job: JobId) -> dict[str, Any]:
    """Return how a check or a load stands, and what came of it."""
    service.allowed(person)
    with db.engine("app").connect() as conn:
        return service.state(conn, person, job)


@router.get("/jobs/{job}/quarantine.gpkg")
def quarantine(person: Person, job: JobId) -> Response:
    """Return the rows that a load left out, with their reasons."""
    service.allowed(person)
    with db.engine("app").connect() as conn:
        path = repository.quarantine_of(conn, job, person.user)
    if path is None or not FilePath(path).is_file():
        raise NotFound("This load left no rows out, or their file is gone.")
    return FileResponse(
        path, media_type="application/geopackage+sqlite3", filename=FilePath(path).name
    )


@router.get("/{upload}")
def describe(
    person: Person,
    upload: UploadId,
    layer: Annotated[str | None, Query(max_length=300)] = None,
    encoding: Annotated[str, Query(max_length=40)] = "auto",
) -> dict[str, Any]:
    """Say what a file is: format, encoding, CRS, layers, columns, first rows, kinds that fit."""
    service.allowed(person)
    found = uploads.get(person.user, upload)
    return service.describe(person, found, Layer(layer=layer, encoding=encoding))


@router.delete("/{upload}", status_code=204)
def forget(person: Person, upload: UploadId) -> None:
    """Forget a file that is not needed any more."""
    service.allowed(person)
    uploads.remove(uploads.get(person.user, upload))


@router.post("/{upload}/suggest")
def suggest(person: Person, upload: UploadId, said: Suggest) -> dict[str, Any]:
    """Say which column is probably which field of a kind."""
    service.allowed(person)
    return service.suggestions(person, uploads.get(person.user, upload), said)


@router.post("/{upload}/corrections")
def correct(person: Person, upload: UploadId, said: Corrections) -> dict[str, int]:
    """Correct cells of rows; the file itself stays as it came."""
    service.allowed(person)
    return {"rows": uploads.correct(uploads.get(person.user, upload), said.rows)}


@router.post("/{upload}/check")
def check(person: Person, upload: UploadId, said: Check) -> dict[str, Any]:
    """Say what a load would do; of a large file a job says it."""
    service.allowed(person)
    return service.check(person, uploads.get(person.user, upload), said)


@router.post("/{upload}/commit", status_code=202)
def commit(person: Person, upload: UploadId, said: Check) -> dict[str, int]:
    """Load the file as a job: all of it or nothing, and twice the same is once."""
    service.allowed(person)
    return service.commit(person, uploads.get(person.user, upload), said)
