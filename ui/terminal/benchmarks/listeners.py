"""Many WebSocket clients in one process: count what comes; a few look into the frames.

It has no `run`: started with JSON on standard input, it answers on standard output.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from typing import Any

import uvloop

PROBES = 20
# Where the heading of the first record stands in a frame: header, then num, dlon, dlat.
HEADING_AT = 32 + 12


class Listener(asyncio.Protocol):
    """One client of /live that subscribes to positions."""

    def __init__(self, said: dict[str, Any], *, probe: bool) -> None:
        """Probes note when they first see each second."""
        self.said, self.probe = said, probe
        self.held = bytearray()
        self.open = False
        self.bytes = 0
        self.seen: dict[int, float] = {}

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{self.said['port']}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: {self.said['token']}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Cut what arrives into frames."""
        self.bytes += len(data)
        self.held += data
        if not self.open:
            end = self.held.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self.held.startswith(b"HTTP/1.1 101"), bytes(self.held[:200])
            del self.held[: end + 4]
            self.open = True
            self._send(json.dumps({"subscribe": {"layers": ["positions"]}}).encode())
        while len(self.held) >= 2:
            length, start = self.held[1] & 127, 2
            if length == 126:
                if len(self.held) < 4:
                    return
                length, start = struct.unpack_from("!H", self.held, 2)[0], 4
            elif length == 127:
                if len(self.held) < 10:
                    return
                length, start = struct.unpack_from("!Q", self.held, 2)[0], 10
            if len(self.held) < start + length:
                return
            self._take(self.held[0] & 15, start, length)
            del self.held[: start + length]

    def _take(self, opcode: int, start: int, length: int) -> None:
        if opcode == 9:
            self._send(bytes(self.held[start : start + length]), 10)
        elif opcode == 2 and self.probe and length >= HEADING_AT + 4:
            tick = struct.unpack_from("<H", self.held, start + HEADING_AT)[0]
            self.seen.setdefault(tick, time.time())

    def _send(self, payload: bytes, opcode: int = 1) -> None:
        """Send a short masked frame; a mask of zeros is a mask."""
        assert len(payload) < 126
        self.transport.write(bytes((128 | opcode, 128 | len(payload), 0, 0, 0, 0)) + payload)


async def _main(said: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    listeners = []
    for i in range(said["clients"]):
        _, one = await loop.create_connection(
            lambda i=i: Listener(said, probe=i < PROBES),  # type: ignore[misc]
            "127.0.0.1",
            said["port"],
        )
        listeners.append(one)
    began, before = time.monotonic(), sum(one.bytes for one in listeners)
    await asyncio.sleep(said["seconds"])
    seconds = time.monotonic() - began
    return {
        "seconds": seconds,
        "bytes": sum(one.bytes for one in listeners) - before,
        # The first seconds are of the settling: each probe's later ones count.
        "seen": [dict(list(one.seen.items())[5:]) for one in listeners[:PROBES]],
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(json.load(sys.stdin)))))
