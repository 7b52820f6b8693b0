"""The private cluster and broker: what the rest relies on."""

from __future__ import annotations

import subprocess
import time
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from tests.support import Servers, environment
from twin import db
from ui.terminal import prepare
from ui.terminal.broker import Broker, digest


def test_the_cluster_is_as_promised(servers: Servers) -> None:
    with servers.admin() as conn:
        shown = {
            key: conn.execute(f"show {key}").fetchone()[0]  # type: ignore[index,arg-type]
            for key in (
                "server_encoding",
                "data_checksums",
                "password_encryption",
                "jit",
                "timezone",
            )
        }
        collation = conn.execute(
            "select datcollate from pg_database where datname='twin'"
        ).fetchone()
    assert shown == {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "jit": "off",
        "timezone": "UTC",
    }
    assert collation == ("C.UTF-8",)


def test_a_wrong_password_does_not_get_in(servers: Servers) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://twin_app:wrong@127.0.0.1:{servers.db_port}/twin")


def test_set_up_may_be_repeated(servers: Servers) -> None:
    prepare.ensure_server()
    prepare.ensure_tables()
    assert db.migrate() == []


def test_roles_plan_without_parallel_workers(database: str) -> None:
    for role in ("app", "ingest", "tiles"):
        with db.engine(role).connect() as conn:
            assert conn.scalar(text("show max_parallel_workers_per_gather")) == "0"


def test_nobody_rewrites_the_journal(database: str) -> None:
    with db.engine("app").connect() as conn, pytest.raises(Exception, match="permission denied"):
        conn.execute(text("update twin.journal set actor = 'x'"))


def test_chinese_is_found_by_trigrams(database: str) -> None:
    with db.engine("app").connect() as conn:
        assert conn.scalar(text("select similarity('徐家汇公园', '徐家汇') > 0.2"))


@pytest.mark.parametrize(
    ("topic", "arrives"),
    [("twin/v1/bin/b1/telemetry", True), ("twin/v1/bin/b2/telemetry", False)],
)
def test_a_device_speaks_only_for_itself(servers: Servers, topic: str, arrives: bool) -> None:
    broker = Broker(servers.home, servers.north_port)
    broker.write_accounts({"bin/b1": digest("device-secret")})
    part = next(p for p in servers.supervisor.parts if p.name == "mosquitto")
    assert part.pid
    broker.reload(part.pid)
    time.sleep(0.5)  # a reload ends the connections that were open before it
    listen = subprocess.Popen(
        ["mosquitto_sub", "-p", str(servers.north_port), "-u", "ingest", "-P",
         servers.secret("mqtt-ingest"), "-t", "twin/v1/#", "-C", "1", "-W", "3"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    # A refused publisher is cut off: its own exit code says nothing here.
    subprocess.run(
        ["mosquitto_pub", "-p", str(servers.north_port), "-u", "bin/b1", "-P", "device-secret",
         "-q", "1", "-t", topic, "-m", "{}", "--repeat", "5", "--repeat-delay", "0.2"],
        check=False, capture_output=True,
    )  # fmt: skip
    heard, _ = listen.communicate(timeout=10)
    assert bool(heard) is arrives
    assert part.pid, "the broker must survive"


def test_a_given_server_takes_the_place_of_the_private_one(servers: Servers) -> None:
    """TWIN_DATABASE_URL names a database and somebody who may make roles and extensions in it."""
    with servers.admin() as conn:
        conn.execute("create database given")
    login = f"postgres:{quote(servers.secret('db-super'))}"
    address = f"postgresql://{login}@127.0.0.1:{servers.db_port}/given"
    with environment(TWIN_DATABASE_URL=address):
        prepare.ensure_server()
        prepare.ensure_tables()
        with db.engine("app").connect() as conn:
            assert conn.scalar(text("select current_database() || ' ' || current_user")) == (
                "given twin_app"
            )
            assert conn.scalar(text("select count(*) > 10 from twin.declaration"))
