"""HTTP doors of people, for the security administrator: /api/v1/accounts and /api/v1/roles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.identity.schemas import AccountChange, NewAccount
from services.web import auth
from twin import accounts as people
from twin import db, identity, passwords, sessions

router = APIRouter(prefix="/api/v1", tags=["accounts"])
User = Annotated[str, Path(min_length=1, max_length=64)]


def _shown(row: Any) -> dict[str, Any]:
    said = {k: v for k, v in row._mapping.items() if k != "mac"}
    locked = row.locked_until is not None and row.locked_until > datetime.now(UTC)
    return said | {
        "locked_until": row.locked_until if locked else None,
        "single_sign_on": row.external is not None,
        "unaltered": people.unaltered(row),
    }


@router.get("/accounts")
def listed(person: auth.Person) -> dict[str, Any]:
    """Return all people with their roles and places."""
    person.need("user.read")
    with db.engine("app").connect() as conn:
        return {"accounts": [_shown(row) for row in identity.accounts(conn)]}


@router.get("/roles")
def roles(person: auth.Person) -> dict[str, Any]:
    """Return the declared roles and the acts they include."""
    person.need("user.read")
    return {"roles": [{"key": key} | said for key, said in identity.roles().items()]}


@router.post("/accounts", status_code=201)
def add(said: NewAccount, person: auth.Person) -> dict[str, Any]:
    """Add a person; the password is made here, shown once, and must be changed at first."""
    person.need("user.write")
    password = passwords.made()
    with db.engine("app").begin() as conn:
        identity.add_account(
            conn, user=said.user, name=said.name.model_dump(), password=password, roles=said.roles,
            districts=said.districts, clearance=said.clearance, crew=said.crew,
            organisation=said.organisation, must_change=True, actor=person.user,
        )  # fmt: skip
    return {"user": said.user, "password": password}


@router.patch("/accounts/{user}", status_code=204)
def change(user: User, said: AccountChange, person: auth.Person) -> None:
    """Change roles, place, clearance or state of a person; their sessions end."""
    person.need("user.write")
    given = said.model_dump(exclude_unset=True)
    kept = {k: v for k, v in given.items() if v is not None or k in _EMPTIED}
    with db.engine("app").begin() as conn:
        identity.change(conn, user, kept, person.user)
    auth.forget_user(user)


_EMPTIED = frozenset({"organisation", "districts", "crew"})


@router.post("/accounts/{user}/password")
def new_password(user: User, person: auth.Person) -> dict[str, Any]:
    """Give a person a new password, shown once; their sessions end."""
    person.need("user.write")
    password = passwords.made()
    with db.engine("app").begin() as conn:
        identity.set_password(conn, user, password, person.user, must_change=True)
    auth.forget_user(user)
    return {"user": user, "password": password}


@router.post("/accounts/{user}/unlock", status_code=204)
def unlock(user: User, person: auth.Person) -> None:
    """Let a person who was locked out try again at once."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        identity.unlock(conn, user, person.user)


@router.delete("/accounts/{user}/totp", status_code=204)
def remove_totp(user: User, person: auth.Person) -> None:
    """Take away the second factor of a person who lost it."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        identity.remove_totp(conn, user, person.user)
    auth.forget_user(user)


@router.get("/accounts/{user}/sessions")
def sessions_of(user: User, person: auth.Person) -> dict[str, Any]:
    """Return the living sessions and tokens of a person."""
    person.need("user.read")
    with db.engine("app").connect() as conn:
        return {"sessions": sessions.of_user(conn, user)}


@router.delete("/accounts/{user}/sessions", status_code=204)
def end_sessions(user: User, person: auth.Person) -> None:
    """End all sessions and tokens of a person."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        sessions.end_all(conn, user, person.user)
    auth.forget_user(user)
