"""Pictures of tiles for clients that know no vector tiles: the caller's own tile, painted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from isal import isal_zlib

from gis import paint
from layers import ink
from layers.tokens import Palette
from services.tiles import service
from services.tiles.repository import Wish
from twin.kinds import Kind
from twin.scope import Actor

SIDE = 256
_GZIP = 31
_KEEP = 512
_kept: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
# Painting is Python and holds up others: one at a time, apart from the loop.
_turn = asyncio.Semaphore(1)


async def png(
    layer: str, actor: Actor, z: int, x: int, y: int, wish: Wish, theme: str
) -> tuple[bytes, str]:
    """Return a picture of a tile and its ETag; the base map has a ground, other layers lie upon one."""
    made = await service.tile(layer, actor, z, x, y, wish)
    key = (layer, theme, made.etag)
    etag = f'"{theme}-{made.etag[1:]}'
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key], etag
    kinds = await service.layers(layer, actor)
    async with _turn:
        raw = await asyncio.to_thread(_paint, made.raw, layer, kinds, theme)
    _kept[key] = raw
    while len(_kept) > _KEEP:
        _kept.popitem(last=False)
    return raw, etag


def _paint(packed: bytes, layer: str, kinds: list[Kind], theme: str) -> bytes:
    found = paint.layers(isal_zlib.decompress(packed, _GZIP)) if packed else {}
    sheets = [
        (group, ink.of(k, theme)) for k in kinds for group in _by_share(found.get(k.kind, []))
    ]
    ground = paint.said(Palette(theme).ground) if layer == "base" else (0, 0, 0, 0)
    return paint.picture(SIDE, SIDE, sheets, ground=ground)


def _by_share(features: list[paint.Feature]) -> list[list[paint.Feature]]:
    """Return features in sheets that lie upon each other: outlines by share, the widest below."""
    shares = sorted({int(f.said.get("share", 0)) for f in features})
    return [[f for f in features if int(f.said.get("share", 0)) == share] for share in shares]
