"""Ten thousand devices come back at once; the database is away: nothing is lost, memory is bounded."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ingest.doors import packets
from ingest.doors.packets import PUBLISH, packet, text
from tests.faults.senders import MqttSender
from tests.iot.conftest import PRODUCT, answers, ask, enter
from tests.support import Servers, environment, free_port, run_async
from twin import db
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

MANY = 10_000
EACH = 3
BEGAN = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def door(servers: Servers, database: str) -> Iterator[tuple[Supervisor, int]]:
    """The door process alone."""
    ports = {"TWIN_MQTT_PORT": free_port(), "TWIN_COAP_PORT": free_port()}
    with environment(**{name: str(port) for name, port in ports.items()}):
        supervisor = Supervisor(servers.home, os.environ)
        supervisor.start(Part("ingest", [*as_user(None), sys.executable, "-m", "ingest.doors"]))
        try:
            supervisor.wait(lambda: answers(ports["TWIN_MQTT_PORT"]), 30, "the door does not open")
            yield supervisor, ports["TWIN_MQTT_PORT"]
        finally:
            supervisor.stop()


class Device(asyncio.Protocol):
    """Connects again and again until it is in and all it has to say is acknowledged."""

    def __init__(self, user: str, secret: str, storm: Storm) -> None:
        body = text("MQTT") + bytes((4, 0xC2)) + struct.pack(">H", 600) + text(user[-20:])
        self.hello = packet(packets.CONNECT, body + text(user) + text(secret))
        self.topic, self.storm = text(f"twin/v1/{user}/telemetry"), storm
        self.left = {i + 1: storm.payload(i) for i in range(EACH)}
        self.back = False

    def connection_made(self, transport: Any) -> None:
        """Say who this is."""
        self.transport = transport
        transport.write(self.hello)

    def data_received(self, data: bytes) -> None:
        """Count what is acknowledged; after CONNACK send what is not."""
        if data[:1] == b"\x20":
            assert data[3] == 0
            self.back = True
            self.storm.came_back(self)
            data = data[4:]
            parts = [packet(PUBLISH, self.topic + struct.pack(">H", n) + said, 2)
                     for n, said in self.left.items()]  # fmt: skip
            self.transport.write(b"".join(parts))
        for at in range(0, len(data), 4):
            self.left.pop(data[at + 2] << 8 | data[at + 3], None)
        if not self.left:
            self.storm.said_all(self)


class Storm:
    """All devices, and how far they are."""

    def __init__(self, port: int, secrets: dict[str, str]) -> None:
        self.port, self.secrets = port, secrets
        self.back: set[Device] = set()
        self.done: set[Device] = set()
        self.back_s = 0.0
        self.over = asyncio.Event()

    def payload(self, i: int) -> bytes:
        at = (BEGAN + timedelta(seconds=i)).isoformat()
        return json.dumps({"t": at, "values": {"level_m": i / 10}}).encode()

    def came_back(self, device: Device) -> None:
        self.back.add(device)
        if len(self.back) == len(self.secrets):
            self.back_s = time.monotonic() - self.began

    def said_all(self, device: Device) -> None:
        self.done.add(device)
        if len(self.done) == len(self.secrets):
            self.over.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.began = time.monotonic()

        async def one(name: str, secret: str) -> None:
            device = Device(f"{PRODUCT}/{name}", secret, self)
            while not device.back:
                try:
                    await loop.create_connection(lambda: device, "127.0.0.1", self.port)
                    return
                except OSError:
                    await asyncio.sleep(0.5)

        await asyncio.gather(*(one(*pair) for pair in self.secrets.items()))
        await asyncio.wait_for(self.over.wait(), 60)


@pytest.mark.timeout(240)
def test_ten_thousand_devices_come_back_at_once(door: tuple[Supervisor, int]) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < MANY + 500:
        pytest.skip(f"this machine lends a process {most} files")
    began = time.monotonic()
    secrets, nums = enter(MANY, prefix="storm")
    entered_s = time.monotonic() - began
    storm = Storm(door[1], secrets)
    run_async(storm.run(), uvloop.run)
    print(f"{MANY} entered in {entered_s:.1f} s, all back in {storm.back_s:.1f} s")
    [row] = ask(
        f"select count(*) as n, count(distinct num) as nums from iot.up_{PRODUCT} where num = any(:n)",
        n=list(nums.values()),
    )
    assert (row.n, row.nums) == (MANY * EACH, MANY)


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def away(servers: Servers, door: tuple[Supervisor, int], seconds: float) -> None:
    """Stop the database for a while; devices go on, and all of it arrives in order afterwards."""
    supervisor, port = door
    secrets, nums = enter(5, prefix=f"away{time.time_ns() % 10**6}x")
    senders = [MqttSender(PRODUCT, name, secret, port) for name, secret in secrets.items()]
    for sender in senders:
        sender.thread.start()
    time.sleep(1)
    postgres = next(p for p in servers.supervisor.parts if p.name == "postgres")
    assert postgres.pid and postgres.process and supervisor.parts[0].pid
    before = memory_mb(supervisor.parts[0].pid)
    os.kill(postgres.pid, signal.SIGINT)
    postgres.process.wait(30)
    end, most = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        supervisor.tick()
        most = max(most, memory_mb(supervisor.parts[0].pid or 0))
        time.sleep(0.1)
    known = [len(sender.acknowledged) for sender in senders]
    time.sleep(0.2)
    assert known == [len(sender.acknowledged) for sender in senders], (
        "acknowledged without database"
    )
    servers.supervisor.wait(lambda: postgres.pid is not None, 20, "the database stays away")
    db.engine("owner").dispose()
    finishing = threading.Thread(target=lambda: [one.finish(60) for one in senders])
    finishing.start()
    while finishing.is_alive():
        servers.supervisor.tick()
        supervisor.tick()
        time.sleep(0.05)
    for sender in senders:
        found = ask(
            f"select at from iot.up_{PRODUCT} where num = :n order by received, at",
            n=nums[sender.device],
        )
        moments = [row.at for row in found]
        assert moments == sorted(moments), "not in order"
        assert set(moments) == sender.acknowledged
        assert len(moments) == sender.sent
    print(f"away {seconds:.0f} s: {before:.0f} MB before, {most:.0f} MB at most")
    assert most < before + 200


@pytest.mark.timeout(180)
def test_devices_keep_what_they_have_while_the_database_is_away(
    servers: Servers, door: tuple[Supervisor, int]
) -> None:
    away(servers, door, 8)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_database_is_away_for_ten_minutes(
    servers: Servers, door: tuple[Supervisor, int]
) -> None:
    away(servers, door, 600)
