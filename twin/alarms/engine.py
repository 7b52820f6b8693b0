"""The alarm engine: takes candidates, sweeps what no single value can tell, rings and clears.

One engine works at a time (an advisory lock); a pass is one transaction, so a killed engine
begins again where the last pass ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin import cases, db, notices, products, rules
from twin.alarms import raising, readings, reports, rule, standing, sweeps
from twin.alarms.raising import Ring
from twin.alarms.rule import Rule
from twin.alarms.standing import Spans, Standing, Turn
from twin.errors import TwinError
from twin.products import Product

log = structlog.get_logger("alarms")
LOCK = 7005
BATCH = 10_000
TICK_EVERY_S = 1.0
SWEEP_EVERY_S = 10.0
_TAKE = text(
    "with mine as (delete from iot.candidate where id in (select id from iot.candidate "
    "order by id limit :n) returning *) select * from mine order by id"
)
_WATCHED = text(
    "select w.* from iot.watch w join unnest(cast(:rules as text[]), cast(:nums as int[])) "
    "as s (rule, num) on s.rule = w.rule and s.num = w.num"
)
_PUT = text(
    "insert into iot.watch (rule, num, since, at, value, state, detail) "
    "select * from unnest(cast(:rules as text[]), cast(:nums as int[]), cast(:since as timestamptz[]), "
    "cast(:at as timestamptz[]), cast(:values as float8[]), cast(:states as text[]), "
    "cast(:details as jsonb[])) on conflict (rule, num) do update set since = excluded.since, "
    "at = excluded.at, value = excluded.value, state = excluded.state, detail = excluded.detail"
)
_DROP = text(
    "delete from iot.watch w using unnest(cast(:rules as text[]), cast(:nums as int[])) "
    "as s (rule, num) where w.rule = s.rule and w.num = s.num"
)
Key = tuple[str, int]


@dataclass
class Pass:
    """What one pass knows and changes; written at its end."""

    conn: Connection
    rules: Mapping[str, Rule]
    products: Mapping[str, Product]
    now: datetime
    before: dict[Key, Standing] = field(default_factory=dict)
    after: dict[Key, Standing | None] = field(default_factory=dict)
    details: dict[Key, dict[str, Any]] = field(default_factory=dict)
    turns: list[tuple[Key, Turn]] = field(default_factory=list)

    def know(self, keys: Sequence[Key]) -> None:
        """Read where these pairs of rule and thing stand."""
        new = [key for key in dict.fromkeys(keys) if key not in self.after]
        if not new:
            return
        said = {"rules": [k for k, _ in new], "nums": [n for _, n in new]}
        found = {(r.rule, r.num): _standing(r) for r in self.conn.execute(_WATCHED, said)}
        self.before |= found
        self.after |= {key: found.get(key) for key in new}

    def cross(self, key: Key, at: float, up: bool, value: float | None) -> None:
        """Take in one crossing."""
        made, turns = standing.step(self.after[key], at, up, value, spans(self.rules[key[0]]))
        self.after[key] = made
        self.turns += [(key, turn) for turn in turns]

    def tick(self, keys: Sequence[Key]) -> None:
        """Let time pass for pairs that are pending or clearing."""
        for key in keys:
            made, turns = standing.tick(
                self.after[key], self.now.timestamp(), spans(self.rules[key[0]])
            )
            self.after[key] = made
            self.turns += [(key, turn) for turn in turns]

    def finish(self) -> int:
        """Ring, clear and write down where everything stands; return how many turns there were."""
        rings, over = self._rings(), self._over()
        done = raising.ring(self.conn, rings, self.products, self.now)
        done += raising.clear(self.conn, over)
        self._keep()
        return done

    def _rings(self) -> list[Ring]:
        """Return what rings now: what was raised and cleared in one pass is rung first, then cleared."""
        raised = [(key, turns[0]) for key, turns in self._net().items() if not self._rang(key)]
        things = readings.things(self.conn, sorted({key[1] for key, _ in raised}))
        values = readings.newest(self.conn, sorted(things)) if self._asks(raised) else {}
        made: dict[Key, Ring] = {}
        for key, turn in raised:
            if key[1] not in things:
                self.after[key] = None
                continue
            one = self._ring(key, turn, things[key[1]], values.get(key[1], {}))
            if one is not None:
                made[key] = one
        return list(made.values())

    def _asks(self, raised: Sequence[tuple[Key, Turn]]) -> bool:
        asked = (self.rules[key[0]] for key, _ in raised)
        return any(one.also is not None or one.levels for one in asked)

    def _ring(
        self, key: Key, turn: Turn, thing: Mapping[str, Any], values: readings.Values
    ) -> Ring | None:
        said = self.rules[key[0]]
        made = turn.standing
        detail = dict(self.details.get(key, {}))
        if "at_place" in detail:
            # What moves is where it moves, not at home.
            thing = {**thing, "lon": detail["at_place"][0], "lat": detail["at_place"][1]}
        level, ask = said.level, names(thing, values, made)
        try:
            if said.also is not None and not rules.holds(said.also, ask, rule.NAMES):
                # Past the limit, but not what the rule is about: asked again at the next tick.
                back = self.after[key]
                if back is not None:
                    self.after[key] = standing.pending(back)
                return None
            level = next(
                (lv for cel, lv in said.levels if rules.holds(cel, ask, rule.NAMES)), level
            )
        except rules.RuleError as why:
            # A broken rule never hides an alarm: it rings, and says what is wrong with the rule.
            detail["fault"] = why.detail
        return Ring(
            rule=said, thing=thing, since=datetime.fromtimestamp(made.since, UTC),
            value=made.value, peak=made.peak, level=level, detail=detail,
        )  # fmt: skip

    def _over(self) -> list[tuple[str, int, datetime, float | None]]:
        last = [(key, turns[-1]) for key, turns in self._net().items()]
        return [
            (key[0], key[1], datetime.fromtimestamp(turn.at, UTC), turn.standing.peak)
            for key, turn in last
            if turn.what == standing.CLEAR
        ]

    def _net(self) -> dict[Key, list[Turn]]:
        """Return the turns by key, but for those that end where they began: still ringing."""
        made: dict[Key, list[Turn]] = {}
        for key, turn in self.turns:
            made.setdefault(key, []).append(turn)
        return {
            key: turns
            for key, turns in made.items()
            if not (self._rang(key) and turns[-1].what == standing.RAISE)
        }

    def _rang(self, key: Key) -> bool:
        old = self.before.get(key)
        return old is not None and old.state != standing.PENDING

    def _keep(self) -> None:
        gone = [k for k, made in self.after.items() if made is None and k in self.before]
        kept = [(k, made) for k, made in self.after.items() if made and made != self.before.get(k)]
        if gone:
            said = {"rules": [k for k, _ in gone], "nums": [n for _, n in gone]}
            self.conn.execute(_DROP, said)
        if kept:
            self.conn.execute(
                _PUT,
                {
                    "rules": [k[0] for k, _ in kept],
                    "nums": [k[1] for k, _ in kept],
                    "since": [datetime.fromtimestamp(m.since, UTC) for _, m in kept],
                    "at": [datetime.fromtimestamp(m.at, UTC) for _, m in kept],
                    "values": [m.value for _, m in kept],
                    "states": [m.state for _, m in kept],
                    "details": [_detail(m) for _, m in kept],
                },
            )


def _detail(made: Standing) -> str:
    peak = "null" if made.peak is None else repr(made.peak)
    back = "null" if made.back is None else repr(made.back)
    return f'{{"peak": {peak}, "back": {back}}}'


def _standing(row: Any) -> Standing:
    said = row.detail or {}
    return Standing(
        state=row.state, since=row.since.timestamp(), at=row.at.timestamp(), value=row.value,
        peak=said.get("peak"), back=said.get("back"),
    )  # fmt: skip


def spans(said: Rule) -> Spans:
    """Return how long the condition of a rule must hold and be gone."""
    return Spans(said.hold_s, said.clear_s, "below" in said.when)


def names(
    thing: Mapping[str, Any], values: readings.Values, made: Standing
) -> dict[str, dict[str, Any]]:
    """Return what the expressions of a rule may name: values, the thing, the alarm."""
    return {
        "v": {name: value for name, (_, value) in values.items()},
        "t": {k: thing[k] for k in ("code", "name", "kind", "district", "street", "lon", "lat")},
        "a": {"value": made.value, "since": made.since, "at": made.at},
    }


class Engine:
    """The engine of this process; `once` does what is due."""

    def __init__(self) -> None:
        self._ticked = self._swept = float("-inf")
        self._heard: dict[str, datetime] = {}

    def once(self) -> int:
        """Take what the writers kept, let time pass, sweep; return how many alarms turned."""
        now = time.monotonic()
        done = self._pass(self._take)
        if now - self._ticked >= TICK_EVERY_S:
            self._ticked = now
            done += self._pass(self._tick)
        if now - self._swept >= SWEEP_EVERY_S:
            self._swept = now
            done += self._pass(self._sweep)
            done += self._pass(self._upkeep)
        return done

    def _pass(self, work: Callable[[Pass], None]) -> int:
        with db.engine("app").begin() as conn:
            if not conn.scalar(text("select pg_try_advisory_xact_lock(:n)"), {"n": LOCK}):
                return 0
            said = {k: one for k, one in rule.running(conn).items() if one.enabled}
            made = Pass(conn, said, products.running(conn), datetime.now(UTC))
            work(made)
            return made.finish()

    def _take(self, made: Pass) -> None:
        rows = made.conn.execute(_TAKE, {"n": BATCH}).all()
        rows = [row for row in rows if row.rule in made.rules]
        made.know([(row.rule, row.num) for row in rows])
        for row in rows:
            made.cross((row.rule, row.num), row.at.timestamp(), row.up, row.value)

    def _tick(self, made: Pass) -> None:
        rows = made.conn.execute(
            text("select rule, num from iot.watch where state in ('pending', 'clearing')")
        ).all()
        keys = [(row.rule, row.num) for row in rows if row.rule in made.rules]
        made.know(keys)
        made.tick(keys)

    def _sweep(self, made: Pass) -> None:
        standing_now: dict[str, set[int]] = {}
        for row in made.conn.execute(text("select rule, num from iot.watch")):
            standing_now.setdefault(row.rule, set()).add(row.num)
        for said in made.rules.values():
            if said.form in sweeps.FORMS:
                _look(made, said, standing_now.get(said.key, set()))

    def _upkeep(self, made: Pass) -> None:
        _forget_rules(made)
        escalate(made)
        end_silences(made)


_LOOKED = text(
    "insert into iot.rule_state (rule, looked_at, things, took_ms, fault, fault_at) values "
    "(:rule, now(), :things, :ms, :fault, case when cast(:fault as text) is null then null else now() end) "
    "on conflict (rule) do update set looked_at = now(), things = excluded.things, "
    "took_ms = excluded.took_ms, fault = excluded.fault, fault_at = excluded.fault_at"
)


def _look(made: Pass, said: Rule, mine: set[int]) -> None:
    """Look at all things of one rule; a rule that fails says so and does not stop the others."""
    began, fault = time.perf_counter(), None
    seen: list[sweeps.Seen] = []
    try:
        with made.conn.begin_nested():
            seen = list(sweeps.FORMS[said.form](made.conn, said, made.products, made.now))
    except (TwinError, DBAPIError) as why:
        fault = str(why).splitlines()[0][:500]
        log.warning("a rule fails", rule=said.key, why=fault)
    # A thing at rest that is not past anything stays at rest without a word.
    told = [one for one in seen if one.up or one.num in mine]
    made.know([(said.key, one.num) for one in told])
    for one in told:
        made.details[said.key, one.num] = one.detail
        made.cross((said.key, one.num), one.at, one.up, one.value)
    ms = (time.perf_counter() - began) * 1000
    made.conn.execute(_LOOKED, {"rule": said.key, "things": len(seen), "ms": ms, "fault": fault})


def _forget_rules(made: Pass) -> None:
    """End what belongs to rules that run no more: nobody would ever clear it."""
    gone = made.conn.execute(
        text(
            "select rule, num from iot.watch where not (rule = any(:known)) union "
            "select rule, num from iot.alarm where cleared_at is null and not (rule = any(:known))"
        ),
        {"known": list(made.rules)},
    ).all()
    if gone:
        said = {"rules": [r.rule for r in gone], "nums": [r.num for r in gone]}
        made.conn.execute(_DROP, said)
        raising.clear(made.conn, [(r.rule, r.num, made.now, None) for r in gone])


_RUNG = text(
    "select id, severity, opened_at, data from twin.\"case\" where process = 'iot.alarm' "
    "and state = 'rung' and closed_at is null order by opened_at limit 2000 for update skip locked"
)


def escalate(made: Pass) -> int:
    """Make louder what nobody has acknowledged in time, or what has grown, as its rule says."""
    done = 0
    for row in made.conn.execute(_RUNG).all():
        said = made.rules.get(row.data["rule"])
        if said is None or not said.escalate:
            continue
        age = (made.now - row.opened_at).total_seconds()
        reached = [
            (place, one)
            for place, one in enumerate(said.escalate)
            if age >= rule.seconds(one["after"]) and row.data["members"] >= one.get("members", 1)
        ]
        done += _call(made.conn, row, reached)
        louder = min((one["level"] for _, one in reached if "level" in one), default=row.severity)
        if louder < row.severity:
            raising.raise_level(made.conn, UUID(str(row.id)), louder)
            reports.report(made.conn, UUID(str(row.id)), said)
            done += 1
    return done


def _call(conn: Connection, row: Any, reached: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
    """Call whom a step names: each step once for each time that the alarm rings."""
    called = row.data.get("called", {})
    new = [
        (f"{notices.ESCALATED}_{place}", one)
        for place, one in reached
        if ("groups" in one or "roles" in one) and str(place) not in called
    ]
    if not new:
        return 0
    told = row.data.get("notices", [])
    for step, one in new:
        told = notices.told(
            conn, told, step, groups=one.get("groups", ()), roles=one.get("roles", ())
        )
    now = datetime.now(UTC).isoformat()
    said = {step.rpartition("_")[2]: now for step, _ in new}
    cases.annotate(
        conn, UUID(str(row.id)), {"notices": told, "called": {**called, **said}}, action="call"
    )
    return 1


def end_silences(made: Pass) -> int:
    """Let alarms ring that still stand when their silence has ended."""
    rows = made.conn.execute(
        text(
            "delete from iot.alarm a using iot.silence s where s.id = a.silence "
            "and a.case_id is null and a.cleared_at is null "
            "and (s.ends_at <= :now or s.ended_by is not null) returning a.*"
        ),
        {"now": made.now},
    ).all()
    things = readings.things(made.conn, [row.num for row in rows])
    rings = [
        Ring(
            rule=made.rules[row.rule], thing=things[row.num], since=row.since, value=row.value,
            peak=row.peak, level=row.level, detail=row.detail,
        )
        for row in rows
        if row.rule in made.rules and row.num in things
    ]  # fmt: skip
    return raising.ring(made.conn, rings, made.products, made.now)
