"""HTTP doors of one's own session, password and second factor, and /api/v1/config."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import Connection, text

from services.identity.schemas import Login, NewPassword, Proof, TotpCode
from services.web import auth
from services.web.limits import Rate, address
from twin import basemaps, db, external, identity, passwords, sessions
from twin.errors import Forbidden, TwinError, Unauthorized
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(prefix="/api/v1", tags=["identity"])
VERSION = "0.1.0"
# Shared offices sit behind one address: generous, yet too slow for guessing.
_attempts = Rate(per_minute=60, burst=30)
SessionId = Annotated[str, Path(max_length=64)]


def _said(conn: Connection, row: Any) -> dict[str, Any]:
    actor = identity.actor_of(conn, row)
    where = None
    if row.organisation:
        where = conn.execute(
            text("select code, type, name from twin.organisation where code = :c"),
            {"c": row.organisation},
        ).mappings().first()  # fmt: skip
    return {
        "user": row.user,
        "name": row.name,
        "roles": row.roles,
        "role_titles": [identity.roles().get(r, {}).get("title") for r in row.roles],
        "acts": sorted(actor.acts),
        "districts": list(actor.districts) if actor.districts is not None else None,
        "streets": list(actor.streets) if actor.streets is not None else None,
        "area": actor.area is not None,
        "organisation": dict(where) if where else None,
        "crew": row.crew,
        "second_factor": row.totp_confirmed,
        "recovery_left": len(row.recovery),
        "first": actor.wants,
        "password_until": row.password_at + passwords.RENEW_AFTER if row.password else None,
    }


@router.post("/session")
def log_in(login: Login, request: Request, response: Response) -> dict[str, Any]:
    """Open a session; the token is an HttpOnly cookie."""
    if request.headers.get("origin") and not auth.same_origin(request):
        raise Forbidden("Log in from our own page.")
    _attempts.take(address(request))
    refused: TwinError | None = None
    with db.engine("app").begin() as conn:
        try:
            token, _ = identity.log_in(
                conn, login.user, login.password, address(request), code=login.code,
                agent=request.headers.get("user-agent"),
            )  # fmt: skip
            row = identity.session(conn, token)
            said = _said(conn, row)
        except Unauthorized as why:
            # The failed attempt itself must be committed before it is told.
            refused = why
    if refused:
        raise refused
    auth.set_cookie(response, token)
    return said


def _row(conn: Connection, request: Request) -> Any:
    token, _ = auth.token_of(request)
    row = identity.session(conn, token or "")
    if row is None:
        raise Unauthorized()
    return row


@router.get("/session")
def who(request: Request, person: auth.Person) -> dict[str, Any]:
    """Tell who is logged in."""
    with db.engine("app").begin() as conn:
        row = _row(conn, request)
        said = _said(conn, row)
    return said | {"expires_at": row.expires_at, "idle_s": auth.idle_for(row)}


@router.delete("/session", status_code=204)
def log_out(request: Request, response: Response, person: auth.Person) -> None:
    """End the session."""
    token, _ = auth.token_of(request)
    with db.engine("app").begin() as conn:
        identity.close_session(conn, token or "")
    auth.forget(token or "")
    auth.drop_cookie(response)


@router.get("/sessions")
def mine(person: auth.Person) -> dict[str, Any]:
    """Return one's own sessions and tokens, and which of them this is."""
    with db.engine("app").connect() as conn:
        found = sessions.of_user(conn, person.user)
    return {"sessions": [one | {"this": one["id"] == person.session} for one in found]}


@router.delete("/sessions", status_code=204)
def end_others(person: auth.Person) -> None:
    """End all one's other sessions and tokens."""
    with db.engine("app").begin() as conn:
        sessions.end_all(conn, person.user, person.user, but=person.session)
    auth.forget_user(person.user)


@router.delete("/sessions/{session_id}", status_code=204)
def end_one(session_id: SessionId, person: auth.Person) -> None:
    """End one of one's own sessions or tokens."""
    with db.engine("app").begin() as conn:
        sessions.end(conn, person.user, session_id, person.user)
    auth.forget_user(person.user)


@router.post("/session/password")
def change_password(
    said: NewPassword, request: Request, response: Response, person: auth.Person
) -> dict[str, Any]:
    """Change one's own password; every other session ends, this one gets a new token."""
    _attempts.take(address(request))
    with db.engine("app").begin() as conn:
        row = identity.one(conn, person.user)
        if not passwords.matches(row.password, said.old):
            raise Forbidden("The old password is wrong.", reason="old")
        identity.set_password(conn, person.user, said.new, person.user)
        token = identity.open_session(
            conn, person.user, identity.SESSION_FOR, bearer=False, address=address(request),
            agent=request.headers.get("user-agent"),
        )  # fmt: skip
        answer = _said(conn, identity.session(conn, token))
    auth.forget_user(person.user)
    auth.set_cookie(response, token)
    return answer


@router.post("/session/step-up")
def step_up(said: Proof, request: Request, person: auth.Person) -> dict[str, Any]:
    """Prove anew who one is, for acts that ask for it."""
    _attempts.take(address(request))
    refused: TwinError | None = None
    until = None
    with db.engine("app").begin() as conn:
        try:
            until = identity.step_up(conn, person, said.proof, address(request))
        except Unauthorized as why:
            refused = Forbidden(why.detail, **why.extra)
    if refused:
        raise refused
    auth.forget_user(person.user)
    return {"until": until}


@router.post("/session/totp")
def begin_totp(person: auth.Person) -> dict[str, Any]:
    """Begin to set up the second factor: a secret, and a picture of it for the app."""
    with db.engine("app").begin() as conn:
        secret, where = identity.begin_totp(conn, person.user)
    picture = segno.make(where, error="m").svg_inline(omitsize=True, dark="#000", light="#fff")
    return {"secret": secret, "address": where, "picture": picture}


@router.put("/session/totp")
def confirm_totp(said: TotpCode, request: Request, person: auth.Person) -> dict[str, Any]:
    """Switch the second factor on by a code of it; the recovery codes are shown this once."""
    _attempts.take(address(request))
    with db.engine("app").begin() as conn:
        codes = identity.confirm_totp(conn, person.user, said.code)
    auth.forget_user(person.user)
    return {"recovery": codes}


@router.delete("/session/totp", status_code=204)
def remove_totp(person: auth.Person) -> None:
    """Take one's own second factor away."""
    with db.engine("app").begin() as conn:
        identity.remove_totp(conn, person.user, person.user)
    auth.forget_user(person.user)


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
        "single_sign_on": {"title": external.mapping()["title"]} if said.oidc_issuer else None,
        "lang": said.lang,
        "bounds": list(CITY_BOUNDS),
        "center": [121.4737, 31.2304],
        "zoom": 12.4,
        "basemaps": basemaps.offered(),
        "version": VERSION,
        "time": datetime.now(UTC),
    }
