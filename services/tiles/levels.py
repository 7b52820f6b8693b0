"""Levels of detail as tiles: read the kept pieces of a tile and write them as one layer."""

from __future__ import annotations

from services.tiles.repository import Drawn
from twin import pool
from twin.kinds import Kind
from twin.scope import Actor


def kept(kind: Kind) -> bool:
    """True while levels of a kind are kept."""
    return False


def stand_for(kind: Kind, actor: Actor) -> bool:
    """True where levels show exactly what the actor may see: whole districts, no part of one."""
    return kept(kind)


async def draw(conn: pool.Connection, kind: Kind, actor: Actor, z: int, x: int, y: int) -> Drawn:
    """Return the level of a kind in a tile, of the districts in the actor's scope."""
    return Drawn(b"", 0)
