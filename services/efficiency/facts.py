"""One row of facts for each event of a stretch of time: found, sent, answered, closed, how often it came back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from twin import cases
from twin.errors import BadRequest
from twin.scope import Actor, scope_sql

LONGEST = timedelta(days=400)
# Who found it: machines, our own people, citizens (workflow: discovery rate).
MACHINES = ("camera", "sensor", "alarm", "satellite")
OWN = ("patrol", "map", "staff")
HOTLINE = ("hotline", "12345")
FACTS = """
with c as (
  select c.id, c.num, c.code, c.source, c.severity, c.category, c.district, c.street, c.state, c.holder,
    c.data, c.opened_at, c.closed_at, c.due_at, c.point, c.parent
  from twin."case" c where c.process = :process and c.opened_at >= :a and c.opened_at < :b and {scope}
), s as (
  select j.subject, min(j.at) filter (where j.action = 'register') as registered_at,
    min(j.at) filter (where j.action in ('register', 'ask', 'assign', 'dispatch')) as answered_at,
    min(j.at) filter (where j.action in ('assign', 'dispatch')) as sent_at,
    min(j.at) filter (where j.action = 'accept') as accepted_at,
    min(j.at) filter (where j.action = 'arrive') as arrived_at,
    min(j.at) filter (where j.action = 'finish') as finished_at,
    coalesce(bool_or(j.action = 'late'), false) as was_late,
    coalesce(bool_or(j.action = 'warn'), false) as warned,
    count(*) filter (where j.action = 'return') as returns,
    count(*) filter (where j.action = 'transfer') as transfers,
    count(*) filter (where j.action = 'rework') as reworks
  from twin.journal j where j.subject in (select id from c) group by 1
), f as (
  select c.*, s.registered_at, s.answered_at, s.sent_at, s.accepted_at, s.arrived_at, s.finished_at, s.warned,
    s.returns, s.transfers, s.reworks, c.state = 'closed' as done,
    coalesce((c.data->>'on_time')::boolean, not s.was_late) as on_time,
    c.closed_at is null and c.due_at < now() as late_now,
    coalesce(c.data->>'department', c.holder) as department,
    c.state not in ('filtered', 'merged', 'rejected') as valid,
    c.source = any(:machines) as by_machine, c.source = any(:own) or c.data->>'reporter_kind' = 'staff' as by_own,
    c.source = any(:hotline) as by_hotline,
    exists (select 1 from twin."case" k where k.parent = c.id and k.process = 'event.supervise') as supervised
  from c left join s on s.subject = c.id
)
"""


@dataclass(frozen=True)
class Span:
    """A stretch of time, from (in) to (out)."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime | None, end: datetime | None, now: datetime) -> Span:
        """Return the stretch asked for; without one the last thirty days."""
        last = end or now
        first = start or last - timedelta(days=30)
        if not timedelta(0) < last - first <= LONGEST:
            raise BadRequest("from must lie before to, at most 400 days.")
        return cls(first, last)


def facts(actor: Actor, span: Span) -> tuple[str, dict[str, Any]]:
    """Return the statement that begins with the facts, and its values; `f` is the table."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    return FACTS.replace("{scope}", scope), {
        "process": cases.CITY, "a": span.start, "b": span.end, "machines": list(MACHINES),
        "own": list(OWN), "hotline": list(HOTLINE), **params,
    }  # fmt: skip
