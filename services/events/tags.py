"""Tags on events: short words of the desk, kept in the case and journalled with who set them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, text

from twin import cases
from twin.errors import BadRequest, TwinError
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql

MOST_TAGS, LONGEST = 12, 24


class Tagging(BaseModel):
    """Tags to add to events and to take away from them."""

    model_config = ConfigDict(extra="forbid")
    keys: list[str] = Field(min_length=1, max_length=500)
    add: list[str] = Field(default_factory=list, max_length=MOST_TAGS)
    remove: list[str] = Field(default_factory=list, max_length=MOST_TAGS)


def known(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    """Return the tags of the open events that the actor sees, the most frequent first."""
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            'select tag, count(*) as count from twin."case" c, '
            "jsonb_array_elements_text(c.data->'tags') as tag where c.process = :process "
            f"and c.closed_at is null and jsonb_typeof(c.data->'tags') = 'array' and {scope} "
            "group by tag order by count(*) desc, tag limit 200"
        ),
        {"process": PROCESS, **params},
    )
    return [dict(r._mapping) for r in rows]


def write(conn: Connection, actor: Actor, asked: Tagging) -> dict[str, Any]:
    """Tag events one by one; what is refused says why and does not keep the others back."""
    add, remove = _clean(asked.add), set(_clean(asked.remove))
    if not add and not remove:
        raise BadRequest("Name at least one tag to add or to remove.")
    done, refused = [], []
    for key in asked.keys:
        try:
            with conn.begin_nested():
                done.append(_one(conn, actor, key, add, remove))
        except TwinError as why:
            refused.append({"code": key, "why": why.detail, "error": why.code})
    return {"done": done, "refused": refused}


def _one(conn: Connection, actor: Actor, key: str, add: list[str], remove: set[str]) -> str:
    case = cases.find(conn, actor, key)
    if case["process"] != PROCESS:
        raise BadRequest(f"{case['code']} is no event.")
    old = list(case["data"].get("tags") or [])
    new = list(dict.fromkeys([*(t for t in old if t not in remove), *add]))
    if len(new) > MOST_TAGS:
        raise BadRequest(f"{case['code']} would have more than {MOST_TAGS} tags; remove some.")
    if new != old:
        cases.annotate(conn, case["id"], {"tags": new}, action="tag", actor=actor)
    return str(case["code"])


def _clean(said: list[str]) -> list[str]:
    tags = [" ".join(t.split()) for t in said]
    if any(not t or len(t) > LONGEST or not t.isprintable() for t in tags):
        raise BadRequest(f"A tag has 1 to {LONGEST} characters.")
    return list(dict.fromkeys(tags))


def departments(conn: Connection) -> list[dict[str, Any]]:
    """Return the organisations that may hold an event; grids and villages only belong to them."""
    rows = conn.execute(
        text(
            "select code, type, name, district from twin.organisation "
            "where not closed and type in ('city', 'unit', 'district', 'street', 'contractor') "
            "order by array_position(array['city', 'unit', 'district', 'street', 'contractor'], type), code "
            "limit 1000"
        )
    )
    return [dict(r._mapping) for r in rows]
