"""Kill the broker door under load: nothing that the broker acknowledged may be missing or double."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.faults.publisher import Fleet
from tests.support import Servers
from twin import db
from ui.terminal.broker import READER, SIMULATOR
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor


@pytest.fixture
def ingest(servers: Servers, database: str) -> Iterator[Supervisor]:
    """The broker door under the real supervisor; our Mosquitto stands for somebody's broker."""
    url = f"mqtt://{READER}:{servers.secret('mqtt-ingest')}@127.0.0.1:{servers.north_port}"
    supervisor = Supervisor(servers.home, {**os.environ, "TWIN_MQTT_URL": url})
    supervisor.start(Part("ingest", [*as_user(None), sys.executable, "-m", "ingest.mqtt"]))
    # From its first connection on the broker keeps a session for it, whether it lives or not.
    log = servers.home / "log" / "ingest.log"
    supervisor.wait(lambda: log.exists() and "connected" in log.read_text(), 20, "no ingest")
    yield supervisor
    supervisor.stop()


def stored() -> int:
    with db.engine("owner").connect() as conn:
        return int(conn.scalar(text("select count(*) from twin.position")) or 0)


def kill_now_and_then(
    part: Part, times: int, spread_s: tuple[float, float], supervisor: Supervisor
) -> int:
    """Kill the part with SIGKILL while the load runs; the supervisor brings it back."""
    killed = 0
    while killed < times:
        pause = time.monotonic() + random.uniform(*spread_s)
        while time.monotonic() < pause:
            supervisor.tick()
            time.sleep(0.02)
        if part.pid:
            os.kill(part.pid, signal.SIGKILL)
            killed += 1
        part.deaths.clear()  # these deaths are ours; the budget has its own test
    return killed


def lose_nothing(
    servers: Servers,
    ingest: Supervisor,
    vehicles: dict[str, int],
    *,
    count: int,
    rate: int,
    kills: int,
) -> None:
    fleet = Fleet(servers.north_port, (SIMULATOR, servers.secret("mqtt-sim")), list(vehicles))
    part = ingest.parts[0]
    before = stored()
    load = threading.Thread(target=fleet.publish, args=(count, rate))
    load.start()
    span = count / rate / (kills + 1)
    assert kill_now_and_then(part, kills, (0.6 * span, 1.1 * span), ingest) == kills
    load.join()
    fleet.finish(20)
    assert len(fleet.acknowledged) == count, "the broker did not acknowledge everything"
    ingest.wait(
        lambda: stored() - before >= count, 60, f"only {stored() - before} of {count} arrived"
    )

    with db.engine("owner").connect() as conn:
        rows = conn.execute(text("select num, at, count(*) from twin.position group by 1, 2")).all()
        last = dict(conn.execute(text("select num, at from twin.last_position")).tuples().all())
        noted = conn.scalar(
            text("select sum((note->>'count')::int) from twin.journal where class = 'observation'")
        )
        refused = conn.scalar(text("select count(*) from iot.reject"))
    found = {(row.num, row.at) for row in rows}
    missing = {(vehicles[code], at) for code, at in fleet.acknowledged} - found
    assert not missing, f"{len(missing)} acknowledged messages are not in the table"
    assert all(row.count == 1 for row in rows)
    assert noted == len(found), "the journal's counts are not those of the table"
    assert refused == 0
    newest = {num: max(at for n, at in found if n == num) for num in last}
    assert last == newest


@pytest.mark.timeout(180)
def test_killed_ingest_loses_nothing(
    servers: Servers, ingest: Supervisor, vehicles: dict[str, int]
) -> None:
    lose_nothing(servers, ingest, vehicles, count=12_000, rate=1500, kills=4)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_ingest_loses_nothing_for_long(
    servers: Servers, ingest: Supervisor, vehicles: dict[str, int]
) -> None:
    lose_nothing(servers, ingest, vehicles, count=150_000, rate=1500, kills=25)


@pytest.mark.timeout(120)
def test_a_database_restart_loses_nothing(
    servers: Servers, ingest: Supervisor, vehicles: dict[str, int]
) -> None:
    """While the database is away nothing is acknowledged, and all of it comes after."""
    fleet = Fleet(servers.north_port, (SIMULATOR, servers.secret("mqtt-sim")), list(vehicles))
    before = stored()
    load = threading.Thread(target=fleet.publish, args=(3000, 1000))
    load.start()
    time.sleep(1)
    postgres = next(part for part in servers.supervisor.parts if part.name == "postgres")
    assert postgres.pid
    os.kill(postgres.pid, signal.SIGKILL)
    servers.supervisor.wait(lambda: postgres.restarts == 1, 10, "the database was not restarted")
    load.join()
    fleet.finish(20)
    db.engine("owner").dispose()

    def all_there() -> bool:
        servers.supervisor.tick()
        try:
            return stored() - before >= 3000
        except Exception:  # noqa: BLE001 - recovery is still under way
            return False

    ingest.wait(all_there, 60, "not everything arrived after the database came back")
