"""Quality of what is stored: one pass a kind finds what fails which rule; scores by district.

The score of a kind in a district is 100 × (1 − (E + 0.3 W + 0.05 I) / N), where of N things E have
an error as their worst failure, W a warning and I a remark. Rules about a kind as a whole open a
case but do not count in it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from twin import catalogue, verdicts
from twin.door import at_door
from twin.kinds import Kind
from twin.rulebook import Rule, faults, rules

WEIGHTS = {"error": 1.0, "warn": 0.3, "info": 0.05}
# A whole-kind rule and a rule that broke have no thing: they stand under this number.
NO_THING = 0
_WIDE = 40


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a pass over a kind found."""

    kind: str
    things: int
    failures: int
    rules: int
    seconds: float

    def json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return asdict(self)


def check(
    conn: Connection, kind: Kind, nums: Sequence[int] | str | None = None, *, why: str = "asked"
) -> Checked:
    """Check a kind, or some of its things (numbers, or a multirange of them), and keep what fails.

    With numbers, the things that failed a rule about several things at once (unique, no overlap)
    are looked at again as well: mending one of a pair mends the other.
    """
    start = time.perf_counter()
    running = catalogue.all_kinds(conn)
    said = rules(kind)
    _collect(conn, kind, running, said, _also(conn, kind, said, nums))
    failures = _keep(conn, kind, said)
    things = conn.execute(text("select count(*) from looked_at")).scalar_one()
    conn.execute(text("drop table failing, looked_at"))
    _score(conn, kind)
    took = time.perf_counter() - start
    conn.execute(
        text(
            "insert into twin.quality_run (kind, why, things, failures, seconds) "
            "values (:k, :w, :t, :f, :s)"
        ),
        {"k": kind.kind, "w": why, "t": things, "f": failures, "s": took},
    )
    return Checked(
        kind=kind.kind, things=things, failures=failures, rules=len(said), seconds=round(took, 3)
    )


def _also(
    conn: Connection, kind: Kind, said: Sequence[Rule], nums: Sequence[int] | str | None
) -> list[int] | str | None:
    if nums is None or isinstance(nums, str):
        return nums
    shared = [r.id for r in said if r.check in ("unique", "no_overlap")]
    paired = conn.scalars(
        text("select num from twin.quality_result where kind = :k and rule = any(:r)"),
        {"k": kind.kind, "r": shared},
    )
    return sorted({*nums, *paired})


def _collect(
    conn: Connection,
    kind: Kind,
    running: dict[str, Kind],
    said: Sequence[Rule],
    nums: Sequence[int] | str | None,
) -> None:
    """Fill the temporary tables `looked_at` (num) and `failing` (rule, num, district, owner, detail)."""
    made = verdicts.Verdicts(kind, running)
    only: list[Any] = []
    if isinstance(nums, str):
        only = [sa.text("t.num <@ cast(:nums as int4multirange)").bindparams(nums=nums)]
    elif nums is not None:
        only = [made.t.c.num == sa.any_(sa.literal(list(nums), sa.ARRAY(sa.Integer)))]
    conn.execute(text("drop table if exists looked_at, failing"))
    conn.execute(text("create temp table looked_at (num int4) on commit drop"))
    conn.execute(
        text(
            "create temp table failing (rule text, num int4, district text, owner text, "
            "detail text) on commit drop"
        )
    )
    looked = sa.table("looked_at", sa.column("num"))
    conn.execute(sa.insert(looked).from_select(["num"], sa.select(made.t.c.num).where(*only)))
    if not isinstance(nums, str) and nums is not None:
        # What went out of service fails nothing any more.
        conn.execute(text("insert into looked_at select unnest(cast(:n as int4[])) except "
                          "select num from looked_at"), {"n": list(nums)})  # fmt: skip
    each = [r for r in said if not r.whole]
    for i in range(0, len(each), _WIDE):
        _pass(conn, made, each[i : i + _WIDE], only)
    for rule in (r for r in said if r.whole):
        _one(conn, rule, lambda rule=rule: _whole(conn, kind, rule))


_FAILING = sa.table(
    "failing", *(sa.column(c) for c in ("rule", "num", "district", "owner", "detail"))
)


def _pass(conn: Connection, made: verdicts.Verdicts, said: Sequence[Rule], only: list[Any]) -> None:
    try:
        with conn.begin_nested():
            conn.execute(_statement(made, said, only))
    except DBAPIError:
        # One broken rule must not hide the others: they go one by one, and it is named.
        for rule in said:
            _one(conn, rule, lambda rule=rule: conn.execute(_statement(made, [rule], only)))


