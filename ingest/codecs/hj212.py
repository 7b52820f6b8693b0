"""HJ 212 (2005, 2017): frames of environment stations, their factors, and the answers they wait for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ingest.codecs.frames import Broken
from twin.products import Product

MAX_FRAME = 12 + 9_999
BEIJING = timezone(timedelta(hours=8))
REAL_TIME, MINUTES, HOURS, DAYS = "2011", "2051", "2061", "2031"
DATA_ANSWER = "9014"
_FRAME = re.compile(rb"##(\d{4})(.*)([0-9A-Fa-f]{4})\r\n", re.DOTALL)
# Of a real-time report the sample itself, of a period its mean.
_TAKES = {REAL_TIME: "Rtd", MINUTES: "Avg", HOURS: "Avg", DAYS: "Avg"}
# Factor codes of the older edition beside those of the newer one.
_OLDER = {
    "a34004": ("PM25", "107"), "a34002": ("PM10", "106"), "a34001": ("TSP", "105"),
    "a50001": ("Leq", "LA", "B03"), "a01001": ("T01", "126"), "a01002": ("H01", "128"),
    "a01007": ("W02", "129"), "a01008": ("W01", "130"), "w01001": ("001",), "w01018": ("011",),
    "w21003": ("060",), "w21011": ("101",), "w01010": ("010",), "w01009": ("w01009-1",),
}  # fmt: skip


class Message(NamedTuple):
    """One frame: which station says what."""

    station: str  # MN
    command: str  # CN
    system: str  # ST
    password: str
    request: str  # QN, empty in reports of the older edition
    flag: int
    at: datetime | None
    factors: Mapping[str, Mapping[str, str]]

    @property
    def wants_answer(self) -> bool:
        """True when the station waits for an answer."""
        return bool(self.flag & 1)


def crc(raw: bytes) -> int:
    """Return the check sum of the standard: CRC-16 with 0xA001, each byte into the high half."""
    found = 0xFFFF
    for byte in raw:
        found = (found >> 8) ^ byte
        for _ in range(8):
            found = (found >> 1) ^ 0xA001 if found & 1 else found >> 1
    return found


def parse(frame: bytes) -> Message:
    """Return the message of one frame; Broken says what is wrong with it."""
    found = _FRAME.fullmatch(frame)
    if not found:
        raise Broken("is not ## length data check CR LF")
    length, data, check = found.groups()
    if len(data) != int(length):
        raise Broken(f"data has {len(data)} bytes, its head says {int(length)}")
    if crc(data) != int(check, 16):
        raise Broken("check sum does not fit")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as why:
        raise Broken("data is not ASCII") from why
    head, _, rest = text.partition("CP=&&")
    said = _pairs(head, ";")
    body, closed, _ = rest.partition("&&")
    if "MN" not in said or "CN" not in said or not closed:
        raise Broken("MN, CN or CP is missing")
    return _message(said, body)


def _message(said: Mapping[str, str], body: str) -> Message:
    factors: dict[str, dict[str, str]] = {}
    when = None
    for part in body.split(";"):
        for name, value in _pairs(part, ",").items():
            code, dash, what = name.rpartition("-")
            if dash:
                factors.setdefault(code, {})[what] = value
            elif name == "DataTime":
                when = _time(value)
    flag = said.get("Flag", "0")
    return Message(
        said["MN"], said["CN"], said.get("ST", ""), said.get("PW", ""), said.get("QN", ""),
        int(flag) if flag.isdecimal() else 0, when, factors,
    )  # fmt: skip


def _pairs(text: str, sign: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(sign) if "=" in part)
    return {name.strip(): value.strip() for name, _, value in parts}


def _time(digits: str) -> datetime:
    """Return the time of data: local, to the second, in some stations to the millisecond."""
    try:
        found = datetime.strptime(digits[:14], "%Y%m%d%H%M%S")
    except ValueError as why:
        raise Broken(f"DataTime {digits[:20]} is no time") from why
    return found.replace(tzinfo=BEIJING)


def telemetry(message: Message, product: Product) -> dict[str, Any]:
    """Return a report as the payload of telemetry; factors that are flagged bad are left out."""
    take = _TAKES.get(message.command)
    if take is None:
        raise Broken(f"command {message.command} reports no data")
    values = dict(_values(message, product, take))
    if not values:
        raise Broken("none of its factors is declared by the product, or all are flagged")
    return {"t": message.at.isoformat() if message.at else None, "values": values}


def _values(message: Message, product: Product, take: str) -> Iterator[tuple[str, float]]:
    by_code = {
        code: prop.name
        for prop in product.properties
        if prop.observed
        for code in (prop.observed, *_OLDER.get(prop.observed, ()))
    }
    for code, said in message.factors.items():
        if code in by_code and take in said and said.get("Flag", "N") == "N":
            try:
                yield by_code[code], float(said[take])
            except ValueError as why:
                raise Broken(f"{code}-{take} {said[take][:20]!r} is not a number") from why


def acknowledged(message: Message) -> bytes:
    """Return the answer to a report that wants one."""
    head = f"QN={message.request};" if message.request else ""
    said = f"{head}ST=91;CN={DATA_ANSWER};PW={message.password};MN={message.station};Flag=4;CP=&&&&"
    return framed(said)


def framed(data: str) -> bytes:
    """Return a frame ready to be sent."""
    raw = data.encode("ascii")
    return b"##%04d" % len(raw) + raw + b"%04X\r\n" % crc(raw)


class Stream:
    """Bytes of one connection cut into frames; memory is bounded."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, more: bytes) -> Iterator[bytes]:
        """Yield whole frames, line end included."""
        self.rest += more
        while (end := self.rest.find(b"\r\n")) >= 0:
            frame, self.rest = self.rest[: end + 2], self.rest[end + 2 :]
            start = frame.rfind(b"##")
            yield frame[start:] if start > 0 else frame
        if len(self.rest) > MAX_FRAME:
            self.rest = b""
