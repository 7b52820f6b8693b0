"""JT/T 808, HJ 212 and AIS by their sockets: answered after the commit, broken frames counted."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ingest.codecs import hj212, jt808
from tests.iot.conftest import answers, ask, enter, rows
from tests.support import Servers, environment, free_port
from twin import db, devices
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

pytestmark = pytest.mark.timeout(120)
PHONE, STATION, SHIP = "013812345678", "SH310104001", "412000001"
NOW = datetime.now(timezone(timedelta(hours=8))).replace(microsecond=0)


@pytest.fixture(scope="module")
def ports(servers: Servers, database: str) -> Iterator[dict[str, Any]]:
    names = (
        "TWIN_MQTT_PORT",
        "TWIN_COAP_PORT",
        "TWIN_JT808_PORT",
        "TWIN_HJ212_PORT",
        "TWIN_AIS_PORT",
    )
    made = {name: free_port() for name in names}
    with environment(**{name: str(port) for name, port in made.items()}):
        _, nums = enter(3, prefix="f")
        with db.engine("app").begin() as conn:
            things = list(nums.values())
            devices.give(conn, "vehicle_terminal", PHONE, things[0], actor="test")
            secret = devices.give(conn, "noise_dust", STATION, things[1], actor="test")
            devices.give(conn, "vessel_terminal", SHIP, things[2], actor="test")
        supervisor = Supervisor(servers.home, os.environ)
        supervisor.start(Part("ingest", [*as_user(None), sys.executable, "-m", "ingest.doors"]))
        try:
            supervisor.wait(lambda: answers(made["TWIN_HJ212_PORT"]), 20, "no door")
            yield {**made, "secret": secret}
        finally:
            supervisor.stop()


def exchange(sock: socket.socket, frame: bytes) -> bytes:
    sock.sendall(frame)
    sock.settimeout(10)
    return sock.recv(2000)


def place() -> bytes:
    head = (0).to_bytes(4, "big") + (3).to_bytes(4, "big")
    at = bytes.fromhex(NOW.strftime("%y%m%d%H%M%S"))
    numbers = b"".join(n.to_bytes(4, "big") for n in (31_200_000, 121_400_000))
    return head + numbers + b"\0\x0a\x01\xf4\0\x5a" + at


def test_a_terminal_registers_authenticates_and_reports(ports: dict[str, Any]) -> None:
    with closing(socket.create_connection(("127.0.0.1", ports["TWIN_JT808_PORT"]), 5)) as sock:
        early = jt808.parse(exchange(sock, jt808.framed(jt808.LOCATION, PHONE, 1, place())))
        assert early.body[-1] == 1, "a terminal that did not authenticate is refused"
        answer = jt808.parse(exchange(sock, jt808.framed(jt808.REGISTER, PHONE, 2, bytes(40))))
        assert (answer.id, answer.body[2]) == (jt808.REGISTER_ANSWER, 0)
        own = answer.body[3:]
        done = jt808.parse(exchange(sock, jt808.framed(jt808.AUTHENTICATE, PHONE, 3, own)))
        assert done.body[-1] == 0
        said = jt808.parse(exchange(sock, jt808.framed(jt808.LOCATION, PHONE, 4, place())))
        assert (said.id, said.body[-1]) == (jt808.GENERAL_ANSWER, 0)
    [last] = ask("select lon, lat, speed_kmh from twin.last_position")
    assert (last.lon, last.lat, last.speed_kmh) == (121.4, 31.2, 50)
    assert rows("vehicle_terminal") == 1


def test_strangers_and_broken_frames_are_counted(ports: dict[str, Any]) -> None:
    before = ask("select count(*) as n from iot.reject where door = 'jt808'")[0].n
    with closing(socket.create_connection(("127.0.0.1", ports["TWIN_JT808_PORT"]), 5)) as sock:
        said = jt808.parse(
            exchange(sock, jt808.framed(jt808.REGISTER, "013900000000", 1, bytes(40)))
        )
        assert said.body[2] == 4
        sock.sendall(b"\x7e\x01\x02\x03\x7e")
        time.sleep(0.5)
    assert ask("select count(*) as n from iot.reject where door = 'jt808'")[0].n == before + 1


def test_a_station_reports(ports: dict[str, Any]) -> None:
    at = NOW.strftime("%Y%m%d%H%M%S")
    for password, stored in (("000000", 0), (ports["secret"][:6], 1)):
        data = (f"QN={at}000;ST=22;CN=2011;PW={password};MN={STATION};Flag=5;"
                f"CP=&&DataTime={at};a34004-Rtd=35.0,a34004-Flag=N;LA-Rtd=55.5,LA-Flag=N&&")  # fmt: skip
        with closing(socket.create_connection(("127.0.0.1", ports["TWIN_HJ212_PORT"]), 5)) as sock:
            sock.sendall(hj212.framed(data))
            sock.settimeout(5 if stored else 0.5)
            try:
                answer = sock.recv(2000)
            except TimeoutError:
                answer = b""
        assert bool(answer) is bool(stored)
        assert rows("noise_dust") == stored


def test_a_ship_is_heard(ports: dict[str, Any]) -> None:
    line = b"!AIVDM,1,1,,A,15M67FC000G?ufbE`FepT@3n00Sa,0*5C\r\n!AIVDM,broken\r\n"
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.sendto(line, ("127.0.0.1", ports["TWIN_AIS_PORT"]))
    end = time.monotonic() + 10
    while not ask("select 1 from iot.reject where door = 'ais'"):
        assert time.monotonic() < end
        time.sleep(0.1)
