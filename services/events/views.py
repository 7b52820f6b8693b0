"""Saved views: the filters, columns and order that somebody keeps under a name, alone or for all."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import journal
from twin.errors import BadRequest, NotFound
from twin.scope import Actor

LARGEST, MOST = 8_192, 100
Page = Literal["events", "dispatch", "efficiency"]
_COLUMNS = "id, owner, page, name, doc, shared, changed_at"


class View(BaseModel):
    """A view as it is saved."""

    model_config = ConfigDict(extra="forbid")
    page: Page
    name: str = Field(min_length=1, max_length=40)
    doc: dict[str, Any]
    shared: bool = False


def listed(conn: Connection, actor: Actor, page: str) -> list[dict[str, Any]]:
    """Return the actor's own views of a page and those shared by others."""
    rows = conn.execute(
        text(
            f"select {_COLUMNS} from twin.saved_view where page = :page "
            "and (owner = :me or shared) order by owner <> :me, name limit 500"
        ),
        {"page": page, "me": actor.user},
    )
    return [_shown(r, actor) for r in rows]


def _shown(row: Any, actor: Actor) -> dict[str, Any]:
    return {**row._mapping, "mine": row.owner == actor.user}


def save(conn: Connection, actor: Actor, view: View) -> dict[str, Any]:
    """Keep a view under its name; the same name again replaces it."""
    if len(json.dumps(view.doc)) > LARGEST:
        raise BadRequest(f"A view has at most {LARGEST} bytes; keep fewer filters in it.")
    many = conn.execute(
        text("select count(*) from twin.saved_view where owner = :me"), {"me": actor.user}
    ).scalar_one()
    if many >= MOST:
        raise BadRequest(f"You keep {MOST} views already; remove one first.")
    row = conn.execute(
        text(
            "insert into twin.saved_view (owner, page, name, doc, shared) "
            "values (:me, :page, :name, :doc, :shared) on conflict (owner, page, name) do update "
            f"set doc = excluded.doc, shared = excluded.shared, changed_at = now() returning {_COLUMNS}"
        ).bindparams(bindparam("doc", type_=JSONB)),
        {"me": actor.user, **view.model_dump()},
    ).one()
    _written(conn, actor, "view.save", view.model_dump())
    return _shown(row, actor)


def remove(conn: Connection, actor: Actor, number: int) -> None:
    """Remove an own view; those of others answer as if they were not there."""
    row = conn.execute(
        text(
            "delete from twin.saved_view where id = :id and owner = :me returning page, name, shared"
        ),
        {"id": number, "me": actor.user},
    ).first()
    if row is None:
        raise NotFound("There is no such view of yours.")
    _written(conn, actor, "view.remove", dict(row._mapping))


def _written(conn: Connection, actor: Actor, action: str, said: dict[str, Any]) -> None:
    journal.append(conn, cls="setting", action=action, actor=actor.user, kind="view", after=said)
