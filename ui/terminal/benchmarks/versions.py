"""A new version of the process while ten thousand cases run: none disturbed; moved, told first, and taken back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from twin import cases, db, policies
from twin.eventview import PROCESS
from twin.process import migration
from twin.scope import SYSTEM
from ui.terminal.benchmarks import Figure, actions, figure
from ui.terminal.benchmarks.scratch import database

RUNNING = 10_000
# Cases that have gone round: sent, recalled, sent again; what other engines cannot move.
LOOPED = 20
_ROUND: tuple[tuple[str, dict[str, Any]], ...] = (
    ("dispatch", {"crew": "CREW-1"}),
    ("recall", {"reason": "改派"}),
    ("dispatch", {"crew": "CREW-2"}),
    ("recall", {"reason": "改派"}),
)
_SUM = text(
    "select md5(string_agg(md5(to_jsonb(c)::text || coalesce(j.n, 0)::text), '' order by c.id)) "
    'from twin."case" c left join (select subject, count(*) as n from twin.journal group by 1) j '
    "on j.subject = c.id where c.closed_at is null and c.process = :p"
)
# Moved and moved back, a case differs by its version alone: two steps are in its journal.
_BODY = text(
    "select md5(string_agg(md5((to_jsonb(c) - 'version')::text), '' order by c.id)) "
    'from twin."case" c where c.closed_at is null and c.process = :p'
)
_ON = text(
    'select count(*) from twin."case" where closed_at is null and process = :p '
    "and process_version = :v"
)


@dataclass
class Played:
    """What came of it."""

    running: int
    disturbed: bool
    old_acts: int
    new_acts: int
    told: int
    moved: int
    back: int
    stayed: int
    same: bool
    publish_s: float
    dry_s: float
    move_s: float
    undo_s: float


def run(size: int) -> list[Figure]:
    """Play it on a database of its own; size is the number of running cases."""
    with database():
        actions._seat_department()
        got = play(size or RUNNING)
    return [
        figure("running cases that a new version disturbed", int(got.disturbed), f"of {got.running}", 0),
        figure("publish the new version", got.publish_s, "s"),
        figure("tell what would move (dry run)", got.dry_s, "s"),
        figure("cases moved, those that had gone round included", got.moved, "", got.running),
        figure("move them, an entry each", got.move_s, "s"),
        figure("take it back", got.undo_s, "s"),
        figure("cases that are the very same afterwards", got.back if got.same else 0, "", got.running),
    ]  # fmt: skip


def play(n: int) -> Played:
    """Fill, publish another version, act on both, move all and take it back."""
    _looped(min(LOOPED, n))
    actions._fill(n - min(LOOPED, n), "collected", due=0)
    with db.engine("app").connect() as conn:
        before = conn.execute(_SUM, {"p": PROCESS}).scalar_one()
        doc = policies.clean(cases.current(conn, PROCESS))
        old = int(cases.current(conn, PROCESS)["_version"])
    doc["deadlines"] = {**doc["deadlines"], "collected": {"normal": "45m"}}
    number, publish_s = _timed(lambda: _publish(doc))
    with db.engine("app").connect() as conn:
        disturbed = conn.execute(_SUM, {"p": PROCESS}).scalar_one() != before
    told, dry_s = _timed(lambda: _migrate(number, dry_run=True))
    with db.engine("app").connect() as conn:
        body = conn.execute(_BODY, {"p": PROCESS}).scalar_one()
    moved, move_s = _timed(lambda: _migrate(number, dry_run=False))
    new_acts = _on(number)
    back, undo_s = _timed(lambda: _undo(str(moved["batch"])))
    with db.engine("app").connect() as conn:
        same = conn.execute(_BODY, {"p": PROCESS}).scalar_one() == body
    return Played(
        running=n, disturbed=disturbed, old_acts=_act_on(old), new_acts=new_acts, told=told["moved"],
        moved=moved["moved"], back=back["moved"], stayed=moved["stay"] + back["stay"], same=same,
        publish_s=publish_s, dry_s=dry_s, move_s=move_s, undo_s=undo_s,
    )  # fmt: skip


def _timed(what: Any) -> tuple[Any, float]:
    begun = time.perf_counter()
    return what(), time.perf_counter() - begun


def _looped(n: int) -> None:
    for case in actions._open(n, "looped"):
        for action, params in _ROUND:
            with db.engine("app").begin() as conn:
                cases.perform(conn, case, action, actor=SYSTEM, params=params)


def _publish(doc: dict[str, Any]) -> int:
    with db.engine("app").begin() as conn:
        return int(policies.publish(conn, "process", PROCESS, doc, actor="bench")["version"])


def _migrate(version: int, *, dry_run: bool) -> dict[str, Any]:
    with db.engine("app").begin() as conn:
        return migration.migrate(conn, PROCESS, version, actor=SYSTEM, dry_run=dry_run)


def _undo(batch: str) -> dict[str, Any]:
    with db.engine("app").begin() as conn:
        return migration.undo(conn, PROCESS, batch, actor=SYSTEM)


def _on(version: int) -> int:
    with db.engine("app").connect() as conn:
        return int(conn.execute(_ON, {"p": PROCESS, "v": version}).scalar_one())


def _act_on(version: int) -> int:
    """Act on cases of a version; each goes by the definition that it was opened with."""
    with db.engine("app").connect() as conn:
        keys = conn.scalars(
            text(
                "select code from twin.\"case\" where closed_at is null and state = 'collected' "
                "and process = :p and process_version = :v order by num limit 100"
            ),
            {"p": PROCESS, "v": version},
        ).all()
    with db.engine("app").begin() as conn:
        return len(cases.bulk(conn, keys, "register", actor=SYSTEM)["done"])
