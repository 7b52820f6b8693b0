"""The same numbers by plain SQL over the tables: no filter compiler, no scope, no kept days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ZONE = "Asia/Shanghai"
TODAY = f"(now() at time zone '{ZONE}')::date"
RECORDS = {
    "cases": """(select c.*, closed_at is null as standing, data->>'reporter_kind' as reporter,
        coalesce(data->>'reworks', '0')::float as reworks,
        coalesce(data->>'satisfaction', '') as satisfaction,
        coalesce(data->>'complaints', '0')::float as complaints,
        coalesce(jsonb_array_length(data->'photos'), 0) as photos,
        extract(epoch from closed_at - opened_at) / 3600.0 as hours,
        (closed_at is null and due_at < now()) as late_now,
        c.id in (select subject from twin.journal where action = 'late') as was_late
        from twin."case" c)""",
    "crews": """(select code, num in (select num from twin.position where at <= now()
        and now() - at < interval '600 seconds') as heard, (select count(*) from twin."case"
        where holder = thing.code and closed_at is null and state in ('dispatched', 'handling')) > 0
        as busy from twin.thing where kind = 'crew' and gone_at is null)""",
    "alarms": """(select *, cleared_at is null as standing,
        extract(epoch from coalesce(cleared_at, now()) - raised_at) / 3600.0 as hours from iot.alarm)""",
    "devices": """(select d.product, d.state, d.enabled, coalesce(seen_at > now() - interval '24 hours',
        false) as heard from twin.device d join twin.thing t using (num) where t.gone_at is null)""",
    "tickets": "iot.ticket",
    "messages": "iot.ledger",
    "accounts": """(select a.*, (select max(seen_at) from twin.session s where s."user" = a."user")
        as seen_at from twin.account a)""",
    "quality": """(select s.*, things - errors as sound from twin.quality_score s where (kind, day) in
        (select kind, max(day) from twin.quality_score group by kind))""",
    "catalogue": "twin.kind_count",
}  # fmt: skip


def relation(of: Mapping[str, str], topics: Mapping[str, str]) -> str:
    """Return the table of a source, as the database administrator would name it."""
    ((form, name),) = of.items()
    if form == "kind":
        return f"{topics[name]}.{name}"
    if form == "product":
        return f"(select * from iot.last_{name} join twin.thing using (num) where gone_at is null)"
    return RECORDS[name]


def sql(said: Mapping[str, Any], topics: Mapping[str, str]) -> str:
    """Return one SELECT for a counted indicator; the filters are read as the SQL they look like."""
    measure = said.get("measure", "count")
    where = [f"({said['where']})"] if "where" in said else []
    if "window" in said:
        column = said["window"]["field"]
        moment = f"({column}::text::timestamptz at time zone '{ZONE}')::date"
        day = f"(case when length({column}::text) = 10 then {column}::text::date else {moment} end)"
        days = said["window"].get("days")
        first = f"{TODAY} - {days - 1}" if days else f"date_trunc('year', {TODAY})::date"
        where.append(f"{day} between {first} and {TODAY}")
    scale = said.get("scale", 1)
    if measure == "count":
        what = f"count(*) * {scale}"
    else:
        ((name, field),) = measure.items()
        what = {
            "sum": lambda: f"coalesce(sum({field}), 0) * {scale}",
            "mean": lambda: f"avg({field}) * {scale}",
            "share": lambda: (
                f"100.0 * sum(case when {field} then 1 else 0 end) / nullif(count(*), 0)"
            ),
            "ratio": lambda: f"sum({field['of']}) * {scale}::float / nullif(sum({field['to']}), 0)",
        }[name]()
    made = f"select {what} from {relation(said['of'], topics)} x"
    text = made + (" where " + " and ".join(where) if where else "")
    return text.replace(">= today", f">= {TODAY}")
