"""JT/T 808 (2011, 2013, 2019): frames of vehicle terminals, their positions, and the answers they wait for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import xor
from typing import Any, NamedTuple

from ingest.codecs.frames import Broken, bcd

FLAG = 0x7E
MAX_FRAME = 1_200
BEIJING = timezone(timedelta(hours=8))
HEARTBEAT, REGISTER, LOG_OUT, AUTHENTICATE = 0x0002, 0x0100, 0x0003, 0x0102
LOCATION, LOCATION_ANSWER, BATCH = 0x0200, 0x0201, 0x0704
GENERAL_ANSWER, REGISTER_ANSWER = 0x8001, 0x8100
# Additional items of a position: id → property, factor.
_ITEMS = {
    0x01: ("mileage_km", 0.1), 0x02: ("fuel_l", 0.1), 0x03: ("speed_kmh_can", 0.1),
    0x30: ("signal", 1), 0x31: ("satellites", 1),
}  # fmt: skip
_ACC, _LOCATED, _SOUTH, _WEST = 1, 2, 4, 8


class Message(NamedTuple):
    """One frame: who says what; `part` of `parts` where a message comes in pieces."""

    id: int
    phone: str
    serial: int
    body: bytes
    is_2019: bool = False
    part: int = 1
    parts: int = 1


class Location(NamedTuple):
    """A position report."""

    at: datetime
    lon: float
    lat: float
    altitude_m: int
    speed_kmh: float
    heading_deg: int
    alarm: int
    status: int
    items: dict[int, bytes]

    @property
    def is_located(self) -> bool:
        """True when the receiver had a fix; without it the place is the last known one."""
        return bool(self.status & _LOCATED)

    def position(self) -> dict[str, Any]:
        """Return it as the payload of a position."""
        return {
            "t": self.at.isoformat(), "lon": self.lon, "lat": self.lat,
            "speed_kmh": self.speed_kmh, "heading_deg": self.heading_deg % 360,
        }  # fmt: skip

    def telemetry(self) -> dict[str, Any]:
        """Return what else it says as the payload of telemetry of a `vehicle_terminal`."""
        values: dict[str, Any] = {"acc_on": bool(self.status & _ACC), "alarm_bits": self.alarm}
        for number, raw in self.items.items():
            if number in _ITEMS and 0 < len(raw) <= 4:
                name, factor = _ITEMS[number]
                value = int.from_bytes(raw, "big")
                values[name] = value if factor == 1 else round(value * factor, 1)
        return {"t": self.at.isoformat(), "values": values}


def parse(frame: bytes) -> Message:
    """Return the message of one frame from flag to flag; Broken says what is wrong with it."""
    if len(frame) < 2 or frame[0] != FLAG or frame[-1] != FLAG:
        raise Broken("does not begin and end with 7E")
    raw = _unescaped(frame[1:-1])
    if len(raw) < 13:
        raise Broken("too short")
    if reduce(xor, raw[:-1]) != raw[-1]:
        raise Broken("check code does not fit")
    return _header(raw[:-1])


def _header(raw: bytes) -> Message:
    number, said = struct.unpack_from(">HH", raw)
    is_2019 = bool(said & 0x4000)
    at = 5 if is_2019 else 4
    size = 10 if is_2019 else 6
    if len(raw) < at + size + 2:
        raise Broken("too short for its header")
    phone = bcd(raw[at : at + size])
    (serial,) = struct.unpack_from(">H", raw, at + size)
    at += size + 2
    parts = part = 1
    if said & 0x2000:
        if len(raw) < at + 4:
            raise Broken("too short for its header")
        parts, part = struct.unpack_from(">HH", raw, at)
        at += 4
        if not 1 <= part <= parts:
            raise Broken(f"part {part} of {parts}")
    body = raw[at:]
    if len(body) != said & 0x3FF:
        raise Broken(f"body has {len(body)} bytes, its header says {said & 0x3FF}")
    if said & 0x1C00:
        raise Broken("body is encrypted, which is not read here")
    return Message(number, phone, serial, body, is_2019, part, parts)


def _unescaped(raw: bytes) -> bytes:
    if FLAG in raw:
        raise Broken("7E inside of the frame")
    out = bytearray()
    at = 0
    while (found := raw.find(0x7D, at)) >= 0:
        said = raw[found + 1 : found + 2]
        if said not in (b"\x01", b"\x02"):
            raise Broken("7D is followed by neither 01 nor 02")
        out += raw[at:found]
        out.append(0x7D if said == b"\x01" else FLAG)
        at = found + 2
    return bytes(out + raw[at:])


def location(body: bytes) -> Location:
    """Return the position of the body of 0x0200."""
    if len(body) < 28:
        raise Broken("too short for a position")
    alarm, status, lat, lon, altitude, speed, heading = struct.unpack_from(">IIIIHHH", body)
    if lat > 90_000_000 or lon > 180_000_000:
        raise Broken("the place is not on Earth")
    return Location(
        at=_time(bcd(body[22:28])),
        lon=lon / 1e6 * (-1 if status & _WEST else 1),
        lat=lat / 1e6 * (-1 if status & _SOUTH else 1),
        altitude_m=altitude - 0x10000 if altitude > 0x7FFF else altitude,
        speed_kmh=speed / 10,
        heading_deg=heading,
        alarm=alarm,
        status=status,
        items=dict(_items(body[28:])),
    )


def _time(digits: str) -> datetime:
    try:
        return datetime.strptime("20" + digits, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError as why:
        raise Broken(f"{digits} is no time") from why


def _items(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(raw):
        end = at + 2 + raw[at + 1]
        if end > len(raw):
            return  # a maker's own item of another form: the place before it is right all the same
        yield raw[at], raw[at + 2 : end]
        at = end


def locations(message: Message) -> list[Location]:
    """Return the positions of a message: one of 0x0200 and 0x0201, those of a batch, else none."""
    if message.parts > 1:
        raise Broken("comes in parts; put it together first")
    if message.id == LOCATION:
        return [location(message.body)]
    if message.id == LOCATION_ANSWER:
        return [location(message.body[2:])]
    return list(_batch(message.body)) if message.id == BATCH else []


def _batch(body: bytes) -> Iterator[Location]:
    if len(body) < 3:
        raise Broken("too short for a batch")
    (count,) = struct.unpack_from(">H", body)
    at = 3
    for _ in range(count):
        if at + 2 > len(body):
            raise Broken(f"a batch of {count} ends too early")
        (size,) = struct.unpack_from(">H", body, at)
        yield location(body[at + 2 : at + 2 + size])
        at += 2 + size


def acknowledged(message: Message, serial: int, *, ok: bool = True) -> bytes:
    """Return the platform's general answer: done, or failed."""
    said = struct.pack(">HHB", message.serial, message.id, 0 if ok else 1)
    return framed(GENERAL_ANSWER, message.phone, serial, said, is_2019=message.is_2019)


