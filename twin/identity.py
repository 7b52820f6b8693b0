"""People: accounts, passwords (argon2id), sessions and bearer tokens kept as digests only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import declarations, journal
from twin.errors import BadRequest, NotFound, Unauthorized
from twin.scope import Actor

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))
FAILURES, LOCK_FOR = 5, timedelta(minutes=15)
SESSION_FOR, IDLE_FOR = timedelta(hours=12), timedelta(minutes=30)
MIN_PASSWORD = 8


@lru_cache(maxsize=1)
def roles() -> dict[str, dict[str, Any]]:
    """Return the declared roles: their titles and the acts they include."""
    doc, _ = declarations.read_yaml(declarations.DATA / "roles.yaml")
    return dict(doc["roles"])


def add_account(
    conn: Connection,
    *,
    user: str,
    name: Mapping[str, str],
    password: str,
    roles: Sequence[str],
    districts: Sequence[str] | None,
    clearance: int,
    crew: str | None,
    actor: str,
) -> None:
    """Add a person; BadRequest names what is wrong."""
    _check_roles(roles)
    _check_password(password)
    known = conn.execute(text('select 1 from twin.account where "user" = :u'), {"u": user}).scalar()
    if known:
        raise BadRequest(f"There is already a user called {user}; choose another name.")
    conn.execute(
        text(
            'insert into twin.account ("user", name, password, roles, districts, clearance, crew) '
            "values (:u, :n, :p, :r, :d, :c, :crew)"
        ).bindparams(bindparam("n", type_=JSONB)),
        {
            "u": user,
            "n": dict(name),
            "p": _HASHER.hash(password),
            "r": list(roles),
            "d": list(districts) if districts else None,
            "c": clearance,
            "crew": crew,
        },
    )
    after = {"user": user, "roles": list(roles), "districts": list(districts or []), "crew": crew}
    journal.append(conn, cls="security", action="account.add", actor=actor, after=after, level=3)


def _check_roles(said: Sequence[str]) -> None:
    unknown = [r for r in said if r not in roles()]
    if unknown or not said:
        known = ", ".join(roles())
        raise BadRequest(f"No role is called {', '.join(unknown) or '(none)'}; known are {known}.")


def _check_password(password: str) -> None:
    if not MIN_PASSWORD <= len(password) <= 256:
        raise BadRequest(f"A password has {MIN_PASSWORD} to 256 characters.")


def set_password(conn: Connection, user: str, password: str, actor: str) -> None:
    """Give a person a new password; open sessions of that person end."""
    _check_password(password)
    done = conn.execute(
        text(
            "update twin.account set password = :p, failed = 0, locked_until = null "
            'where "user" = :u'
        ),
        {"u": user, "p": _HASHER.hash(password)},
    )
    if not done.rowcount:
        raise NotFound(f"There is no user called {user}; `twin user list` shows them.")
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": user})
    journal.append(
        conn, cls="security", action="password.set", actor=actor, note={"user": user}, level=3
    )


def disable(conn: Connection, user: str, actor: str) -> None:
    """Close an account and end its sessions."""
    done = conn.execute(
        text('update twin.account set disabled = true where "user" = :u'), {"u": user}
    )
    if not done.rowcount:
        raise NotFound(f"There is no user called {user}; `twin user list` shows them.")
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": user})
    journal.append(
        conn, cls="security", action="account.disable", actor=actor, note={"user": user}, level=3
    )


def log_in(conn: Connection, user: str, password: str, address: str) -> tuple[str, Any]:
    """Check a password and open a session; return the token and the account row.

    An unknown user costs the same time as a known one; five failures lock for fifteen minutes.
    The failure is written before Unauthorized is raised: the caller commits either way.
    """
    row = conn.execute(
        text('select * from twin.account where "user" = :u for update'), {"u": user}
    ).first()
    good = _matches(row.password if row else _NOBODY, password)
    now = datetime.now(UTC)
    locked = bool(row and row.locked_until and row.locked_until > now)
    if row is None or row.disabled or locked or not good:
        _note_failure(conn, row, user, address, now)
        if locked:
            raise Unauthorized(
                "Too many wrong passwords: this account is locked for 15 minutes.", reason="locked"
            )
        raise Unauthorized("User name or password is wrong.")
    conn.execute(
        text('update twin.account set failed = 0, locked_until = null where "user" = :u'),
        {"u": user},
    )
    token = open_session(conn, user, SESSION_FOR, bearer=False)
    journal.append(
        conn, cls="security", action="login", actor=user, note={"address": address}, level=3
    )
    return token, row


def _matches(digest: str, password: str) -> bool:
    try:
        return _HASHER.verify(digest, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _note_failure(conn: Connection, row: Any, user: str, address: str, now: datetime) -> None:
    if row is not None:
        failed = row.failed + 1
        until = now + LOCK_FOR if failed >= FAILURES else row.locked_until
        conn.execute(
            text('update twin.account set failed = :f, locked_until = :l where "user" = :u'),
            {"f": 0 if failed >= FAILURES else failed, "l": until, "u": user},
        )
    note = {"user": user[:64], "address": address}
    journal.append(conn, cls="security", action="login.refused", actor="-", note=note, level=3)


def open_session(conn: Connection, user: str, lasts: timedelta, *, bearer: bool) -> str:
    """Open a session and return its token; only the digest of it is kept."""
    token = secrets.token_urlsafe(32)
    conn.execute(
        text(
            'insert into twin.session (token, "user", expires_at, bearer) values (:t, :u, :e, :b)'
        ),
        {"t": _digest(token), "u": user, "e": datetime.now(UTC) + lasts, "b": bearer},
    )
    return token


def issue_token(conn: Connection, user: str, hours: float, actor: str) -> str:
    """Return a bearer token for the API, valid for some hours."""
    if not 0 < hours <= 24 * 366:
        raise BadRequest("A token lasts more than 0 hours and at most a year.")
    known = conn.execute(
        text('select 1 from twin.account where "user" = :u and not disabled'), {"u": user}
    ).scalar()
    if not known:
        raise NotFound(f"There is no user called {user}; `twin user list` shows them.")
    token = open_session(conn, user, timedelta(hours=hours), bearer=True)
    note = {"user": user, "hours": hours}
    journal.append(conn, cls="security", action="token.issue", actor=actor, note=note, level=3)
    return token


def close_session(conn: Connection, token: str) -> None:
    """End a session."""
    conn.execute(text("delete from twin.session where token = :t"), {"t": _digest(token)})


_SESSION = text(
    "select s.bearer, s.seen_at, s.expires_at, a.* from twin.session s "
    'join twin.account a on a."user" = s."user" '
    "where s.token = :t and s.expires_at > now() and not a.disabled "
    "and (s.bearer or s.seen_at > now() - interval '30 minutes')"
)


def session(conn: Connection, token: str) -> Any | None:
    """Return the account row of a living session (browser sessions end after 30 idle minutes)."""
    row = conn.execute(_SESSION, {"t": _digest(token)}).first()
    if row is None:
        return None
    if datetime.now(UTC) - row.seen_at > timedelta(minutes=1):
        conn.execute(
            text("update twin.session set seen_at = now() where token = :t"),
            {"t": _digest(token)},
        )
    return row


def actor_of(row: Any) -> Actor:
    """Return the actor of an account row."""
    acts = frozenset(act for r in row.roles for act in roles().get(r, {}).get("acts", ()))
    return Actor(
        user=row.user,
        roles=frozenset(row.roles),
        acts=acts,
        districts=tuple(row.districts) if row.districts else None,
        clearance=row.clearance,
        crew=row.crew,
    )


def accounts(conn: Connection) -> Sequence[Any]:
    """Return all accounts without their passwords."""
    return conn.execute(
        text(
            'select "user", name, roles, districts, clearance, crew, disabled, locked_until '
            'from twin.account order by "user"'
        )
    ).all()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
