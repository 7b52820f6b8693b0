"""Doors of frames: JT/T 808 terminals and HJ 212 stations over TCP, AIS receivers over UDP.

Answers follow the commit. A terminal shows a token made from its device's secret, a station the first
six letters of it as PW; AIS is radio that anybody hears, so its door opens only where it was asked for.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import structlog

from ingest.codecs import ais, hj212, jt808
from ingest.codecs.frames import Broken
from ingest.devices import Source
from ingest.doors.gateway import Gateway
from ingest.doors.identity import opened
from ingest.writer import Rejected, Uplink
from twin import db, products
from twin.products import Product

VEHICLES, VESSELS = "vehicle_terminal", "vessel_terminal"
TOKEN_LETTERS = 16
SILENT_S = 600.0
UNKNOWN_TERMINAL = 4
log = structlog.get_logger("frames")


def token(source: Source) -> str:
    """Return what a terminal authenticates with: made from its secret, so revoked with it."""
    if source.sealed is None:
        return ""
    secret = opened(source.product, source.device, source.sealed)
    return hmac.new(secret.encode(), b"jt808", "sha256").hexdigest()[:TOKEN_LETTERS]


class Frames(asyncio.Protocol):
    """What both TCP doors share."""

    door = ""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.inbox = gateway, gateway.inbox
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.gone = False
        self.idle: asyncio.TimerHandle | None = None
        self._out = bytearray()

    def connection_made(self, transport: Any) -> None:
        """Wait for frames."""
        self.transport = transport
        self._alive()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self.gone = True
        if self.idle is not None:
            self.idle.cancel()

    def _alive(self) -> None:
        if self.idle is not None:
            self.idle.cancel()
        self.idle = asyncio.get_running_loop().call_later(SILENT_S, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Take whole frames; refuse and count broken ones."""
        self._alive()
        for frame in self.frames(data):
            try:
                self.take(frame)
            except Broken as why:
                said = Rejected(0, self.door, self.door, str(why), frame)
                self.inbox.put(said, None, None)
        if self.inbox.full and not self.gone:
            self.transport.pause_reading()
            self.inbox.when_room(self._resume)

    def _resume(self) -> None:
        if not self.gone:
            self.transport.resume_reading()

    def frames(self, data: bytes) -> Any:
        """Cut bytes into frames."""
        raise NotImplementedError

    def take(self, frame: bytes) -> None:
        """Take one frame."""
        raise NotImplementedError

    def put(self, source: Source, said: list[tuple[str, dict[str, Any]]], answer: Any) -> None:
        """Give what a frame says to the inbox; its answer follows the last of it."""
        for place, (channel, payload) in enumerate(said):
            uplink = Uplink(source, channel, orjson.dumps(payload), time.time(), self.door)
            last = place == len(said) - 1
            self.inbox.put(uplink, self if last else None, answer)

    def committed(self, token: Any, reason: str | None) -> None:
        """Gather the answer of a frame whose batch is committed."""
        if token is not None:
            self._out += self.answer(token, reason)

    def answer(self, token: Any, reason: str | None) -> bytes:
        """Return the answer to a frame."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was gathered."""
        if not self.gone and self._out:
            self.transport.write(bytes(self._out))
        self._out.clear()