def registered(message: Message, serial: int, token: str, *, result: int = 0) -> bytes:
    """Return the answer to a registration; `token` is what the terminal authenticates with."""
    said = struct.pack(">HB", message.serial, result) + (
        token.encode("gbk") if result == 0 else b""
    )
    return framed(REGISTER_ANSWER, message.phone, serial, said, is_2019=message.is_2019)


def token_of(message: Message) -> str:
    """Return the code with which a terminal authenticates (0x0102)."""
    raw = (
        message.body[1 : 1 + message.body[0]] if message.is_2019 and message.body else message.body
    )
    return raw.decode("gbk", "replace").rstrip("\0")


def framed(number: int, phone: str, serial: int, body: bytes, *, is_2019: bool = False) -> bytes:
    """Return a frame ready to be sent."""
    said = len(body) | (0x4000 if is_2019 else 0)
    raw = struct.pack(">HH", number, said) + (b"\x01" if is_2019 else b"")
    raw += bytes.fromhex(phone) + struct.pack(">H", serial & 0xFFFF) + body
    raw += bytes([reduce(xor, raw)])
    return b"\x7e" + raw.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


@dataclass
class Stream:
    """Bytes of one connection cut into frames, and parts put together; memory is bounded."""

    rest: bytes = b""
    parts: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)

    def feed(self, more: bytes) -> Iterator[bytes]:
        """Yield whole frames, flags included."""
        self.rest += more
        while (start := self.rest.find(FLAG)) >= 0:
            end = self.rest.find(FLAG, start + 1)
            if end < 0:
                self.rest = self.rest[start:] if len(self.rest) - start <= MAX_FRAME else b""
                return
            if end == start + 1:
                # Two flags side by side: the end of one frame and the beginning of the next.
                self.rest = self.rest[end:]
                continue
            yield self.rest[start : end + 1]
            self.rest = self.rest[end + 1 :]
        self.rest = b""

    def whole(self, message: Message) -> Message | None:
        """Return a message put together from its parts; None while parts are missing."""
        if message.parts == 1:
            return message
        key = (message.id, (message.serial - message.part) & 0xFFFF)
        if len(self.parts) > 8 and key not in self.parts:
            self.parts.pop(next(iter(self.parts)))
        had = self.parts.setdefault(key, {})
        had[message.part] = message.body
        if len(had) < message.parts:
            return None
        del self.parts[key]
        body = b"".join(had[n] for n in sorted(had))
        return message._replace(body=body, part=1, parts=1)
