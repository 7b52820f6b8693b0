"""What a tile is made of: kept ones from memory, levels of detail, the rest from the tables."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, timedelta

from isal import isal_zlib

from gis import mvt
from services.tiles import levels, repository
from services.tiles.cache import Tile, tiles
from services.tiles.repository import Drawn, Wish
from twin import catalogue, db, detail, pool
from twin.errors import NotFound
from twin.kinds import Kind
from twin.scope import Actor

# What was true this long ago is not changed by an entry that is still on its way.
_SETTLED = timedelta(seconds=10)
# Packing more than this would hold up every other answer of the process.
_PACK_APART = 500_000
_TABLE_FROM = 16_384
_GZIP = 31  # window bits of a gzip frame
_drawing: dict[Hashable, asyncio.Future[Tile]] = {}


async def known(actor: Actor) -> dict[str, Kind]:
    """Return the kinds that the actor may see, from memory where they are fresh."""
    found = catalogue.readable_now(actor)
    return found if found is not None else await asyncio.to_thread(_read, actor)


def _read(actor: Actor) -> dict[str, Kind]:
    with db.engine("app").connect() as conn:
        return catalogue.readable(conn, actor)


async def layers(layer: str, actor: Actor) -> list[Kind]:
    """Return the kinds of a layer; NotFound when there is none that the actor may see."""
    found = repository.sources(await known(actor), layer)
    if not found:
        raise NotFound(f"There is no layer {layer!r} of tiles that you may see.")
    return found


async def tile(layer: str, actor: Actor, z: int, x: int, y: int, wish: Wish) -> Tile:
    """Return a tile of a layer in the actor's scope; many who ask at once wait for one drawing."""
    kinds = await layers(layer, actor)
    key = (layer, z, x, y, actor.digest(), wish, tuple(k.version for k in kinds))
    kept = tiles.get(key)
    if kept is not None:
        return kept
    going = _drawing.get(key)
    if going is not None:
        return await asyncio.shield(going)
    mine = asyncio.get_running_loop().create_future()
    _drawing[key] = mine
    try:
        made = await _draw(key, kinds, actor, (z, x, y), wish)
    except BaseException as why:
        mine.set_exception(why)
        mine.exception()  # whoever waited gets it; nobody waiting is no mistake
        raise
    else:
        mine.set_result(made)
    finally:
        del _drawing[key]
    return made


async def _draw(
    key: Hashable, kinds: Sequence[Kind], actor: Actor, at: tuple[int, int, int], wish: Wish
) -> Tile:
    # The clock is read before the rows: a change in between makes the tile unkept, never stale.
    since = tiles.now()
    settled = wish.moment is not None and wish.moment < datetime.now(UTC) - _SETTLED
    async with pool.connection("tiles") as conn:
        made = [(k, await _layer(conn, k, actor, at, wish)) for k in kinds]
    left_out = {k.kind: d.dropped for k, d in made if d.dropped}
    raw = b"".join(d.raw for _, d in made)
    if left_out:
        raw += mvt.note("_left_out", left_out)
    packed = await asyncio.to_thread(_pack, raw) if len(raw) > _PACK_APART else _pack(raw)
    return tiles.put(
        key, packed, kinds=tuple(k.kind for k in kinds),
        box=None if settled else wish.box(*at, repository.BUFFER / repository.EXTENT), since=since,
        at=None if wish.degrees else at, note=", ".join(f"{kind}={n}" for kind, n in left_out.items()),
    )  # fmt: skip


def _pack(raw: bytes) -> bytes:
    # A table of codes for these very bytes pays only in a large tile: it costs as much as a small one.
    return isal_zlib.compress(raw, 0 if len(raw) < _TABLE_FROM else 1, _GZIP) if raw else b""


async def _layer(
    conn: pool.Connection, kind: Kind, actor: Actor, at: tuple[int, int, int], wish: Wish
) -> Drawn:
    z, x, y = at
    stands = wish.plain and levels.stand_for(kind, actor)
    scale = wish.scale(z)
    holds = detail.shows(kind, scale, kept=levels.kept(kind), stands=stands)
    if holds == "nothing":
        return Drawn(b"", 0)
    if holds == "level":
        return await levels.draw(conn, kind, actor, z, x, y)
    where = repository.values(actor, z, x, y, wish)
    for full in (False, True):
        statement = repository.prepared(kind, actor, scale, wish, full=full)
        drawn = repository.drawn((await pool.fetch(conn, statement, where))[0])
        if drawn is not None:
            return drawn
    raise AssertionError("a full tile is bounded")
