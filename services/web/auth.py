"""Who calls: session cookie, bearer token or partner key → actor; same origin for changes by cookie."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.web import audit
from services.web.meters import Meter, meter
from twin import db, identity, journal, keys, organisations, sessions
from twin.errors import Forbidden, Unauthorized
from twin.scope import ANONYMOUS, Actor
from twin.settings import settings

COOKIE = "twin_session"
# A browser takes a cookie of this name only by TLS, for this very host and the whole of it.
SAFE_COOKIE = f"__Host-{COOKIE}"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A map asks for dozens of tiles at once: remember a caller for two seconds. What ends a session
# sooner comes through the journal (`forget_on`).
_REMEMBER_S = 2.0
_MANY = 5_000
_LONGEST = 256


class Known(NamedTuple):
    """A caller in memory: until when, who, and what counts the calls of a key."""

    until: float
    actor: Actor
    meter: Meter | None = None


_seen: dict[str, Known] = {}


def cookie_name() -> str:
    """Return the name of our cookie: the safe one wherever the pages come by TLS."""
    return SAFE_COOKIE if by_tls() else COOKIE


def by_tls() -> bool:
    """Tell whether browsers reach us by TLS."""
    return settings().public_url.startswith("https://")


def set_cookie(response: Response, token: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(), token, httponly=True, samesite="lax", secure=by_tls(), path="/",
        max_age=int(identity.SESSION_FOR.total_seconds()),
    )  # fmt: skip


def drop_cookie(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(cookie_name(), path="/", secure=by_tls(), httponly=True, samesite="lax")


def token_of(request: HTTPConnection) -> tuple[str | None, bool]:
    """Return the caller's token, and whether it came as a cookie."""
    return _token(request.scope)


def _token(scope: MutableMapping[str, Any]) -> tuple[str | None, bool]:
    cookie = said = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            said = value
        elif name == b"cookie":
            cookie = cookie + b"; " + value if cookie else value
    if said[:7].lower() == b"bearer ":
        return said[7:].strip().decode("latin-1"), False
    wanted = cookie_name().encode() + b"="
    for part in cookie.split(b";") if wanted in cookie else ():
        part = part.strip()
        if part.startswith(wanted):
            return part[len(wanted) :].decode("latin-1"), True
    return None, True


def forget(token: str) -> None:
    """Drop a token from the short memory (log-out)."""
    _seen.pop(token, None)


def forget_user(user: str) -> None:
    """Drop all that is remembered of a person or a key."""
    for token in [t for t, known in list(_seen.items()) if known.actor.user == user]:
        _seen.pop(token, None)


def forget_all() -> None:
    """Drop all callers and places (a grant or the tree has changed)."""
    _seen.clear()
    organisations.forget()


def forget_on(entry: dict[str, Any]) -> None:
    """Follow the journal: what ends a session or changes a grant counts at once in every process."""
    if entry["class"] == "security" and entry["action"] not in journal.HARMLESS:
        if entry["about"] is None:
            forget_all()
        else:
            forget_user(entry["about"])
    elif entry["kind"] == "contract_section":
        forget_all()


def actor_for(token: str | None, address: str = "-") -> Actor | None:
    """Return the actor of a token, or None when it is unknown or has ended."""
    if not token or len(token) > _LONGEST:
        return None
    known = _seen.get(token)
    if known is None or known.until <= time.monotonic():
        known = _key(token, address) if keys.looks_like(token) else _person(token)
        if known is None:
            _seen.pop(token, None)
            return None
        if len(_seen) > _MANY:
            _seen.clear()
        _seen[token] = known
    if known.meter is not None:
        _take(known, address)
    return known.actor


def _person(token: str) -> Known | None:
    with db.engine("app").connect() as conn:
        try:
            row = identity.session(conn, token)
            if row is None:
                return None
            return Known(time.monotonic() + _REMEMBER_S, identity.actor_of(conn, row))
        finally:
            # What was noted must stay, also when the grants turn out to be altered.
            conn.commit()


def _key(token: str, address: str) -> Known:
    with db.engine("app").connect() as conn:
        try:
            row = keys.find(conn, token)
        except Unauthorized as why:
            who = Actor(user=f"key:{why.extra.get('key', '-')}")
            audit.refused(who, f"from {address}", f"key.{why.extra['reason']}")
            raise
    return Known(time.monotonic() + _REMEMBER_S, keys.actor_of(row), meter(row))


def _take(known: Known, address: str) -> None:
    assert known.meter is not None
    try:
        known.meter.take(address)
    except Forbidden:
        audit.refused(known.actor, f"from {address}", "key.address")
        raise


def quick(request: HTTPConnection) -> Actor | None:
    """Return the caller of a read from memory: no thread, no database; None asks for more."""
    return remembered(request.scope)


def remembered(scope: MutableMapping[str, Any]) -> Actor | None:
    """Return what `quick` does, for a bare ASGI scope."""
    actor: Actor | None = scope.get("twin.actor")
    if actor is not None or scope.get("method", "GET") not in SAFE:
        return actor
    token, _ = _token(scope)
    if token is None:
        return ANONYMOUS
    known = _seen.get(token)
    if known is None or known.until <= time.monotonic():
        return None
    if known.meter is not None:
        known.meter.take(_address(scope))
    scope["twin.actor"] = known.actor
    return known.actor


def _address(scope: MutableMapping[str, Any]) -> str:
    client = scope.get("client")
    return client[0] if client else "-"


async def caller(request: HTTPConnection) -> Actor:
    """Return the caller, without a thread where memory knows them."""
    known = remembered(request.scope)
    return known if known is not None else await run_in_threadpool(current_actor, request)


def same_origin(request: HTTPConnection) -> bool:
    """Tell whether the Origin header names this very host."""
    origin = request.headers.get("origin")
    return bool(origin) and urlsplit(str(origin)).netloc == request.headers.get("host")


def current_actor(request: HTTPConnection) -> Actor:
    """Return the caller; without credentials the anonymous actor."""
    actor: Actor | None = request.scope.get("twin.actor")
    if actor is not None:
        return actor
    token, by_cookie = token_of(request)
    if token is None:
        return ANONYMOUS
    actor = actor_for(token, _address(request.scope))
    if actor is None:
        if by_cookie:
            return ANONYMOUS
        raise Unauthorized("This token is unknown or has expired; ask for a new one.")
    method = request.scope.get("method", "GET")
    if by_cookie and method not in SAFE and not same_origin(request):
        raise Forbidden("This change did not come from our own page (Origin does not match).")
    request.scope["twin.actor"] = actor
    return actor


async def logged_in(request: HTTPConnection) -> Actor:
    """Return the caller; Unauthorized without credentials."""
    actor = await caller(request)
    if actor.anonymous:
        raise Unauthorized()
    return actor


def idle_for(row: Any) -> float:
    """Return after how many seconds without a request a session ends; tokens do not idle."""
    return 0.0 if row.bearer else sessions.IDLE_FOR.total_seconds()


Caller = Annotated[Actor, Depends(caller)]
Person = Annotated[Actor, Depends(logged_in)]
