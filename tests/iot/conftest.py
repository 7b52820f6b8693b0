"""What the tests of the doors share: devices of a product, and the real door process."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.support import Servers, environment, free_port
from twin import db, devices
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

PRODUCT = "water_level"


@dataclass
class Doors:
    """The device doors of a test, with devices that may come in."""

    supervisor: Supervisor
    mqtt_port: int
    coap_port: int
    secrets: dict[str, str]
    nums: dict[str, int]

    @property
    def part(self) -> Part:
        """The door's process."""
        return self.supervisor.parts[0]


def enter(
    count: int, product: str = PRODUCT, prefix: str = "d"
) -> tuple[dict[str, str], dict[str, int]]:
    """Make things with devices of a product; return secrets and thing numbers by device."""
    names = [f"{prefix}{i:05d}" for i in range(count)]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into twin.thing (id, kind, code, district, level) "
                "values (:id, 'sensor', :code, '310104', 2)"
            ),
            [{"id": uuid4(), "code": f"T-{product}-{name}"} for name in names],
        )
        found = devices.numbers(conn, [f"T-{product}-{name}" for name in names])
    nums = {name: found[f"T-{product}-{name}"] for name in names}
    with db.engine("app").begin() as conn:
        done = devices.many(conn, product, list(nums.items()), actor="test")
    return {one.device: one.secret for one in done}, nums


def answers(port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(sql: str, **values: Any) -> list[Any]:
    """Return rows as the owner sees them."""
    with db.engine("owner").connect() as conn:
        return list(conn.execute(text(sql), values))


def rows(product: str = PRODUCT) -> int:
    """Return how many records of a product are stored."""
    return int(ask(f"select count(*) as n from iot.up_{product}")[0].n)


def until(question: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def doors(servers: Servers, database: str) -> Iterator[Doors]:
    """The real door process under the real supervisor, with twenty devices."""
    secrets, nums = enter(20)
    ports = {"TWIN_MQTT_PORT": free_port(), "TWIN_COAP_PORT": free_port()}
    with environment(**{name: str(port) for name, port in ports.items()}):
        supervisor = Supervisor(servers.home, os.environ)
        supervisor.start(Part("ingest", [*as_user(None), sys.executable, "-m", "ingest.doors"]))
        try:
            port = ports["TWIN_MQTT_PORT"]
            supervisor.wait(lambda: answers(port), 20, "the door does not open")
            yield Doors(supervisor, port, ports["TWIN_COAP_PORT"], secrets, nums)
        finally:
            supervisor.stop()
