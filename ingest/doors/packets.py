"""MQTT 3.1.1 and 5.0 packets: what a client sends is read strictly, what a server answers is made."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
V311, V5 = 4, 5
OK = 0x00
MALFORMED, PROTOCOL_ERROR, NOT_OURS = 0x81, 0x82, 0x83
BAD_VERSION, BAD_CLIENT, BAD_LOGIN, NOT_AUTHORIZED = 0x84, 0x85, 0x86, 0x87
BUSY, SHUTTING_DOWN, BAD_AUTH, KEEPALIVE_OVER, TAKEN_OVER = 0x89, 0x8B, 0x8C, 0x8D, 0x8E
BAD_FILTER, BAD_TOPIC, NOT_FOUND, BAD_ALIAS, TOO_LARGE = 0x8F, 0x90, 0x92, 0x94, 0x95
ADMINISTRATIVE, BAD_PAYLOAD = 0x98, 0x99
NO_SHARED, NO_IDENTIFIERS = 0x9E, 0xA1
# What 3.1.1 answers to CONNECT for a reason of 5.0.
_OLD_CONNACK = {BAD_VERSION: 1, BAD_CLIENT: 2, BUSY: 3, BAD_LOGIN: 4, NOT_AUTHORIZED: 5}
SESSION_EXPIRY, RECEIVE_MAXIMUM, ALIAS, ALIAS_MAXIMUM = 0x11, 0x21, 0x23, 0x22
AUTH_METHOD, WILL_DELAY, PACKET_MAXIMUM, USER = 0x15, 0x18, 0x27, 0x26
_BYTE, _TWO, _FOUR, _VAR, _TEXT, _BINARY, _PAIR = range(7)
_TYPES = {
    0x01: _BYTE, 0x02: _FOUR, 0x03: _TEXT, 0x08: _TEXT, 0x09: _BINARY, 0x0B: _VAR, 0x11: _FOUR,
    0x15: _TEXT, 0x16: _BINARY, 0x17: _BYTE, 0x18: _FOUR, 0x19: _BYTE, 0x1C: _TEXT, 0x1F: _TEXT,
    0x21: _TWO, 0x22: _TWO, 0x23: _TWO, 0x26: _PAIR, 0x27: _FOUR,
}  # fmt: skip
# Which properties belong to which packet; 0 stands for the will.
_ALLOWED = {
    CONNECT: {0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27},
    0: {0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26},
    PUBLISH: {0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26},
    PUBACK: {0x1F, 0x26},
    SUBSCRIBE: {0x0B, 0x26},
    UNSUBSCRIBE: {0x26},
    DISCONNECT: {0x11, 0x1C, 0x1F, 0x26},
}


class Malformed(Exception):
    """A packet that breaks the standard; carries the reason code of 5.0."""

    def __init__(self, why: str, code: int = MALFORMED) -> None:
        self.code = code
        super().__init__(why)


class Will(NamedTuple):
    """What is to be said for a client that vanishes."""

    topic: str
    payload: bytes
    delay_s: int


class Connect(NamedTuple):
    """A client's first packet."""

    version: int
    clean: bool
    keepalive_s: int
    client: str
    will: Will | None
    user: str | None
    password: bytes | None
    properties: dict[int, Any]


class Reader:
    """Reads the fields of one packet; whatever is missing is Malformed."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    @property
    def left(self) -> int:
        """How many bytes are not read yet."""
        return len(self.raw) - self.at

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if self.left < count:
            raise Malformed("the packet ends too early")
        self.at += count
        return self.raw[self.at - count : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def two(self) -> int:
        """Return the next two bytes."""
        return int.from_bytes(self.take(2), "big")

    def four(self) -> int:
        """Return the next four bytes."""
        return int.from_bytes(self.take(4), "big")

    def binary(self) -> bytes:
        """Return bytes with their length before them."""
        return self.take(self.two())

    def text(self) -> str:
        """Return UTF-8 text without NUL and without halves of surrogates."""
        try:
            said = self.binary().decode()
        except UnicodeDecodeError as why:
            raise Malformed("not UTF-8") from why
        if "\0" in said:
            raise Malformed("a text with NUL")
        return said

    def var(self) -> int:
        """Return a variable byte integer."""
        value = shift = 0
        while True:
            part = self.byte()
            value |= (part & 0x7F) << shift
            if not part & 0x80:
                return value
            shift += 7
            if shift > 21:
                raise Malformed("a length of more than four bytes")

    def properties(self, packet: int) -> dict[int, Any]:
        """Return the properties of 5.0; each but the user's stands once, and only where it belongs."""
        end = self.var() + self.at
        if end > len(self.raw):
            raise Malformed("properties longer than the packet")
        found: dict[int, Any] = {}
        while self.at < end:
            key = self.var()
            if key not in _ALLOWED[packet]:
                raise Malformed(f"property {key:#x} does not belong here")
            value = self._value(_TYPES[key])
            if key == USER:
                continue
            if key in found:
                raise Malformed(f"property {key:#x} twice", PROTOCOL_ERROR)
            found[key] = value
        if self.at != end:
            raise Malformed("properties end in the middle of one")
        return found

    def _value(self, kind: int) -> Any:
        if kind == _PAIR:
            return self.text(), self.text()
        return (self.byte, self.two, self.four, self.var, self.text, self.binary)[kind]()


