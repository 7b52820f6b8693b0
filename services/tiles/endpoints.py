"""HTTP doors of vector tiles: /tiles/{layer}/{z}/{x}/{y}.mvt and /tiles/{layer}.json."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute

from services.tiles import levels, service
from services.tiles.cache import Headers, Tile
from services.tiles.repository import Wish
from services.web.auth import Caller, caller
from services.web.params import Moment, moment
from twin import detail
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(prefix="/tiles", tags=["tiles"])
MAX_ZOOM = 22
SHARPEST = 16
MAX_FILTER = 4000
Z = Annotated[int, Path(ge=0, le=MAX_ZOOM)]
XY = Annotated[int, Path(ge=0, lt=2**MAX_ZOOM)]
Filter = Annotated[str | None, Query(max_length=MAX_FILTER, description="CQL2 text or JSON")]
_ALONE = {b"content-encoding", b"content-length", b"content-type"}


class Ready(Response):
    """An answer whose header lines were made before: a kept tile costs next to nothing."""

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Take status, header lines and body as they go out."""
        self.status_code = status
        self.raw_headers = headers
        self.body = body
        self.background = None


class Quick(APIRoute):
    """A route that FastAPI describes and `answer` serves, without validation of a model in between."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the quick handler."""
        return answer


async def answer(request: Request) -> Response:
    """Return a tile: from memory, as 304, or drawn now."""
    said = request.path_params
    at = address(said["z"], said["x"], said["y"])
    actor = await caller(request)
    made = await service.tile(said["layer"], actor, *at, wish(request.scope["query_string"]))
    return respond(request, made)


def address(z: str, x: str, y: str) -> tuple[int, int, int]:
    """Return zoom, column and row of a tile that exists."""
    zoom, column, row = numbers(z, x, y)
    if zoom > MAX_ZOOM or column >= 2**zoom or row >= 2**zoom:
        last = f"x and y run to {2**zoom - 1}" if zoom <= MAX_ZOOM else f"zooms run to {MAX_ZOOM}"
        raise BadRequest(f"Tile {z}/{x}/{y} does not exist; {last}.")
    return zoom, column, row


def numbers(*said: str) -> tuple[int, ...]:
    """Return what names a tile as whole numbers, however long the text is."""
    if not all(len(one) < 9 and one.isascii() and one.isdigit() for one in said):
        raise BadRequest("A tile is named by three whole numbers: zoom, column, row.")
    return tuple(map(int, said))


def wish(query: bytes, *, degrees: bool = False) -> Wish:
    """Return what the query string asks for beside the tile."""
    if not query:
        return Wish(degrees=degrees)
    try:
        said = parse_qs(query.decode("latin-1"), max_num_fields=20)
    except ValueError as why:
        raise BadRequest("A tile takes datetime and filter, each once.") from why
    then = moment(_one(said, "datetime", 64))
    return Wish(then, _one(said, "filter", MAX_FILTER), degrees)


def _one(said: dict[str, list[str]], name: str, longest: int) -> str | None:
    found = said.get(name)
    if not found:
        return None
    if len(found) > 1 or len(found[0]) > longest:
        raise BadRequest(f"{name} is given once, in at most {longest} characters.", parameter=name)
    return found[0]


def respond(request: Request, made: Tile) -> Response:
    """Return the answer that this client's headers ask for."""
    accepts = known = b""
    for name, value in request.scope["headers"]:
        if name == b"accept-encoding":
            accepts = value
        elif name == b"if-none-match":
            known = value
    if known and (made.etag.encode() in known or known == b"*"):
        return Ready(304, [h for h in made.headers if h[0] not in _ALONE])
    if not made.raw:
        return Ready(204, made.headers)
    if b"gzip" in accepts:
        return Ready(200, made.headers, made.raw)
    body = gzip.decompress(made.raw)
    plain = [h for h in made.headers if h[0] not in _ALONE]
    plain += [(b"content-type", MVT.encode()), (b"content-length", str(len(body)).encode())]
    return Ready(200, plain, body)


MVT = "application/vnd.mapbox-vector-tile"


async def tile(
    layer: str, z: Z, x: XY, y: XY, datetime: Moment = None, filter: Filter = None
) -> Response:
    """Return a tile of a kind, or of the composite `base`; empty tiles are 204.

    `datetime` asks for a moment of the past, `filter` (CQL2) for a part of the things. A tile too
    full for a map leaves out the least important things and says so in the header `Twin-Left-Out`.
    """
    raise NotImplementedError  # described here, served by `answer`


router.add_api_route(
    "/{layer}/{z}/{x}/{y}.mvt", tile, methods=["GET"], response_class=Response,
    route_class_override=Quick,
    responses={200: {"content": {MVT: {}}}, 204: {"description": "Empty"}, 304: {"description": "As known"}},
)  # fmt: skip


@router.get("/{layer}.json")
async def tilejson(layer: str, actor: Caller) -> dict[str, Any]:
    """Describe a layer (TileJSON 3)."""
    return describe(layer, await service.layers(layer, actor))


def describe(layer: str, kinds: list[Kind]) -> dict[str, Any]:
    """Return the TileJSON of a layer of kinds."""
    first = {k.kind: detail.first_zoom(k, levels.kept(k)) for k in kinds}
    return {
        "tilejson": "3.0.0",
        "name": kinds[0].title["zh"] if layer != "base" else "底图",
        "tiles": [f"{settings().public_url}/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt"],
        "minzoom": min(first.values()),
        "maxzoom": SHARPEST,
        "bounds": list(CITY_BOUNDS),
        "vector_layers": [
            {
                "id": k.kind,
                "description": k.title["zh"],
                "fields": {f.name: f.type for f in k.fields.values()},
                "minzoom": first[k.kind],
                "maxzoom": SHARPEST,
            }
            for k in kinds
        ],
    }
