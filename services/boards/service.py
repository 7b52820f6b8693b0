"""Numbers for the wall, each with the list that it counts, now or at a past moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, cases
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
_LATE = """
select count(*) from twin."case" c where process = :process and closed_at is null and due_at < :t and
"""
_CREWS = """
select count(*) as all_crews, count(p.num) as heard,
  count(*) filter (where exists (select 1 from twin."case" c where c.holder = t.code
    and c.closed_at is null and c.state in ('dispatched', 'handling'))) as busy
from twin.thing t left join twin.last_position p on p.num = t.num
  and p.at > cast(:t as timestamptz) - interval '10 minutes'
where t.kind = 'crew' and t.gone_at is null and
"""


def indicators(conn: Connection, actor: Actor, moment: datetime) -> list[dict[str, Any]]:
    """Return the six cards of the wall."""
    day = _midnight(moment)
    params = {"t": moment, "day": day, "before": day - timedelta(days=1), "process": PROCESS,
              "week": moment - timedelta(days=7)}  # fmt: skip
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    row = conn.execute(text(_COUNTS + scope), params | more).one()
    late = conn.execute(text(_LATE + scope), {"t": moment, "process": PROCESS} | more).scalar_one()
    where, more = scope_sql(actor, "t", cases.LEVEL)
    crews = conn.execute(text(_CREWS + where), {"t": moment} | more).one()
    return [
        _card("open", "在办事件", "Open events", row.open, "件", "/api/v1/events?state=open",
              level="bad" if row.critical else "none",
              delta=row.critical, base=("其中紧急", "critical")),
        _card("late", "超时未办", "Late", late, "件", "/api/v1/events?state=open",
              level="bad" if late else "good"),
        _card("opened", "今日上报", "Reported today", row.opened, "件", "/api/v1/events?state=all",
              delta=row.opened - row.opened_before, base=("较昨日同时", "vs. same time yesterday")),
        _card("closed", "今日办结", "Closed today", row.closed, "件", "/api/v1/events?state=closed"),
        _card("median", "近七日办结中位用时", "Median time to close, 7 days",
              round(row.median_s / 60) if row.median_s is not None else None, "分",
              "/api/v1/events?state=closed", delta=row.closed_week, base=("依据件数", "events counted")),
        _card("crews", "可用班组", "Crews free", crews.heard - min(crews.busy, crews.heard), "组",
              "/api/v1/movers", delta=crews.all_crews, base=("全部", "of all"),
              level="warn" if crews.all_crews and not crews.heard else "none"),
    ]  # fmt: skip


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
    units = {"件": "", "分": "min", "组": ""}
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
            f'(select count(*) from twin."case" c where opened_at >= s.f and opened_at < s.g and {scope}) as opened, '
            f'(select count(*) from twin."case" c where closed_at >= s.f and closed_at < s.g and {scope}) as closed, '
            "(select count(*) from twin.journal c where class = 'case' and action = 'late' "
            f"and at >= s.f and at < s.g and {scope}) as late from s order by s.i"
        ),
        {"a": start, "w": width, "n": count, **more},
    ).mappings()
    return [dict(r) for r in rows]
