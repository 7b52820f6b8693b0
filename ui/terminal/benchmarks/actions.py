"""Actions of the process engine: eight clients at once, in bulk, racing, and a sweep over 200,000 open cases."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text

from twin import cases, codes, db, intake, memory
from twin.errors import TwinError
from twin.eventview import PROCESS
from twin.scope import SYSTEM
from twin.settings import settings
from ui.terminal.benchmarks import Figure, figure
from ui.terminal.benchmarks.scratch import database

CLIENTS, EACH, BULK, RACES, OPEN, DUE = 8, 60, 10_000, 200, 200_000, 5_000
REPORTS = 300
WAY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("register", {}),
    ("dispatch", {"crew": "CREW-1"}),
    ("recall", {"reason": "改派"}),
    ("dispatch", {"crew": "CREW-2"}),
    ("recall", {"reason": "改派"}),
    ("assign", {"department": "d-310104"}),
)


def run(size: int) -> list[Figure]:
    """Measure on a database of its own; size is the number of cases of each client."""
    each = size or EACH
    with database():
        _seat_department()
        limit = _clients(_bare, each)[0]
        rate, cpu = _clients(_work, each)
        won, lost = _race()
        made = [
            figure("actions persisted by 8 clients, each its own commit", rate, "1/s", limit),
            figure("p50 CPU of an action", cpu * 1000, "ms"),
            figure("races of 8 with exactly one success", won, f"of {RACES}", RACES),
            figure("racers that failed in any other way", lost, ""),
            *_reports(),
            *_bulk(),
            *_sweep(OPEN if size == 0 else size * 100, DUE if size == 0 else size * 10),
            figure("cases whose journal tells another state", _differences(), ""),
        ]
    return made


def _seat_department() -> None:
    """Organisations are seeded by set-up; the benchmark's database has them when people are made."""
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into twin.organisation (code, type, name) values "
                "('d-310104', 'city', '{\"zh\": \"徐汇\"}') on conflict do nothing"
            )
        )


def _open(n: int, source: str = "map") -> list[UUID]:
    with db.engine("app").begin() as conn:
        return [
            cases.open_case(
                conn, PROCESS, actor=SYSTEM, category="litter", title="暴露垃圾", lon=121.44, lat=31.19,
                source=source, data={"description": "一堆垃圾", "reporter_kind": "citizen"},
            )["id"]
            for _ in range(n)
        ]  # fmt: skip


def _clients(what: Any, each: int) -> tuple[float, float]:
    """Run eight processes that wait for one another, and return actions a second and CPU of each."""
    url = settings().dsn("app")
    ids = [_open(each, what.__name__) for _ in range(CLIENTS)]
    context = multiprocessing.get_context("spawn")
    gate, out = context.Barrier(CLIENTS + 1), context.Queue()
    running = [context.Process(target=what, args=(url, mine, gate, out)) for mine in ids]
    for one in running:
        one.start()
    gate.wait(120)
    begun = time.perf_counter()
    said = [out.get(timeout=600) for _ in running]
    took = time.perf_counter() - begun
    for one in running:
        one.join()
    return sum(n for n, _ in said) / took, statistics.median(c for _, c in said)


def _work(_url: str, mine: list[UUID], gate: Any, out: Any) -> None:
    engine = db.engine("app")
    with engine.begin() as conn:
        conn.execute(text("select 1"))
        cases.current(conn, PROCESS)
    memory.settle()  # as the processes do that serve actions
    gate.wait(120)
    cpu, n = [], 0
    for case in mine:
        for action, params in WAY:
            before = time.process_time()
            with engine.begin() as conn:
                cases.perform(conn, case, action, actor=SYSTEM, params=params)
            cpu.append(time.process_time() - before)
            n += 1
    out.put((n, statistics.median(cpu)))


def _bare(url: str, mine: list[UUID], gate: Any, out: Any) -> None:
    """Do what no engine can do without: one update and one entry, bare, and commit."""
    address = url.replace("+psycopg", "")
    with psycopg.connect(address) as conn:
        gate.wait(120)
        n = 0
        for case in mine:
            for k in range(len(WAY)):
                conn.execute(
                    'with u as (update twin."case" set version = version + 1 where id = %s '
                    "returning id, version) insert into twin.journal (class, action, actor, subject, "
                    "version, after) select 'case', 'bare', 'bench', id, version, '{}' from u",
                    (case,),
                )
                conn.commit()
                n += k >= 0
    out.put((n, 0.0))


def _race() -> tuple[int, int]:
    """Let eight clients want the same step of each case; count the races with exactly one winner."""
    ids = _open(RACES)
    context = multiprocessing.get_context("spawn")
    gate, out = context.Barrier(CLIENTS), context.Queue()
    racers = [context.Process(target=_racer, args=(ids, gate, out)) for _ in range(CLIENTS)]
    for one in racers:
        one.start()
    said = [out.get(timeout=300) for _ in racers]
    for one in racers:
        one.join()
    wins = [sum(won[i] for won, _ in said) for i in range(RACES)]
    return sum(n == 1 for n in wins), sum(odd for _, odd in said)


