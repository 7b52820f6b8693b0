"""The district feed: changes a second out through the door and in, beside bare SQL and the write path."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from typing import Any
from uuid import uuid4

import numpy as np
import shapely
from sqlalchemy import text

from ingest.feed.incoming import MAX_CHANGES, Incoming
from twin import bulk, db, identity, kinds, ledger
from twin.feed import digest, outgoing
from twin.revise import revise
from twin.scope import SYSTEM, Actor
from ui.terminal.benchmarks import Figure, figure, serving
from ui.terminal.benchmarks.scratch import EAST, NORTH, SOUTH, WEST, database

THINGS = 20_000
BATCH = 1_000


def run(size: int) -> list[Figure]:
    """Load `size` things (20,000), change each once; read all by pages, take over as many."""
    count = size or THINGS
    with database():
        _city(count)
        with db.engine("app").begin() as conn:
            identity.add_account(
                conn, user="bench", name={"zh": "测", "en": "Bench"}, password=secrets.token_urlsafe(18),
                roles=["district"], districts=None, clearance=2, crew=None, actor="bench",
            )  # fmt: skip
        return [*_out(count), *_in(count), *_alike()]


def _city(count: int) -> None:
    gen = np.random.default_rng(3)
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        with bulk.Load(conn, kind, actor="bench", source="bench") as load:
            load.add(
                {
                    "source_key": [str(i) for i in range(count)],
                    "name": [f"公厕{i}" for i in range(count)],
                },
                shapely.points(
                    WEST + gen.random(count) * (EAST - WEST),
                    SOUTH + gen.random(count) * (NORTH - SOUTH),
                ),
            )
        ids = list(conn.scalars(text("select id from sanitation.toilet order by num")))
    _revise(ids, "08:00")
    _seal()


def _revise(ids: list[Any], hours: str) -> float:
    """Change every thing once in batches; return seconds."""
    began = time.perf_counter()
    for i in range(0, len(ids), BATCH):
        with db.engine("app").begin() as conn:
            some = ids[i : i + BATCH]
            revise(
                conn,
                kinds.one(conn, "toilet"),
                some,
                {"open_hours": [hours] * len(some)},
                actor="bench",
            )
    return time.perf_counter() - began


def _seal() -> None:
    with db.engine("app").connect() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            conn.commit()
        conn.commit()


def _out(count: int) -> list[Figure]:
    """Read the whole journal by pages through HTTP, and the same entries bare."""
    with serving.server("bench-feed") as on:
        headers = serving.bearer("bench")
        door = http.client.HTTPConnection("127.0.0.1", on.port, timeout=60)
        after, got, began = "0", 0, time.perf_counter()
        while True:
            door.request(
                "GET",
                f"/api/v1/changes?kinds=toilet&limit={MAX_CHANGES}&after={after}",
                headers=headers,
            )
            page = json.loads(door.getresponse().read())
            got, after = got + len(page["changes"]), page["next"]
            if not page["more"]:
                break
        took = time.perf_counter() - began
    began = time.perf_counter()
    with db.engine("app").connect() as conn:
        last, rows = 0, 0
        while found := conn.execute(outgoing.ENTRIES, {"after": last, "n": MAX_CHANGES}).all():
            last, rows = found[-1].seq, rows + len(found)
    bare = rows / (time.perf_counter() - began)
    assert got >= 2 * count
    return [figure("changes out, through HTTP", got / took, "changes/s", bare)]


def _in(count: int) -> list[Figure]:
    """Take over as many new things, then a change of each, and change ours by the write path."""
    gen = np.random.default_rng(9)
    actor = Actor(user="bench", clearance=2, acts=frozenset({"feed.write"}))
    keys = [str(uuid4()) for _ in range(count)]
    spots = np.column_stack(
        [WEST + gen.random(count) * (EAST - WEST), SOUTH + gen.random(count) * (NORTH - SOUTH)]
    )
    took = []
    for version in (1, 2):
        began = time.perf_counter()
        for i in range(0, count, BATCH):
            some = [
                _change(k, p, version)
                for k, p in zip(keys[i : i + BATCH], spots[i : i + BATCH].tolist(), strict=True)
            ]
            with db.engine("app").begin() as conn:
                Incoming(conn, actor, peer="bench", side="district").take(some)
        took.append(time.perf_counter() - began)
    with db.engine("app").connect() as conn:
        ids = list(
            conn.scalars(text("select id from sanitation.toilet where source = 'feed:bench'"))
        )
    ours = len(ids) / _revise(ids, "09:00")
    assert len(ids) == count
    return [
        figure("new things in", count / took[0], "changes/s", ours),
        figure("changes in", count / took[1], "changes/s", ours),
    ]


def _change(key: str, at: list[float], version: int) -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": at}
    said = {"name": "区里的", "open_hours": f"{version:02}:00"}
    return {"kind": "toilet", "key": key, "version": version, "action": "upsert",
            "feature": {"type": "Feature", "geometry": shape, "properties": said}}  # fmt: skip


def _alike() -> list[Figure]:
    """Reckon the digest of everything."""
    with db.engine("app").connect() as conn:
        known = {"toilet": kinds.one(conn, "toilet")}
        began = time.perf_counter()
        groups = digest.groups(conn, SYSTEM, known)
        took = time.perf_counter() - began
    things = sum(g["count"] for g in groups["toilet"].values())
    return [figure("things compared by SM3", things / took, "things/s")]
