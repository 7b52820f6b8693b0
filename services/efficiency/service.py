"""Rates by department, district, kind and source; funnel; heat; the hotline's one, five and fifteen days; 四早五最."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from services.efficiency.facts import Span, facts
from twin import calendar, cases, names
from twin.scope import Actor

DIMENSIONS = {"district": "district", "department": "department", "category": "category",
              "source": "source", "severity": "severity::text", "street": "street"}  # fmt: skip
MOST_ROWS = 400
MOST_HOTLINE = 20_000
_MEASURES = """
  count(*) as opened, count(*) filter (where valid) as valid, count(*) filter (where done) as closed,
  count(*) filter (where done and on_time) as on_time, count(*) filter (where late_now) as late_now,
  count(*) filter (where closed_at is null) as open,
  percentile_cont(0.5) within group (order by extract(epoch from closed_at - opened_at))
    filter (where done) as median_s,
  percentile_cont(0.9) within group (order by extract(epoch from closed_at - opened_at)) filter (where done) as p90_s,
  percentile_cont(0.5) within group (order by extract(epoch from arrived_at - sent_at)) as response_s,
  count(*) filter (where reworks > 0) as reworked, coalesce(sum(returns), 0) as returns,
  coalesce(sum(transfers), 0) as transfers, count(*) filter (where supervised) as supervised,
  count(*) filter (where data ? 'repeat_of') as repeated,
  count(*) filter (where done and reworks = 0 and returns = 0 and transfers = 0) as at_once
