"""The load generator: GETs over kept connections, read from JSON on standard input.

It has no `run` and is started as a process of its own, so that its CPU is nobody else's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import uvloop


class Client(asyncio.Protocol):
    """One connection: asks the next path as soon as an answer is whole."""

    def __init__(self, load: Load, done: asyncio.Future[None]) -> None:
        """Take requests from a shared load until there are none."""
        self.load, self.done = load, done
        self.held = bytearray()
        self.need = -1
        self.sent = 0.0

    def connection_made(self, transport: Any) -> None:
        """Ask the first path."""
        self.transport = transport
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up: the load ends here, which the count of answers shows."""
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        request = next(self.load.requests, None)
        if request is None:
            self.transport.close()
            return
        self.held.clear()
        self.need = -1
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Gather an answer: by its length, or until the last chunk."""
        self.held += data
        if self.need < 0:
            end = self.held.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.held[:end]).lower()
            self.status = int(head[9:12])
            at = head.find(b"content-length:")
            chunked = b"transfer-encoding: chunked" in head
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.need = sys.maxsize if chunked else end + 4 + length
        if len(self.held) >= self.need or (
            self.need == sys.maxsize and self.held.endswith(b"0\r\n\r\n")
        ):
            load = self.load
            load.latencies.append(round((time.perf_counter() - self.sent) * 1000, 4))
            load.statuses[self.status] += 1
            load.bytes += len(self.held)
            if load.pause_s:
                asyncio.get_running_loop().call_later(load.pause_s, self._ask)
            else:
                self._ask()


class Load:
    """The requests that are left, and what came of those that are done."""

    def __init__(self, said: dict[str, Any]) -> None:
        """Write each request once."""
        lines = "".join(f"{k}: {v}\r\n" for k, v in said["headers"].items())
        raw = [
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{said['port']}\r\n{lines}\r\n".encode()
            for path in said["paths"]
        ]
        self.requests: Iterator[bytes] = chain.from_iterable(repeat(raw, said["rounds"]))
        self.pause_s = float(said.get("pause_s", 0))
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.bytes = 0


async def _main(said: dict[str, Any]) -> dict[str, Any]:
    load = Load(said)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    ends: list[asyncio.Future[None]] = []
    for _ in range(said["clients"]):
        done: asyncio.Future[None] = loop.create_future()
        ends.append(done)
        await loop.create_connection(
            lambda done=done: Client(load, done),  # type: ignore[misc]
            "127.0.0.1",
            said["port"],
        )
    await asyncio.gather(*ends)
    return {
        "seconds": time.perf_counter() - began,
        "latencies": load.latencies,
        "statuses": load.statuses,
        "bytes": load.bytes,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(json.load(sys.stdin)))))
