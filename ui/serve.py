"""Runs the API process: uvicorn, with head and body of an answer in one packet.

uvicorn writes an answer in two calls to the system, and each wakes the client: a tenth of what a small
tile costs. Here the head waits until the body follows in the same turn of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from functools import cache, partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ingest.doors.http import PREFIX, HttpDoor, Refusal, refused
from twin import memory

# A larger body is not copied to stand behind its head.
JOINED = 65_536
GRACE_S = 3


class Together:
    """A transport that keeps the head of an answer for the body; all else passes through."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap a connection's transport."""
        self.bare = transport
        self.is_closing = transport.is_closing
        self._head: bytes | None = None
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)

    def write(self, data: bytes) -> None:
        """Write; a head waits for what follows, at the longest until this turn of the loop ends."""
        if self._head is not None:
            head, self._head = self._head, None
            if len(data) <= JOINED:
                self.bare.write(head + data)
                return
            self.bare.write(head)
            self.bare.write(data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self.bare.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self.bare.close()

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self.bare.write(head)


@cache
def _door() -> HttpDoor:
    door: HttpDoor = importlib.import_module("ui.server").app
    return door


class Http(HttpToolsProtocol):
    """uvicorn's HTTP over a transport that writes answers whole."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(Together(transport))  # type: ignore[arg-type]

    _held: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request; a device's message is first awaited whole."""
        if not cycle.scope["path"].startswith(PREFIX) or cycle.waiting_for_100_continue:
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle
        else:
            self._short(cycle)

    def on_body(self, body: bytes) -> None:
        """Gather a body; a device's that is too large for the short way goes the long one."""
        super().on_body(body)
        if self._held is not None and len(self._held.body) > HIGH_WATER_LIMIT:
            held, self._held = self._held, None
            super()._start_asgi_task(held, self.app)

    def on_message_complete(self) -> None:
        """Go the short way with a device's message."""
        super().on_message_complete()
        if self._held is not None:
            held, self._held = self._held, None
            self._short(held)

    def _short(self, cycle: RequestResponseCycle) -> None:
        scope = cast(dict[str, Any], cycle.scope)
        if not _door().short(scope, bytes(cycle.body), partial(self._committed, cycle)):
            super()._start_asgi_task(cycle, self.app)

    def _committed(self, cycle: RequestResponseCycle, reason: str | None) -> None:
        """Answer after the commit."""
        if cycle.disconnected or self.transport.is_closing():
            return
        said = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        if not cycle.keep_alive:
            said += b"connection: close\r\n"
        if reason is None:
            answer = b"HTTP/1.1 204 No Content\r\n" + said + b"\r\n"
        else:
            body = refused(Refusal(422, "refused", reason))
            answer = b"HTTP/1.1 422 Unprocessable Content\r\n%scontent-type: application/problem+json\r\n" \
                     b"content-length: %d\r\n\r\n%s" % (said, len(body), body)  # fmt: skip
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        getattr(self.transport, "bare", self.transport).write(answer)
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection itself to WebSocket: its frames are whole already."""
        if isinstance(self.transport, Together):
            self.transport = self.transport.bare
        super().handle_websocket_upgrade()


def main() -> None:
    """Serve `ui.server:app` until the process is told to stop."""
    asked = argparse.ArgumentParser(prog="ui.serve")
    asked.add_argument("--host", default="127.0.0.1")
    asked.add_argument("--port", type=int, required=True)
    asked.add_argument("--ssl-certfile")
    asked.add_argument("--ssl-keyfile")
    said = asked.parse_args()
    importlib.import_module("ui.server")
    memory.settle()
    uvicorn.run(
        "ui.server:app", host=said.host, port=said.port, http=Http, loop="uvloop",
        log_level="warning", access_log=False,
        # Frames of positions do not shrink; to try it for every client would take all the time there is.
        ws_per_message_deflate=False, timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=said.ssl_certfile, ssl_keyfile=said.ssl_keyfile,
    )  # fmt: skip


if __name__ == "__main__":
    main()
