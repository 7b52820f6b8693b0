"""The CoAP door: signed telemetry over UDP on a fast path; 2.04 means committed in the database.

A message carries its count and its signature in the query: `?c=17&s=<hex>`, where `s` is the first
16 bytes of HMAC-SHA256 (or `&h=hmacsm3`) of the device's secret over `{product}/{device}/{channel}`,
newline, count, newline, payload. Unsigned CoAP does not exist.
"""

from __future__ import annotations

import asyncio
import hmac
import struct
import time
from collections import OrderedDict
from typing import Any, NamedTuple, cast

from sqlalchemy import text

from ingest.devices import Source
from ingest.doors.coapsite import Slow
from ingest.doors.gateway import Gateway
from ingest.doors.identity import mac, opened
from ingest.doors.mqtt import UP
from ingest.doors.oscore import reserve
from ingest.writer import Rejected, Uplink
from twin import db
from twin.errors import TwinError

CON, NON, ACK, RST = range(4)
POST = 2
CHANGED, BAD_REQUEST, UNAUTHORIZED, BAD_OPTION = 0x44, 0x80, 0x81, 0x82
NOT_FOUND, NOT_ALLOWED, CONFLICT, TOO_LARGE = 0x84, 0x85, 0x89, 0x8D
UNPROCESSABLE, UNAVAILABLE = 0x96, 0xA3
URI_PATH, URI_QUERY, BLOCK1, OSCORE, OBSERVE = 11, 15, 27, 9, 6
# Options that a server may ignore have even numbers; these odd ones are understood.
KNOWN = {3, URI_PATH, URI_QUERY, 7}
EXCHANGE_S = 247.0
MOST_EXCHANGES = 100_000
MOST_BYTES = 1280
Address = tuple[Any, ...]


class Broken(Exception):
    """A datagram that is no CoAP."""


class Request(NamedTuple):
    """One CoAP request."""

    kind: int
    code: int
    number: int
    token: bytes
    path: list[str]
    query: dict[str, str]
    odd: int | None  # an option that must be understood and is not
    payload: bytes


def read(data: bytes) -> Request:
    """Read a datagram; Broken where it is no CoAP message."""
    if len(data) < 4 or data[0] >> 6 != 1:
        raise Broken("not CoAP")
    size = data[0] & 15
    if size > 8 or len(data) < 4 + size:
        raise Broken("a token of more than eight bytes")
    kind, code, number = data[0] >> 4 & 3, data[1], data[2] << 8 | data[3]
    token = data[4 : 4 + size]
    at, end, option = 4 + size, len(data), 0
    path: list[str] = []
    query: dict[str, str] = {}
    odd: int | None = None
    while at < end and data[at] != 0xFF:
        head = data[at]
        delta, at = _extended(data, head >> 4, at + 1)
        length, at = _extended(data, head & 15, at)
        option += delta
        if at + length > end:
            raise Broken("an option that is longer than the message")
        value = data[at : at + length]
        at += length
        if option == URI_PATH:
            path.append(_text(value))
        elif option == URI_QUERY:
            name, _, said = _text(value).partition("=")
            query[name] = said
        elif option in (OBSERVE, BLOCK1) or (option & 1 and option not in KNOWN):
            odd = option
    if at < end and at + 1 == end:
        raise Broken("a payload of nothing")
    return Request(kind, code, number, token, path, query, odd, data[at + 1 :])


def _extended(data: bytes, value: int, at: int) -> tuple[int, int]:
    if value < 13:
        return value, at
    more = {13: 1, 14: 2}.get(value)
    if more is None or at + more > len(data):
        raise Broken("an option that ends too early")
    base = 13 if value == 13 else 269
    return base + int.from_bytes(data[at : at + more], "big"), at + more


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as why:
        raise Broken("not UTF-8") from why