def read_connect(raw: bytes) -> Connect:
    """Read a CONNECT packet."""
    said = Reader(raw)
    if said.text() != "MQTT":
        raise Malformed("not MQTT 3.1.1 or 5", BAD_VERSION)
    version = said.byte()
    if version not in (V311, V5):
        raise Malformed("not MQTT 3.1.1 or 5", BAD_VERSION)
    flags, keepalive = said.byte(), said.two()
    if flags & 1 or (flags >> 3) & 3 == 3 or (not flags & 4 and flags & 0x38):
        raise Malformed("flags of CONNECT that contradict each other")
    if version == V311 and flags & 0x40 and not flags & 0x80:
        raise Malformed("a password without a user name")
    properties = said.properties(CONNECT) if version == V5 else {}
    if properties.get(RECEIVE_MAXIMUM) == 0 or properties.get(PACKET_MAXIMUM) == 0:
        raise Malformed("a maximum of zero", PROTOCOL_ERROR)
    client = said.text()
    will = None
    if flags & 4:
        own = said.properties(0) if version == V5 else {}
        will = Will(said.text(), said.binary(), own.get(WILL_DELAY, 0))
    user = said.text() if flags & 0x80 else None
    password = said.binary() if flags & 0x40 else None
    if said.left:
        raise Malformed("more bytes than CONNECT has")
    clean = bool(flags & 2)
    return Connect(version, clean, keepalive, client, will, user, password, properties)


def read_filters(raw: bytes, version: int, *, options: bool) -> tuple[int, list[tuple[str, int]]]:
    """Read SUBSCRIBE (with options) or UNSUBSCRIBE: packet identifier, filters with their options."""
    said = Reader(raw)
    number = said.two()
    if not number:
        raise Malformed("a packet identifier of zero")
    if version == V5:
        found = said.properties(SUBSCRIBE if options else UNSUBSCRIBE)
        if 0x0B in found:
            raise Malformed("subscription identifiers are not offered", NO_IDENTIFIERS)
    filters = []
    while said.left:
        name = said.text()
        wanted = said.byte() if options else 0
        if wanted & 3 == 3 or wanted >> 4 == 3 or wanted & (0xC0 if version == V5 else 0xFC):
            raise Malformed("options of a subscription that do not exist")
        filters.append((name, wanted))
    if not filters:
        raise Malformed("no filter in it", PROTOCOL_ERROR)
    return number, filters


def read_ack(raw: bytes, version: int) -> tuple[int, int]:
    """Read PUBACK, PUBREC, PUBREL or PUBCOMP: packet identifier and reason."""
    said = Reader(raw)
    number = said.two()
    reason = said.byte() if version == V5 and said.left else OK
    if version == V5 and said.left:
        said.properties(PUBACK)
    if said.left or not number:
        raise Malformed("an acknowledgement of the wrong length")
    return number, reason


def valid_filter(name: str) -> bool:
    """Tell whether a topic filter is well formed."""
    if not name or len(name) > 512:
        return False
    levels = name.split("/")
    for place, level in enumerate(levels):
        if "#" in level and (level != "#" or place != len(levels) - 1):
            return False
        if "+" in level and level != "+":
            return False
    return True


def matches(name: str, topic: str) -> bool:
    """Tell whether a topic lies under a filter."""
    wanted, said = name.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(said) or level not in ("+", said[place]):
            return False
    return len(wanted) == len(said)


def varint(value: int) -> bytes:
    """Return a variable byte integer."""
    out = bytearray()
    while True:
        value, part = value >> 7, value & 0x7F
        out.append(part | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """Return a whole packet."""
    return bytes((kind << 4 | flags,)) + varint(len(body)) + body


def connack(version: int, code: int, *, present: bool = False, properties: bytes = b"") -> bytes:
    """Return CONNACK."""
    if version != V5:
        return packet(CONNACK, bytes((present, _OLD_CONNACK.get(code, 5) if code else 0)))
    return packet(CONNACK, bytes((present, code)) + varint(len(properties)) + properties)


def text(said: str) -> bytes:
    """Return a text with its length."""
    raw = said.encode()
    return struct.pack(">H", len(raw)) + raw


def publish(
    version: int, topic: str, payload: bytes, qos: int, number: int, dup: bool, retain: bool = False
) -> bytes:
    """Return PUBLISH as the server sends it."""
    body = text(topic) + (struct.pack(">H", number) if qos else b"")
    body += b"\0" if version == V5 else b""
    return packet(PUBLISH, body + payload, (dup and qos > 0) << 3 | qos << 1 | retain)


def ack(version: int, kind: int, number: int, code: int = OK) -> bytes:
    """Return PUBACK, PUBREC, PUBREL or PUBCOMP."""
    flags = 2 if kind == PUBREL else 0
    if code == OK or version != V5:
        return struct.pack(">BBH", kind << 4 | flags, 2, number)
    return struct.pack(">BBHB", kind << 4 | flags, 3, number, code)


def suback(version: int, kind: int, number: int, codes: list[int]) -> bytes:
    """Return SUBACK or UNSUBACK; 3.1.1 knows one refusal and answers UNSUBSCRIBE without codes."""
    head = struct.pack(">H", number)
    if version == V5:
        return packet(kind, head + b"\0" + bytes(codes))
    if kind == UNSUBACK:
        return packet(kind, head)
    return packet(kind, head + bytes(code if code < 0x80 else 0x80 for code in codes))


def disconnect(code: int) -> bytes:
    """Return DISCONNECT of 5.0."""
    return packet(DISCONNECT, bytes((code, 0)))
