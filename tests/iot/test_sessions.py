"""What the MQTT door still knows after it was killed: sessions, what is under way, what was heard."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from ingest.doors import packets
from ingest.doors.packets import CONNACK, PUBACK, PUBLISH, PUBREC, SUBACK, SUBSCRIBE, packet
from tests.iot.conftest import PRODUCT, Doors, answers, ask, rows, until
from tests.iot.test_conformance import connect, kinds, publish, talk
from twin import db

pytestmark = pytest.mark.timeout(120)
PERSISTENT = 0xC0


def own(device: str, topic: str) -> str:
    return f"twin/v1/{PRODUCT}/{device}/{topic}"


def subscribe(device: str, topic: str) -> bytes:
    return packet(SUBSCRIBE, b"\0\5" + packets.text(own(device, topic)) + b"\1", 2)


@contextmanager
def opened(doors: Doors, device: str, client: str) -> Iterator[tuple[socket.socket, bool]]:
    """Connect with a session that stays; tell whether it was there before."""
    with socket.create_connection(("127.0.0.1", doors.mqtt_port), 10) as sock:
        sock.sendall(connect(doors, device=device, client=client, flags=PERSISTENT))
        head = sock.recv(4)
        assert (head[0] >> 4, head[3]) == (CONNACK, 0)
        yield sock, bool(head[2])


def one(sock: socket.socket) -> tuple[int, bytes]:
    """Return the head and the body of the next packet."""
    sock.settimeout(20)
    head = sock.recv(2)
    length, shift = head[1] & 0x7F, 7
    while head[1] & 0x80 and (more := sock.recv(1)):
        head = bytes((head[0], more[0]))
        length |= (more[0] & 0x7F) << shift
        shift += 7
    body = b""
    while len(body) < length:
        body += sock.recv(length - len(body))
    return head[0], body


def command(doors: Doors, device: str) -> None:
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into iot.command (id, num, name, actor, expires_at) values "
                "(gen_random_uuid(), :n, 'measure', 'test', now() + interval '10 minutes')"
            ),
            {"n": doors.nums[device]},
        )
        conn.execute(text(f"notify twin_downlink, '{doors.nums[device]}'"))


def kill(doors: Doors) -> None:
    """Kill the door outright; the supervisor starts another."""
    before = doors.part.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    doors.supervisor.wait(
        lambda: doors.part.pid not in (None, before) and answers(doors.mqtt_port), 30, "stays away"
    )


def test_a_session_with_what_is_under_way_outlives_the_door(doors: Doors) -> None:
    with opened(doors, "d00011", "s") as (sock, there):
        assert not there
        sock.sendall(subscribe("d00011", "command"))
        assert one(sock) == (SUBACK << 4, b"\0\5\1")
        command(doors, "d00011")
        head, first = one(sock)
        assert head == PUBLISH << 4 | 2
    until(lambda: ask("select sent from iot.session where client = 's'")[0].sent != [])
    kill(doors)
    with opened(doors, "d00011", "s") as (sock, there):
        assert there
        head, again = one(sock)
        assert (head, again) == (PUBLISH << 4 | 8 | 2, first), "the same, with DUP, unasked"
        at = 2 + int.from_bytes(first[:2], "big")
        sock.sendall(packet(PUBACK, first[at : at + 2]))
        until(lambda: ask("select sent from iot.session where client = 's'")[0].sent == [])
        command(doors, "d00011")  # nobody subscribed anew
        head, second = one(sock)
        assert head == PUBLISH << 4 | 2
        assert second != first
    talk(doors, connect(doors, device="d00011", client="s"), b"\xe0\x00")
    until(lambda: not ask("select 1 from iot.session where client = 's'"))


@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
def test_what_has_no_time_is_stored_once(doors: Doors, qos: int, answer: int) -> None:
    before = rows()
    who = {"device": "d00012", "client": f"t{qos}", "flags": PERSISTENT}
    first = publish(77, b'{"values":{"level_m":1.25}}', qos=qos, device="d00012")
    again = publish(77, b'{"values":{"level_m":1.25}}', qos=qos, device="d00012", dup=True)
    other = publish(77, b'{"values":{"level_m":1.5}}', qos=qos, device="d00012", dup=True)
    assert kinds(talk(doors, connect(doors, **who), first))[1][0] == answer
    if qos == 1:
        kill(doors)
    assert kinds(talk(doors, connect(doors, **who), again))[1][0] == answer
    assert rows() == before + 1
    assert (
        kinds(talk(doors, connect(doors, device="d00012", client=f"o{qos}"), again))[1][0] == answer
    )
    assert rows() == before + 2, "another client says it"
    if qos == 1:
        talk(doors, connect(doors, **who), other)
        assert rows() == before + 3, "a number that was free again says something else"
        found = ask("select duplicate from iot.ledger where num = :n", n=doors.nums["d00012"])
        assert sum(row.duplicate for row in found) == 1


def test_what_is_desired_stands_for_who_subscribes(doors: Doors) -> None:
    num = doors.nums["d00013"]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into iot.shadow (num, desired, desired_rev) "
                """values (:n, '{"report_s": 600}', 3)"""
            ),
            {"n": num},
        )
    with opened(doors, "d00013", "r") as (sock, _):
        sock.sendall(subscribe("d00013", "shadow/desired"))
        assert one(sock)[0] == SUBACK << 4
        head, said = one(sock)
        assert head == PUBLISH << 4 | 2, "told for the first time: nothing retained"
        at = 2 + int.from_bytes(said[:2], "big")
        sock.sendall(packet(PUBACK, said[at : at + 2]))
        until(
            lambda: ask("select delivered_rev as r from iot.shadow where num = :n", n=num)[0].r == 3
        )
        sock.sendall(subscribe("d00013", "shadow/desired"))
        assert one(sock)[0] == SUBACK << 4
        head, said = one(sock)
        assert head == PUBLISH << 4 | 2 | 1, "retained"
        assert b'"report_s":600' in said
        assert b'"version":3' in said


def test_sensorthings_observations_are_created_by_mqtt(doors: Doors) -> None:
    before, num = rows(), doors.nums["d00018"]
    other = doors.nums["d00017"]
    own_stream = f"v1.1/Datastreams('{num}:level_m')/Observations"
    body = b'{"phenomenonTime":"2026-01-05T08:00:00Z","result":%s}'
    named = b'{"result":2.5,"phenomenonTime":"2026-01-05T08:00:00Z/2026-01-05T08:01:00Z",'
    named += b'"Datastream":{"@iot.id":"%d:level_m"}}'
    said = talk(
        doors, connect(doors, packets.V5, device="d00018", client="sta"),
        publish(1, body % b"2.25", version=packets.V5, topic=own_stream),
        publish(2, named % num, version=packets.V5, topic="v1.1/Observations"),
        publish(3, named % other, version=packets.V5, topic="v1.1/Observations"),
        publish(4, body % b'"high"', version=packets.V5, topic=own_stream),
        publish(5, body % b"1", version=packets.V5, topic=f"v1.1/Datastreams('{other}:level_m')/Observations"),
        wait_s=1,
    )  # fmt: skip
    codes = [body[2] if len(body) > 2 else 0 for kind, body in kinds(said) if kind == PUBACK]
    bad = packets.BAD_PAYLOAD
    assert codes == [0, 0, bad, bad, packets.NOT_AUTHORIZED]
    assert rows() == before + 2