class CoapDoor(asyncio.DatagramProtocol):
    """Answers after the commit; a repeated datagram gets the answer of the first."""

    gone = False

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.transport: asyncio.DatagramTransport = cast(asyncio.DatagramTransport, None)
        self._answers: OrderedDict[tuple[Address, int], tuple[float, bytes | None]] = OrderedDict()
        self._counters: dict[int, int] = {}
        self._own = 0
        self.slow = Slow(self)

    async def open(self) -> None:
        """Make ready what is slow and seldom, with numbers that were never used before."""
        await self.slow.open()
        await asyncio.to_thread(self.reserve)
        self.gateway.on_downlink.append(self.slow.site.changed)
        self.gateway.on_minute.append(self.reserve)

    def reserve(self) -> None:
        """Keep numbers of protected messages ahead of what is used."""
        with db.engine("ingest").begin() as conn:
            raw: Any = conn.connection.driver_connection
            first = reserve(raw)
        self.slow.contexts.first = max(self.slow.contexts.first, first)

    def load(self) -> None:
        """Read how far the counters of devices have come."""
        with db.engine("ingest").connect() as conn:
            rows = conn.execute(text("select num, counter from iot.counter"))
            self._counters = {row.num: row.counter for row in rows}

    def connection_made(self, transport: Any) -> None:
        """Remember where answers go."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take one datagram."""
        try:
            said = read(data)
        except Broken:
            if len(data) >= 4 and data[0] >> 4 == 4:  # version 1, CON: refuse it
                self.transport.sendto(struct.pack(">BBH", 0x70, 0, data[2] << 8 | data[3]), addr)
            return
        if said.kind in (ACK, RST) or (said.code and (said.code != POST or said.odd is not None)):
            self.slow.take(data, addr)
            return
        if not said.code:
            self.transport.sendto(struct.pack(">BBH", 0x70, 0, said.number), addr)  # a ping
            return
        key = (addr, said.number)
        held = self._answers.get(key)
        if held is not None and held[0] > time.monotonic():
            if held[1] is not None:
                self.transport.sendto(held[1], addr)
            return
        self._remember(key, None)
        code = self._take(said, addr)
        if code is not None:
            self._answer((addr, said.kind, said.number, said.token), code)

    def _take(self, said: Request, addr: Address) -> int | None:
        """Give a message to the inbox; return an answer where there is none to wait for."""
        if len(said.path) < 4 or said.path[0] != "v1":
            return NOT_FOUND
        product, device, channel = said.path[1], said.path[2], "/".join(said.path[3:])
        if channel not in UP:
            return NOT_FOUND
        if len(said.payload) > MOST_BYTES:
            return TOO_LARGE
        if self.gateway.inbox.full or self.gateway.inbox.away:
            self._answers.pop((addr, said.number), None)
            return UNAVAILABLE
        source = self.gateway.registry.find(product, device)
        counter = self.signed(source, channel, said.query, said.payload)
        if source is None or counter is None:
            self.gateway.refused += 1
            return UNAUTHORIZED
        token = (addr, said.kind, said.number, said.token)
        topic = f"{product}/{device}/{channel}"
        if not self.moved_on(source.num, counter) and b'"t"' not in said.payload:
            # Nothing in it tells a repetition from a message that was copied and sent again.
            reason = "its counter was used before"
            self.gateway.inbox.put(
                Rejected(source.num, "coap", topic, reason, said.payload), self, token
            )
            return None
        uplink = Uplink(source, channel, said.payload, time.time(), "coap", None, counter)
        self.gateway.inbox.put(uplink, self, token)
        return None

    def moved_on(self, num: int, counter: int) -> bool:
        """Tell whether a count is a new one of its device, and remember it."""
        if counter <= self._counters.get(num, -1):
            return False
        self._counters[num] = counter
        return True

    def signed(
        self, source: Source | None, channel: str, query: dict[str, str], payload: bytes
    ) -> int | None:
        """Return the count of a message that its device has signed."""
        count, signature = query.get("c", ""), query.get("s", "")
        if source is None or source.sealed is None or not count.isdigit() or len(count) > 15:
            return None
        try:
            secret = opened(source.product, source.device, source.sealed)
            name, method = f"{source.product}/{source.device}", query.get("h", "hmacsha256")
            wanted = mac(secret, name, channel, int(count), payload, method)
        except TwinError:
            return None
        right = hmac.compare_digest(wanted.encode(), signature.lower().encode())
        return int(count) if right else None

    def committed(self, token: tuple[Address, int, int, bytes], reason: str | None) -> None:
        """Answer a message whose batch is committed."""
        if reason is None:
            self._answer(token, CHANGED)
        else:
            self._answer(token, CONFLICT if "counter" in reason else UNPROCESSABLE, reason)

    def flush(self) -> None:
        """Every answer is a datagram of its own and has gone."""

    def _answer(
        self, token: tuple[Address, int, int, bytes], code: int, reason: str | None = None
    ) -> None:
        addr, kind, number, own = token
        if kind == CON:
            head = struct.pack(">BBH", 0x60 | len(own), code, number)
        else:
            self._own = self._own + 1 & 0xFFFF
            head = struct.pack(">BBH", 0x50 | len(own), code, self._own)
        answer = head + own + (b"\xff" + reason.encode()[:200] if reason else b"")
        if code != UNAVAILABLE:
            self._remember((addr, number), answer)
        self.transport.sendto(answer, addr)

    def _remember(self, key: tuple[Address, int], answer: bytes | None) -> None:
        now = time.monotonic()
        self._answers[key] = (now + EXCHANGE_S, answer)
        self._answers.move_to_end(key)
        while self._answers and (
            len(self._answers) > MOST_EXCHANGES or next(iter(self._answers.values()))[0] < now
        ):
            self._answers.popitem(last=False)
