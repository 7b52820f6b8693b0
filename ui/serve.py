"""Runs the API process: uvicorn, with head and body of an answer in one packet.

uvicorn writes an answer in two calls to the system, and each wakes the client: a tenth of what a small
tile costs. Here the head waits until the body follows in the same turn of the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class Http(HttpToolsProtocol):
    """uvicorn's HTTP over a transport that writes answers whole."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(Together(transport))  # type: ignore[arg-type]

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
