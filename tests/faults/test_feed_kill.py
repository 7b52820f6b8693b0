"""Kill both sides of a feed at random under load: equal at the end, nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import Any

import pytest
from sqlalchemy import text

from ingest.feed import run
from tests import feedpair
from tests.feedpair import FEED, Pair, toilets
from tests.support import Servers
from twin import db
from ui.terminal.cluster import as_user
from ui.terminal.paths import ROOT


def start(pair: Pair, side: str, changes: int) -> subprocess.Popen[bytes]:
    address = pair.city if side == "city" else pair.district
    env = dict(os.environ) | {"TWIN_DATABASE_URL": address, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.faults.feedwriter", side, str(changes), "7"]
    return subprocess.Popen(
        [*as_user(None), *command], env=env, cwd=ROOT, stdout=subprocess.DEVNULL
    )


def worker(pair: Pair) -> None:
    """Start the district's worker: the process that fetches and sends."""
    env = dict(os.environ) | {"TWIN_DATABASE_URL": pair.district, "PYTHONPATH": str(ROOT)}
    command = [*as_user(None), sys.executable, "-m", "services.worker"]
    pair.parts["worker"] = subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def lose_nothing(servers: Servers, *, changes: int, pause_s: tuple[float, float]) -> None:
    with feedpair.pair(servers, f"t_kill_{changes}") as pair:
        worker(pair)
        writers = [start(pair, side, changes // 2) for side in ("city", "district")]
        kills = {"api": 0, "worker": 0}
        while any(w.poll() is None for w in writers) or min(kills.values()) < 2:
            time.sleep(random.uniform(*pause_s))
            name = random.choice(sorted(kills))
            pair.kill(name)
            kills[name] += 1
            worker(pair) if name == "worker" else pair.start(name)
        assert [w.returncode for w in writers] == [0, 0]
        pair.kill("worker")
        pair.exchange()
        pair.exchange()
        same(pair)
        print(f"{changes} changes, kills {kills}, {len(toilets())} toilets at the end")


def same(pair: Pair) -> None:
    """Both sides hold the same things with the same values, each once."""
    rows = run.compare(FEED)
    assert [r for r in rows if not r["equal"]] == [] and any(r["kind"] == "toilet" for r in rows)
    here = toilets()
    with pair.in_city():
        there = {k: v for k, v in toilets().items() if v["district"] == feedpair.minicity.EAST}
        pairs = once()
    assert sorted(map(_said, here.values())) == sorted(map(_said, there.values()))
    assert once() > 0 and pairs > 0


def _said(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what both sides must hold alike; the feed carries coordinates to the centimetre."""
    names = ("name", "star", "score", "open_hours", "manager", "features")
    place = (f"{row['lon']:.7f}", f"{row['lat']:.7f}")
    return (*(str(row[n]) for n in names), *place)


def once() -> int:
    """Return how many things were exchanged; no thing may stand for two, and no version be missing."""
    with db.engine("app").connect() as conn:
        twice = conn.execute(
            text(
                "select thing from twin.feed_item i join sanitation.toilet t on t.id = i.thing "
                "group by thing having count(*) > 1"
            )
        ).all()
        assert twice == []
        doubled = conn.execute(
            text(
                "select name from sanitation.toilet where name like '%-%-%' group by name having count(*) > 1"
            )
        ).all()
        assert doubled == []
        holes = conn.execute(
            text(
                "select t.id from sanitation.toilet t join twin.journal j on j.subject = t.id "
                "group by t.id, t.version having count(*) <> t.version"
            )
        ).all()
        assert holes == []
        return int(conn.execute(text("select count(*) from twin.feed_item")).scalar_one())


def test_a_feed_survives_kills_of_both_sides(servers: Servers) -> None:
    lose_nothing(servers, changes=2_000, pause_s=(0.5, 2.0))


@pytest.mark.long
def test_a_hundred_thousand_changes(servers: Servers) -> None:
    lose_nothing(servers, changes=100_000, pause_s=(3.0, 15.0))