def _one(conn: Connection, rule: Rule, do: Any) -> None:
    try:
        with conn.begin_nested():
            do()
    except DBAPIError as why:
        _note(conn, rule, f"the rule could not be evaluated: {str(why.orig).splitlines()[0]}")


def _note(conn: Connection, rule: Rule, detail: str) -> None:
    conn.execute(
        sa.insert(_FAILING).values(
            rule=rule.id, num=NO_THING, district="", owner=None, detail=detail[: verdicts.SHOWN]
        )
    )


def _whole(conn: Connection, kind: Kind, rule: Rule) -> None:
    found = conn.execute(verdicts.whole(rule, kind)).scalar()
    if found is not None:
        _note(conn, rule, found)


def _statement(made: verdicts.Verdicts, said: Sequence[Rule], only: list[Any]) -> Any:
    """Return the one pass: each row once, its verdicts side by side, then a line for each failure."""
    owner = made.t.c.maintained_by if "maintained_by" in made.t.c else sa.null()
    columns = [made.of(rule).label(f"r{i}") for i, rule in enumerate(said)]
    # The limit keeps the planner from evaluating each verdict twice.
    rows = (
        sa.select(made.t.c.num, made.t.c.district, sa.cast(owner, sa.Text).label("owner"), *columns)
        .where(*only)
        .offset(0)
        .subquery("q")
    )
    mine = [rows.c[f"r{i}"] for i in range(len(said))]
    ids = sa.literal([rule.id for rule in said], sa.ARRAY(sa.Text))
    reasons = sa.cast(postgresql.array(mine), sa.ARRAY(sa.Text))
    listed = (
        sa.func.unnest(ids, reasons).table_valued("rule", "detail").render_derived().lateral("v")
    )
    chosen = (
        sa.select(
            listed.c.rule, rows.c.num, sa.func.coalesce(rows.c.district, ""), rows.c.owner,
            listed.c.detail,
        )
        .select_from(rows.join(listed, sa.true()))
        .where(sa.func.num_nonnulls(*mine) > 0, listed.c.detail.is_not(None))
    )  # fmt: skip
    return sa.insert(_FAILING).from_select(["rule", "num", "district", "owner", "detail"], chosen)


def _keep(conn: Connection, kind: Kind, said: Sequence[Rule]) -> int:
    """Bring the kept results up to what was found; what fails on keeps the day it was found."""
    names = {"k": kind.kind, "owner": kind.maintained_by, "ids": [r.id for r in said],
             "severities": [r.severity for r in said]}  # fmt: skip
    conn.execute(
        text(
            "delete from twin.quality_result r where kind = :k and (rule <> all(:ids) or "
            "((num = 0 or num in (select num from looked_at)) and not exists ("
            "select 1 from failing f where f.rule = r.rule and f.num = r.num)))"
        ),
        names,
    )
    return conn.execute(
        text(
            "insert into twin.quality_result (kind, rule, num, severity, owner, district, detail) "
            "select :k, f.rule, f.num, s.severity, coalesce(nullif(f.owner, ''), :owner), "
            "coalesce(f.district, ''), f.detail from failing f join unnest(cast(:ids as text[]), "
            "cast(:severities as text[])) s(rule, severity) on s.rule = f.rule "
            "on conflict (kind, rule, num) do update set severity = excluded.severity, "
            "owner = excluded.owner, district = excluded.district, detail = excluded.detail"
        ),
        names,
    ).rowcount


def _score(conn: Connection, kind: Kind) -> None:
    weighed = " + ".join(f"{w} * count(*) filter (where worst = '{s}')" for s, w in WEIGHTS.items())
    conn.execute(
        text(
            "delete from twin.quality_score where kind = :k and "
            "day = (now() at time zone 'Asia/Shanghai')::date"
        ),
        {"k": kind.kind},
    )
    conn.execute(
        text(
            "insert into twin.quality_score (kind, district, day, things, errors, warns, infos, score) "
            "select :k, coalesce(t.district, ''), (now() at time zone 'Asia/Shanghai')::date, count(*), "
            "count(*) filter (where worst = 'error'), count(*) filter (where worst = 'warn'), "
            f"count(*) filter (where worst = 'info'), 100 * (1 - ({weighed}) / count(*)) "
            f"from {kind.topic}.{kind.kind} t left join (select num, "
            "case when bool_or(severity = 'error') then 'error' when bool_or(severity = 'warn') "
            "then 'warn' else 'info' end as worst from twin.quality_result where kind = :k "
            "and num > 0 group by num) r on r.num = t.num group by 2"
        ),
        {"k": kind.kind},
    )


__all__ = ["Checked", "Rule", "at_door", "check", "faults", "rules"]
