"""The fleet of the ingest benchmark: devices that send as fast as they are acknowledged.

It has no `run` and is started as a process of its own, so that its CPU is nobody else's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from ingest.doors.identity import mac
from ingest.doors.packets import PUBLISH, packet, text
from ui.terminal.benchmarks import cost

MOST_NUMBERS = 60_000
BEGAN = time.time() - 3600


def payload(serial: int) -> bytes:
    """Return one record: three values of a bin, none of them past a limit."""
    moment = BEGAN + serial * 1e-3
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    said = f'{{"t":"{whole}.{int(moment % 1 * 1e6):06d}Z","values":{{"level_pct":{serial % 70}'
    return f'{said},"temp_c":{10 + serial % 20}.5,"battery_pct":{60 + serial % 40}}}}}'.encode()


class Speaker(asyncio.Protocol):
    """One device on one connection; `data_received` counts acknowledgements."""

    def __init__(self, said: dict[str, Any], place: int, all_done: asyncio.Event) -> None:
        self.user, self.secret = said["devices"][place]
        self.window, self.count = said["window"], said["each"]
        self.all_done, self.serial = all_done, place * said["each"]
        self.left = said["running"]
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = self.acknowledged = 0
        self.bad = 0
        self.packets: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """Say who this is."""
        self.transport = transport

    def ready(self) -> None:
        """Go."""

    def again(self) -> None:
        """Nothing gets lost on a stream."""

    def finished(self) -> None:
        """Note that this one is done."""
        self.left[0] -= 1
        if not self.left[0]:
            self.all_done.set()


class Mqtt(Speaker):
    """Sends QoS 1 with a window of unacknowledged messages."""

    def connection_made(self, transport: Any) -> None:
        """Connect, and prepare what will be sent."""
        super().connection_made(transport)
        body = text("MQTT") + bytes((4, 0xC2)) + struct.pack(">H", 600)
        body += text("") + text(self.user) + text(self.secret)
        transport.write(packet(1, body))
        topic = text(f"twin/v1/{self.user}/telemetry")
        self.packets = [
            packet(PUBLISH, topic + struct.pack(">H", i % 65_535 + 1) + payload(self.serial + i), 2)
            for i in range(self.count)
        ]

    def data_received(self, data: bytes) -> None:
        """Count four bytes for each acknowledgement."""
        if not self.open.done():
            self.bad += data[3] != 0
            self.open.set_result(None)
            return
        self.acknowledged += len(data) // 4
        self.ready()
        if self.acknowledged >= self.count:
            self.finished()

    def ready(self) -> None:
        """Send up to the window."""
        more = min(self.count - self.sent, self.window - (self.sent - self.acknowledged))
        if more > 0:
            self.transport.write(b"".join(self.packets[self.sent : self.sent + more]))
            self.sent += more


class Http(Speaker):
    """Sends one POST after the other on a kept connection; `batch` records in each."""

    batch = 1

    def connection_made(self, transport: Any) -> None:
        """Prepare what will be sent."""
        import base64

        super().connection_made(transport)
        login = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        where = "telemetry" if self.batch == 1 else "batch"
        for i in range(0, self.count, self.batch):
            body = payload(self.serial + i)
            if self.batch > 1:
                body = (
                    b"[" + b",".join(payload(self.serial + i + k) for k in range(self.batch)) + b"]"
                )
            head = (
                f"POST /iot/v1/{self.user}/{where} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}"
                f"\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            self.packets.append(head.encode() + body)
        self.open.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Every answer is small and whole."""
        self.bad += b" 204 " not in data[:16]
        self.acknowledged += 1
        if self.acknowledged >= len(self.packets):
            self.finished()
        else:
            self.ready()

    def ready(self) -> None:
        """Send the next."""
        self.transport.write(self.packets[self.acknowledged])


class Batched(Http):
    """A thousand records in each request."""

    batch = 1000


