"""HTTP doors of vector tiles: /tiles/{layer}/{z}/{x}/{y}.mvt and /tiles/{layer}.json."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from gis.tiles import tile_box
from services.tiles import repository
from services.tiles.cache import Tile, tiles
from services.web.auth import Caller
from services.web.params import Moment, moment
from twin import catalogue, db
from twin.errors import BadRequest, NotFound
from twin.kinds import Kind
from twin.scope import Actor
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(prefix="/tiles", tags=["tiles"])
MAX_ZOOM = 22
# What was true this long ago is not changed by an entry that is still on its way.
_SETTLED = timedelta(seconds=10)
MVT = "application/vnd.mapbox-vector-tile"
Z = Annotated[int, Path(ge=0, le=MAX_ZOOM)]
XY = Annotated[int, Path(ge=0, lt=2**MAX_ZOOM)]


async def _layers(layer: str, actor: Actor) -> list[Kind]:
    async with db.async_engine("tiles").connect() as conn:
        if layer == "base":
            known = await conn.run_sync(catalogue.readable, actor)
            return [known[name] for name in repository.BASE if name in known]
        kind = await conn.run_sync(catalogue.one, actor, layer)
    if kind.geometry == "none":
        raise NotFound(f"{layer} has no place on the map.")
    return [kind]


@router.get("/{layer}/{z}/{x}/{y}.mvt")
async def tile(
    layer: str, z: Z, x: XY, y: XY, request: Request, actor: Caller, datetime: Moment = None
) -> Response:
    """Return a tile of a kind, or of the composite `base`; empty tiles are 204."""
    if x >= 2**z or y >= 2**z:
        raise BadRequest(f"Tile {z}/{x}/{y} does not exist; x and y run to {2**z - 1}.")
    found = await _tile(layer, actor, z, x, y, moment(datetime))
    headers = {
        "ETag": found.etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie, Authorization",
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    if not found.raw:
        return Response(status_code=204, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.raw, media_type=MVT, headers=headers | {"Content-Encoding": "gzip"})
    return Response(gzip.decompress(found.raw), media_type=MVT, headers=headers)


async def _tile(layer: str, actor: Actor, z: int, x: int, y: int, then: datetime | None) -> Tile:
    layers = await _layers(layer, actor)
    key = (layer, z, x, y, actor.key(), then, tuple(k.version for k in layers))
    known = tiles.get(key)
    if known is not None:
        return known
    # The clock is read before the rows: a change in between makes the tile unkept, never stale.
    since = tiles.now()
    settled = then is not None and then < datetime.now(UTC) - _SETTLED
    parts = []
    async with db.async_engine("tiles").connect() as conn:
        for kind in layers:
            if z >= repository.min_zoom(kind):
                made = await conn.execute(repository.tile(kind, actor, z, x, y, then))
                parts.append(bytes(made.scalar_one() or b""))
    raw = b"".join(parts)
    return tiles.put(
        key, gzip.compress(raw, 1) if raw else b"", kinds=tuple(k.kind for k in layers),
        box=None if settled else tile_box(z, x, y, repository.BUFFER / repository.EXTENT), since=since,
    )  # fmt: skip


@router.get("/{layer}.json")
async def tilejson(layer: str, actor: Caller) -> dict[str, Any]:
    """Describe a layer (TileJSON 3)."""
    layers = await _layers(layer, actor)
    return {
        "tilejson": "3.0.0",
        "name": layers[0].title["zh"] if layer != "base" else "底图",
        "tiles": [f"{settings().public_url}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt"],
        "minzoom": min(repository.min_zoom(k) for k in layers),
        "maxzoom": 16,
        "bounds": list(CITY_BOUNDS),
        "vector_layers": [
            {
                "id": k.kind,
                "description": k.title["zh"],
                "fields": {f.name: f.type for f in k.fields.values()},
                "minzoom": repository.min_zoom(k),
                "maxzoom": 16,
            }
            for k in layers
        ],
    }
