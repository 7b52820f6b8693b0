"""The engine of linkages: looks at what became so since it last looked, and fires once for it.

One engine works at a time (an advisory lock); a pass is one transaction with everything that it
fires, so a killed engine begins again where the last pass ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, text

from twin import db, ids, products, rules
from twin.alarms import readings
from twin.calendar import ZONE
from twin.linkages import firing, model
from twin.linkages.firing import Cause
from twin.linkages.model import ALARM, AT, EVERY_RULE, VALUE, Linkage

log = structlog.get_logger("linkages")
LOCK = 7017
# An hour that was missed by more than this (nobody worked) is left to a person.
LATE_S = 3600.0
LOOK_BACK = timedelta(hours=1)
CURSOR = "*alarms"


def once(now: datetime | None = None) -> int:
    """Fire what is due; return how many linkages fired."""
    with db.engine("app").begin() as conn:
        if not conn.scalar(text("select pg_try_advisory_xact_lock(:n)"), {"n": LOCK}):
            return 0
        mine = [one for one in model.running(conn).values() if one.enabled]
        moment = now or datetime.now(UTC)
        done = 0
        for one, cause in [*_alarms(conn, mine), *_values(conn, mine), *_hours(conn, mine, moment)]:
            done += attempt(conn, one, cause)
        return done


def attempt(conn: Connection, one: Linkage, cause: Cause) -> bool:
    """Fire unless its condition says no or it has fired for this thing a moment ago."""
    state = _state(conn, one.key, cause.num or 0)
    fired = state.fired_at if state else None
    if fired is not None and (cause.at - fired).total_seconds() < one.quiet_s:
        return False
    try:
        if one.when is not None and not rules.holds(one.when, names(conn, cause), model.NAMES):
            return False
    except rules.RuleError as why:
        log.warning("a condition fails", linkage=one.key, why=why.detail)
        firing.keep(conn, one, cause, (ids.uuid7(), firing.FAILED, [], why.detail[:500]))
        return False
    ended = firing.fire(conn, one, cause)
    _put(conn, one.key, cause.num or 0, at=cause.at, fired_at=cause.at)
    return ended == firing.DONE


def names(conn: Connection, cause: Cause) -> dict[str, dict[str, Any]]:
    """Return what a condition may ask of a cause."""
    if cause.thing is None:
        return {"v": {}, "t": {}, "a": {}}
    num = int(cause.thing["num"])
    values = readings.newest(conn, [num]).get(num, {})
    a = {"value": cause.value, **{k: v for k, v in cause.alarm.items() if k != "case_id"}}
    t = {k: cause.thing[k] for k in ("code", "name", "kind", "district", "street")}
    return {"v": {k: value for k, (_, value) in values.items()}, "t": t,
            "a": {k: v for k, v in a.items() if v is not None}}  # fmt: skip


_STATE = text("select * from iot.linkage_state where linkage = :k and num = :n")
_SET = text(
    "insert into iot.linkage_state (linkage, num, up, at, fired_at) "
    "values (:k, :n, :up, :at, :fired) on conflict (linkage, num) do update set "
    "up = coalesce(cast(:up_or_not as boolean), iot.linkage_state.up), at = excluded.at, "
    "fired_at = coalesce(excluded.fired_at, iot.linkage_state.fired_at)"
)


def _state(conn: Connection, key: str, num: int) -> Any:
    return conn.execute(_STATE, {"k": key, "n": num}).first()


def _put(
    conn: Connection, key: str, num: int, *, at: datetime, up: bool | None = None,
    fired_at: datetime | None = None,
) -> None:  # fmt: skip
    said = {"k": key, "n": num, "up": bool(up), "up_or_not": up, "at": at, "fired": fired_at}
    conn.execute(_SET, said)


def _alarms(conn: Connection, mine: list[Linkage]) -> Iterable[tuple[Linkage, Cause]]:
    """Yield what alarms fire that have rung since the last pass; the engine of alarms rings in order."""
    wanted = [one for one in mine if one.form == ALARM]
    state = _state(conn, CURSOR, 0)
    if state is None:
        newest = conn.scalar(text("select coalesce(max(raised_at), now()) from iot.alarm"))
        _put(conn, CURSOR, 0, at=newest)
        return
    rows = conn.execute(
        text(
            "select num, rule, level, value, raised_at, case_id from iot.alarm "
            "where raised_at > :at and silence is null order by raised_at, level, num"
        ),
        {"at": state.at},
    ).all()
    if not rows:
        return
    _put(conn, CURSOR, 0, at=rows[-1].raised_at)
    things = readings.things(conn, sorted({row.num for row in rows})) if wanted else {}
    for row in rows:
        for one in wanted:
            if row.num in things and meant(one, row.rule, row.level):
                alarm = {"rule": row.rule, "level": row.level, "case_id": row.case_id}
                yield one, Cause(form=ALARM, at=row.raised_at, thing=things[row.num],
                                 value=row.value, alarm=alarm)  # fmt: skip


def meant(one: Linkage, rule: str, level: int) -> bool:
    """Tell whether an alarm of a rule and level is the one that a linkage waits for."""
    return one.trigger["rule"] in (EVERY_RULE, rule) and level <= one.trigger.get("level", 4)


def _values(conn: Connection, mine: list[Linkage]) -> Iterable[tuple[Linkage, Cause]]:
    """Yield what fires because a value has gone past its limit since the last pass."""
    known = products.running(conn)
    for one in mine:
        product = known.get(one.trigger.get("product", "")) if one.form == VALUE else None
        if product is not None and readings.has_tables(conn, product.key):
            yield from _crossed(conn, one, product)


def _crossed(conn: Connection, one: Linkage, product: Any) -> Iterable[tuple[Linkage, Cause]]:
    word, limit, clear = one.compares(product)
    name = str(one.trigger["property"])
    column = readings.number(product[name], "l")
    past = {"above": f"{column} > :limit", "below": f"{column} < :limit"}.get(
        word, f"{column} = :limit"
    )
    back = {"above": f"{column} <= :clear", "below": f"{column} >= :clear"}.get(
        word, f"{column} <> :limit"
    )
    rows = conn.execute(
        text(
            f'select l.num, l."{name}__at" as at, {column} as value, {back} as back, '
            f'coalesce(s.up, false) as up from iot."last_{product.key}" l '
            "left join iot.linkage_state s on s.linkage = :k and s.num = l.num "
            f'where l."{name}__at" > :since and (({past} and not coalesce(s.up, false)) '
            f"or ({back} and s.up)) order by l.num limit 5000"
        ),
        {"k": one.key, "limit": limit, "clear": clear, "since": firing.now() - LOOK_BACK},
    ).all()
    things = readings.things(conn, [row.num for row in rows if not row.up])
    for row in rows:
        _put(conn, one.key, row.num, at=row.at, up=not row.up)
        if not row.up and row.num in things:
            yield one, Cause(form=VALUE, at=row.at, thing=things[row.num], value=row.value)


def _hours(
    conn: Connection, mine: list[Linkage], now: datetime
) -> Iterable[tuple[Linkage, Cause]]:  # fmt: skip
    """Yield what is due by the hour: once a day, a little late rather than not at all."""
    for one in mine:
        if one.form != AT:
            continue
        due = due_on(one, now.astimezone(ZONE).date())
        state = _state(conn, one.key, 0)
        if state is None:
            # Published after its hour of today: tomorrow is its first time.
            _put(conn, one.key, 0, at=now)
            continue
        if due is not None and state.at < due <= now:
            _put(conn, one.key, 0, at=now)
            if (now - due).total_seconds() <= LATE_S:
                yield one, Cause(form=AT, at=now)


def due_on(one: Linkage, day: date) -> datetime | None:
    """Return the moment at which a linkage is due on a day of the city; None on other days."""
    if day.isoweekday() not in one.trigger.get("days", range(1, 8)):
        return None
    hour, minute = (int(part) for part in str(one.trigger["time"]).split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE)


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return the linkages that run, each with how it fared in the last week."""
    counts: Mapping[str, Any] = {
        row.linkage: row
        for row in conn.execute(
            text(
                "select linkage, count(*) filter (where state = 'done') as done, "
                "count(*) filter (where state <> 'done') as failed, max(at) as last_at, "
                "(array_agg(fault order by at desc) filter (where fault is not null))[1] as fault "
                "from iot.linkage_run where at > now() - interval '7 days' group by linkage"
            )
        )
    }
    made = []
    for key, one in sorted(model.running(conn).items()):
        row = counts.get(key)
        made.append(
            {"key": key, "title": one.title, "form": one.form, "enabled": one.enabled,
             "version": one.version, "document": one.doc, "done": row.done if row else 0,
             "failed": row.failed if row else 0, "last_at": row.last_at if row else None,
             "fault": row.fault if row else None}
        )  # fmt: skip
    return made


def runs(conn: Connection, key: str | None, limit: int) -> list[dict[str, Any]]:
    """Return firings, the newest first."""
    rows = conn.execute(
        text(
            "select r.id, r.linkage, r.version, r.at, r.actor, r.cause, r.state, r.did, r.fault, "
            "t.code, t.name, t.district, t.street, st_x(t.point) as lon, st_y(t.point) as lat "
            "from iot.linkage_run r left join twin.thing t on t.num = r.num "
            "where cast(:k as text) is null or r.linkage = :k order by r.at desc limit :n"
        ),
        {"k": key, "n": limit},
    )
    return [dict(row._mapping) for row in rows]
