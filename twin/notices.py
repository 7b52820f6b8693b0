"""Notices of a response or an alarm: who was told, who has answered and how, who is called next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from twin import contacts
from twin.errors import BadRequest, NotFound
from twin.scope import Actor

Notice = dict[str, Any]
ESCALATED = "escalate"


def told(
    conn: Connection, notices: Sequence[Mapping[str, Any]], step: str, *,
    roles: Sequence[str] = (), groups: Sequence[str] = (), again: bool = False,
) -> list[Notice]:  # fmt: skip
    """Return the notices with one for everybody of the roles and groups; `again`: also who was told."""
    known = {_key(one) for one in notices if not again or one["step"] == step}
    now = datetime.now(UTC).isoformat()
    more = [
        {"key": one["key"], "user": one["user"], "contact": one["contact"], "name": one["name"],
         "post": one["post"], "unit": one["unit"], "step": step, "at": now, "acked_at": None,
         "how": None}
        for one in contacts.of_groups(conn, groups, roles) if one["key"] not in known
    ]  # fmt: skip
    return [dict(one) for one in notices] + more


def _key(notice: Mapping[str, Any]) -> str:
    return str(notice.get("key") or f"u:{notice['user']}")


def answered(notices: Sequence[Mapping[str, Any]], actor: Actor) -> list[Notice]:
    """Return the notices with those of the actor answered."""
    return _answer(
        notices, [f"u:{actor.user}"], "self", None, "No notice here waits for your answer."
    )  # fmt: skip


def reached(
    notices: Sequence[Mapping[str, Any]], who: str, note: str, actor: Actor
) -> list[Notice]:
    """Return the notices with those of somebody else answered: they were reached by telephone."""
    if not any(_key(one) == who for one in notices):
        raise NotFound("Nobody of that name was told here.")
    said = {"by": actor.user, "note": note}
    return _answer(notices, [who], "phone", said, "They have answered already.")


def _answer(
    notices: Sequence[Mapping[str, Any]], who: Sequence[str], how: str,
    more: Mapping[str, Any] | None, else_: str,
) -> list[Notice]:  # fmt: skip
    made = [dict(one) for one in notices]
    mine = [one for one in made if _key(one) in who and not one["acked_at"]]
    if not mine:
        raise BadRequest(else_)
    now = datetime.now(UTC).isoformat()
    for one in mine:
        one |= {"acked_at": now, "how": how, **(more or {})}
    return made


def silent(notices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return who has not answered."""
    return list(dict.fromkeys(_key(one) for one in notices if not one["acked_at"]))
