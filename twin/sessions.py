"""Sessions and bearer tokens: opened, listed, ended; only digests of tokens are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import journal
from twin.errors import BadRequest, NotFound

SESSION_FOR, IDLE_FOR = timedelta(hours=12), timedelta(minutes=30)
# For this long after a proof of identity weighty acts ask for no other.
STRONG_FOR = timedelta(minutes=10)
_TOUCH_EVERY = timedelta(minutes=1)
_MAX_HOURS = 24 * 366


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def open_session(
    conn: Connection,
    user: str,
    lasts: timedelta,
    *,
    bearer: bool,
    address: str | None = None,
    agent: str | None = None,
    acts: Sequence[str] | None = None,
    label: str | None = None,
) -> str:
    """Open a session and return its token; only the digest of it is kept."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    conn.execute(
        text(
            'insert into twin.session (token, "user", expires_at, bearer, address, agent, '
            "strong_until, acts, label) values (:t, :u, :e, :b, :address, :agent, :strong, :acts, :label)"
        ),
        {"t": digest(token), "u": user, "e": now + lasts, "b": bearer, "address": address,
         "agent": agent[:200] if agent else None, "strong": None if bearer else now + STRONG_FOR,
         "acts": list(acts) if acts is not None else None, "label": label},
    )  # fmt: skip
    return token


def issue_token(
    conn: Connection,
    user: str,
    hours: float,
    actor: str,
    *,
    acts: Sequence[str] | None = None,
    label: str | None = None,
) -> str:
    """Return a bearer token for the API, valid for some hours; `acts` gives it fewer than the user's."""
    if not 0 < hours <= _MAX_HOURS:
        raise BadRequest("A token lasts more than 0 hours and at most a year.")
    known = conn.execute(
        text('select 1 from twin.account where "user" = :u and not disabled'), {"u": user}
    ).scalar()
    if not known:
        raise NotFound(f"There is no user called {user}; `twin user list` shows them.")
    token = open_session(conn, user, timedelta(hours=hours), bearer=True, acts=acts, label=label)
    note = {"user": user, "hours": hours, "acts": list(acts) if acts is not None else None}
    journal.append(conn, cls="security", action="token.issue", actor=actor, note=note, level=3)
    return token


_SESSION = text(
    "select s.bearer, s.seen_at, s.expires_at, s.id as session_id, s.strong_until, s.acts as only_acts, "
    'a.* from twin.session s join twin.account a on a."user" = s."user" '
    "where s.token = :t and s.expires_at > now() and not a.disabled "
    "and (s.bearer or s.seen_at > now() - cast(:idle as interval))"
)


def session(conn: Connection, token: str) -> Any | None:
    """Return the account row of a living session (browser sessions end after 30 idle minutes)."""
    row = conn.execute(_SESSION, {"t": digest(token), "idle": IDLE_FOR}).first()
    if row is None:
        return None
    if datetime.now(UTC) - row.seen_at > _TOUCH_EVERY:
        conn.execute(
            text("update twin.session set seen_at = now() where token = :t"), {"t": digest(token)}
        )
    return row


def close_session(conn: Connection, token: str) -> None:
    """End the session of a token (log-out)."""
    user = conn.scalar(
        text('delete from twin.session where token = :t returning "user"'), {"t": digest(token)}
    )
    if user:
        journal.append(conn, cls="security", action="logout", actor=user, note={}, level=3)


def of_user(conn: Connection, user: str) -> list[dict[str, Any]]:
    """Return the living sessions and tokens of a person, newest first."""
    rows = conn.execute(
        text(
            "select id, created_at, seen_at, expires_at, bearer, address, agent, acts, label "
            'from twin.session where "user" = :u and expires_at > now() '
            "and (bearer or seen_at > now() - cast(:idle as interval)) order by created_at desc limit 200"
        ),
        {"u": user, "idle": IDLE_FOR},
    ).mappings()
    return [dict(row) | {"id": str(row["id"])} for row in rows]


def end(conn: Connection, user: str, session_id: str, actor: str) -> None:
    """End one session of a person; NotFound when it is not theirs."""
    try:
        said = UUID(session_id)
    except ValueError as why:
        raise NotFound("There is no such session.") from why
    done = conn.execute(
        text('delete from twin.session where id = :id and "user" = :u'), {"id": said, "u": user}
    ).rowcount
    if not done:
        raise NotFound("There is no such session.")
    note = {"user": user, "session": session_id}
    journal.append(conn, cls="security", action="session.end", actor=actor, note=note, level=3)


def end_all(conn: Connection, user: str, actor: str, *, but: str | None = None) -> int:
    """End all sessions of a person except perhaps the one at hand; return how many."""
    done = conn.execute(
        text(
            'delete from twin.session where "user" = :u '
            "and (cast(:but as uuid) is null or id <> cast(:but as uuid))"
        ),
        {"u": user, "but": but},
    ).rowcount
    if done:
        note = {"user": user, "sessions": done}
        journal.append(conn, cls="security", action="session.end", actor=actor, note=note, level=3)
    return done


def strengthen(conn: Connection, session_id: str) -> datetime:
    """Note that the person has just proved who they are; return until when that holds."""
    until = datetime.now(UTC) + STRONG_FOR
    conn.execute(
        text("update twin.session set strong_until = :at where id = cast(:id as uuid)"),
        {"at": until, "id": session_id},
    )
    return until
