"""HTTP door of the audit: who signed in, who was refused, who changed grants; for the auditor."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import text

from services.web import auth
from services.web.params import Moment, moment
from twin import db

router = APIRouter(prefix="/api/v1/audit", tags=["accounts"])
Word = Annotated[str | None, Query(max_length=80)]
_FOUND = text(
    "select j.id, s.seq, j.at, j.action, j.actor, j.before, j.after, j.note from twin.journal j "
    "left join twin.sealed s on s.entry = j.id where j.class = 'security' "
    "and (cast(:before as bigint) is null or j.id < :before) "
    "and (cast(:actor as text) is null or j.actor = :actor or j.note->>'user' = :actor "
    "or j.after->>'user' = :actor) "
    "and (cast(:action as text) is null or j.action = any(string_to_array(:action, ','))) "
    "and (cast(:since as timestamptz) is null or j.at >= :since) "
    "and (cast(:until as timestamptz) is null or j.at < :until) "
    "order by j.id desc limit :limit"
)
_ACTIONS = text(
    "select action, count(*) as entries from twin.journal where class = 'security' group by 1 order by 1"
)


@router.get("", response_model=None)
def entries(
    person: auth.Person,
    actor: Word = None,
    action: Annotated[str | None, Query(max_length=400)] = None,
    since: Moment = None,
    until: Moment = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    f: Annotated[str, Query(pattern="^(json|csv)$")] = "json",
) -> Response | dict[str, Any]:
    """Return security entries, newest first; `before` goes on from the last id of a page."""
    person.need("audit.read")
    asked = {
        "actor": actor or None, "action": action or None, "since": moment(since),
        "until": moment(until), "before": before, "limit": limit + 1,
    }  # fmt: skip
    with db.engine("app").connect() as conn:
        rows = [dict(row) for row in conn.execute(_FOUND, asked).mappings()]
    shown = rows[:limit]
    if f == "csv":
        return _csv(shown)
    return {"entries": shown, "next": shown[-1]["id"] if len(rows) > limit else None}


@router.get("/actions")
def actions(person: auth.Person) -> dict[str, Any]:
    """Return which actions there are and how often each was done."""
    person.need("audit.read")
    with db.engine("app").connect() as conn:
        return {"actions": [dict(row) for row in conn.execute(_ACTIONS).mappings()]}


def _csv(rows: list[dict[str, Any]]) -> Response:
    out = io.StringIO()
    out.write("\ufeff")
    write = csv.writer(out)
    names = ("id", "seq", "at", "action", "actor", "before", "after", "note")
    write.writerow(names)
    for row in rows:
        write.writerow([_harmless(row[name]) for name in names])
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _harmless(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    said = "" if value is None else str(value)
    return f"'{said}" if said[:1] in "=+-@\t\r" else said
