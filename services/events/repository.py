"""Reads over cases for the event domain; every one takes the actor."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import cases
from twin.errors import BadRequest
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql

_COLUMNS = cases.COLUMNS


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a list of events is narrowed to; None: not by this."""

    state: str = "open"
    bbox: tuple[float, float, float, float] | None = None
    district: str | None = None
    holder: str | None = None
    category: list[str] | None = None
    department: str | None = None
    source: str | None = None
    severity: list[int] | None = None
    stage: list[int] | None = None
    state_is: list[str] | None = None
    words: str | None = None
    late: bool | None = None
    opened_from: datetime | None = None
    opened_to: datetime | None = None
    tag: str | None = None
    parent: str | None = None
    process: str = PROCESS


_SQL = {
    "district": "c.district = :district",
    "holder": "c.holder = :holder",
    "category": "c.category = any(:category)",
    "department": "(c.data->>'department' = :department or c.holder = :department)",
    "source": "c.source = :source",
    "severity": "c.severity = any(:severity)",
    "state_is": "c.state = any(:state_is)",
    "words": "(c.title ilike :words or c.code ilike :words or c.data->>'description' ilike :words "
             "or c.data->>'address' ilike :words)",
    "opened_from": "c.opened_at >= :opened_from",
    "opened_to": "c.opened_at < :opened_to",
    "tag": "c.data->'tags' ? :tag",
    "parent": 'c.parent = (select id from twin."case" where code = :parent)',
}  # fmt: skip
SORTS = {
    "severity": "c.severity, c.opened_at desc, c.num",
    "opened": "c.opened_at desc, c.num",
    "-opened": "c.opened_at, c.num",
    "due": "c.due_at nulls last, c.num",
    "-due": "c.due_at desc nulls last, c.num",
    "entered": "c.entered_at desc, c.num",
    "code": "c.code",
}


def narrowed(conn: Connection, actor: Actor, asked: Asked) -> tuple[str, dict[str, Any]]:
    """Return the predicate of what is asked within what the actor sees, and its values."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    where = ["c.process = :process", scope]
    params |= {"process": asked.process}
    if asked.state in ("open", "closed"):
        where.append(f"c.closed_at is {'' if asked.state == 'open' else 'not '}null")
    if asked.bbox:
        where.append("c.point && st_makeenvelope(:w, :s, :e, :n, 4326)")
        params |= dict(zip("wsen", asked.bbox, strict=True))
    values = {name: getattr(asked, name) for name in _SQL}
    if asked.words:
        values["words"] = "%" + re.sub(r"([%_\\])", r"\\\1", asked.words) + "%"
    if asked.stage:
        states = [s for s, v in cases.current(conn, asked.process)["states"].items()
                  if v["stage"] in asked.stage]  # fmt: skip
        values["state_is"] = [s for s in states if asked.state_is is None or s in asked.state_is]
    for name, value in values.items():
        if value is not None:
            where.append(_SQL[name])
            params[name] = value
    if asked.late is not None:
        late = "c.closed_at is null and c.due_at is not null and c.due_at < now()"
        where.append(f"({late}) is {'true' if asked.late else 'not true'}")
    return " and ".join(where), params


def listed(
    conn: Connection, actor: Actor, asked: Asked, *, sort: str = "severity", limit: int,
    cursor: str | None,
) -> tuple[list[dict[str, Any]], int, str | None]:  # fmt: skip
    """Return cases in the order asked, how many there are in all, and the next cursor."""
    said, params = narrowed(conn, actor, asked)
    total = conn.execute(text(f'select count(*) from twin."case" c where {said}'), params)
    after, more = _after(cursor)
    rows = conn.execute(
        text(
            f'select {_COLUMNS} from twin."case" c where {said} order by {SORTS[sort]} '
            "limit :limit offset :offset"
        ),
        params | {"limit": limit + 1, "offset": after},
    ).all()
    following = _cursor(more + limit) if len(rows) > limit else None
    return [dict(r._mapping) for r in rows[:limit]], total.scalar_one(), following


def codes(conn: Connection, actor: Actor, asked: Asked, limit: int) -> list[str]:
    """Return the codes of what is asked, the oldest first, up to a limit."""
    said, params = narrowed(conn, actor, asked)
    found = conn.scalars(
        text(f'select c.code from twin."case" c where {said} order by c.num limit :limit'),
        params | {"limit": limit},
    )
    return list(found)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"o{offset}".encode()).decode()


def _after(cursor: str | None) -> tuple[int, int]:
    if not cursor:
        return 0, 0
    try:
        said = base64.urlsafe_b64decode(cursor.encode()).decode()
        offset = int(said.removeprefix("o"))
    except (ValueError, binascii.Error, UnicodeDecodeError) as why:
        raise BadRequest("This cursor is not one of ours; start again without it.") from why
    if not 0 <= offset <= 1_000_000:
        raise BadRequest("This cursor is out of range; start again without it.")
    return offset, offset


def asked_back(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    """Return what somebody has reported and is asked about, the oldest question first."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            f"select {_COLUMNS} from twin.\"case\" c where c.closed_at is null and c.state = 'asking' "
            f"and c.process = :process and c.data->>'reporter' = :me and {scope} order by c.entered_at limit 50"
        ),
        {**params, "me": actor.user, "process": PROCESS},
    )
    return [dict(row._mapping) for row in rows]


def at_version(conn: Connection, case_id: Any, moment: datetime) -> dict[str, Any] | None:
    """Return a case as it stood at a moment."""
    row = conn.execute(
        text(
            "select after from twin.journal where subject = :id and at <= :t "
            "order by version desc limit 1"
        ),
        {"id": case_id, "t": moment},
    ).first()
    return dict(row.after) if row else None


def story(conn: Connection, case_id: Any) -> Sequence[Any]:
    """Return the journal of a case."""
    return cases.story(conn, case_id)
