"""HTTP door of log-in: /api/v1/session and /api/v1/config."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from services.web import auth
from services.web.limits import Rate, address
from twin import db, identity
from twin.errors import Forbidden, Unauthorized
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(prefix="/api/v1", tags=["identity"])
VERSION = "0.1.0"
# Shared offices sit behind one address: generous, yet too slow for guessing.
_attempts = Rate(per_minute=60, burst=30)


class Login(BaseModel):
    """User name and password."""

    user: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


def _said(row: Any) -> dict[str, Any]:
    return {
        "user": row.user,
        "name": row.name,
        "roles": row.roles,
        "role_titles": [identity.roles().get(r, {}).get("title") for r in row.roles],
        "acts": sorted(identity.actor_of(row).acts),
        "districts": row.districts,
        "crew": row.crew,
    }


@router.post("/session")
def log_in(login: Login, request: Request, response: Response) -> dict[str, Any]:
    """Open a session; the token is an HttpOnly cookie."""
    if request.headers.get("origin") and not auth.same_origin(request):
        raise Forbidden("Log in from our own page.")
    _attempts.take(address(request))
    refused: Unauthorized | None = None
    with db.engine("app").begin() as conn:
        try:
            token, row = identity.log_in(conn, login.user, login.password, address(request))
        except Unauthorized as why:
            # The failed attempt itself must be committed before it is told.
            refused = why
    if refused:
        raise refused
    secure = settings().public_url.startswith("https")
    response.set_cookie(
        auth.COOKIE, token, httponly=True, samesite="lax", secure=secure, path="/",
        max_age=int(identity.SESSION_FOR.total_seconds()),
    )  # fmt: skip
    return _said(row)


@router.get("/session")
def who(request: Request, person: auth.Person) -> dict[str, Any]:
    """Tell who is logged in."""
    token, _ = auth.token_of(request)
    with db.engine("app").begin() as conn:
        row = identity.session(conn, token or "")
    if row is None:
        raise Unauthorized()
    return _said(row) | {"expires_at": row.expires_at}


@router.delete("/session", status_code=204)
def log_out(request: Request, response: Response, person: auth.Person) -> None:
    """End the session."""
    token, _ = auth.token_of(request)
    with db.engine("app").begin() as conn:
        identity.close_session(conn, token or "")
    auth.forget(token or "")
    response.delete_cookie(auth.COOKIE, path="/")


@router.get("/config")
def config() -> dict[str, Any]:
    """What a page needs before anybody has logged in."""
    said = settings()
    with db.engine("app").connect() as conn:
        made = conn.execute(
            text("select exists (select 1 from base.district where source = 'demo')")
        ).scalar_one()
    note = {
        "zh": "演示数据为程序生成，不作任何决策依据",
        "en": "Generated demo data, no basis for any decision",
    }
    return {
        "product": {"zh": "绿容孪生", "en": "Lvrong Twin"},
        "demo": said.demo != "none",
        "generated": note if made else None,
        "insecure": said.insecure,
        "lang": said.lang,
        "bounds": list(CITY_BOUNDS),
        "center": [121.4737, 31.2304],
        "zoom": 12.4,
        "version": VERSION,
        "time": datetime.now(UTC),
    }
