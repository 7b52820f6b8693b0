"""Numbers for the wall, each with the list that it counts, now or at a past moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, cases, positions
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql

_COUNTS = """
select
  count(*) filter (where opened_at <= :t and (closed_at is null or closed_at > :t)) as open,
  count(*) filter (where opened_at <= :t and (closed_at is null or closed_at > :t)
    and severity = 1) as critical,
  count(*) filter (where opened_at > :day and opened_at <= :t) as opened,
  count(*) filter (where closed_at > :day and closed_at <= :t and state = 'closed') as closed,
  count(*) filter (where closed_at > :week and closed_at <= :t and state = 'closed') as closed_week,
  count(*) filter (where closed_at > :week and closed_at <= :t and state = 'closed'
    and coalesce((data->>'reworks')::int, 0) > 0) as reworked_week,
  percentile_cont(0.5) within group (order by extract(epoch from closed_at - opened_at))
    filter (where closed_at > :week and closed_at <= :t and state = 'closed') as median_s,
  count(*) filter (where opened_at > :before
    and opened_at <= :before + (cast(:t as timestamptz) - :day)) as opened_before
from twin."case" c where process = :process and
"""


def indicators(conn: Connection, actor: Actor, moment: datetime) -> list[dict[str, Any]]:
    """Return the six cards of the wall as they were at a moment: what the lists then showed."""
    day = _midnight(moment)
    params = {"t": moment, "day": day, "before": day - timedelta(days=1), "process": PROCESS,
              "week": moment - timedelta(days=7)}  # fmt: skip
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    row = conn.execute(text(_COUNTS + scope), params | more).one()
    still = _standing(conn, actor, moment)
    late = sum(1 for c in still if c["due_at"] and c["due_at"] < moment)
    crews, heard, free = _crews(conn, actor, moment, still)
    events = "/api/v1/events?state="
    return [
        _card("open", "在办事件", "Open events", row.open, "件", events + "open",
              level="bad" if row.critical else "none",
              delta=row.critical, base=("其中特急", "critical")),
        _card("late", "超时未办", "Late", late, "件", events + "open",
              level="bad" if late else "good"),
        _card("opened", "今日上报", "Reported today", row.opened, "件", events + "all",
              delta=row.opened - row.opened_before, base=("较昨日同时", "vs. same time yesterday")),
        _card("closed", "今日办结", "Closed today", row.closed, "件", events + "closed"),
        _card("median", "近七日办结中位用时", "Median time to close, 7 days",
              round(row.median_s / 60) if row.median_s is not None else None, "分",
              events + "closed", delta=row.closed_week, base=("依据件数", "events counted")),
        _card("crews", "可用班组", "Crews free", free, "组", "/api/v1/movers", delta=crews,
              base=("全部", "of all"), level="warn" if crews and not heard else "none"),
    ]  # fmt: skip


def _crews(
    conn: Connection, actor: Actor, moment: datetime, still: list[dict[str, Any]]
) -> tuple[int, int, int]:
    """Return how many crews there are, were heard within ten minutes, and had nothing in hand."""
    scope, more = scope_sql(actor, "t", cases.LEVEL)
    mine = set(
        conn.scalars(
            text(
                f"select t.code from twin.thing t where kind = 'crew' and gone_at is null and {scope}"
            ),
            more,
        )
    )
    since = moment - timedelta(minutes=10)
    fixes = positions.now(conn) if _is_now(moment) else positions.at(conn, moment)
    heard = {r.code for r in fixes if r.code in mine and r.at > since}
    busy = {c["holder"] for c in still if c["state"] in ("dispatched", "handling")}
    return len(mine), len(heard), len(heard - busy)


def _standing(conn: Connection, actor: Actor, moment: datetime) -> list[dict[str, Any]]:
    """Return state, holder and deadline of each open event, now or as the journal had them."""
    if not _is_now(moment):
        then = cases.at_moment(conn, actor, moment)
        return [{**c, "due_at": c["due_at"] and datetime.fromisoformat(c["due_at"])} for c in then]
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            'select state, holder, due_at from twin."case" c '
            f"where closed_at is null and process = :process and {scope}"
        ),
        {"process": PROCESS, **more},
    )
    return [dict(r._mapping) for r in rows]


def _is_now(moment: datetime) -> bool:
    return datetime.now(UTC) - moment < timedelta(seconds=10)


def _card(
    key: str,
    zh: str,
    en: str,
    value: Any,
    unit: str,
    url: str,
    *,
    delta: Any = None,
    base: tuple[str, str] | None = None,
    level: str = "none",
) -> dict[str, Any]:
    units = {"件": "events", "分": "min", "组": "crews"}
    return {
        "key": key,
        "title": {"zh": zh, "en": en},
        "value": value,
        "unit": {"zh": unit, "en": units[unit]},
        "delta": delta,
        "delta_base": {"zh": base[0], "en": base[1]} if base else None,
        "level": level,
        "list": url,
    }


def _midnight(moment: datetime) -> datetime:
    local = moment.astimezone(calendar.ZONE)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def bins(
    conn: Connection, actor: Actor, start: datetime, end: datetime, count: int
) -> list[Mapping[str, Any]]:
    """Return how many events were opened, closed and became late in each of `count` equal spans."""
    width = (end - start) / count
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            "with s as (select i, cast(:a as timestamptz) + i * cast(:w as interval) as f, "
            "cast(:a as timestamptz) + (i + 1) * cast(:w as interval) as g "
            "from generate_series(0, :n - 1) i) "
            "select s.f as from, s.g as to, "
            + "".join(
                f'(select count(*) from twin."case" c where process = :process and {at} >= s.f '
                f"and {at} < s.g and {scope}) as {name}, "
                for at, name in (("opened_at", "opened"), ("closed_at", "closed"))
            )
            + '(select count(*) from twin.journal j join twin."case" c on c.id = j.subject '
            "where j.class = 'case' and j.action = 'late' and c.process = :process "
            f"and j.at >= s.f and j.at < s.g and {scope}) as late from s order by s.i"
        ),
        {"a": start, "w": width, "n": count, "process": PROCESS, **more},
    ).mappings()
    return [dict(r) for r in rows]
