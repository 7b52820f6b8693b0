"""Private servers and whole installations for tests, made by the same code as `./up`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from twin import db
from twin.settings import settings
from ui.terminal import prepare
from ui.terminal.broker import SIMULATOR, Broker
from ui.terminal.cluster import Cluster, as_user
from ui.terminal.paths import ROOT
from ui.terminal.supervisor import Part, Supervisor

T = TypeVar("T")


def run_async(
    asked: Coroutine[Any, Any, T], runner: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
) -> T:
    """Run a coroutine in a thread of its own: a browser test leaves a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(runner, asked).result()


DOORS = (
    "TWIN_DB_PORT", "TWIN_MQTT_PORT", "TWIN_NORTH_MQTT_PORT", "TWIN_MQTTS_PORT", "TWIN_COAP_PORT",
)  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Give a home that the database's user can walk to, and remove it afterwards."""
    home = Path(tempfile.mkdtemp(prefix="twin-test-", dir="/var/tmp"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        if not os.environ.get("KEEP_HOME"):
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set TWIN_* variables for this process, and forget what was read before."""
    before = {name: os.environ.get(name) for name in values}
    _apply(values)
    try:
        yield
    finally:
        _apply(before)


def _apply(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    db.forget_engines()


@dataclass
class Servers:
    """A PostGIS cluster with the migrated template database `twin`, and a Mosquitto."""

    home: Path
    db_port: int
    mqtt_port: int  # nobody listens before a test starts the device doors
    north_port: int
    supervisor: Supervisor

    def admin(self) -> psycopg.Connection[Any]:
        """Connect as the cluster's superuser."""
        password = (self.home / "secrets" / "db-super").read_text(encoding="utf-8").strip()
        return psycopg.connect(
            f"postgresql://postgres:{quote(password)}@127.0.0.1:{self.db_port}/postgres",
            autocommit=True,
        )

    def secret(self, name: str) -> str:
        """Return a secret of this home."""
        return (self.home / "secrets" / name).read_text(encoding="utf-8").strip()

    @contextmanager
    def fresh_database(self, name: str) -> Iterator[str]:
        """Give a copy of the template as the process's database."""
        with self.admin() as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'twin'"
            )
            conn.execute(
                sql.SQL("create database {} template twin owner twin_owner").format(
                    sql.Identifier(name)
                )
            )
        address = f"postgresql://127.0.0.1:{self.db_port}/{name}"
        try:
            with environment(TWIN_DATABASE_URL=address):
                yield address
        finally:
            with self.admin() as conn:
                conn.execute(
                    sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
                )


@contextmanager
def servers() -> Iterator[Servers]:
    """Start a cluster and a broker on free ports, set up as `./up` does it."""
    with temporary_home() as home:
        ports = {name: free_port() for name in DOORS}
        with environment(
            TWIN_HOME=str(home),
            TWIN_PORT=str(free_port()),
            TWIN_DEMO="none",
            TWIN_DEMO_ACCOUNTS="1",
            TWIN_DATABASE_URL=None,
            **{name: str(port) for name, port in ports.items()},
        ):
            config = settings()
            supervisor = Supervisor(home, os.environ)
            cluster, broker = Cluster(home, config.db_port), Broker(home, config.north_mqtt_port)
            try:
                cluster.ensure()
                supervisor.start(Part("postgres", cluster.command(), signal.SIGINT, 30))
                supervisor.wait(cluster.answers, 30, "the test database does not answer")
                prepare.ensure_server()
                prepare.ensure_tables()
                broker.ensure({})
                supervisor.start(Part("mosquitto", broker.command()))
                supervisor.wait(broker.answers, 10, "the test broker does not answer")
                yield Servers(
                    home, config.db_port, config.mqtt_port, config.north_mqtt_port, supervisor
                )
            finally:
                supervisor.stop()


@dataclass
class City:
    """A whole running installation with the small demo city."""

    home: Path
    url: str
    port: int
    db_port: int
    mqtt_port: int
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    def secret(self, name: str) -> str:
        """Return a secret of this home."""
        return (self.home / "secrets" / name).read_text(encoding="utf-8").strip()

    def logins(self) -> dict[str, str]:
        """Return user name -> password of the demo accounts."""
        return dict(line.split(" ", 1) for line in self.secret("demo-logins").splitlines())

    def twin(self, *words: str) -> Any:
        """Run a `twin` command with --json and return its object."""
        done = subprocess.run(
            [sys.executable, "-m", "ui.terminal.main", *words, "--json"],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    def token(self, user: str = "dispatcher") -> str:
        """Return a bearer token of a demo account."""
        return str(self.twin("token", "--user", user)["token"])

    def get(self, path: str, token: str | None = None) -> Any:
        """GET a JSON document."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        asked = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)

    def broker_login(self) -> tuple[str, str]:
        """Return the account by which tests publish for any device."""
        return SIMULATOR, self.secret("mqtt-sim")

    def status(self) -> dict[str, Any]:
        """Return what the supervisor says of its parts."""
        said: dict[str, Any] = json.loads((self.home / "run" / "status.json").read_text())
        return said


@contextmanager
def installation(demo: str = "small", patience_s: float = 240) -> Iterator[City]:
    """Run everything as real processes on free ports; it ends with the tests, even when killed."""
    with temporary_home() as home:
        ports = {name: free_port() for name in ("TWIN_PORT", *DOORS)}
        env = {
            **os.environ,
            "TWIN_HOME": str(home),
            "TWIN_DEMO": demo,
            **{name: str(port) for name, port in ports.items()},
        }
        env.pop("TWIN_DATABASE_URL", None)
        said = home / "up.txt"
        with said.open("wb") as sink:
            process = subprocess.Popen(
                [*as_user(None), sys.executable, "-m", "ui.terminal.start"],
                env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            _wait_ready(process, said, patience_s)
            url = f"http://127.0.0.1:{ports['TWIN_PORT']}"
            numbers = [ports[name] for name in ("TWIN_PORT", "TWIN_DB_PORT", "TWIN_MQTT_PORT")]
            yield City(home, url, *numbers, env, process)
        finally:
            process.terminate()
            process.wait(90)


def _wait_ready(process: subprocess.Popen[bytes], said: Path, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while "ready: " not in said.read_text(errors="replace"):
        told = said.read_text(errors="replace")
        assert process.poll() is None, f"the installation did not start:\n{told}"
        assert time.monotonic() < end, f"the installation is not ready in time:\n{told}"
        time.sleep(0.2)
