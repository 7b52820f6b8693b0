"""Kill clients and the database under load: no acknowledged action is lost, no step is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from tests import minicity
from tests.support import ROOT, Servers
from twin import cases, db
from twin.eventview import PROCESS
from twin.process import rows
from twin.scope import SYSTEM

CLIENTS, EACH = 4, 6


@pytest.fixture
def ids(database: str) -> list[str]:
    minicity.build()
    with db.engine("app").begin() as conn:
        return [
            str(cases.open_case(
                conn, PROCESS, actor=SYSTEM, category="litter", title="暴露垃圾", lon=121.42, lat=31.22,
                source="map", data={"description": "一堆垃圾", "reporter_kind": "citizen"},
            )["id"])
            for _ in range(CLIENTS * EACH)
        ]  # fmt: skip


def clients(tmp_path: Path, ids: list[str]) -> list[subprocess.Popen[bytes]]:
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.actor", str(tmp_path / f"told{i}"),
             *ids[i * EACH : (i + 1) * EACH]],
            cwd=ROOT, env=dict(os.environ),
        )
        for i in range(CLIENTS)
    ]  # fmt: skip


def acknowledged(tmp_path: Path) -> list[tuple[str, int, str]]:
    """Return what clients were told; a line cut off by the kill was never told to anybody."""
    told = []
    for path in tmp_path.glob("told*"):
        for line in path.read_text(encoding="ascii").splitlines():
            parts = line.split()
            if len(parts) == 3:
                told.append((parts[0], int(parts[1]), parts[2]))
    return told


def wait_for(n: int, tmp_path: Path, servers: Servers, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while len(acknowledged(tmp_path)) < n:
        servers.supervisor.tick()
        assert time.monotonic() < end, f"only {len(acknowledged(tmp_path))} of {n} actions"
        time.sleep(0.05)


def lose_nothing(servers: Servers, ids: list[str], tmp_path: Path, rounds: int) -> None:
    running = clients(tmp_path, ids)
    postgres = next(part for part in servers.supervisor.parts if part.name == "postgres")
    try:
        for n in range(1, rounds + 1):
            before = len(acknowledged(tmp_path))
            wait_for(before + 100, tmp_path, servers)
            restarts = postgres.restarts
            assert postgres.pid
            os.kill(postgres.pid, signal.SIGKILL)
            servers.supervisor.wait(
                lambda r=restarts: postgres.restarts == r + 1, 20, "the database was not restarted"
            )
            postgres.deaths.clear()
            victim = n % CLIENTS
            running[victim].kill()
            running[victim].wait()
        wait_for(len(acknowledged(tmp_path)) + 100, tmp_path, servers)
    finally:
        for one in running:
            one.kill()
            one.wait()
    db.engine("app").dispose()
    check(acknowledged(tmp_path))


def check(told: list[tuple[str, int, str]]) -> None:
    with db.engine("app").connect() as conn:
        written = {
            (str(r.subject), r.version): r.state
            for r in conn.execute(
                text(
                    "select subject, version, after->>'state' as state from twin.journal "
                    "where class = 'case'"
                )
            )
        }
        found = conn.execute(text(f'select {rows.COLUMNS} from twin."case"')).all()
        last = dict(
            conn.execute(
                text(
                    "select distinct on (subject) subject, after from twin.journal where class = 'case' "
                    "order by subject, version desc"
                )
            ).tuples().all()
        )  # fmt: skip
        holes = conn.execute(
            text(
                'select count(*) from twin."case" c where version <> (select count(*) from twin.journal j '
                "where j.subject = c.id)"
            )
        ).scalar_one()
    lost = [one for one in told if written.get((one[0], one[1])) != one[2]]
    assert not lost, f"{len(lost)} of {len(told)} acknowledged actions are not there: {lost[:3]}"
    assert holes == 0, "a step without its entry, or an entry without its step"
    half = [
        row.code for row in found
        if rows.revived(last[row.id]) != rows.revived(rows.snapshot(dict(row._mapping)))
    ]  # fmt: skip
    assert half == []


@pytest.mark.timeout(240)
def test_a_killed_database_and_killed_clients_lose_no_acknowledged_action(
    servers: Servers, ids: list[str], tmp_path: Path
) -> None:
    lose_nothing(servers, ids, tmp_path, rounds=2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_often_and_still_nothing_is_lost(
    servers: Servers, ids: list[str], tmp_path: Path
) -> None:
    lose_nothing(servers, ids, tmp_path, rounds=CLIENTS - 1)
