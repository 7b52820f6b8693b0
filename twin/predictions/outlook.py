"""The look ahead: writes tickets for crossings, lags and maintenance, and says what came of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection, text

from twin import db, declarations, journal, products
from twin.alarms import readings, rule
from twin.alarms.rule import Rule, seconds
from twin.errors import NotFound
from twin.predictions import cadence, silences, tickets, trend
from twin.predictions.tickets import GRACE, Ticket
from twin.products import Product

log = structlog.get_logger("outlook")
LEARN_EVERY_S = 6 * 3600.0
LOOK_EVERY_S = 900.0
SCORE_EVERY_S = 60.0
LOOK_BACK = timedelta(days=14)
LOCK = 7006
# A receiver that was away longer than this has lost what is only kept so long; northbound promises it.
NORTH_LIMIT_S = 72 * 3600.0
NORTH_LATE_S, NORTH_OVER = 120.0, timedelta(minutes=15)
AHEAD = timedelta(days=14)


class Outlook:
    """The look ahead of this process; `once` does what is due."""

    def __init__(self) -> None:
        self._learned = self._looked = self._scored = float("-inf")

    def once(self) -> int:
        """Learn periods, look ahead, score; return how many tickets are new or ended."""
        now, done = time.monotonic(), 0
        if now - self._scored >= SCORE_EVERY_S:
            self._scored = now
            done += _alone(score)
            done += _alone(northbound)
            done += _alone(silences.score) + _alone(silences.look)
        if now - self._learned >= LEARN_EVERY_S:
            self._learned = now
            _alone(learn)
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            done += _alone(thresholds) + _alone(maintenance)
        return done


def _alone(work: Any) -> int:
    with db.engine("app").begin() as conn:
        if not conn.scalar(text("select pg_try_advisory_xact_lock(:n)"), {"n": LOCK}):
            return 0
        return int(work(conn, datetime.now(UTC)))


def learn(conn: Connection, now: datetime) -> int:
    """Learn the period of every series."""
    return sum(cadence.learn_product(conn, one, now) for one in products.running(conn).values())


def thresholds(conn: Connection, now: datetime) -> int:
    """Write tickets for slow values that are on their way to a limit."""
    known = products.running(conn)
    found: list[Ticket] = []
    for said in rule.running(conn).values():
        product = known.get(said.product or "")
        if said.foresee and said.enabled and said.form == rule.RANGE and product is not None:
            found += _crossings(conn, said, product, now)
    return tickets.put(conn, found)


def _crossings(conn: Connection, said: Rule, product: Product, now: datetime) -> Iterator[Ticket]:
    word, limit, _ = said.limit(product)
    if word == "is":
        return
    name = said.property or ""
    ringing = set(
        conn.scalars(
            text("select num from iot.alarm where rule = :r and cleared_at is null"),
            {"r": said.key},
        )
    )
    series = readings.series(conn, product.key, name, now - LOOK_BACK, now)
    for num, (at, v) in series.items():
        if num in ringing:
            continue
        made = trend.crossing(at, v, now.timestamp(), limit, word == "below")
        if made is not None:
            yield Ticket(
                kind="threshold", key=f"{said.key} {num}", num=num, product=product.key,
                property=name, rule=said.key, confidence=made.confidence,
                due_from=_when(made.due_from), due_at=_when(made.due_at),
                due_to=_when(made.due_to),
                evidence={"limit": limit, "level": round(made.level, 3), "points": made.points,
                          "per_day": round(made.slope_per_day, 4), "days": made.days,
                          "scatter": round(made.scatter, 4), "unit": product.by_name[name].unit},
            )  # fmt: skip


def _when(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


_LAGS = text(
    "select s.id, s.name, array_agg(extract(epoch from l.at)::float8 order by l.at) as at, "
    "array_agg(l.oldest_s::float8 order by l.at) as oldest from iot.subscription s "
    "join iot.lag l on l.subscription = s.id and l.at > :start where s.enabled group by s.id, s.name"
)


def northbound(conn: Connection, now: datetime) -> int:
    """Write a ticket where a receiver falls behind so that it will lose events; end it when it is back."""
    found = []
    for row in conn.execute(_LAGS, {"start": now - NORTH_OVER}).all():
        at, oldest = np.array(row.at), np.array(row.oldest)
        if oldest[-1] < NORTH_LATE_S or len(at) < 3:
            _north_back(conn, str(row.id), now)
            continue
        growth = float(np.median(np.diff(oldest) / np.maximum(np.diff(at), 1e-6)))
        if growth <= 0.05:
            continue
        left = (NORTH_LIMIT_S - oldest[-1]) / growth
        due = now + timedelta(seconds=max(0.0, left))
        found.append(
            Ticket(
                kind="northbound", key=str(row.id), confidence=min(1.0, 0.5 + len(at) / 30),
                due_from=due - timedelta(hours=1), due_at=due, due_to=due + timedelta(hours=6),
                evidence={"behind_s": round(float(oldest[-1])), "growth": round(growth, 3),
                          "limit_s": NORTH_LIMIT_S, "name": row.name},
            )
        )  # fmt: skip
    return tickets.put(conn, found)


def _north_back(conn: Connection, key: str, now: datetime) -> None:
    for row in _open(conn, "northbound", key):
        tickets.end(conn, row.id, "averted", now)


@lru_cache(maxsize=1)
def plans() -> dict[str, dict[str, Any]]:
    """Return the declared maintenance plans."""
    doc, _ = declarations.read("maintenance", declarations.DATA / "maintenance" / "plans.yaml")
    made: dict[str, dict[str, Any]] = doc["plans"]
    return made


_DONE = text(
    "select distinct on (num) num, done_at, reading from iot.maintenance where plan = :plan "
    "order by num, done_at desc"
)
_BEGAN = text(
    "select t.num, t.created_at from twin.device d join twin.thing t on t.num = d.num "
    "where d.product = :p and d.enabled and t.gone_at is null"
)


def maintenance(conn: Connection, now: datetime) -> int:
    """Write tickets for devices whose wear or time comes to an end."""
    found: list[Ticket] = []
    known = products.running(conn)
    for name, plan in plans().items():
        if plan["product"] not in known:
            continue
        done = {row.num: row for row in conn.execute(_DONE, {"plan": name})}
        if "after" in plan:
            found += _by_time(conn, name, plan, done, now)
        else:
            found += _by_wear(conn, name, plan, done, now)
    return tickets.put(conn, found)


def _by_time(
    conn: Connection, name: str, plan: dict[str, Any], done: dict[int, Any], now: datetime
) -> Iterator[Ticket]:
    for row in conn.execute(_BEGAN, {"p": plan["product"]}).all():
        since = done[row.num].done_at if row.num in done else row.created_at
        due = since + timedelta(seconds=seconds(plan["after"]))
        if due - AHEAD <= now:
            yield _plan(name, plan, row.num, due, 0.95, {"since": since.isoformat()})


def _by_wear(
    conn: Connection, name: str, plan: dict[str, Any], done: dict[int, Any], now: datetime
) -> Iterator[Ticket]:
    series = readings.series(conn, plan["product"], plan["property"], now - LOOK_BACK, now)
    for num, (at, v) in series.items():
        rate = wear(at, v)
        if rate is None:
            continue
        base = done[num].reading if num in done and done[num].reading is not None else 0.0
        # Without a record of the last time, the counter itself tells which round it is in.
        used = (v[-1] - base) if num in done else v[-1] % plan["every"]
        due = now + timedelta(days=max(0.0, (plan["every"] - used) / rate))
        if due - AHEAD <= now:
            evidence = {"used": round(float(used), 1), "per_day": round(rate, 2),
                        "every": plan["every"], "property": plan["property"]}  # fmt: skip
            yield _plan(name, plan, num, due, 0.85 if num in done else 0.65, evidence)


def wear(at: Any, v: Any) -> float | None:
    """Return how much a counter grows a day; None where too little is known or it stands still."""
    if len(at) < 10 or at[-1] - at[0] < 2 * trend.DAY:
        return None
    grown = np.diff(v)
    # A counter that was set back begins anew; only what it grew counts.
    rate = float(grown[grown > 0].sum() / (at[-1] - at[0]) * trend.DAY)
    return rate if rate > 0 else None


def _plan(
    name: str, plan: dict[str, Any], num: int, due: datetime, sure: float, why: dict[str, Any]
) -> Ticket:
    spread = timedelta(days=2)
    return Ticket(
        kind="maintenance", key=f"{name} {num}", num=num, product=plan["product"], confidence=sure,
        property=plan.get("property"), due_from=due - spread, due_at=due, due_to=due + spread,
        evidence={**why, "plan": name, "title": plan["title"]},
    )  # fmt: skip


def _open(conn: Connection, kind: str, key: str | None = None) -> list[Any]:
    return list(
        conn.execute(
            text(
                "select * from iot.ticket where kind = :k and state = 'open' "
                "and (cast(:key as text) is null or key = :key) for update"
            ),
            {"k": kind, "key": key},
        )
    )


_RANG = text(
    "select a.rule, a.num, a.raised_at from iot.alarm a where a.rule = any(:rules) "
    "and a.raised_at > :since order by a.raised_at"
)


def score(conn: Connection, now: datetime) -> int:
    """Say what came of tickets: rung as foreseen, overdue and wrong; and what nobody had foreseen."""
    done = _score_thresholds(conn, now)
    for row in _open(conn, "northbound"):
        if now >= row.due_at:
            tickets.end(conn, row.id, "confirmed", now)
            done += 1
    return done


def _score_thresholds(conn: Connection, now: datetime) -> int:
    watched = [r.key for r in rule.running(conn).values() if r.foresee]
    open_ = {row.key: row for row in _open(conn, "threshold")}
    since = now - timedelta(days=2)
    done = 0
    for rang in conn.execute(_RANG, {"rules": watched, "since": since}).all():
        key = f"{rang.rule} {rang.num}"
        ticket = open_.pop(key, None)
        if ticket is not None and rang.raised_at >= ticket.predicted_at:
            tickets.end(conn, ticket.id, "confirmed", rang.raised_at)
            done += 1
        elif not _was_told(conn, key, rang.raised_at):
            tickets.unforeseen(conn, "threshold", key, rang.raised_at)
    for ticket in open_.values():
        if now > ticket.due_to + max(GRACE, (ticket.due_to - ticket.predicted_at) / 2):
            tickets.end(conn, ticket.id, "false", now)
            done += 1
    return done


def _was_told(conn: Connection, key: str, at: datetime) -> bool:
    return bool(
        conn.scalar(
            text(
                "select exists (select from iot.ticket where kind = 'threshold' and key = :key "
                "and predicted_at <= :at and (outcome_at is null or outcome_at >= :at))"
            ),
            {"key": key, "at": at},
        )
    )


def maintained(
    conn: Connection, num: int, plan: str, *, actor: str, reading: float | None, note: str | None,
    now: datetime,
) -> None:  # fmt: skip
    """Note that a device was looked after; its open ticket has come true."""
    if plan not in plans():
        raise NotFound(f"No maintenance plan is called {plan}.")
    conn.execute(
        text(
            "insert into iot.maintenance (num, plan, done_at, reading, actor, note) "
            "values (:num, :plan, :at, :reading, :actor, :note)"
        ),
        {"num": num, "plan": plan, "at": now, "reading": reading, "actor": actor, "note": note},
    )
    journal.append(
        conn, cls="device", action="maintained", actor=actor, level=2,
        note={"num": num, "plan": plan, "reading": reading, "note": note},
    )  # fmt: skip
    for row in _open(conn, "maintenance", f"{plan} {num}"):
        tickets.end(conn, row.id, "confirmed", now, actor=actor, note=note)
