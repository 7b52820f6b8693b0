"""People: their accounts, roles and place in the tree, sealed against changes past this program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import declarations, journal, organisations, passwords, sealing
from twin.errors import BadRequest, NotFound
from twin.settings import settings

GRANTS = "grants"
# A row from before grants were sealed; set-up seals these once, and says so by this file.
_BEFORE, _SEALED = b"\x00", "grants-sealed"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_CHANGEABLE = ("name", "roles", "districts", "clearance", "organisation", "crew", "disabled")


@lru_cache(maxsize=1)
def roles() -> dict[str, dict[str, Any]]:
    """Return the declared roles: their titles and the acts they include."""
    doc, _ = declarations.read_yaml(declarations.DATA / "roles.yaml")
    return dict(doc["roles"])


def seal_of(row: Any) -> bytes:
    """Return the seal that the grants of an account row should carry."""
    return sealing.mac(GRANTS, *_grants(row))


def _grants(row: Any) -> tuple[Any, ...]:
    places = list(row.districts) if row.districts is not None else None
    return (
        row.user, list(row.roles), places, row.clearance, row.organisation, row.disabled,
        row.external,
    )  # fmt: skip


def unaltered(row: Any) -> bool:
    """Tell whether nobody changed the grants of an account past this program."""
    if bytes(row.mac) == _BEFORE:
        return not (settings().home / "secrets" / _SEALED).exists()
    return sealing.holds(row.mac, GRANTS, *_grants(row))


def seal_all(conn: Connection, actor: str, *, anew: bool = False) -> int:
    """Seal the accounts from before seals were; `anew` all of them, whatever they say now."""
    mark = settings().home / "secrets" / _SEALED
    if mark.exists() and not anew:
        return 0
    rows = conn.execute(text("select * from twin.account for update")).all()
    due = [row for row in rows if anew or bytes(row.mac) == _BEFORE]
    for row in due:
        _reseal(conn, row.user)
    if due:
        journal.append(
            conn, cls="security", action="grants.seal", actor=actor, note={"accounts": len(due)},
            level=3,
        )  # fmt: skip
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch(mode=0o600)
    return len(due)


def _reseal(conn: Connection, user: str) -> None:
    row = conn.execute(text('select * from twin.account where "user" = :u'), {"u": user}).one()
    conn.execute(
        text('update twin.account set mac = :m where "user" = :u'), {"m": seal_of(row), "u": user}
    )


def add_account(
    conn: Connection,
    *,
    user: str,
    name: Mapping[str, str],
    password: str | None,
    roles: Sequence[str],
    districts: Sequence[str] | None,
    clearance: int,
    crew: str | None,
    actor: str,
    organisation: str | None = None,
    must_change: bool = False,
    external: str | None = None,
) -> None:
    """Add a person; BadRequest names what is wrong. Without a password only single sign-on opens it."""
    if not _NAME.fullmatch(user):
        raise BadRequest("A user name has letters, digits and . _ @ -, at most 64.")
    _check_roles(roles)
    if password is not None:
        passwords.check(password, user)
    if organisation is not None:
        organisations.known(conn, organisation)
    known = conn.execute(text('select 1 from twin.account where "user" = :u'), {"u": user}).scalar()
    if known:
        raise BadRequest(f"There is already a user called {user}; choose another name.")
    conn.execute(
        text(
            'insert into twin.account ("user", name, password, roles, districts, clearance, crew, '
            "organisation, must_change, external, mac) "
            "values (:u, :n, :p, :r, :d, :c, :crew, :o, :must, :external, '')"
        ).bindparams(bindparam("n", type_=JSONB)),
        {
            "u": user,
            "n": dict(name),
            "p": passwords.digest(password) if password is not None else "",
            "r": list(roles),
            "d": list(districts) if districts else None,
            "c": clearance,
            "crew": crew,
            "o": organisation,
            "must": must_change,
            "external": external,
        },
    )
    _reseal(conn, user)
    after = {
        "user": user, "roles": list(roles), "districts": list(districts or []), "crew": crew,
        "organisation": organisation, "clearance": clearance,
    }  # fmt: skip
    journal.append(conn, cls="security", action="account.add", actor=actor, after=after, level=3)


def _check_roles(said: Sequence[str]) -> None:
    unknown = [r for r in said if r not in roles()]
    if unknown or not said:
        known = ", ".join(roles())
        raise BadRequest(f"No role is called {', '.join(unknown) or '(none)'}; known are {known}.")


def one(conn: Connection, user: str) -> Any:
    """Return an account row, locked for a change; NotFound when there is none."""
    row = conn.execute(
        text('select * from twin.account where "user" = :u for update'), {"u": user}
    ).first()
    if row is None:
        raise NotFound(f"There is no user called {user}; `twin user list` shows them.")
    return row


def change(conn: Connection, user: str, said: Mapping[str, Any], actor: str) -> None:
    """Change the grants of an account; its sessions end, so that nothing old is carried on."""
    row = one(conn, user)
    unknown = [k for k in said if k not in _CHANGEABLE]
    if unknown:
        raise BadRequest(f"{', '.join(unknown)} cannot be changed here.")
    before = {k: getattr(row, k) for k in _CHANGEABLE}
    after = before | dict(said)
    _check_roles(after["roles"])
    if after["organisation"] is not None and after["organisation"] != before["organisation"]:
        organisations.known(conn, after["organisation"])
    if user == actor and (after["disabled"] or set(after["roles"]) != set(before["roles"])):
        raise BadRequest("Nobody changes their own roles; ask another security administrator.")
    conn.execute(
        text(
            "update twin.account set name = :name, roles = :roles, districts = :districts, "
            "clearance = :clearance, organisation = :organisation, crew = :crew, "
            'disabled = :disabled where "user" = :user'
        ).bindparams(bindparam("name", type_=JSONB)),
        after | {"user": user, "districts": list(after["districts"] or ()) or None},
    )
    _reseal(conn, user)
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": user})
    journal.append(
        conn, cls="security", action="account.change", actor=actor, before=before | {"user": user},
        after=after | {"user": user}, level=3,
    )  # fmt: skip


def set_password(
    conn: Connection, user: str, password: str, actor: str, *, must_change: bool = False
) -> None:
    """Give a person a new password; open sessions of that person end."""
    row = one(conn, user)
    past = [row.password, *row.past_passwords] if row.password else list(row.past_passwords)
    passwords.check(password, user, past)
    conn.execute(
        text(
            "update twin.account set password = :p, past_passwords = :past, password_at = now(), "
            'must_change = :must, failed = 0, locked_until = null where "user" = :u'
        ),
        {"u": user, "p": passwords.digest(password), "must": must_change,
         "past": past[: passwords.REMEMBERED]},
    )  # fmt: skip
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": user})
    journal.append(
        conn, cls="security", action="password.set", actor=actor, note={"user": user}, level=3
    )


def disable(conn: Connection, user: str, actor: str) -> None:
    """Close an account and end its sessions."""
    one(conn, user)
    conn.execute(text('update twin.account set disabled = true where "user" = :u'), {"u": user})
    _reseal(conn, user)
    conn.execute(text('delete from twin.session where "user" = :u'), {"u": user})
    journal.append(
        conn, cls="security", action="account.disable", actor=actor, note={"user": user}, level=3
    )


def unlock(conn: Connection, user: str, actor: str) -> None:
    """Let a person who was locked out try again."""
    one(conn, user)
    conn.execute(
        text('update twin.account set failed = 0, locked_until = null where "user" = :u'),
        {"u": user},
    )
    journal.append(
        conn, cls="security", action="account.unlock", actor=actor, note={"user": user}, level=3
    )


def accounts(conn: Connection) -> Sequence[Any]:
    """Return all accounts without their secrets."""
    return conn.execute(
        text(
            'select "user", name, roles, districts, clearance, crew, disabled, locked_until, '
            "organisation, totp_confirmed, must_change, password_at, last_login_at, external, mac "
            'from twin.account order by "user"'
        )
    ).all()