def _racer(ids: list[UUID], gate: Any, out: Any) -> None:
    engine = db.engine("app")
    won, odd = [], 0
    with engine.begin() as conn:
        cases.current(conn, PROCESS)
    for case in ids:
        gate.wait(60)
        try:
            with engine.begin() as conn:
                cases.perform(conn, case, "register", actor=SYSTEM, version=1)
            won.append(1)
        except TwinError as why:
            odd += why.code not in ("version_conflict", "not_allowed_now")
            won.append(0)
    out.put((won, odd))


def _reports() -> list[Figure]:
    """Take in reports of patrols one by one: places, filters, duplicates, then the duty list."""
    with db.engine("owner").begin() as conn:
        conn.execute(_SEATS)
    took, given = [], 0
    for n in range(REPORTS):
        draft = intake.Draft(
            source="patrol", source_id=f"bench-{n}", category="litter", lon=121.0 + 0.0017 * n,
            lat=31.19, description=f"第 {n} 堆垃圾没人清", reporter_kind="staff",
        )  # fmt: skip
        begun = time.perf_counter()
        with db.engine("app").begin() as conn:
            case = intake.take(conn, draft, actor=SYSTEM).case
        took.append(time.perf_counter() - begun)
        given += case["state"] == "assigned"
    return [
        figure("report taken in to given to its department, p95", statistics.quantiles(took, n=20)[-1], "s", 5),
        figure("reports given to a department by themselves", given, f"of {REPORTS}", REPORTS),
    ]  # fmt: skip


_SEATS = text(
    "insert into twin.organisation (code, parent, type, name, district) "
    "select 'b-' || code, 'd-310104', 'district', '{\"zh\": \"区\"}', code from base.district on conflict do nothing"
)


def _bulk() -> list[Figure]:
    """Register many cases at once."""
    _fill(BULK, "collected", due=0)
    with db.engine("app").connect() as conn:
        keys = list(
            conn.scalars(
                text("select code from twin.\"case\" where source = 'bench' limit :n"), {"n": BULK}
            )
        )
        conn.rollback()
        before = conn.scalar(_STEPS)
        conn.rollback()
        memory.settle()
        begun = time.perf_counter()
        cases.bulk(conn, keys, "register", actor=SYSTEM)
        conn.commit()
        took = time.perf_counter() - begun
        # What the definition does by itself after an action is an action with its own entry as well.
        steps = (conn.scalar(_STEPS) or 0) - (before or 0)
    return [figure("actions in bulk", steps / took, "1/s", 10_000)]


_STEPS = text("select count(*) from twin.journal where class = 'case'")


_FILL = text(
    "with n as (select g, gen_random_uuid() as id from generate_series(1, :n) g), "
    "t as (insert into twin.thing (id, kind, code, name, district, level, point) select id, 'event', "
    ":prefix || g, '垃圾', '310104', 2, st_setsrid(st_makepoint(121.4 + 0.0001 * (g % 1000), "
    "31.1 + 0.0001 * (g / 1000)), 4326) from n returning id, num, code, point), "
    'c as (insert into twin."case" (id, num, code, process, process_version, state, title, category, '
    "severity, district, point, source, data, entered_at, due_at, warn_at, clock, clock_from, clock_s, "
    "next_at) select id, num, code, :process, :version, :state, '垃圾', 'litter', 3, '310104', point, "
    "'bench', '{\"photos\": [], \"description\": \"一堆垃圾\"}', at.t, at.t + interval '30 minutes', "
    "at.t + interval '24 minutes', 'wall', at.t, 1800, at.t + interval '24 minutes' from t, "
    "lateral (select now() - case when t.num % greatest(:n / greatest(:due, 1), 1) = 0 and :due > 0 "
    "then interval '25 minutes' else interval '0 minutes' end as t) at returning *) "
    "insert into twin.journal (class, action, actor, subject, kind, version, district, level, after) "
    "select 'case', 'open', 'bench', id, 'event', 1, district, 2, to_jsonb(c) - 'point' from c"
)


def _fill(n: int, state: str, due: int) -> None:
    """Write open cases with their first entries by one statement."""
    with db.engine("owner").begin() as conn:
        version = cases.current(conn, PROCESS)["_version"]
        prefix = f"SH-BN-{codes.reserve(conn, None, 'BN', 1)[0][-6:]}-"
        conn.execute(
            _FILL,
            {
                "n": n,
                "prefix": prefix,
                "process": PROCESS,
                "version": version,
                "state": state,
                "due": due,
            },
        )


def _sweep(n: int, due: int) -> list[Figure]:
    """Escalate what is due among many open cases; afterwards nothing may be due."""
    _fill(n, "collected", due)
    with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text('vacuum analyze twin."case"'))
    begun, total = time.perf_counter(), 0
    while True:
        with db.engine("app").begin() as conn:
            done = len(cases.escalate_due(conn))
        total += done
        if not done:
            break
    took = time.perf_counter() - begun
    return [
        figure(f"sweep of {n} open cases, all due told once", took, "s", 10),
        figure("cases told", total, "", due),
    ]


def _differences() -> int:
    with db.engine("app").connect() as conn:
        return int(conn.execute(_DIFFERENT).scalar_one())


_DIFFERENT = text(
    'select count(*) from twin."case" c join lateral (select after from twin.journal '
    "where subject = c.id order by version desc limit 1) j on true "
    "where c.source not in ('bench', '_bare') "
    "and (j.after->>'state', (j.after->>'version')::int, j.after->'data') "
    "is distinct from (c.state, c.version, c.data)"
)
