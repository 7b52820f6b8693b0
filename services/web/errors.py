"""Errors become problem+json (RFC 9457): one sentence, a stable code, never a traceback."""

from __future__ import annotations

import json
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from psycopg import Error as DatabaseError
from psycopg import OperationalError as DatabaseAway
from psycopg.errors import DataError, QueryCanceled, UndefinedColumn, UndefinedTable
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException

from twin import catalogue
from twin.errors import TwinError

log = structlog.get_logger("web")
TITLES = {400: "Bad request", 401: "Log-in needed", 403: "Not allowed", 404: "Not found",
          405: "Method not allowed", 406: "Not given in this format", 409: "Conflict",
          412: "Changed meanwhile", 413: "Too large", 415: "Not read in this format",
          422: "Not usable", 428: "Version needed",
          429: "Too many requests", 500: "Internal error", 503: "Not available"}  # fmt: skip


def problem(status: int, code: str, detail: str, extra: dict[str, Any] | None = None) -> Response:
    """Return a problem+json answer."""
    body = {
        "type": f"urn:lvrong:error:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
    } | {k: v for k, v in (extra or {}).items() if k not in ("type", "title", "status", "code")}
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(body.get("retry_after", 5))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="twin"'
    raw = json.dumps(body, ensure_ascii=False, default=str).encode()
    return Response(raw, status, headers, media_type="application/problem+json")


def answer(error: TwinError) -> Response:
    """Return the answer of an error."""
    return problem(error.status, error.code, error.detail, error.extra)


async def _twin_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TwinError)
    return answer(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    return problem(error.status_code, codes.get(error.status_code, "http_error"), str(error.detail))


async def _validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"] if p not in ("body", "query", "path"))
    detail = f"{where or 'request'}: {first['msg']}"
    return problem(400, "bad_request", detail, {"parameter": where})


async def database(request: Request, error: Exception) -> Response:
    """Answer for errors of the database, raised through SQLAlchemy or by the driver itself."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(said, UndefinedColumn | UndefinedTable):
        # A kind has just changed under this request: the next one reads it as it is now.
        catalogue.forget()
        return problem(503, "unavailable", "This kind is just being changed; try again at once.")
    if isinstance(said, QueryCanceled):
        return problem(503, "too_slow", "This takes too long; ask for a smaller area or for less.")
    if isinstance(said, DataError):
        return problem(400, "bad_request", "A value of the request is beyond what numbers hold.")
    log.error("database", path=request.url.path, why=(str(said).splitlines() or [""])[0])
    if isinstance(error, OperationalError) or isinstance(said, DatabaseAway):
        detail = "The database is not reachable at the moment; try again in a few seconds."
        return problem(503, "unavailable", detail)
    return problem(500, "error", "Something went wrong here; the log has the details.")


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected", path=request.url.path, exc_info=error)
    return problem(500, "error", "Something went wrong here; the log has the details.")


def install(app: FastAPI) -> None:
    """Give the application these answers."""
    app.add_exception_handler(TwinError, _twin_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DBAPIError, database)
    app.add_exception_handler(DatabaseError, database)
    app.add_exception_handler(Exception, _unexpected)
