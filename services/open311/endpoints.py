"""HTTP doors of Open311 GeoReport v2, JSON and XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from services.open311 import handing, service
from services.web.auth import Person
from services.web.limits import Rate, address
from services.web.params import moment
from twin import db
from twin.errors import BadRequest, NotFound, TooMany, TwinError
from twin.settings import settings

router = APIRouter(prefix="/open311/v2", tags=["open311"])
partners = APIRouter(prefix="/api/v1", tags=["open311"])
MAX_BODY = 64 * 1024
_reports = Rate(per_minute=30, burst=60)


def _xml(root: str, item: str, rows: Sequence[dict[str, Any]]) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<{root}>"]
    for row in rows:
        inner = "".join(
            f"<{k}>{escape(str(v))}</{k}>" if v is not None else f"<{k}/>" for k, v in row.items()
        )
        lines.append(f"<{item}>{inner}</{item}>")
    return "".join([*lines, f"</{root}>"])


def answer(
    form: str, root: str, item: str, rows: Sequence[dict[str, Any]], status: int = 200
) -> Response:
    """Return rows as the ending asks: json or xml."""
    if form == "xml":
        return Response(_xml(root, item, rows), status, media_type="application/xml")
    raw = json.dumps(rows, ensure_ascii=False, default=str)
    return Response(raw, status, media_type="application/json")


def _refused(form: str, error: TwinError) -> Response:
    rows = [{"code": error.status, "description": error.detail}]
    return answer(form, "errors", "error", rows, error.status)


def _check(form: str) -> None:
    if form not in ("json", "xml"):
        raise BadRequest("End the address with .json or .xml.")


@router.get("/discovery.{form}")
def discovery(form: str) -> Response:
    """Describe this endpoint."""
    _check(form)
    url = f"{settings().public_url}/open311/v2"
    said = {
        "changeset": "2026-11-20T00:00:00+08:00",
        "contact": "上海市绿化和市容管理局",
        "endpoints": [
            {
                "specification": "http://wiki.open311.org/GeoReport_v2",
                "url": url,
                "changeset": "2026-11-20T00:00:00+08:00",
                "type": "production",
                "formats": ["application/json", "text/xml"],
            }
        ],
    }
    if form == "json":
        return Response(json.dumps(said, ensure_ascii=False), media_type="application/json")
    flat = {k: v for k, v in said["endpoints"][0].items() if k != "formats"}  # type: ignore[attr-defined]
    return Response(_xml("discovery", "endpoint", [flat]), media_type="application/xml")


@router.get("/services.{form}")
def services(form: str) -> Response:
    """List the services."""
    _check(form)
    with db.engine("app").connect() as conn:
        return answer(form, "services", "service", service.services(conn))


@router.get("/services/{service_code}.{form}")
def service_definition(service_code: str, form: str) -> Response:
    """Show what may be told besides of a service."""
    _check(form)
    try:
        with db.engine("app").connect() as conn:
            said = service.definition(conn, service_code)
    except TwinError as why:
        return _refused(form, why)
    if form == "json":
        return Response(json.dumps(said, ensure_ascii=False), media_type="application/json")
    inner = "".join(_attribute(one) for one in said["attributes"])
    raw = (
        '<?xml version="1.0" encoding="utf-8"?><service_definition>'
        f"<service_code>{escape(service_code)}</service_code><attributes>{inner}</attributes>"
        "</service_definition>"
    )
    return Response(raw, media_type="application/xml")


def _attribute(one: dict[str, Any]) -> str:
    plain = "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in one.items() if k != "values")
    values = "".join(
        f"<value><key>{escape(v['key'])}</key><name>{escape(v['name'])}</name></value>"
        for v in one["values"] or ()
    )
    return f"<attribute>{plain}<values>{values}</values></attribute>"


@router.post("/requests.{form}")
async def submit(
    form: str,
    request: Request,
    once: Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)] = None,
) -> Response:
    """Take a citizen's report."""
    _check(form)
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            return _refused(form, TooMany(f"A report has at most {MAX_BODY // 1024} KiB."))
    try:
        _reports.take(address(request))
        fields = _fields(bytes(raw), request.headers.get("content-type", ""))
        done = await run_in_threadpool(_store, fields, once)
    except TwinError as why:
        return _refused(form, why)
    return answer(form, "service_requests", "request", [done], 201)


