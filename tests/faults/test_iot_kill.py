"""Kill doors, writer, database and worker at random: what was acknowledged is stored, once."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from tests.faults.senders import CoapSender, HttpSender, MqttSender, Sender
from tests.iot.conftest import PRODUCT, answers, ask, enter
from tests.support import Servers, environment, free_port
from twin import db
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

ROUND_S = (0.8, 2.0)


@dataclass
class Platform:
    """All parts between a device and the database, and devices that send by every door."""

    servers: Servers
    supervisor: Supervisor
    senders: list[Sender]
    nums: dict[str, int]
    killed: dict[str, int]

    def parts(self) -> list[Part]:
        """Return what may be killed."""
        postgres = next(p for p in self.servers.supervisor.parts if p.name == "postgres")
        return [*self.supervisor.parts, postgres]

    def tick(self) -> None:
        """Bring back what died; these deaths are ours, the budget has its own test."""
        for one in (self.supervisor, self.servers.supervisor):
            for part in one.parts:
                part.deaths.clear()
            one.tick()

    def wait(self, seconds: float) -> None:
        """Let time pass while parts are kept up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tick()
            time.sleep(0.02)

    def kill(self, rounds: int) -> None:
        """Kill a part at random, again and again; each of them at least once."""
        order = self.parts()
        random.shuffle(order)
        while (done := sum(self.killed.values())) < rounds:
            self.wait(random.uniform(*ROUND_S))
            part = order[done] if done < len(order) else random.choice(order)
            if part.pid:
                os.kill(part.pid, signal.SIGKILL)
                self.killed[part.name] = self.killed.get(part.name, 0) + 1


@pytest.fixture
def platform(servers: Servers, database: str) -> Iterator[Platform]:
    """The real processes under the real supervisor."""
    secrets, nums = enter(9, prefix=f"k{time.time_ns() % 10**6}x")
    ports = {"TWIN_MQTT_PORT": free_port(), "TWIN_COAP_PORT": free_port(), "TWIN_PORT": free_port()}
    python = [*as_user(None), sys.executable, "-m"]
    with environment(**{name: str(port) for name, port in ports.items()}):
        supervisor = Supervisor(servers.home, os.environ)
        supervisor.start(Part("ingest", [*python, "ingest.doors"]))
        web = ["ui.serve", "--port", str(ports["TWIN_PORT"])]
        supervisor.start(Part("api", [*python, *web]))
        supervisor.start(Part("worker", [*python, "services.worker"]))
        try:
            for name in ("TWIN_MQTT_PORT", "TWIN_PORT"):
                supervisor.wait(lambda n=name: answers(ports[n]), 40, f"{name} does not open")  # type: ignore[misc]
            kinds = [
                (MqttSender, "TWIN_MQTT_PORT"),
                (HttpSender, "TWIN_PORT"),
                (CoapSender, "TWIN_COAP_PORT"),
            ]
            senders = [
                kinds[i % 3][0](PRODUCT, device, secret, ports[kinds[i % 3][1]])
                for i, (device, secret) in enumerate(secrets.items())
            ]
            yield Platform(servers, supervisor, senders, nums, {})
        finally:
            for sender in senders:
                sender.over.set()
            supervisor.stop()


def settled(sql: str, **values: Any) -> list[Any]:
    """Ask the database, which may be on its way back."""
    for _ in range(100):
        try:
            return ask(sql, **values)
        except DBAPIError:
            db.engine("owner").dispose()
            time.sleep(0.2)
    raise AssertionError("the database does not come back")


def lose_nothing(platform: Platform, rounds: int) -> None:
    for sender in platform.senders:
        sender.thread.start()
    platform.kill(rounds)
    finishing = threading.Thread(target=lambda: [one.finish(60) for one in platform.senders])
    finishing.start()
    while finishing.is_alive():
        platform.wait(0.1)
    nums = list(platform.nums.values())
    found = settled(
        f"select num, at, count(*) as n from iot.up_{PRODUCT} where num = any(:n) group by 1, 2",
        n=nums,
    )
    stored = {(row.num, row.at) for row in found}
    total = sum(len(one.acknowledged) for one in platform.senders)
    for sender in platform.senders:
        assert not sender.thread.is_alive(), f"{sender.device} is not done"
        assert len(sender.acknowledged) == sender.sent > 0, type(sender).__name__
        missing = {(platform.nums[sender.device], at) for at in sender.acknowledged} - stored
        assert not missing, f"{len(missing)} acknowledged records are lost"
    assert all(row.n == 1 for row in found), "a record is stored twice"
    assert len(stored) == total
    closes(nums, total)
    repeated = sum(one.repeated for one in platform.senders)
    print(f"{total} acknowledged, 0 lost, {repeated} sent again, killed {platform.killed}")


def closes(nums: list[int], rows: int) -> None:
    """The ledger and the journal say what the table says."""
    [sums] = settled(
        "select sum(accepted) as a, sum(stored) as s, sum(rejected) as r, sum(duplicate) as d "
        "from iot.ledger where num = any(:n)", n=nums,
    )  # fmt: skip
    assert sums.a == sums.s + sums.r + sums.d
    assert sums.s == rows
    assert sums.r == 0
    [noted] = settled(
        "select sum((note->>'count')::int) as n from twin.journal "
        "where class = 'observation' and note->>'table' = :t", t=f"iot.up_{PRODUCT}",
    )  # fmt: skip
    assert noted.n == settled(f"select count(*) as n from iot.up_{PRODUCT}")[0].n


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost(platform: Platform) -> None:
    lose_nothing(platform, rounds=5)
    assert len(platform.killed) == 4


@pytest.mark.long
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_in_twenty_rounds(platform: Platform) -> None:
    lose_nothing(platform, rounds=20)
