"""Who calls: session cookie or bearer token → actor; same origin for changes by cookie."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from twin import db, identity
from twin.errors import Forbidden, Unauthorized
from twin.scope import ANONYMOUS, Actor

COOKIE = "twin_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# A map asks for dozens of tiles at once: remember a session for two seconds.
_REMEMBER_S = 2.0
_seen: dict[str, tuple[float, Actor]] = {}
_COOKIE_IS = COOKIE.encode() + b"="


def token_of(request: HTTPConnection) -> tuple[str | None, bool]:
    """Return the caller's token, and whether it came as a cookie."""
    said = request.headers.get("authorization", "")
    if said.lower().startswith("bearer "):
        return said[7:].strip(), False
    return request.cookies.get(COOKIE), True


def forget(token: str) -> None:
    """Drop a token from the short memory (log-out)."""
    _seen.pop(token, None)


def actor_for(token: str | None) -> Actor | None:
    """Return the actor of a token, or None when it is unknown or has ended."""
    if not token or len(token) > 256:
        return None
    known = _seen.get(token)
    now = time.monotonic()
    if known and known[0] > now:
        return known[1]
    with db.engine("app").begin() as conn:
        row = identity.session(conn, token)
    if row is None:
        _seen.pop(token, None)
        return None
    actor = identity.actor_of(row)
    if len(_seen) > 5000:
        _seen.clear()
    _seen[token] = (now + _REMEMBER_S, actor)
    return actor


def quick(request: HTTPConnection) -> Actor | None:
    """Return the caller of a read from memory: no thread, no database; None asks for more."""
    return remembered(request.scope)


def remembered(scope: MutableMapping[str, Any]) -> Actor | None:
    """Return what `quick` does, for a bare ASGI scope."""
    known: Actor | None = scope.get("twin.actor")
    if known is not None or scope.get("method", "GET") not in SAFE:
        return known
    cookie = said = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            said = value
        elif name == b"cookie":
            cookie = value
    if said[:7].lower() == b"bearer ":
        token = said[7:].strip().decode("latin-1")
    elif (start := cookie.find(_COOKIE_IS)) < 0:
        return ANONYMOUS
    else:
        token = cookie[start + len(_COOKIE_IS) :].partition(b";")[0].strip().decode("latin-1")
    kept = _seen.get(token)
    return kept[1] if kept and kept[0] > time.monotonic() else None


async def caller(request: HTTPConnection) -> Actor:
    """Return the caller, without a thread where memory knows them."""
    known = quick(request)
    return known if known is not None else await run_in_threadpool(current_actor, request)


def same_origin(request: HTTPConnection) -> bool:
    """Tell whether the Origin header names this very host."""
    origin = request.headers.get("origin")
    return bool(origin) and urlsplit(str(origin)).netloc == request.headers.get("host")


def current_actor(request: HTTPConnection) -> Actor:
    """Return the caller; without credentials the anonymous actor."""
    token, by_cookie = token_of(request)
    if token is None:
        return ANONYMOUS
    actor = actor_for(token)
    if actor is None:
        if by_cookie:
            return ANONYMOUS
        raise Unauthorized("This token is unknown or has expired; ask for a new one.")
    method = request.scope.get("method", "GET")
    if by_cookie and method not in SAFE and not same_origin(request):
        raise Forbidden("This change did not come from our own page (Origin does not match).")
    return actor


async def logged_in(request: HTTPConnection) -> Actor:
    """Return the caller; Unauthorized without credentials."""
    actor = await caller(request)
    if actor.anonymous:
        raise Unauthorized()
    return actor


Caller = Annotated[Actor, Depends(caller)]
Person = Annotated[Actor, Depends(logged_in)]
