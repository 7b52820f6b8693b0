"""Tools to measure doors: an API process of its own, its CPU and its backends', and a load on it.

The primary figure is CPU per request (server and its database backends, from /proc): requests per
second swing with whatever else a machine does, CPU holds. It has no `run`: benchmarks build on it.
"""

from __future__ import annotations

import contextlib
import glob
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from twin import db, identity
from twin.errors import Unavailable
from twin.pool import Prepared
from twin.settings import settings
from ui.terminal import prepare
from ui.terminal.paths import ROOT

START_S = 60.0
IDLE_S = 2.0
_TICK_MS = 1000.0 / os.sysconf("SC_CLK_TCK")


@dataclass
class Driven:
    """What a load brought: latencies in milliseconds, one for each request."""

    seconds: float
    latencies: list[float]
    statuses: Counter[int] = field(default_factory=Counter)
    bytes: int = 0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Return a quantile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def median(self) -> float:
        """The middle latency, in milliseconds."""
        return statistics.median(self.latencies)


@dataclass
class Server:
    """A running API process of a benchmark; `name` is its application_name in the database."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_ms(self) -> float:
        """Return the CPU spent so far by the process and by its database backends."""
        return cpu_ms([self.process.pid, *backends(self.name)])

    def idle(self) -> float:
        """Return what it spends when nobody asks: milliseconds of CPU a second."""
        began, at = self.cpu_ms(), time.monotonic()
        time.sleep(IDLE_S)
        return (self.cpu_ms() - began) / (time.monotonic() - at)


@contextlib.contextmanager
def server(name: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start an API process against the database of this home, on a free port, and end it."""
    port = free_port()
    said = {
        **os.environ, "TWIN_HOME": str(settings().home), "TWIN_PORT": str(port),
        "TWIN_DB_PORT": str(settings().db_port), "PGAPPNAME": name, "PYTHONPATH": str(ROOT),
        "TWIN_PUBLIC_URL": f"http://127.0.0.1:{port}", **(env or {}),
    }  # fmt: skip
    command = [sys.executable, "-m", "ui.serve", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=said, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield Server(name, port, process)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        door = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            door.request("GET", "/healthz")
            if door.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            door.close()
    raise Unavailable("The server of this benchmark does not start; is the database up (./up)?")


def cpu_ms(pids: Sequence[int]) -> float:
    """Return the time on the processor of processes in milliseconds; who has ended counts nothing."""
    return sum(_thread_ms(task) for pid in pids for task in glob.glob(f"/proc/{pid}/task/*"))


def _thread_ms(task: str) -> float:
    # Nanoseconds where the kernel keeps them: ticks of 10 ms are coarse beside a tile of 0.5 ms.
    with contextlib.suppress(OSError):
        spent = int(Path(f"{task}/schedstat").read_text().split()[0])
        if spent:
            return spent / 1e6
        said = Path(f"{task}/stat").read_text().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) * _TICK_MS
    return 0.0


def backends(name: str) -> list[int]:
    """Return the process ids of the database backends of an application_name."""
    # Of other roles' backends the name is hidden from all but the administrator.
    with psycopg.connect(prepare.admin_url(settings()), autocommit=True) as conn:
        asked = "select pid from pg_stat_activity where application_name = %s"
        return [row[0] for row in conn.execute(asked, (name,))]


def bearer(user: str, *, hours: float = 2) -> dict[str, str]:
    """Return the headers of a token for a user of this installation."""
    with db.engine("app").begin() as conn:
        return {"Authorization": f"Bearer {identity.issue_token(conn, user, hours, 'bench')}"}


@dataclass
class Measured:
    """A load with the CPU that it cost: milliseconds per request, of server and database."""

    driven: Driven
    cpu_ms: float


def measure(
    on: Server,
    paths: Sequence[str],
    headers: Mapping[str, str],
    *,
    clients: int = 1,
    rounds: int = 1,
    idle: float | None = None,
) -> Measured:
    """Ask all paths once to warm up, then `rounds` times; what the idle server costs is taken off."""
    idle = on.idle() if idle is None else idle
    # Last, so that a server at work is measured and not one that wakes up.
    drive(on.port, paths, headers, clients=clients)
    began = on.cpu_ms()
    driven = drive(on.port, paths, headers, clients=clients, rounds=rounds)
    spent = on.cpu_ms() - began - idle * driven.seconds
    return Measured(driven, max(0.0, spent) / len(driven.latencies))


def drive(
    port: int,
    paths: Sequence[str],
    headers: Mapping[str, str],
    *,
    clients: int = 1,
    rounds: int = 1,
    pause_s: float = 0.0,
) -> Driven:
    """Ask every path `rounds` times over `clients` kept connections, from a process of its own.

    `pause_s` is how long each client looks at an answer before it asks the next.
    """
    asked = {"port": port, "paths": list(paths), "headers": dict(headers), "clients": clients,
             "rounds": rounds, "pause_s": pause_s}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ui.terminal.benchmarks.driver"], input=json.dumps(asked).encode(),
        capture_output=True, cwd=ROOT, check=True,
    )  # fmt: skip
    said = json.loads(done.stdout)
    statuses = Counter({int(k): v for k, v in said["statuses"].items()})
    return Driven(said["seconds"], said["latencies"], statuses, said["bytes"])


@dataclass
class Beside:
    """The same requests through the door and as bare SQL, in turns: medians over the turns."""

    ours: Measured
    bare: Measured


def beside(
    on: Server, paths: Sequence[str], headers: Mapping[str, str], prepared: Prepared,
    values: Sequence[Mapping[str, Any]], *, role: str = "tiles", clients: int = 8,
    turns: int = 5, rounds: int = 4,
) -> Beside:  # fmt: skip
    """Measure the door and the bare SQL in turns, so that both see the same machine.

    A shared machine gives the same work half as much CPU again from one minute to the next: two
    figures that are taken one after the other compare nothing. The turn of the middle ratio counts.
    """
    pairs, idle = [], on.idle()
    for _ in range(turns):
        bare = limit(prepared, values, role=role, rounds=rounds)
        ours = measure(on, paths, headers, clients=clients, rounds=rounds, idle=idle)
        pairs.append((ours, bare))
    pairs.sort(key=lambda pair: pair[0].cpu_ms / pair[1].cpu_ms)
    return Beside(*pairs[len(pairs) // 2])


def limit(
    prepared: Prepared, values: Sequence[Mapping[str, Any]], *, role: str = "tiles", rounds: int = 1
) -> Measured:
    """Run the same prepared SQL over one connection without HTTP: the least that it can cost."""
    name = f"bench-limit-{os.getpid()}"
    dsn = settings().dsn(role).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(
        dsn, autocommit=True, options="-c timezone=UTC -c jit=off", application_name=name
    ) as conn:
        conn.prepare_threshold = 0
        said = [{**prepared.fixed, **one} for one in values]
        for one in said:
            conn.execute(prepared.sql, one, prepare=True, binary=True).fetchall()
        pids = [os.getpid(), conn.info.backend_pid]
        latencies = []
        began, at = cpu_ms(pids), time.perf_counter()
        for one in said * rounds:
            sent = time.perf_counter()
            conn.execute(prepared.sql, one, prepare=True, binary=True).fetchall()
            latencies.append((time.perf_counter() - sent) * 1000)
        spent, seconds = cpu_ms(pids) - began, time.perf_counter() - at
    return Measured(Driven(seconds, latencies), spent / len(latencies))
