"""The running kinds, remembered per process until the journal says that one changed."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from twin import kinds
from twin.errors import NotFound
from twin.kinds import Kind
from twin.scope import Actor

_KEEP_S = 5.0
_kept: tuple[float, dict[str, Kind]] = (0.0, {})


def all_kinds(conn: Connection) -> dict[str, Kind]:
    """Return the running kinds by name."""
    global _kept
    if _kept[0] < time.monotonic():
        _kept = (time.monotonic() + _KEEP_S, kinds.catalogue(conn))
    return _kept[1]


def running() -> dict[str, Kind] | None:
    """Return the running kinds from memory while they are fresh; None asks for a connection."""
    return _kept[1] if _kept[0] >= time.monotonic() else None


def forget() -> None:
    """Read the kinds anew next time."""
    global _kept
    _kept = (0.0, {})


def readable(conn: Connection, actor: Actor) -> dict[str, Kind]:
    """Return the kinds that the actor is cleared for."""
    return {name: k for name, k in all_kinds(conn).items() if k.level <= actor.clearance}


def one(conn: Connection, actor: Actor, name: str) -> Kind:
    """Return a kind that the actor is cleared for; NotFound otherwise."""
    found = readable(conn, actor).get(name)
    if found is None:
        raise NotFound(f"There is no collection {name!r} that you may see.")
    return found


def fields(kind: Kind, actor: Actor) -> list[str]:
    """Return the fields of a kind within the actor's clearance."""
    return [f.name for f in kind.fields.values() if f.level <= actor.clearance]
