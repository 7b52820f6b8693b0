"""The one place where `data/access.yaml` is enforced: before any door, for every request."""

from __future__ import annotations

import time
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.web import audit, auth
from services.web.errors import answer, problem
from twin import access
from twin.errors import Forbidden, NotFound, TwinError
from twin.scope import Actor

log = structlog.get_logger("access")
POLICY = 1008


class Access:
    """Asks the table for each request; a path without a line is closed."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app
        self.table = access.table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when the table lets it through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["type"] == "http" else "WS"
        rule = self.table.find(method, scope["path"])
        if rule is None:
            await self._unknown(scope, receive, send)
            return
        if not rule.open:
            try:
                actor = await _caller(scope)
                scope["twin.actor"] = actor
                rule.check(actor, time.time())
            except TwinError as why:
                await _refuse(why, rule, scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY, "reason": "no such door"})
            return
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        if scope["method"] in auth.SAFE and self.table.find(scope["method"], other):
            # The router sends the caller to the path as it is written in the table.
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and self.table.known(path):
            await Response(status_code=204, headers={"Allow": self.table.methods(path)})(
                scope, receive, send
            )
        elif self.table.known(path):
            said = problem(405, "method_not_allowed", f"{scope['method']} is not possible here.")
            await said(scope, receive, send)
        else:
            await answer(NotFound("There is no such page."))(scope, receive, send)


async def _caller(scope: Scope) -> Actor:
    known = auth.remembered(scope)
    if known is not None:
        return known
    return await run_in_threadpool(auth.current_actor, HTTPConnection(scope))


async def _refuse(
    why: TwinError, rule: access.Rule, scope: Scope, receive: Receive, send: Send
) -> None:
    actor: Actor | None = scope.get("twin.actor")
    if isinstance(why, Forbidden) and actor is not None:
        await run_in_threadpool(audit.refused, actor, f"{rule.method} {rule.template}", why.code)
    if scope["type"] == "websocket":
        closed: dict[str, Any] = {
            "type": "websocket.close",
            "code": POLICY,
            "reason": "log in first",
        }
        await send(closed)
        return
    await answer(why)(scope, receive, send)
