"""The HTTP door of devices: plain ASGI beside the API; 204 means committed in the database."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
import structlog

from ingest.devices import Source
from ingest.doors.gateway import Gateway
from ingest.doors.identity import Login
from ingest.doors.mqtt import UP
from ingest.writer import Rejected, Uplink
from twin import db, devices
from twin.errors import TwinError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PREFIX, REGISTER = "/iot/v1/", "/auth/register/device"
SINGLE_BYTES, BATCH_BYTES = 64 * 1024, 4 * 1024 * 1024
_DONE = {"type": "http.response.start", "status": 204, "headers": []}
_EMPTY = {"type": "http.response.body", "body": b""}
log = structlog.get_logger("doors")
_PROBLEM = [(b"content-type", b"application/problem+json")]


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(detail)


class Waiting:
    """Requests that wait for the commit of what they brought."""

    gone = False

    def committed(self, token: asyncio.Future[str | None], reason: str | None) -> None:
        if not token.done():
            token.set_result(reason)

    def flush(self) -> None:
        """Each request is answered by its own task."""


class _Short:
    """Requests on the short way: each token is called with what became of its message."""

    gone = False

    def committed(self, token: Callable[[str | None], None], reason: str | None) -> None:
        token(reason)

    def flush(self) -> None:
        """Each answer has gone already."""


class HttpDoor:
    """Sends requests of devices to the inbox and all others on to the application behind."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.gateway: Gateway | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._known: dict[tuple[bytes, str], tuple[Source, Source | None]] = {}
        self._waiting, self._shorts = Waiting(), _Short()
        self._opening: asyncio.Lock | None = None

    def __getattr__(self, name: str) -> Any:
        # Whoever looks at the application (tests, the description of its routes) means the one behind.
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith((PREFIX, REGISTER)):
            await self.app(scope, receive, send)
            if scope["type"] == "lifespan":
                await self._close()
            return
        try:
            await (self._register if scope["path"] == REGISTER else self._take)(
                scope, receive, send
            )
        except Refusal as why:
            await _problem(send, why)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self.gateway or await self._open()
        if scope["method"] != "POST":
            raise Refusal(405, "method_not_allowed", "Use POST.")
        parts = scope["path"][len(PREFIX) :].split("/", 2)
        if len(parts) != 3:
            raise Refusal(404, "not_found", "The path is /iot/v1/{product}/{device}/telemetry.")
        channel = "telemetry" if parts[2] == "batch" else parts[2]
        if channel not in UP:
            raise Refusal(404, "not_found", f"The channel is one of {', '.join(UP)} and batch.")
        source = self._who(gateway, scope, parts[0], parts[1])
        if source is None:
            source = await self._ask(gateway, scope, parts[0], parts[1])
        body = await _body(receive, BATCH_BYTES if parts[2] == "batch" else SINGLE_BYTES)
        if gateway.inbox.full or gateway.inbox.away:
            raise Refusal(503, "unavailable", "The database is away; keep it and try again.")
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        port = _port(scope["query_string"])
        said = Uplink(source, channel, body, time.time(), "http", port)
        gateway.inbox.put(said, self._waiting, done)
        reason = await done
        if reason is not None:
            raise Refusal(422, "refused", reason)
        await send(_DONE)
        await send(_EMPTY)

    def short(self, scope: Scope, body: bytes, answer: Callable[[str | None], None]) -> bool:
        """Take a whole message of a device that is known; False where the long way must judge.

        No task and no future: this is how most messages come, and half of what one costs.
        """
        gateway = self.gateway
        parts = scope["path"][len(PREFIX) :].split("/", 2)
        if gateway is None or scope["method"] != "POST" or len(parts) != 3:
            return False
        product, device, channel = parts
        if channel not in UP or gateway.inbox.full or gateway.inbox.away:
            return False
        header = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        held = self._known.get((header, f"{product}/{device}"))
        if held is None or held[1] is not gateway.registry.find(product, device):
            return False
        if scope["query_string"] or len(body) > SINGLE_BYTES:
            return False
        gateway.inbox.put(Uplink(held[0], channel, body, time.time(), "http"), self._shorts, answer)
        return True

    def _who(self, gateway: Gateway, scope: Scope, product: str, device: str) -> Source | None:
        """Return the device of a path if the request shows its secret; remembered until it changes."""
        header = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        path = f"{product}/{device}"
        now = gateway.registry.find(product, device)
        held = self._known.get((header, path))
        if held is not None and held[1] is now:
            return held[0]
        login = _login(header)
        caller = gateway.admit(login) if login else None
        if caller is None:
            return None
        if caller.gateway and now is not None:
            source = now
        elif caller.source is None or caller.name != path:
            self._count(gateway, caller.source, f"{path}/…")
            raise Refusal(403, "forbidden", "A device may only use its own paths.")
        else:
            source = caller.source
        if len(self._known) > 50_000:
            self._known.clear()
        self._known[(header, path)] = (source, now)
        return source

    def _count(self, gateway: Gateway, source: Source | None, path: str) -> None:
        num = source.num if source else 0
        gateway.inbox.put(Rejected(num, "http", path, "not its own topic", b""), None, None)

    async def _ask(self, gateway: Gateway, scope: Scope, product: str, device: str) -> Source:
        """Ask the database, which may know of a change that memory has not heard of yet."""
        if gateway.may_ask((product, device)):
            await asyncio.to_thread(gateway.reread, product, device)
            source = self._who(gateway, scope, product, device)
            if source is not None:
                return source
        gateway.refused += 1
        raise Refusal(401, "unauthorized", "Give the device's name and secret by Basic.")

    async def _register(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dynamic registration as devices of the usual clouds ask for it."""
        if scope["method"] != "POST":
            raise Refusal(405, "method_not_allowed", "Use POST.")
        body = dict(parse_qsl((await _body(receive, 4096)).decode("utf-8", "replace")))
        try:
            claim = devices.Claim(
                body["productKey"], body["deviceName"], body["random"],
                body.get("signMethod", "hmacsha256"), body["sign"],
            )  # fmt: skip
            answer = await asyncio.to_thread(_given, claim)
        except KeyError as why:
            raise Refusal(400, "bad_request", f"{why.args[0]} is missing.") from why
        except TwinError as why:
            raise Refusal(why.status, why.code, why.detail) from why
        said = orjson.dumps({"code": 200, "data": answer, "message": "success"})
        head = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": said})

    async def _open(self) -> Gateway:
        """Start the writer of this process with the first request of a device."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.gateway is None:
                made = Gateway()
                await asyncio.to_thread(made.reread_all)
                loop = asyncio.get_running_loop()
                self._tasks = [loop.create_task(made.inbox.run()), loop.create_task(made.listen())]
                self._tasks[0].add_done_callback(self._ended)
                self.gateway = made
        return self.gateway

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The writer failed: the next request starts another; what waits gets no answer."""
        if not task.cancelled() and task.exception() is not None:
            log.error("the writer failed", why=str(task.exception()))
            self.gateway = None

    async def _close(self) -> None:
        if self.gateway is None:
            return
        self.gateway.inbox.stop()
        await asyncio.wait(self._tasks[:1], timeout=3)
        for task in self._tasks:
            task.cancel()


def _given(claim: devices.Claim) -> dict[str, str]:
    with db.engine("ingest").begin() as conn:
        raw: Any = conn.connection.driver_connection
        return devices.register(raw, claim)


async def _body(receive: Receive, most: int) -> bytes:
    message = await receive()
    if message["type"] != "http.request":
        raise Refusal(400, "bad_request", "The request ended too early.")
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > most:
            raise Refusal(413, "too_large", f"At most {most} bytes.")
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "bad_request", "The request ended too early.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise Refusal(413, "too_large", f"At most {most} bytes.")
    return b"".join(parts)


def _login(header: bytes) -> Login | None:
    kind, _, said = header.partition(b" ")
    if kind.lower() != b"basic":
        return None
    try:
        user, sign, password = base64.b64decode(said, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Login(unquote(user), password, "") if sign else None


def _port(query: bytes) -> int | None:
    """Return the port of a LoRaWAN frame that a network server passes on (`?port=85`)."""
    said = dict(parse_qsl(query.decode("latin-1"))).get("port", "") if query else ""
    return int(said) if said.isdigit() and len(said) <= 3 else None


def refused(why: Refusal) -> bytes:
    """Return the problem document of a refusal."""
    return orjson.dumps({"status": why.status, "code": why.code, "detail": why.detail})


async def _problem(send: Send, why: Refusal) -> None:
    body = refused(why)
    head = list(_PROBLEM)
    if why.status == 401:
        head.append((b"www-authenticate", b'Basic realm="devices"'))
    if why.status == 503:
        head.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": why.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
