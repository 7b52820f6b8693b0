"""Two installations that exchange: the city as real processes, the district in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from ingest.feed import run
from ingest.feed.peer import secret_name
from tests import minicity
from tests.support import Servers, environment, free_port
from twin import catalogue, db, identity, kinds, names, things
from twin.settings import settings
from ui.terminal.cluster import as_user
from ui.terminal.paths import ROOT

USER = "district-310104"
FEED = "city"


@dataclass
class Pair:
    """The city's database and API, and the district's database, which is this process's own."""

    city: str
    district: str
    port: int
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The city's address."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def in_city(self) -> Iterator[None]:
        """Let this process be the city for a moment."""
        with environment(TWIN_DATABASE_URL=self.city):
            _forget()
            yield
        _forget()

    def start(self, name: str) -> None:
        """Start a process of the city or the sequencer of the district."""
        env = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
        env["TWIN_DATABASE_URL"] = self.district if name == "sequencer-district" else self.city
        module = ["twin.sequencer"]
        if name == "api":
            module = ["ui.serve", "--port", str(self.port)]
        command = [*as_user(None), sys.executable, "-m", *module]
        self.parts[name] = subprocess.Popen(command, env=env, cwd=ROOT)
        if name == "api":
            self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=2)
            except OSError:
                assert time.monotonic() < end, "the city's API does not start"
                time.sleep(0.1)
            else:
                return

    def kill(self, name: str) -> None:
        """End a process with SIGKILL."""
        self.parts[name].send_signal(signal.SIGKILL)
        self.parts[name].wait()

    def exchange(self) -> int:
        """Run the feed until nothing is new on either side."""
        total, quiet = 0, 0
        while quiet < 2:
            sealed()
            with db.engine("app").connect() as conn:
                feed = run.get(conn, FEED)
            done = run.run(feed)
            total += done
            quiet = 0 if done else quiet + 1
            time.sleep(0.3)
        return total


def sealed() -> None:
    """Wait until all that is committed has its number."""
    end = time.monotonic() + 30
    with db.engine("app").connect() as conn:
        while conn.execute(text("select count(*) from twin.unsealed")).scalar_one():
            conn.rollback()
            assert time.monotonic() < end, "the journal is not sealed"
            time.sleep(0.05)


def _forget() -> None:
    catalogue.forget()
    names.forget()


@contextmanager
def pair(servers: Servers, tag: str) -> Iterator[Pair]:
    """Make both, with the mini city on the city's side and the districts alone on the other."""
    with servers.fresh_database(f"{tag}_city") as city:
        _forget()
        minicity.build()
        with db.engine("app").begin() as conn:
            token = identity.issue_token(conn, USER, 2, "test")
        with servers.fresh_database(f"{tag}_district") as district:
            _forget()
            made = Pair(city, district, free_port())
            try:
                for name in ("sequencer-city", "sequencer-district", "api"):
                    made.start(name)
                (settings().home / "secrets" / secret_name(FEED)).write_text(token)
                with db.engine("app").begin() as conn:
                    base(conn)
                run.join(FEED, made.url, side="city", kinds=None, push=True)
                yield made
            finally:
                for part in made.parts.values():
                    part.terminate()
                for part in made.parts.values():
                    part.wait(20)
        _forget()


def base(conn: Any) -> None:
    """Load the base map that both sides have from its own source: the two districts."""
    both = [minicity.WEST, minicity.EAST]
    areas = [minicity.area(121.40, 121.45), minicity.area(121.45, 121.50)]
    columns = {"source_key": both, "code": both, "name": ["黄浦区", "徐汇区"], "geom": areas}
    things.write(conn, kinds.one(conn, "district"), columns, actor="test", source="mini")


def toilets() -> dict[str, dict[str, Any]]:
    """Return the toilets of this process's database by code."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text("select t.*, st_x(geom) as lon, st_y(geom) as lat from sanitation.toilet t")
        ).mappings()
        return {row["code"]: dict(row) for row in rows}
