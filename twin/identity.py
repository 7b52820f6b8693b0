"""Who somebody is: log-in with password and second factor, and the actor that a session makes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import journal, organisations, passwords, sealing, secondfactor, sessions
from twin.accounts import (
    accounts,
    add_account,
    change,
    disable,
    one,
    roles,
    seal_all,
    set_password,
    unaltered,
    unlock,
)
from twin.errors import BadRequest, CodeNeeded, Conflict, Unauthorized
from twin.scope import Actor
from twin.sessions import SESSION_FOR, close_session, issue_token, open_session, session
from twin.settings import settings

__all__ = [
    "SESSION_FOR", "accounts", "actor_of", "add_account", "change", "close_session", "disable",
    "issue_token", "log_in", "one", "open_session", "roles", "seal_all", "session", "set_password",
    "unlock",
]  # fmt: skip
FAILURES, LOCK_FOR = 5, timedelta(minutes=15)
_TOTP = "totp"
_WRONG = "User name or password is wrong."


def log_in(
    conn: Connection,
    user: str,
    password: str,
    address: str,
    *,
    code: str | None = None,
    agent: str | None = None,
) -> tuple[str, Any]:
    """Check password and second factor and open a session; return the token and the account row.

    An unknown user costs the same time as a known one; five failures lock for fifteen minutes.
    The failure is written before Unauthorized is raised: the caller commits either way.
    """
    row = conn.execute(
        text('select * from twin.account where "user" = :u for update'), {"u": user}
    ).first()
    good = passwords.matches(row.password if row else None, password)
    now = datetime.now(UTC)
    locked = bool(row and row.locked_until and row.locked_until > now)
    if row is None or row.disabled or locked or not good:
        _note_failure(conn, row, user, address, now)
        if locked:
            raise Unauthorized(
                "Too many wrong passwords: this account is locked for 15 minutes.", reason="locked"
            )
        raise Unauthorized(_WRONG)
    _grants_hold(conn, row)
    if row.totp_confirmed:
        if not code:
            raise CodeNeeded()
        if not _code_holds(conn, row, code):
            _note_failure(conn, row, user, address, now)
            raise Unauthorized("This code does not hold; wait for the next one.", reason="code")
    conn.execute(
        text(
            "update twin.account set failed = 0, locked_until = null, last_login_at = now() "
            'where "user" = :u'
        ),
        {"u": user},
    )
    if passwords.outdated(row.password):
        conn.execute(
            text('update twin.account set password = :p where "user" = :u'),
            {"p": passwords.digest(password), "u": user},
        )
    token = open_session(conn, user, SESSION_FOR, bearer=False, address=address, agent=agent)
    journal.append(
        conn, cls="security", action="login", actor=user, level=3,
        note={"address": address, "second_factor": bool(row.totp_confirmed)},
    )  # fmt: skip
    return token, row


def _grants_hold(conn: Connection, row: Any) -> None:
    if unaltered(row):
        return
    # Ending the sessions makes the alarm come once, not with every request.
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": row.user})
    journal.append(
        conn,
        cls="security",
        action="grants.altered",
        actor=row.user,
        note={"user": row.user},
        level=3,
    )
    raise Unauthorized(
        "The grants of this account were changed past this program; a security administrator must "
        "look at them (`twin user reseal`).",
        reason="altered",
    )


def _note_failure(conn: Connection, row: Any, user: str, address: str, now: datetime) -> None:
    failed = row.failed + 1 if row else 1
    locks = row is not None and failed >= FAILURES
    until = now + LOCK_FOR if locks else (row.locked_until if row else None)
    # An unknown user takes the same steps; the update finds nothing.
    conn.execute(
        text('update twin.account set failed = :f, locked_until = :l where "user" = :u'),
        {"f": 0 if locks else failed, "l": until, "u": user},
    )
    note = {"user": user[:64], "address": address, "locked": locks}
    journal.append(conn, cls="security", action="login.refused", actor="-", note=note, level=3)


def _code_holds(conn: Connection, row: Any, code: str) -> bool:
    """Tell whether a code of the app, or a recovery code, holds; either is good once."""
    secret = sealing.opened(_TOTP, row.totp, row.user)
    step = secondfactor.step_of(secret, code, time.time(), row.totp_step)
    if step is not None:
        conn.execute(
            text('update twin.account set totp_step = :s where "user" = :u'),
            {"s": step, "u": row.user},
        )
        return True
    spent = secondfactor.recovery_digest(code)
    if spent not in row.recovery:
        return False
    conn.execute(
        text('update twin.account set recovery = array_remove(recovery, :d) where "user" = :u'),
        {"d": spent, "u": row.user},
    )
    note = {"left": len(row.recovery) - 1}
    journal.append(conn, cls="security", action="recovery.used", actor=row.user, note=note, level=3)
    return True


def step_up(conn: Connection, actor: Actor, said: str, address: str) -> datetime:
    """Prove anew who one is: the code of the second factor, or the password where there is none.

    As with log_in a failure is written before Unauthorized is raised.
    """
    row = one(conn, actor.user)
    now = datetime.now(UTC)
    if row.locked_until and row.locked_until > now:
        raise Unauthorized("This account is locked for 15 minutes.", reason="locked")
    good = (
        _code_holds(conn, row, said)
        if row.totp_confirmed
        else passwords.matches(row.password, said)
    )
    if not good or actor.session is None:
        _note_failure(conn, row, actor.user, address, now)
        raise Unauthorized("This does not hold; try again.", reason="step_up")
    conn.execute(text('update twin.account set failed = 0 where "user" = :u'), {"u": actor.user})
    journal.append(conn, cls="security", action="step_up", actor=actor.user, note={}, level=3)
    return sessions.strengthen(conn, actor.session)


def begin_totp(conn: Connection, user: str) -> tuple[str, str]:
    """Return a new secret and its address for the app; it counts once a code of it was shown."""
    row = one(conn, user)
    if row.totp_confirmed:
        raise Conflict("A second factor is set up already; remove it first.")
    secret = secondfactor.new_secret()
    conn.execute(
        text('update twin.account set totp = :t, totp_step = 0 where "user" = :u'),
        {"t": sealing.shut(_TOTP, secret, user), "u": user},
    )
    return secret, secondfactor.address(secret, user)


def confirm_totp(conn: Connection, user: str, code: str) -> list[str]:
    """Switch the second factor on; return the recovery codes, which are shown this once."""
    row = one(conn, user)
    if row.totp_confirmed or not row.totp:
        raise Conflict("Begin to set up a second factor first.")
    secret = sealing.opened(_TOTP, row.totp, user)
    step = secondfactor.step_of(secret, code, time.time(), 0)
    if step is None:
        raise BadRequest("This code does not hold; check the clock of the phone.")
    codes = secondfactor.recovery_codes()
    conn.execute(
        text(
            "update twin.account set totp_confirmed = true, totp_step = :s, recovery = :r "
            'where "user" = :u'
        ),
        {"s": step, "r": [secondfactor.recovery_digest(c) for c in codes], "u": user},
    )
    journal.append(
        conn, cls="security", action="totp.set", actor=user, note={"user": user}, level=3
    )
    return codes


def remove_totp(conn: Connection, user: str, actor: str) -> None:
    """Take the second factor of a person away (a lost phone, and no recovery code left)."""
    one(conn, user)
    conn.execute(
        text(
            "update twin.account set totp = null, totp_confirmed = false, recovery = '{}' "
            'where "user" = :u'
        ),
        {"u": user},
    )
    journal.append(
        conn, cls="security", action="totp.remove", actor=actor, note={"user": user}, level=3
    )


def actor_of(conn: Connection, row: Any) -> Actor:
    """Return the actor of an account row, or of a session row, within its place in the tree."""
    said = row._mapping
    _grants_hold(conn, row)
    acts = frozenset(act for r in row.roles for act in roles().get(r, {}).get("acts", ()))
    if said.get("only_acts") is not None:
        acts &= frozenset(said["only_acts"])
    place = organisations.place(conn, row.organisation)
    wants = _wants(said)
    strong = said.get("strong_until")
    return Actor(
        user=row.user,
        roles=frozenset(row.roles),
        acts=frozenset() if wants else acts,
        districts=_both(place.districts, row.districts),
        streets=place.streets,
        area=place.area,
        clearance=1 if wants else row.clearance,
        crew=row.crew,
        organisation=row.organisation,
        session=str(said["session_id"]) if said.get("session_id") else None,
        strong_until=strong.timestamp() if strong else 0.0,
        wants=wants,
    )


def _both(tree: tuple[str, ...] | None, own: list[str] | None) -> tuple[str, ...] | None:
    """Return the districts of the tree, narrowed by those of the account."""
    if not own:
        return tree
    return tuple(own) if tree is None else tuple(d for d in own if d in tree)


def _wants(said: Any) -> str | None:
    """Return what a person at a screen must do before anything else."""
    if said.get("session_id") is None or said["bearer"]:
        return None
    renew = datetime.now(UTC) - passwords.RENEW_AFTER
    if said["password"] and (said["must_change"] or said["password_at"] < renew):
        return "password"
    asked = any(roles().get(r, {}).get("second_factor") for r in said["roles"])
    # The demo's people are shared and have no phones; anywhere else the roles' word counts.
    if asked and not said["totp_confirmed"] and not said["external"] and not settings().demo_people:
        return "totp"
    return None
