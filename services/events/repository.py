"""Reads over cases for the event domain; every one takes the actor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import cases
from twin.errors import BadRequest
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql

_COLUMNS = cases.COLUMNS


def listed(
    conn: Connection,
    actor: Actor,
    *,
    state: str,
    bbox: tuple[float, float, float, float] | None,
    district: str | None,
    holder: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[dict[str, Any]], int, str | None]:
    """Return cases by severity then age, how many there are in all, and the next cursor."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    where = ["c.process = :process", scope]
    params |= {"process": PROCESS}
    if state in ("open", "closed"):
        where.append(f"c.closed_at is {'' if state == 'open' else 'not '}null")
    if bbox:
        where.append("c.point && st_makeenvelope(:w, :s, :e, :n, 4326)")
        params |= dict(zip("wsen", bbox, strict=True))
    if district:
        where.append("c.district = :district")
        params["district"] = district
    if holder:
        where.append("c.holder = :holder")
        params["holder"] = holder
    said = " and ".join(where)
    total = conn.execute(text(f'select count(*) from twin."case" c where {said}'), params)
    after, more = _after(cursor)
    order = "c.severity, c.opened_at desc, c.num"
    rows = conn.execute(
        text(
            f'select {_COLUMNS} from twin."case" c where {said} order by {order} '
            "limit :limit offset :offset"
        ),
        params | {"limit": limit + 1, "offset": after},
    ).all()
    following = _cursor(more + limit) if len(rows) > limit else None
    return [dict(r._mapping) for r in rows[:limit]], total.scalar_one(), following


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
