"""HTTP doors of single sign-on (OpenID Connect): out to the other house, and back."""

from __future__ import annotations

import hmac
import re
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.identity import oidc
from services.web import auth
from services.web.limits import Rate, address
from twin import db, external, journal
from twin.errors import NotFound, TwinError, Unauthorized
from twin.settings import settings

log = structlog.get_logger("sign_in")
router = APIRouter(prefix="/api/v1/sign-in", tags=["identity"])
_NEXT = re.compile(r"/[a-z][A-Za-z0-9/_.-]*")
_tries = Rate(per_minute=60, burst=30)


def _cookie() -> str:
    return "__Host-twin_sign_in" if auth.by_tls() else "twin_sign_in"


@router.get("")
def leave(request: Request, next: Annotated[str, Query(max_length=200)] = "/wall") -> Response:
    """Send the browser to the other house, with a state that only this browser knows."""
    if settings().oidc_issuer is None:
        raise NotFound("Single sign-on is not set up here.")
    _tries.take(address(request))
    with db.engine("app").begin() as conn:
        begun = external.begin(conn, next if _NEXT.fullmatch(next) else "/wall")
    try:
        answer = RedirectResponse(oidc.way(begun), 303)
    except TwinError as why:
        return _sorry(why)
    answer.set_cookie(
        _cookie(), begun.state, max_age=600, httponly=True, samesite="lax",
        secure=auth.by_tls(), path="/",
    )  # fmt: skip
    return answer


@router.get("/return")
def come_back(
    request: Request,
    code: Annotated[str | None, Query(max_length=4000)] = None,
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Take the code, prove who it is, and open the session."""
    if settings().oidc_issuer is None:
        raise NotFound("Single sign-on is not set up here.")
    _tries.take(address(request))
    try:
        return _enter(request, code, state)
    except TwinError as why:
        with db.engine("app").begin() as conn:
            note = {"address": address(request), "single_sign_on": True, **why.extra}
            journal.append(
                conn, cls="security", action="login.refused", actor="-", note=note, level=3
            )
        return _sorry(why)


def _enter(request: Request, code: str | None, state: str) -> Response:
    mine = request.cookies.get(_cookie(), "")
    if not state or not hmac.compare_digest(mine.encode(), state.encode()):
        raise Unauthorized("This sign-in began in another browser.", reason="browser")
    with db.engine("app").begin() as conn:
        row = external.take(conn, state)
    if not code:
        raise Unauthorized("The other house let nobody in.", reason="declined")
    claims = oidc.claims(code, row)
    with db.engine("app").begin() as conn:
        token, user = external.enter(
            conn, claims, address(request), request.headers.get("user-agent")
        )
    auth.forget_user(user)
    answer = RedirectResponse(row.next, 303)
    auth.set_cookie(answer, token)
    answer.delete_cookie(_cookie(), path="/", secure=auth.by_tls(), httponly=True, samesite="lax")
    return answer


def _sorry(why: TwinError) -> Response:
    reason = str(why.extra.get("reason", why.code))
    log.warning("single sign-on refused", reason=reason)
    return RedirectResponse(f"/login?sso={reason}", 303)