"""


def report(conn: Connection, actor: Actor, span: Span, by: str) -> list[dict[str, Any]]:
    """Return the measures of each district, department, kind or source, and of all together."""
    head, params = facts(actor, span)
    column = DIMENSIONS[by]
    rows = conn.execute(
        text(
            f"{head} select grouping({column}) as whole, {column} as code, {_MEASURES} from f "
            f"group by rollup ({column}) order by grouping({column}) desc, count(*) desc limit :most"
        ),
        {**params, "most": MOST_ROWS},
    ).mappings()
    known = _names(conn, by)
    return [_row(dict(r), known) for r in rows]


def _row(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    said = {k: _plain(v) for k, v in row.items() if k not in ("whole", "code")}
    code = row["code"]
    said |= {
        "code": None if row["whole"] else (code or ""),
        "name": None if row["whole"] else known.get(code or "", code),
        "on_time_rate": _share(row["on_time"], row["closed"]),
        "rework_rate": _share(row["reworked"], row["closed"]),
        "at_once_rate": _share(row["at_once"], row["closed"]),
    }
    return said


def _plain(value: Any) -> Any:
    return float(value) if value is not None and not isinstance(value, int | str | bool) else value


def _share(part: int, whole: int) -> float | None:
    return round(100.0 * part / whole, 1) if whole else None


def _names(conn: Connection, by: str) -> Mapping[str, Any]:
    if by == "category":
        return {k: v["title"] for k, v in cases.current(conn, cases.CITY)["categories"].items()}
    found: dict[str, Any] = dict(names.things(conn))
    if by == "department":
        found |= {
            r.code: r.name for r in conn.execute(text("select code, name from twin.organisation"))
        }
    return found


_FUNNEL = """ select count(*) as found, count(*) filter (where valid) as valid,
  count(*) filter (where valid and registered_at is not null) as accepted,
  count(*) filter (where valid and sent_at is not null) as sent,
  count(*) filter (where valid and accepted_at is not null) as handled,
  count(*) filter (where valid and finished_at is not null) as reviewed,
  count(*) filter (where done) as closed,
  count(*) filter (where state = 'filtered') as filtered, count(*) filter (where state = 'merged') as merged,
  count(*) filter (where state = 'rejected') as rejected from f"""


def funnel(conn: Connection, actor: Actor, span: Span) -> dict[str, Any]:
    """Return how many events came to each of the six stages, and where the others went."""
    head, params = facts(actor, span)
    row = conn.execute(text(head + _FUNNEL), params).mappings().one()
    steps = ("found", "accepted", "sent", "handled", "reviewed", "closed")
    return {
        "steps": [{"stage": i, "count": row[name]} for i, name in enumerate(steps, 1)],
        "out": {name: row[name] for name in ("filtered", "merged", "rejected")},
    }


def heat(
    conn: Connection, actor: Actor, span: Span, category: str | None, cell_m: int
) -> dict[str, Any]:
    """Return hexagons of so many metres with the events in each, as GeoJSON."""
    head, params = facts(actor, span)
    rows = conn.execute(
        text(
            head + ", p as (select st_transform(point, 4549) as g, on_time, done from f "
            "where point is not null and valid and (cast(:category as text) is null or category = :category)), "
            "h as (select hex.geom, hex.i, hex.j, count(*) as n, "
            "count(*) filter (where p.done and not p.on_time) as late "
            "from p cross join lateral (select geom, i, j from st_hexagongrid(:size, st_buffer(p.g, 1)) "
            "where st_intersects(geom, p.g) limit 1) hex group by 1, 2, 3) "
            "select st_asgeojson(st_transform(geom, 4326), 6)::json as geometry, n, late from h "
            "order by n desc limit 5000"
        ),
        {**params, "category": category, "size": cell_m},
    )
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"n": r.n, "late": r.late}, "geometry": r.geometry}
            for r in rows
        ],
    }


_RATES = """ select count(*) filter (where valid) as valid,
  count(*) filter (where valid and by_machine) as machine,
  count(*) filter (where valid and (by_machine or by_own)) as own,
  count(*) filter (where done) as closed, count(*) filter (where done and on_time) as on_time,
  count(*) filter (where warned and done) as warned, count(*) filter (where warned and done and on_time) as saved,
  percentile_cont(0.5) within group (order by extract(epoch from sent_at - opened_at)) as judged_s,
  percentile_cont(0.5) within group
    (order by extract(epoch from coalesce(arrived_at, accepted_at) - opened_at)) as there_s,
  percentile_cont(0.5) within group (order by extract(epoch from closed_at - opened_at)) filter (where done) as whole_s,
  count(*) filter (where done and returns = 0 and transfers = 0 and reworks = 0) as at_once,
  count(*) filter (where done and not supervised) as low,
  count(*) filter (where done and severity <= 2) as grave,
  count(*) filter (where done and severity <= 2 and on_time) as grave_on_time,
  count(*) filter (where done and reworks = 0 and not (data ? 'repeat_of')) as lasting,
  count(*) filter (where data ? 'satisfaction') as visited,
  count(*) filter (where data->>'satisfaction' in ('satisfied', 'basic')) as satisfied
  from f"""
Title = dict[str, str]


def rates(conn: Connection, actor: Actor, span: Span) -> dict[str, Any]:
    """Return the rates the documents ask for, each with what it is a share of."""
    head, params = facts(actor, span)
    r = conn.execute(text(head + _RATES), params).one()
    discovery = [
        _rate("machine", "机器发现率", "Found by machines", r.machine, r.valid, None),
        _rate(
            "own", "自主发现率（机器或巡查）", "Found by machines or patrols", r.own, r.valid, 80.0
        ),
        _rate("on_time", "按时办结率", "Closed on time", r.on_time, r.closed, 95.0),
        _rate("satisfied", "回访满意率", "Satisfied when asked", r.satisfied, r.visited, 90.0),
    ]
    early = [
        _rate("early_found", "早发现：自主发现", "Early found: by ourselves", r.own, r.valid, 80.0),
        _rate(
            "early_warned",
            "早预警：预警后仍按时",
            "Early warned: still on time",
            r.saved,
            r.warned,
            None,
        ),
        _time("early_judged", "早研判：上报到派发", "Early judged: report to dispatch", r.judged_s),
        _time("early_there", "早处置：上报到到场", "Early handled: report to arrival", r.there_s),
    ]
    most = [
        _rate(
            "lowest",
            "最低层级：未升级督办即办结",
            "Lowest level: closed without supervision",
            r.low,
            r.closed,
            None,
        ),
        _time("soonest", "最早时间：上报到办结", "Soonest: report to close", r.whole_s),
        _rate(
            "cheapest", "最小成本：一次办成", "Least cost: done at once", r.at_once, r.closed, None
        ),
        _rate(
            "gravest",
            "最突出问题：一二级按时",
            "Gravest: severity 1–2 on time",
            r.grave_on_time,
            r.grave,
            95.0,
        ),
        _rate(
            "lasting",
            "最佳效果：无返工无再发",
            "Best effect: no rework, no repeat",
            r.lasting,
            r.closed,
            None,
        ),
    ]
    return {"rates": discovery, "early": early, "most": most,
            "hotline": hotline(conn, actor, span), "verified": False}  # fmt: skip


def _rate(
    key: str, zh: str, en: str, part: int, whole: int, target: float | None
) -> dict[str, Any]:
    value = _share(part, whole)
    level = "none" if value is None or target is None else "good" if value >= target else "bad"
    return {"key": key, "title": {"zh": zh, "en": en}, "unit": "%", "value": value, "part": part,
            "whole": whole, "target": target, "level": level}  # fmt: skip


def _time(key: str, zh: str, en: str, seconds: float | None) -> dict[str, Any]:
    value = None if seconds is None else float(seconds)
    return {"key": key, "title": {"zh": zh, "en": en}, "unit": "s", "value": value,
            "part": None, "whole": None, "target": None, "level": "none"}  # fmt: skip


def hotline(conn: Connection, actor: Actor, span: Span) -> list[dict[str, Any]]:
    """Return 12345's three spans: contact within one working day, done within five, fifteen at most."""
    head, params = facts(actor, span)
    rows = conn.execute(
        text(
            f"{head} select opened_at, answered_at, closed_at, done, closed_at is not null as over from f "
            f"where by_hotline and valid order by opened_at limit {MOST_HOTLINE}"
        ),
        params,
    ).all()
    days = calendar.load(conn, "sh-workday")
    said = (
        (1, "一个工作日内联系", "Contacted within one working day", "answered_at"),
        (5, "五个工作日内办结", "Done within five working days", "closed_at"),
        (15, "十五个工作日内办结", "Done within fifteen working days", "closed_at"),
    )
    found = []
    for many, zh, en, column in said:
        # What still has time is no failure yet: it is counted once its span has passed or it is done.
        counted = kept = 0
        for row in rows:
            at, limit = getattr(row, column), days.add_days(row.opened_at, many).at
            if at is None and limit > span.end:
                continue
            counted += 1
            kept += at is not None and at <= limit
        found.append(_rate(f"hotline_{many}", zh, en, kept, counted, None))
    return found


def trend(conn: Connection, actor: Actor, span: Span) -> list[dict[str, Any]]:
    """Return for each day how many were opened, closed and late: the small multiples of the board."""
    head, params = facts(actor, span)
    rows = conn.execute(
        text(
            f"{head} select (opened_at at time zone 'Asia/Shanghai')::date as day, count(*) as opened, "
            "count(*) filter (where done) as closed, count(*) filter (where done and on_time) as on_time, "
            "count(*) filter (where by_machine or by_own) as own from f where valid group by 1 order by 1"
        ),
        params,
    ).mappings()
    return [dict(r) for r in rows]


def previous(span: Span) -> Span:
    """Return the stretch of the same length before one."""
    length = span.end - span.start
    return Span(span.start - length, span.start)


def until(moment: datetime) -> datetime:
    """Return the next full minute: answers of one minute are the same."""
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