class Terminal(Frames):
    """One vehicle terminal of JT/T 808."""

    door = "jt808"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.stream = jt808.Stream()
        self.source: Source | None = None
        self.serial = 0

    def frames(self, data: bytes) -> Any:
        """Cut at the flags."""
        return self.stream.feed(data)

    def take(self, frame: bytes) -> None:
        """Register, authenticate, then take positions; a stranger's are refused."""
        message = jt808.parse(frame)
        known = self._known(message.phone)
        if message.id == jt808.REGISTER:
            result = 0 if known is not None else UNKNOWN_TERMINAL
            said = jt808.registered(
                message, self._next(), token(known) if known else "", result=result
            )
            self.transport.write(said)
        elif message.id == jt808.AUTHENTICATE:
            right = known is not None and hmac.compare_digest(
                token(known).encode(), jt808.token_of(message).encode()
            )
            self.source = known if right else None
            self.transport.write(jt808.acknowledged(message, self._next(), ok=right))
            if not right:
                self.transport.close()
        elif self.source is None or self.source is not known:
            self.transport.write(jt808.acknowledged(message, self._next(), ok=False))
            raise Broken("no authenticated terminal")
        else:
            self._locations(message, self.source)

    def _known(self, phone: str) -> Source | None:
        short = phone.lstrip("0")
        find = self.gateway.registry.find
        return find(VEHICLES, phone) or find(VEHICLES, short)

    def _locations(self, message: jt808.Message, source: Source) -> None:
        whole = self.stream.whole(message)
        said: list[tuple[str, dict[str, Any]]] = []
        for one in jt808.locations(whole) if whole is not None else []:
            if one.is_located:
                said.append(("position", one.position()))
            said.append(("telemetry", one.telemetry()))
        if said:
            self.put(source, said, message)
        else:
            self.transport.write(jt808.acknowledged(message, self._next()))

    def _next(self) -> int:
        self.serial = self.serial + 1 & 0xFFFF
        return self.serial

    def answer(self, token: jt808.Message, reason: str | None) -> bytes:
        """Return the platform's general answer."""
        return jt808.acknowledged(token, self._next(), ok=reason is None)


class Station(Frames):
    """One environment station of HJ 212."""

    door = "hj212"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.stream = hj212.Stream()

    def frames(self, data: bytes) -> Any:
        """Cut at the line ends."""
        return self.stream.feed(data)

    def take(self, frame: bytes) -> None:
        """Take a report of a station that shows its password."""
        message = hj212.parse(frame)
        product, source = self._who(message)
        said = hj212.telemetry(message, product)
        self.put(source, [("telemetry", said)], message)

    def _who(self, message: hj212.Message) -> tuple[Product, Source]:
        for key, product in self.gateway.hj212.items():
            source = self.gateway.registry.find(key, message.station)
            if source is not None and source.sealed is not None:
                secret = opened(source.product, source.device, source.sealed)
                if hmac.compare_digest(secret[:6].encode(), message.password.encode()):
                    return product, source
        raise Broken("no station of this name and password")

    def answer(self, token: hj212.Message, reason: str | None) -> bytes:
        """Return the answer of a report that wants one; a refused one gets none."""
        return hj212.acknowledged(token) if reason is None and token.wants_answer else b""


class Receiver(asyncio.DatagramProtocol):
    """AIS sentences of receivers in the own network; ships that are not entered are passed over."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.assembler = ais.Assembler()
        self.strangers = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take the sentences of one datagram."""
        for line in data.decode("latin-1").splitlines():
            try:
                found = list(self.assembler.feed(line))
            except Broken as why:
                self._put(Rejected(0, "ais", "ais", str(why), line.encode("latin-1")))
                continue
            for ship, at in found:
                self._ship(ship, at or datetime.now(UTC))

    def _ship(self, ship: ais.Ship, at: datetime) -> None:
        source = self.gateway.registry.find(VESSELS, str(ship.mmsi))
        if source is None:
            self.strangers += 1
            return
        said = [("position", ship.position(at))] if ship.has_place else []
        measured = ship.telemetry(at)
        said += [("telemetry", measured)] if measured["values"] else []
        for channel, payload in said:
            self._put(Uplink(source, channel, orjson.dumps(payload), time.time(), "ais"))

    def _put(self, said: Uplink | Rejected) -> None:
        if not self.gateway.inbox.full:
            self.gateway.inbox.put(said, None, None)


def stations() -> dict[str, Product]:
    """Return the products whose factors have public codes: what an HJ 212 station can be."""
    with db.engine("ingest").connect() as conn:
        return {
            key: product
            for key, product in products.running(conn).items()
            if any(one.observed for one in product.properties)
        }
