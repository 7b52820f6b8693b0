"""The running kinds, remembered per process until the journal says that one changed."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection

from twin import declarations, kinds
from twin.errors import NotFound
from twin.kinds import Kind
from twin.scope import Actor
from twin.scope import readable as may_read

_KEEP_S = 5.0
_kept: tuple[float, dict[str, Kind]] = (0.0, {})
_stamp: tuple[Any, ...] = ()
_SHARED = 1_000
_shared: tuple[dict[str, Kind], dict[str, dict[str, Kind]]] = ({}, {})


def all_kinds(conn: Connection) -> dict[str, Kind]:
    """Return the running kinds by name."""
    global _kept, _stamp
    if _kept[0] < time.monotonic():
        # To read all of them anew takes a tenth of a second; whether one is new, next to nothing.
        stamp = declarations.stamp(conn, "kind")
        known = _kept[1] if stamp == _stamp and _kept[1] else kinds.catalogue(conn)
        _kept, _stamp = (time.monotonic() + _KEEP_S, known), stamp
    return _kept[1]


def running() -> dict[str, Kind] | None:
    """Return the running kinds from memory while they are fresh; None asks for a connection."""
    return _kept[1] if _kept[0] >= time.monotonic() else None


def forget() -> None:
    """Read the kinds anew next time."""
    global _kept, _stamp
    _kept, _stamp = (0.0, {}), ()


def readable(conn: Connection, actor: Actor) -> dict[str, Kind]:
    """Return the kinds that the actor may read: cleared for, and among those of its key."""
    return of_actor(all_kinds(conn), actor)


def readable_now(actor: Actor) -> dict[str, Kind] | None:
    """Return the same from memory; None asks for a connection."""
    known = running()
    return None if known is None else of_actor(known, actor)


def of_actor(known: dict[str, Kind], actor: Actor) -> dict[str, Kind]:
    """Return which of these kinds the actor may read; actors who see alike share the answer."""
    global _shared
    if _shared[0] is not known or len(_shared[1]) > _SHARED:
        _shared = (known, {})
    found = _shared[1].get(actor.digest())
    if found is None:
        found = {name: kind for name, kind in known.items() if may_read(actor, kind)}
        _shared[1][actor.digest()] = found
    return dict(found)


def one(conn: Connection, actor: Actor, name: str) -> Kind:
    """Return a kind that the actor may read; NotFound otherwise."""
    return _found(all_kinds(conn).get(name), actor, name)


def one_now(actor: Actor, name: str) -> Kind | None:
    """Return a kind from memory; None asks for a connection, NotFound says there is none."""
    known = running()
    return None if known is None else _found(known.get(name), actor, name)


def _found(kind: Kind | None, actor: Actor, name: str) -> Kind:
    if kind is None or not may_read(actor, kind):
        raise NotFound(f"There is no collection {name!r} that you may see.")
    return kind


def fields(kind: Kind, actor: Actor) -> list[str]:
    """Return the fields of a kind within the actor's clearance and among those of its key."""
    only = actor.fields.get(kind.kind) if actor.fields is not None else None
    return [
        f.name
        for f in kind.fields.values()
        if f.level <= actor.clearance and (only is None or f.name in only)
    ]
