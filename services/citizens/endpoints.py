"""HTTP doors of citizens: /report, without login, limited by address."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParam
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from services.citizens import pages, service
from services.web import plain
from services.web.limits import Rate, address
from twin import db, links
from twin.errors import TooLarge, TwinError
from twin.files import MAX_BYTES

router = APIRouter(prefix="/report", tags=["citizens"])
Lang = Annotated[str | None, Query(max_length=5)]
Code = Annotated[str, PathParam(min_length=3, max_length=40)]
_reads, _reports = Rate(per_minute=120, burst=60), Rate(per_minute=6, burst=10)
_SPARE = 64 * 1024


def _language(request: Request, lang: str | None) -> str:
    return pages.language(lang, request.headers.get("accept-language", ""))


@router.get("")
def form(request: Request, lang: Lang = None) -> Response:
    """Show the form."""
    spoken = _language(request, lang)
    try:
        _reads.take(address(request))
        with db.engine("app").connect() as conn:
            known = service.kinds(conn)
    except TwinError as why:
        return plain.answer(pages.refused(why.detail, spoken), why.status)
    return plain.answer(pages.form(known, spoken, secrets.token_urlsafe(9)), script=True)


@router.get("/place.js")
def script() -> Response:
    """Return the one script of the form."""
    raw = Path(__file__).with_name("place.js").read_bytes()
    return Response(raw, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})


@router.post("")
async def submit(request: Request, lang: Lang = None) -> Response:
    """Take a report, with a photo or without."""
    spoken = _language(request, lang)
    try:
        _reports.take(address(request))
        fields, photo = await _read(request)
        code = await run_in_threadpool(_store, fields, photo)
    except TwinError as why:
        return plain.answer(pages.refused(why.detail, spoken), why.status)
    proof = links.proof(links.REPORTER, code)
    return plain.answer(pages.thanks(code, proof, spoken), 201)


async def _read(request: Request) -> tuple[dict[str, str], bytes]:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BYTES + _SPARE:
        raise TooLarge(f"A report with its photo has at most {MAX_BYTES >> 20} MiB.")
    fields: dict[str, str] = {}
    photo = b""
    try:
        async with request.form(max_files=1, max_fields=20, max_part_size=_SPARE) as said:
            for name, value in said.items():
                if isinstance(value, UploadFile):
                    photo = await value.read(MAX_BYTES + 1)
                else:
                    fields[name] = value
    except HTTPException as why:
        raise TooLarge("The form cannot be read; send fewer and smaller fields.") from why
    if len(photo) > MAX_BYTES:
        raise TooLarge(f"A photo has at most {MAX_BYTES >> 20} MiB.")
    return fields, photo


def _store(fields: dict[str, str], photo: bytes) -> str:
    with db.engine("app").begin() as conn:
        return service.report(conn, fields, photo)


@router.get("/find")
def find(
    request: Request, code: Annotated[str, Query(max_length=40)], lang: Lang = None
) -> Response:
    """Lead to what became of a report by its number."""
    return story(code.strip(), request, lang)


@router.get("/{code}")
def story(
    code: Code, request: Request, lang: Lang = None,
    k: Annotated[str, Query(max_length=64)] = "",
) -> Response:  # fmt: skip
    """Show what became of a report; with its own link also what the reporter is asked."""
    spoken = _language(request, lang)
    try:
        _reads.take(address(request))
        with db.engine("app").connect() as conn:
            shown = service.story(conn, code, k)
    except TwinError as why:
        said = "none" if why.status == 404 else why.detail
        return plain.answer(pages.refused(said, spoken), why.status)
    return plain.answer(pages.story(shown, spoken), script=bool(shown["asked"]))


@router.post("/{code}/answer")
async def answer(code: Code, request: Request, lang: Lang = None) -> Response:
    """Take what the reporter answers to a question."""
    return await _told(code, request, lang, service.answer)


@router.post("/{code}/visit")
async def visit(code: Code, request: Request, lang: Lang = None) -> Response:
    """Take what the reporter thinks of the result."""

    def keep(conn: Connection, which: str, fields: dict[str, str], _photo: bytes) -> None:
        service.visit(conn, which, fields)

    return await _told(code, request, lang, keep)


async def _told(
    code: str, request: Request, lang: str | None,
    keep: Callable[[Connection, str, dict[str, str], bytes], None],
) -> Response:  # fmt: skip
    spoken = _language(request, lang)

    def store(fields: dict[str, str], photo: bytes) -> dict[str, Any]:
        with db.engine("app").begin() as conn:
            keep(conn, code, fields, photo)
            return service.story(conn, code, fields["k"])

    try:
        _reports.take(address(request))
        fields, photo = await _read(request)
        shown = await run_in_threadpool(store, fields, photo)
    except TwinError as why:
        said = "none" if why.status == 404 else why.detail
        return plain.answer(pages.refused(said, spoken), why.status)
    return plain.answer(pages.story(shown, spoken, noted=True))