class Coap(asyncio.DatagramProtocol):
    """One socket that sends for some devices, a window of datagrams at a time."""

    def __init__(
        self, said: dict[str, Any], mine: list[list[str]], all_done: asyncio.Event
    ) -> None:
        self.window, self.all_done, self.left = said["window"], all_done, said["running"]
        self.packets, self.bad, self.acknowledged, self.sent = [], 0, 0, 0
        serial = 0
        for i in range(said["each"]):
            for user, secret in mine:
                self.packets.append(self._signed(user, secret, i, serial))
                serial += 1
        self.waiting: set[int] = set()

    @staticmethod
    def _signed(user: str, secret: str, count: int, serial: int) -> bytes:
        body = payload(serial)
        said = [
            f"c={count + 1}",
            f"s={mac(secret, user, 'telemetry', count + 1, body, 'hmacsha256')}",
        ]
        raw, option = struct.pack(">BBH", 0x40, 2, serial & 0xFFFF), 0
        for number, value in [*((11, p) for p in ("v1", *user.split("/"), "telemetry")),
                              *((15, q) for q in said)]:  # fmt: skip
            own = value.encode()
            head = bytes([(number - option) << 4 | min(len(own), 13)])
            raw += head + (bytes([len(own) - 13]) if len(own) >= 13 else b"") + own
            option = number
        return raw + b"\xff" + body

    def connection_made(self, transport: Any) -> None:
        """Remember the way out."""
        self.transport = transport

    def ready(self) -> None:
        """Send up to the window; what got lost is sent again."""
        while self.sent < len(self.packets) and len(self.waiting) < self.window:
            self.waiting.add(self.sent & 0xFFFF)
            self.transport.sendto(self.packets[self.sent])
            self.sent += 1

    def again(self) -> None:
        """Send again what has no answer: datagrams get lost."""
        low = max(0, self.sent - 0xFFFF)
        for i in range(low, self.sent):
            if i & 0xFFFF in self.waiting:
                self.transport.sendto(self.packets[i])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Count an answer once."""
        number = data[2] << 8 | data[3]
        if number not in self.waiting:
            return
        self.waiting.discard(number)
        self.bad += data[1] != 0x44
        self.acknowledged += 1
        if self.acknowledged == len(self.packets):
            self.left[0] -= 1
            if not self.left[0]:
                self.all_done.set()
        else:
            self.ready()


async def _streams(said: dict[str, Any], all_done: asyncio.Event) -> list[Speaker]:
    made = {"mqtt": Mqtt, "http": Http, "batched": Batched}[said["door"]]
    loop, speakers = asyncio.get_running_loop(), []
    for place in range(len(said["devices"])):
        _, one = await loop.create_connection(
            lambda place=place: made(said, place, all_done),  # type: ignore[misc]
            "127.0.0.1",
            said["port"],
        )
        speakers.append(one)
    await asyncio.gather(*(one.open for one in speakers))
    return speakers


async def _sockets(said: dict[str, Any], all_done: asyncio.Event) -> list[Coap]:
    """Return sockets; none numbers more messages than a socket may within their life (RFC 7252)."""
    who, made = said["devices"], []
    parts = said["running"][0] = min(len(who), -(-len(who) * said["each"] // MOST_NUMBERS))
    for place in range(parts):
        _, one = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda place=place: Coap(said, who[place::parts], all_done),  # type: ignore[misc]
            remote_addr=("127.0.0.1", said["port"]),
        )
        made.append(one)
    return made


def _cpu(watch: dict[str, int]) -> dict[str, float]:
    """Return the CPU seconds so far of the door's loop, its writer, the database and this fleet."""
    loop, writer = cost.threads(watch["door"])
    return {
        "the door": loop,
        "the writer": writer,
        "the database": cost.database(watch["database"]),
        "the devices": time.process_time(),
    }


async def _main(said: dict[str, Any]) -> dict[str, Any]:
    all_done = asyncio.Event()
    said["running"] = [len(said["devices"])]
    everyone: Sequence[Speaker | Coap]
    if said["door"] == "coap":
        everyone = await _sockets(said, all_done)
    else:
        everyone = await _streams(said, all_done)
    gc.collect()
    gc.freeze()  # what is prepared is not looked through while it is sent
    before, began = _cpu(said["watch"]), time.perf_counter()
    for speaker in everyone:
        speaker.ready()
    while not all_done.is_set():
        try:
            await asyncio.wait_for(all_done.wait(), 2)
        except TimeoutError:
            for speaker in everyone:
                speaker.again()
    seconds, after = time.perf_counter() - began, _cpu(said["watch"])
    spent = {part: after[part] - before[part] for part in before}
    return {"seconds": seconds, "bad": sum(one.bad for one in everyone), "cpu": spent}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(json.load(sys.stdin)))))
