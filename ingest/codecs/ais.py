"""AIS (ITU-R M.1371 in NMEA 0183 sentences): positions and particulars of ships."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from operator import xor
from typing import Any, NamedTuple

from ingest.codecs.frames import Broken

_SENTENCE = re.compile(
    r"!(?:AI|AB|BS|SA|AN)VD[MO],([1-9]),([1-9]),([0-9]?),([AB12]?),([0-W`-w]*),([0-5])\*([0-9A-Fa-f]{2})"
)
_TAIL = re.compile(r",(\d{10})\s*$")
_LETTERS = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_ !\"#$%&'()*+,-./0123456789:;<=>?"
MAX_PARTIAL = 64
MAX_BITS = 1_064


class Sentence(NamedTuple):
    """One sentence with a right check sum; `received` where the receiver noted it."""

    parts: int
    part: int
    group: str
    channel: str
    payload: str
    fill: int
    received: datetime | None


class Ship(NamedTuple):
    """What a message says; what it does not say or marks unavailable is None."""

    type: int
    mmsi: int
    lon: float | None = None
    lat: float | None = None
    speed_kn: float | None = None
    course_deg: float | None = None
    heading_deg: int | None = None
    turn_degmin: float | None = None
    nav_status: int | None = None
    second: int | None = None
    name: str | None = None
    callsign: str | None = None
    imo: int | None = None
    ship_type: int | None = None
    draught_m: float | None = None
    destination: str | None = None
    at: datetime | None = None

    @property
    def has_place(self) -> bool:
        """True when the message says where it is."""
        return self.lon is not None and self.lat is not None

    def position(self, received: datetime) -> dict[str, Any]:
        """Return it as the payload of a position."""
        said = {"t": received.isoformat(), "lon": self.lon, "lat": self.lat}
        if self.speed_kn is not None:
            said["speed_kmh"] = round(self.speed_kn * 1.852, 1)
        heading = self.heading_deg if self.heading_deg is not None else self.course_deg
        return said if heading is None else said | {"heading_deg": heading}

    def telemetry(self, received: datetime) -> dict[str, Any]:
        """Return what else it says as the payload of telemetry of a `vessel_terminal`."""
        names = ("speed_kn", "course_deg", "nav_status", "turn_degmin", "draught_m")
        values = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        return {"t": received.isoformat(), "values": values}


def sentence(line: str) -> Sentence:
    """Return a sentence; Broken says what is wrong with it."""
    text = re.sub(r"^\\[^\\]*\\", "", line.strip())
    found = _SENTENCE.match(text)
    if not found:
        raise Broken("is no AIVDM or AIVDO sentence")
    parts, part, group, channel, payload, fill, check = found.groups()
    inner = text[1 : text.index("*")].encode("latin-1", "replace")
    if reduce(xor, inner) != int(check, 16):
        raise Broken("check sum does not fit")
    if int(part) > int(parts):
        raise Broken(f"part {part} of {parts}")
    noted = _TAIL.search(text[found.end() :])
    when = datetime.fromtimestamp(int(noted[1]), UTC) if noted else None
    return Sentence(int(parts), int(part), group, channel, payload, int(fill), when)


class Bits:
    """The bits of an armoured payload."""

    def __init__(self, payload: str, fill: int) -> None:
        value = 0
        for letter in payload:
            code = ord(letter) - 48
            value = value << 6 | (code - 8 if code > 40 else code)
        self.count = max(len(payload) * 6 - fill, 0)
        self.value = value >> fill if payload else 0

    def u(self, at: int, wide: int) -> int:
        """Return an unsigned number; Broken beyond the end."""
        if at + wide > self.count:
            raise Broken(f"{self.count} bits are too few")
        return self.value >> (self.count - at - wide) & ((1 << wide) - 1)

    def i(self, at: int, wide: int) -> int:
        """Return a number in two's complement."""
        found = self.u(at, wide)
        return found - (1 << wide) if found >> (wide - 1) else found

    def text(self, at: int, wide: int) -> str | None:
        """Return six-bit letters without what fills them up; None for none."""
        wide = min(wide, (self.count - at) // 6 * 6)
        said = "".join(_LETTERS[self.u(at + k, 6)] for k in range(0, wide, 6))
        return said.split("@")[0].rstrip() or None


def decode(payload: str, fill: int) -> Ship:
    """Return what a whole payload says; Broken for types and lengths that the standard does not know."""
    bits = Bits(payload, fill)
    number, mmsi = bits.u(0, 6), bits.u(8, 30)
    if not 1 <= number <= 27:
        raise Broken(f"there is no message type {number}")
    reader = _READERS.get(number)
    if reader is None:
        return Ship(number, mmsi)
    return Ship(number, mmsi, **reader(bits))


def _place(
    bits: Bits, at: int, wide: tuple[int, int] = (28, 27), per: float = 600_000
) -> dict[str, Any]:
    lon, lat = bits.i(at, wide[0]) / per, bits.i(at + wide[0], wide[1]) / per
    # 181° and 91° say that there is no fix.
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return {}
    return {"lon": round(lon, 7), "lat": round(lat, 7)}


def _moves(bits: Bits, at: int) -> dict[str, Any]:
    """Return speed at `at`, and course, heading and second behind the place that follows it."""
    speed, course = bits.u(at, 10), bits.u(at + 66, 12)
    heading, second = bits.u(at + 78, 9), bits.u(at + 87, 6)
    return {
        "speed_kn": None if speed == 1023 else speed / 10,
        "course_deg": None if course >= 3600 else course / 10,
        "heading_deg": None if heading >= 360 else heading,
        "second": None if second >= 60 else second,
    }


def _class_a(bits: Bits) -> dict[str, Any]:
    turn = bits.i(42, 8)
    known = None if turn == -128 else round((abs(turn) / 4.733) ** 2 * (1 if turn >= 0 else -1), 1)
    # ±127 says only "faster than 5° in half a minute".
    rate = None if turn in (127, -127) else known
    return {
        "nav_status": bits.u(38, 4),
        "turn_degmin": rate,
        **_moves(bits, 50),
        **_place(bits, 61),
    }


def _base(bits: Bits) -> dict[str, Any]:
    parts = [
        bits.u(38, 14),
        *(bits.u(a, w) for a, w in ((52, 4), (56, 5), (61, 5), (66, 6), (72, 6))),
    ]
    try:
        when = datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        when = None
    return {"at": when, **_place(bits, 79)}


def _static(bits: Bits) -> dict[str, Any]:
    return {
        "imo": bits.u(40, 30) or None,
        "callsign": bits.text(70, 42),
        "name": bits.text(112, 120),
        "ship_type": bits.u(232, 8),
        "draught_m": bits.u(294, 8) / 10 or None,
        "destination": bits.text(302, 120),
    }


def _rescue(bits: Bits) -> dict[str, Any]:
    speed = bits.u(50, 10)
    return {
        **_moves(bits, 50),
        "heading_deg": None,
        "speed_kn": None if speed == 1023 else float(speed),
        **_place(bits, 61),
    }


def _class_b(bits: Bits) -> dict[str, Any]:
    return {**_moves(bits, 46), **_place(bits, 57)}


def _class_b_more(bits: Bits) -> dict[str, Any]:
    return {**_class_b(bits), "name": bits.text(143, 120), "ship_type": bits.u(263, 8)}


def _aid(bits: Bits) -> dict[str, Any]:
    return {"name": bits.text(43, 120), **_place(bits, 164)}


def _parts_b(bits: Bits) -> dict[str, Any]:
    if bits.u(38, 2) == 0:
        return {"name": bits.text(40, 120)}
    return {"ship_type": bits.u(40, 8), "callsign": bits.text(90, 42)}


def _long_range(bits: Bits) -> dict[str, Any]:
    speed, course = bits.u(79, 6), bits.u(85, 9)
    return {
        "nav_status": bits.u(40, 4),
        "speed_kn": None if speed == 63 else float(speed),
        "course_deg": None if course >= 360 else float(course),
        **_place(bits, 44, (18, 17), 600),
    }


_READERS: dict[int, Callable[[Bits], dict[str, Any]]] = {
    1: _class_a, 2: _class_a, 3: _class_a, 4: _base, 5: _static, 9: _rescue, 11: _base,
    18: _class_b, 19: _class_b_more, 21: _aid, 24: _parts_b, 27: _long_range,
}  # fmt: skip


class Assembler:
    """Sentences of one receiver put together to messages; memory is bounded."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, int], dict[int, Sentence]] = {}

    def feed(self, line: str) -> Iterator[tuple[Ship, datetime | None]]:
        """Yield what a line completes; Broken where it cannot be used."""
        said = sentence(line)
        if said.parts == 1:
            yield decode(said.payload, said.fill), said.received
            return
        key = (said.group, said.channel, said.parts)
        if key not in self._open and len(self._open) >= MAX_PARTIAL:
            self._open.pop(next(iter(self._open)))
        had = self._open.setdefault(key, {})
        if said.part == 1:
            had.clear()
        had[said.part] = said
        if len(had) == said.parts:
            del self._open[key]
            payload = "".join(had[n].payload for n in sorted(had))
            yield decode(payload, had[said.parts].fill), said.received
