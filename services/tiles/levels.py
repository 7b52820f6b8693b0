"""Levels of detail as tiles: read the kept pieces of a tile and write them as one layer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import numpy as np
import structlog
from psycopg import Error as DatabaseError

from gis import mvt
from services.tiles.cache import tiles
from services.tiles.repository import Drawn
from twin import catalogue, detail, levels, pool
from twin.errors import TwinError
from twin.kinds import Kind
from twin.pool import Prepared
from twin.scope import ALL, Actor, shape

log = structlog.get_logger("tiles")
FOLLOW_EVERY_S = 0.25
AWAY_S = 2.0
_KEPT = Prepared(b"select kind from twin.level_kind", {})
_LAST = Prepared(b"select coalesce(max(stamp), 0) from twin.level_change", {})
_CHANGES = Prepared(
    b"select stamp, kind, z, x, y from twin.level_change where stamp > %(after)s order by stamp", {}
)
_PIECES = (
    b"select class, band, body from twin.level where kind = %(kind)s and z = %(z)s and x = %(x)s "
    b"and y = %(y)s and (band > 0) = %(drawn)s"
)
_EVERY = Prepared(_PIECES, {})
_OWN = Prepared(_PIECES + b" and district = any(%(districts)s)", {})
_UNIT = mvt.EXTENT // levels.DOTS
_held: frozenset[str] = frozenset()


def kept(kind: Kind) -> bool:
    """True while levels of a kind are kept, as far as this process has heard."""
    return kind.kind in _held


def stand_for(kind: Kind, actor: Actor) -> bool:
    """True where levels show exactly what the actor may see: whole districts, no part of one.

    Who sees streets or an area of a district only, or may not see the colour, gets things instead.
    """
    if not kept(kind) or shape(actor, kind) not in (ALL, "d"):
        return False
    by = levels.class_field(kind)
    return by is None or by in catalogue.fields(kind, actor)


async def draw(conn: pool.Connection, kind: Kind, actor: Actor, z: int, x: int, y: int) -> Drawn:
    """Return the level of a kind in a tile, of the districts in the actor's scope."""
    areas = detail.of(kind).low == "areas"
    said = {"kind": kind.kind, "z": z, "x": x, "y": y, "drawn": areas}
    if shape(actor, kind) == ALL:
        rows = await pool.fetch(conn, _EVERY, said)
    else:
        rows = await pool.fetch(conn, _OWN, {**said, "districts": list(actor.districts or ())})
    if not rows:
        return Drawn(b"", 0)
    by = levels.class_field(kind)
    return Drawn((_areas if areas else _dots)(kind.kind, by, rows), len(rows))


def _areas(name: str, by: str | None, rows: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return outlines by share, the least covered below; tags: share, and the class by its field."""
    ordered = sorted(rows, key=lambda r: r[1])
    classes = sorted({r[0] for r in ordered})
    known = [*detail.SHARES, *classes]
    first = len(detail.SHARES)
    features = b"".join(
        mvt.area(bytes(body), [0, band - 1, *([1, first + classes.index(class_)] if by else [])])
        for class_, band, body in ordered
    )
    return mvt.layer(name, ["share", by] if by else ["share"], known, features)


def _dots(name: str, by: str | None, rows: list[tuple[str, int, bytes]]) -> bytes:
    """Return one dot a cell: how many stand there, in the colour of most of them."""
    classes = sorted({r[0] for r in rows})
    dots = [np.frombuffer(body, levels.DOT) for _, _, body in rows]
    code = np.concatenate(
        [np.full(len(d), classes.index(r[0])) for d, r in zip(dots, rows, strict=True)]
    )
    every = np.concatenate(dots)
    place, count = levels.dot_places(every) * _UNIT, every["n"].astype(np.int64)
    # The fullest class of a cell stands last of it and gives the colour.
    order = np.lexsort((count, every["cell"]))
    every, place, count, code = every[order], place[order], count[order], code[order]
    last = np.flatnonzero(np.append(np.diff(every["cell"]) != 0, True))
    cell = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    total = np.bincount(cell, count)
    middle = [np.bincount(cell, count * place[:, i]) / total for i in (0, 1)]
    numbers, number = np.unique(total.astype(np.int64), return_inverse=True)
    zero = np.zeros(len(last), np.int64)
    tags = [zero, number] + ([zero + 1, len(numbers) + code[last]] if by else [])
    features = mvt.dots(
        np.round(middle[0]).astype(int), np.round(middle[1]).astype(int), np.stack(tags, axis=1)
    )
    known = [*map(int, numbers), *(classes if by else [])]
    return mvt.layer(name, ["n", by] if by else ["n"], known, features)


async def follow() -> None:
    """Hear what the worker made anew and drop the kept tiles of exactly that, until cancelled."""
    after = -1
    while True:
        try:
            after = await _hear(after)
            await asyncio.sleep(FOLLOW_EVERY_S)
        except (DatabaseError, TwinError, OSError) as why:
            log.warning("levels not heard", why=(str(why).splitlines() or [""])[0])
            await asyncio.sleep(AWAY_S)


async def _hear(after: int) -> int:
    global _held
    async with pool.connection("tiles") as conn:
        if after < 0:
            after = int((await pool.fetch(conn, _LAST, {}))[0][0])
            changed = []
        else:
            changed = await pool.fetch(conn, _CHANGES, {"after": after})
            if not changed:
                return after
        _held = frozenset(row[0] for row in await pool.fetch(conn, _KEPT, {}))
    for _, kind, z, x, y in changed:
        tiles.touch(kind, None, None if z is None else (z, x, y))
    return int(changed[-1][0]) if changed else after
