"""HTTP doors of codes: /c/{code} for everybody, QR codes and label sheets for staff."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from services.codes import labels as sheets
from services.codes import pages, qr, service
from services.web import plain
from services.web.auth import Caller, Person
from services.web.limits import Rate, address
from services.web.params import box
from twin import catalogue, db, files, journal, links
from twin.errors import BadRequest, NotFound, TooMany, TwinError
from twin.scope import ANONYMOUS

router = APIRouter(tags=["codes"])
Code = Annotated[str, Path(min_length=3, max_length=64)]
Lang = Annotated[str | None, Query(max_length=5)]
MAX_BODY = 16_384
_reads, _reports = Rate(per_minute=120, burst=60), Rate(per_minute=6, burst=10)


def _language(request: Request, lang: str | None) -> str:
    return pages.language(lang, request.headers.get("accept-language", ""))


@router.get("/c/{code}")
def page(code: Code, request: Request, caller: Caller, lang: Lang = None) -> Response:
    """Show what a code stands for; whatever is not public answers like what does not exist.

    Who is logged in and may see the device behind the code is led to its page.
    """
    spoken = _language(request, lang)
    if caller.user != ANONYMOUS.user and caller.may("map.read"):
        with db.engine("app").connect() as conn:
            device = service.device(conn, caller, code)
        if device is not None:
            return RedirectResponse(f"/console/devices/{device}", 303)
    try:
        _reads.take(address(request))
        with db.engine("app").connect() as conn:
            shown = service.public(conn, code)
    except NotFound:
        return plain.answer(pages.message("none", "none_long", spoken), 404)
    except TooMany as why:
        return plain.answer(pages.message("error", why.detail, spoken), 429)
    return plain.answer(pages.thing(shown, spoken, datetime.now(UTC), secrets.token_urlsafe(9)))


@router.get("/c/{code}/pictures/{number}")
def picture(code: Code, number: Annotated[int, Path(ge=0, le=99)], request: Request) -> Response:
    """Return a picture of a public thing."""
    _reads.take(address(request))
    with db.engine("app").connect() as conn:
        path = files.path_of(service.picture(conn, code, number))
    if not path.is_file():
        raise NotFound(service.NONE)
    raw = path.read_bytes()
    kind = "image/png" if raw.startswith(b"\x89PNG") else "image/jpeg"
    return Response(raw, media_type=kind, headers={"Cache-Control": "public, max-age=86400"})


@router.post("/c/{code}/report")
async def report(code: Code, request: Request, lang: Lang = None) -> Response:
    """Take a citizen's report about a thing; sent twice it is one report."""
    spoken = _language(request, lang)
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            return plain.answer(pages.message("error", "Too long.", spoken, code=code), 413)
    try:
        _reports.take(address(request))
        form = dict(parse_qsl(raw.decode("utf-8"), max_num_fields=8))
        number = await run_in_threadpool(_store, code, form)
    except (ValueError, UnicodeDecodeError):
        return plain.answer(
            pages.message("error", "The form is not readable.", spoken, code=code), 400
        )
    except TwinError as why:
        return plain.answer(pages.message("error", why.detail, spoken, code=code), why.status)
    proof = links.proof(links.REPORTER, number)
    said = pages.message("thanks", "thanks_long", spoken, code=code, number=number, proof=proof)
    return plain.answer(said, 201)


def _store(code: str, form: dict[str, str]) -> str:
    # Without the page's own token the content itself tells a repeat.
    once = form.get("once") or hashlib.sha256(form.get("description", "").encode()).hexdigest()
    with db.engine("app").begin() as conn:
        return service.report(conn, code, form, once[:64])


@router.get("/api/v1/codes/labels.pdf")
def label_sheets(
    person: Person,
    kind: Annotated[str, Query(max_length=48)],
    codes: Annotated[str | None, Query(max_length=4_000, description="codes by comma")] = None,
    bbox: Annotated[str | None, Query(max_length=160)] = None,
    filter: Annotated[str | None, Query(max_length=4_000, description="CQL2 text")] = None,
    limit: Annotated[int, Query(ge=1, le=service.MAX_LABELS)] = 240,
    outline: bool = True,
) -> Response:
    """Return A4 sheets of labels for a selection."""
    person.need("export.read")
    picked = [c.strip() for c in codes.split(",") if c.strip()] if codes else None
    with db.engine("app").begin() as conn:
        made = service.labels(
            conn, person, kind, codes=picked, box=box(bbox), filter_=filter, limit=limit
        )
        journal.append(
            conn, cls="security", action="labels", actor=person.user, kind=kind,
            level=catalogue.one(conn, person, kind).level, note={"count": len(made)},
        )  # fmt: skip
    name = f'attachment; filename="labels-{kind}.pdf"'
    raw = sheets.sheets(made, outline=outline)
    return Response(raw, media_type="application/pdf", headers={"Content-Disposition": name})


@router.get("/api/v1/codes/{code}.{form}")
def one(
    code: Code, form: str, caller: Caller, scale: Annotated[int, Query(ge=1, le=40)] = 8
) -> Response:
    """Return the QR code of a thing that the caller may see, as SVG or PNG."""
    if form not in ("svg", "png"):
        raise BadRequest("A QR code comes as .svg or .png.")
    with db.engine("app").connect() as conn:
        service.known(conn, caller, code)
    kind = "image/svg+xml" if form == "svg" else "image/png"
    return Response(qr.draw(code, form, scale), media_type=kind)
