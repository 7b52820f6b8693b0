"""Reads over alarms; every one takes the actor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import cases
from twin.alarms.raising import PROCESS
from twin.errors import BadRequest
from twin.scope import Actor, scope_sql

STATES = {
    "open": "c.closed_at is null",
    "ringing": "c.closed_at is null and c.state = 'rung'",
    "closed": "c.closed_at is not null",
    "all": "true",
}


def listed(
    conn: Connection,
    actor: Actor,
    *,
    state: str,
    level: int | None,
    district: str | None,
    rule: str | None,
    thing: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[dict[str, Any]], int, str | None]:
    """Return alarm cases, the loudest and newest first, how many in all, and the next cursor."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    where = ["c.process = :process", scope, STATES[state]]
    params |= {"process": PROCESS, "level": level, "district": district, "rule": rule}
    if level is not None:
        where.append("c.severity <= :level")
    if district:
        where.append("c.district = :district")
    if rule:
        where.append("c.data->>'rule' = :rule")
    if thing:
        where.append(
            "exists (select from iot.alarm a join twin.thing t on t.num = a.num "
            "where a.case_id = c.id and t.code = :thing)"
        )
        params["thing"] = thing
    said = " and ".join(where)
    total = conn.execute(text(f'select count(*) from twin."case" c where {said}'), params).scalar()
    skip = _skip(cursor)
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where {said} '
            "order by (c.closed_at is not null), c.severity, c.opened_at desc, c.num "
            "limit :limit offset :skip"
        ),
        params | {"limit": limit + 1, "skip": skip},
    ).all()
    following = str(skip + limit) if len(rows) > limit else None
    return [dict(row._mapping) for row in rows[:limit]], int(total or 0), following


def _skip(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not cursor.isdigit() or int(cursor) > 1_000_000:
        raise BadRequest("This cursor is not one of ours; start again without it.")
    return int(cursor)


def members(conn: Connection, case: UUID, limit: int = 500) -> Sequence[Any]:
    """Return the things of an alarm case, those that still stand first."""
    return conn.execute(
        text(
            "select a.*, t.code, t.name, t.kind, st_x(a.point) as lon, st_y(a.point) as lat "
            "from iot.alarm a join twin.thing t on t.num = a.num where a.case_id = :id "
            "order by (a.cleared_at is not null), a.level, a.raised_at desc limit :limit"
        ),
        {"id": case, "limit": limit},
    ).all()


def waiting_for(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    """Return the open alarm cases in which the actor was called and has not answered."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" c where c.process = :process '
            "and c.closed_at is null and c.data @> cast(:mine as jsonb) "
            f"and {scope} order by c.severity, c.opened_at desc limit 200"
        ),
        {
            "process": PROCESS,
            "mine": json.dumps({"notices": [{"user": actor.user, "acked_at": None}]}),
            **params,
        },
    )
    return [dict(row._mapping) for row in rows]


def standing(
    conn: Connection, actor: Actor, at: datetime | None, limit: int = 20_000
) -> Sequence[Any]:
    """Return every alarm of a thing that stands now, or stood at a moment, with its place."""
    scope, params = scope_sql(actor, "a", cases.LEVEL)
    when = (
        "a.cleared_at is null"
        if at is None
        else "a.raised_at <= :at and (a.cleared_at is null or a.cleared_at > :at)"
    )
    return conn.execute(
        text(
            "select a.num, a.rule, a.level, a.value, a.peak, a.property, a.raised_at, a.case_id, "
            "t.code, t.name, c.code as case_code, c.state, c.title, c.severity, "
            "coalesce(p.lon, st_x(a.point)) as lon, coalesce(p.lat, st_y(a.point)) as lat "
            "from iot.alarm a join twin.thing t on t.num = a.num "
            'join twin."case" c on c.id = a.case_id left join twin.last_position p on p.num = a.num '
            f"where {when} and {scope} order by a.level, a.raised_at desc limit :limit"
        ),
        {"at": at, "limit": limit, **params},
    ).all()


def counts(conn: Connection, actor: Actor) -> dict[str, int]:
    """Return how many open cases ring, by level, and how many things they speak of."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    row = conn.execute(
        text(
            "select count(*) as open, count(*) filter (where state = 'rung') as ringing, "
            "count(*) filter (where severity = 1) as level1, "
            "count(*) filter (where severity = 2) as level2, "
            "count(*) filter (where severity = 3) as level3, "
            "count(*) filter (where severity = 4) as level4, "
            "coalesce(sum((data->>'standing')::int), 0)::int as things "
            f"from twin.\"case\" c where process = 'iot.alarm' and closed_at is null and {scope}"
        ),
        params,
    ).one()
    return dict(row._mapping)


def silences(conn: Connection, past: bool) -> Sequence[Any]:
    """Return silences that hold or will, or all of the last month."""
    when = "s.created_at > now() - interval '31 days'" if past else "s.ends_at > now()"
    return conn.execute(
        text(
            "select s.*, t.code, t.name as thing_name, t.district as thing_district, "
            "(select count(*) from iot.alarm a where a.silence = s.id) as kept "
            "from iot.silence s left join twin.thing t on t.num = s.num "
            f"where {when} {'' if past else 'and s.ended_by is null'} order by s.id desc limit 500"
        )
    ).all()