def _store(fields: dict[str, str], once: str | None) -> dict[str, Any]:
    with db.engine("app").begin() as conn:
        return service.submit(conn, fields, once)


def _fields(raw: bytes, content_type: str) -> dict[str, str]:
    try:
        if content_type.startswith("application/json"):
            said = json.loads(raw)
            if not isinstance(said, dict):
                raise BadRequest("A report is one JSON object of fields.")
            return {str(k): str(v) for k, v in said.items() if v is not None}
        return dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=64))
    except (ValueError, UnicodeDecodeError) as why:
        raise BadRequest("The report is not readable as UTF-8 form fields or JSON.") from why


@router.get("/requests.{form}")
def requests(
    form: str,
    service_request_id: Annotated[str | None, Query(max_length=2000)] = None,
    service_code: Annotated[str | None, Query(max_length=48)] = None,
    status: Annotated[str | None, Query(max_length=16)] = None,
    start_date: Annotated[str | None, Query(max_length=64)] = None,
    end_date: Annotated[str | None, Query(max_length=64)] = None,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 1000,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """List citizens' requests."""
    _check(form)
    ids = service_request_id.split(",")[:100] if service_request_id else None
    with db.engine("app").connect() as conn:
        rows = service.requests(
            conn,
            ids=ids,
            service_code=service_code,
            status=status,
            start=moment(start_date),
            end=moment(end_date),
            limit=page_size,
            page=page,
        )
    return answer(form, "service_requests", "request", rows)


@router.get("/requests/{code}.{form}")
def request_one(code: str, form: str) -> Response:
    """Show what became of one request."""
    _check(form)
    try:
        with db.engine("app").connect() as conn:
            return answer(form, "service_requests", "request", service.request(conn, code))
    except TwinError as why:
        return _refused(form, why)


@router.get("/servicerequestupdates/{code}.{form}")
def updates(code: str, form: str) -> Response:
    """Show the steps of one request."""
    _check(form)
    try:
        with db.engine("app").connect() as conn:
            rows = service.updates(conn, code)
    except TwinError as why:
        return _refused(form, why)
    return answer(form, "service_request_updates", "request_update", rows)


@partners.get("/partners")
def partners_listed(person: Person) -> list[dict[str, Any]]:
    """List the partners that get events from us, and how they stand."""
    with db.engine("app").connect() as conn:
        return handing.listed(conn)


class NewPartner(BaseModel):
    """A declared partner's endpoint, and the key that it gave us."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
    url: Annotated[str, Field(min_length=8, max_length=400)]
    key: Annotated[str, Field(max_length=400)] = ""


class NewKey(BaseModel):
    """The key that a partner gave us instead of the old one."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=400)]


PartnerName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]


@partners.post("/partners", status_code=201)
def partner_added(said: NewPartner, person: Person) -> dict[str, Any]:
    """Begin to hand events on to a declared partner, or change where it is reached."""
    handing.add(said.name, said.url, said.key, actor=person.user)
    return {"name": said.name}


@partners.post("/partners/{name}/key", status_code=204)
def partner_key(name: PartnerName, said: NewKey, person: Person) -> None:
    """Change the key that a partner gave us."""
    handing.rekey(name, said.key, actor=person.user)


@partners.delete("/partners/{name}", status_code=204)
def partner_stopped(name: PartnerName, person: Person) -> None:
    """Hand nothing more on to a partner; what was handed on stays."""
    if not handing.stop(name, actor=person.user):
        raise NotFound(f"There is no partner {name} that runs.")
