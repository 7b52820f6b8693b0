"""People who come by single sign-on: claims become an account, its place and its roles, at every sign-in."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import accounts, declarations, journal, sessions
from twin.errors import Unauthorized
from twin.settings import settings

ACTOR = "system:single-sign-on"
_LASTS = timedelta(minutes=10)
_CLEAN = re.compile(r"[^A-Za-z0-9._@-]+")


@dataclass(frozen=True)
class Begun:
    """A sign-in on its way: what must come back with it."""

    state: str
    nonce: str
    verifier: str


def mapping() -> dict[str, Any]:
    """Return how claims are read: the home's own file, or the shipped one."""
    own = settings().home / "oidc.yaml"
    path = own if own.exists() else declarations.DATA / "oidc.yaml"
    doc, lines = declarations.read_yaml(path)
    declarations.check("oidc", doc, lines, str(path))
    return doc


def begin(conn: Connection, next_: str) -> Begun:
    """Remember a sign-in that leaves for the other house."""
    begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
    conn.execute(text("delete from twin.sign_in where expires_at < now()"))
    conn.execute(
        text(
            "insert into twin.sign_in (state, nonce, verifier, next, expires_at) "
            "values (:s, :n, :v, :next, :e)"
        ),
        {"s": _digest(begun.state), "n": begun.nonce, "v": begun.verifier, "next": next_,
         "e": datetime.now(UTC) + _LASTS},
    )  # fmt: skip
    return begun


def take(conn: Connection, state: str) -> Any:
    """Return a sign-in that came back, once; Unauthorized when it is unknown, used or too old."""
    row = conn.execute(
        text(
            "delete from twin.sign_in where state = :s returning nonce, verifier, next, expires_at"
        ),
        {"s": _digest(state)},
    ).first()
    if row is None or row.expires_at < datetime.now(UTC):
        raise Unauthorized("This sign-in is unknown or took too long; begin again.", reason="state")
    return row


def enter(
    conn: Connection, claims: Mapping[str, Any], address: str, agent: str | None
) -> tuple[str, str]:
    """Open a session for the person of these claims; return the token and the user name."""
    said = mapping()
    external = f"{claims['iss']}#{claims['sub']}"
    grants = _grants(claims, said)
    row = conn.execute(
        text("select * from twin.account where external = :x for update"), {"x": external}
    ).first()
    if row is None:
        user = _user(conn, claims, said)
        accounts.add_account(
            conn, user=user, name=grants["name"], password=None, roles=grants["roles"],
            districts=None, clearance=grants["clearance"], crew=None, actor=ACTOR,
            organisation=grants["organisation"], external=external,
        )  # fmt: skip
    else:
        user = row.user
        if row.disabled or not accounts.unaltered(row):
            raise Unauthorized("This account is closed here.", reason="disabled")
        changed = {k: v for k, v in grants.items() if _differs(getattr(row, k), v)}
        if changed:
            accounts.change(conn, user, changed, ACTOR)
    conn.execute(
        text('update twin.account set last_login_at = now() where "user" = :u'), {"u": user}
    )
    token = sessions.open_session(
        conn, user, sessions.SESSION_FOR, bearer=False, address=address, agent=agent
    )
    note = {"address": address, "single_sign_on": claims["iss"]}
    journal.append(conn, cls="security", action="login", actor=user, note=note, level=3)
    return token, user


def _differs(old: Any, new: Any) -> bool:
    return set(old) != set(new) if isinstance(new, list) else bool(old != new)


def _grants(claims: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    groups = _values(claims, said["roles"]["claim"])
    roles = sorted({r for g in groups for r in said["roles"]["map"].get(g, ())})
    places = _values(claims, said["organisation"]["claim"])
    known = [said["organisation"]["map"][p] for p in places if p in said["organisation"]["map"]]
    place = known[0] if known else said["organisation"].get("else")
    if not roles or place is None:
        raise Unauthorized(
            "The other house knows you, but gives you no role or no place here; ask your administrator.",
            reason="no_grant",
        )
    name = str(claims.get(said["name"]) or claims["sub"])[:80]
    return {"name": {"zh": name, "en": name}, "roles": roles, "organisation": place,
            "clearance": said["clearance"]}  # fmt: skip


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    found = claims.get(name)
    return [str(v) for v in found] if isinstance(found, list) else [str(found)] if found else []


def _user(conn: Connection, claims: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Return a free user name: nobody gets into an account that stands here under the same name."""
    wanted = (
        _CLEAN.sub("-", str(claims.get(said["user"]) or "person"))[:48].strip("-._@") or "person"
    )
    taken = set(
        conn.scalars(
            text('select "user" from twin.account where "user" = :w or "user" like :w || \'.%\''),
            {"w": wanted},
        )
    )
    if wanted not in taken:
        return wanted
    return f"{wanted}.{secrets.token_hex(4)}"


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
