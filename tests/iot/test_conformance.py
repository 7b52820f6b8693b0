"""MQTT as the standard wants it: packets split anywhere, too large, malformed, out of order; reason codes."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.doors import packets
from ingest.doors.packets import CONNACK, PUBACK, PUBLISH, SUBSCRIBE, packet, text
from tests.iot.conftest import PRODUCT, Doors, rows

pytestmark = pytest.mark.timeout(120)
V311, V5 = packets.V311, packets.V5


def connect(
    doors: Doors, version: int = V311, device: str = "d00000", *, client: str = "c", flags: int = 0xC2,
    keepalive: int = 60, secret: str = "", properties: bytes = b"",
) -> bytes:  # fmt: skip
    body = text("MQTT") + bytes((version, flags)) + struct.pack(">H", keepalive)
    if version == V5:
        body += packets.varint(len(properties)) + properties
    body += text(client) + text(f"{PRODUCT}/{device}") + text(secret or doors.secrets[device])
    return packet(packets.CONNECT, body)


def publish(
    number: int, payload: bytes = b'{"values":{"level_m":1}}', *, version: int = V311, qos: int = 1,
    device: str = "d00000", extra: bytes = b"", topic: str | None = None, dup: bool = False,
) -> bytes:  # fmt: skip
    name = f"twin/v1/{PRODUCT}/{device}/telemetry" if topic is None else topic
    body = text(name) + (struct.pack(">H", number) if qos else b"")
    if version == V5:
        body += packets.varint(len(extra)) + extra
    return packet(PUBLISH, body + payload, qos << 1 | dup << 3)


def talk(doors: Doors, *parts: bytes, wait_s: float = 0.4) -> bytes:
    """Send parts and return all that comes until it is silent or closed."""
    with closing(socket.create_connection(("127.0.0.1", doors.mqtt_port), 5)) as sock:
        sock.settimeout(wait_s)
        said = b""
        try:
            for part in parts:
                sock.sendall(part)
                time.sleep(0.002)
            while more := sock.recv(65_536):
                said += more
        except (TimeoutError, ConnectionError):
            pass
        return said


def kinds(said: bytes) -> list[tuple[int, bytes]]:
    """Return the packets of an answer: kind and body."""
    found, at = [], 0
    while at < len(said):
        length, start = said[at + 1], at + 2
        assert length < 128
        found.append((said[at] >> 4, said[start : start + length]))
        at = start + length
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, 400), max_size=40), version=st.sampled_from([V311, V5]))
def test_packets_may_be_split_anywhere(doors: Doors, cuts: list[int], version: int) -> None:
    raw = connect(doors, version, client=f"s{time.time_ns()}")
    raw += b"".join(publish(i + 1, version=version, qos=1 + i % 2) for i in range(6))
    places = sorted({0, *(c % len(raw) for c in cuts), len(raw)})
    parts = [raw[a:b] for a, b in zip(places, places[1:], strict=False)]
    answers = kinds(talk(doors, *parts))
    assert answers[0][0] == CONNACK
    assert answers[0][1][1] == 0
    assert sorted(kind for kind, _ in answers[1:]) == [PUBACK] * 3 + [packets.PUBREC] * 3
    numbers = [struct.unpack(">H", body[:2])[0] for _, body in answers[1:]]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=st.binary(min_size=1, max_size=200), known=st.booleans())
def test_no_bytes_bring_the_door_down(doors: Doors, raw: bytes, known: bool) -> None:
    talk(doors, connect(doors, V5, client="") + raw if known else raw, wait_s=0.03)
    assert doors.part.process is not None
    assert doors.part.process.poll() is None, "the door has died"


@settings(max_examples=400, deadline=None)
@given(raw=st.binary(max_size=80), version=st.sampled_from([V311, V5]))
def test_whatever_comes_is_read_or_malformed(raw: bytes, version: int) -> None:
    head = text("MQTT") + bytes((version,))
    for read in (
        lambda: packets.read_connect(raw),
        lambda: packets.read_connect(head + raw),
        lambda: packets.read_filters(raw, version, options=True),
        lambda: packets.read_filters(raw, version, options=False),
        lambda: packets.read_ack(raw, version),
    ):
        try:
            read()
        except packets.Malformed:
            pass


def reason(doors: Doors, *parts: bytes) -> int:
    """Return the reason of the DISCONNECT that a 5.0 client is told."""
    for kind, body in kinds(talk(doors, *parts)):
        if kind == packets.DISCONNECT:
            return body[0]
    raise AssertionError("it was not told why")


def alias(number: int) -> bytes:
    return struct.pack(">BH", packets.ALIAS, number)


REASONS = [
    ("a second CONNECT", lambda d: connect(d, V5), packets.PROTOCOL_ERROR),
    ("QoS 3", lambda d: packet(PUBLISH, text("x") + b"\0\1\0", 6), packets.MALFORMED),
    ("identifier zero", lambda d: publish(0, version=V5), packets.MALFORMED),
    ("DUP at QoS 0", lambda d: publish(1, version=V5, qos=0, dup=True), packets.MALFORMED),
    ("wildcards", lambda d: publish(1, version=V5, topic="twin/#"), packets.BAD_TOPIC),
    ("no topic", lambda d: publish(1, version=V5, topic=""), packets.BAD_TOPIC),
    ("alias of nothing", lambda d: publish(1, version=V5, topic="", extra=alias(3)), packets.PROTOCOL_ERROR),
    ("alias too high", lambda d: publish(1, version=V5, extra=alias(99)), packets.BAD_ALIAS),
    ("alias twice", lambda d: publish(1, version=V5, extra=alias(1) * 2), packets.PROTOCOL_ERROR),
    ("strange property", lambda d: publish(1, version=V5, extra=b"\x11\0\0\0\1"), packets.MALFORMED),
    ("too large", lambda d: packet(PUBLISH, bytes(200_000), 2)[:100], packets.TOO_LARGE),
    ("length of five bytes", lambda d: b"\x32\xff\xff\xff\xff\x01", packets.MALFORMED),
    ("SUBSCRIBE without filters", lambda d: packet(SUBSCRIBE, b"\0\1\0", 2), packets.PROTOCOL_ERROR),
    ("SUBSCRIBE with wrong flags", lambda d: packet(SUBSCRIBE, b"\0\1\0" + text("a") + b"\0"), packets.MALFORMED),
    ("CONNACK from a client", lambda d: packet(CONNACK, b"\0\0"), packets.PROTOCOL_ERROR),
    ("AUTH unasked", lambda d: packet(packets.AUTH, b""), packets.PROTOCOL_ERROR),
    ("kind 0", lambda d: b"\x00\x00", packets.PROTOCOL_ERROR),
]  # fmt: skip


@pytest.mark.parametrize(("name", "made", "code"), REASONS, ids=[r[0] for r in REASONS])
def test_a_client_is_told_what_was_wrong(doors: Doors, name: str, made: object, code: int) -> None:
    assert callable(made)
    assert reason(doors, connect(doors, V5, client="r"), made(doors)) == code


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (packet(1, text("MQTT") + b"\3\2\0\1" + text("x")), 1),
        (packet(1, text("MQIsdp") + b"\3\2\0\1" + text("x")), 1),
        (packet(1, text("MQTT") + b"\4\0\0\1" + text("")), 2),
        (packet(1, text("MQTT") + b"\4\2\0\1" + text("x")), 4),
    ],
)
def test_connack_of_3_1_1(doors: Doors, raw: bytes, answer: int) -> None:
    assert talk(doors, raw) == b"\x20\x02\x00" + bytes((answer,))


def test_the_first_packet_must_be_connect(doors: Doors) -> None:
    before = rows()
    assert talk(doors, publish(1)) in (b"", b"\x20\x02\x00\x05")
    assert rows() == before


def test_qos_2_is_stored_once_however_often_it_comes(doors: Doors) -> None:
    before = rows()
    one = publish(9, qos=2)
    said = talk(doors, connect(doors), one, one, publish(9, qos=2, dup=True), wait_s=1)
    assert {kind for kind, _ in kinds(said)} == {CONNACK, packets.PUBREC}
    end = talk(doors, connect(doors, client="c2"), packets.ack(V311, packets.PUBREL, 77))
    assert kinds(end)[1] == (packets.PUBCOMP, b"\0\x4d")
    assert rows() == before + 1


def test_a_session_is_there_again(doors: Doors) -> None:
    flags = 0xC0
    assert kinds(talk(doors, connect(doors, client="keep", flags=flags), b"\xe0\x00"))[0][1][0] == 0
    assert kinds(talk(doors, connect(doors, client="keep", flags=flags), b"\xe0\x00"))[0][1][0] == 1
    assert kinds(talk(doors, connect(doors, client="keep"), b"\xe0\x00"))[0][1][0] == 0
    assert kinds(talk(doors, connect(doors, client="keep", flags=flags), b"\xe0\x00"))[0][1][0] == 0


def test_aliases_stand_for_topics(doors: Doors) -> None:
    before = rows()
    said = talk(
        doors, connect(doors, V5, client="al"), publish(1, version=V5, extra=alias(1)),
        publish(2, version=V5, extra=alias(1), topic=""),
    )  # fmt: skip
    assert [kind for kind, _ in kinds(said)] == [CONNACK, PUBACK, PUBACK]
    assert rows() == before + 2


def test_ping_and_unsubscribe(doors: Doors) -> None:
    own = f"twin/v1/{PRODUCT}/d00000/command"
    said = talk(
        doors, connect(doors, V5, client="pu"), b"\xc0\x00",
        packet(SUBSCRIBE, b"\0\5\0" + text(own) + b"\1" + text("other/#") + b"\0", 2),
        packet(packets.UNSUBSCRIBE, b"\0\6\0" + text(own) + text(own), 2),
    )  # fmt: skip
    assert kinds(said)[1:] == [
        (packets.PINGRESP, b""),
        (packets.SUBACK, b"\0\5\0\1\x87"),
        (packets.UNSUBACK, b"\0\6\0\0\x11"),
    ]
