"""OGC API Tiles: tile matrix sets, tilesets of the base map and of every collection, their tiles."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.routing import APIRoute

from services.tiles import endpoints, service
from services.tiles.endpoints import MVT, SHARPEST, Filter
from services.tiles.grids import GRIDS, LAST, Grid, address, definition, grid, limits
from services.web import collections
from services.web.auth import Caller, caller
from services.web.params import Moment
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(prefix="/ogc", tags=["OGC API Tiles"])
DATASET = "base"
Name = Annotated[str, Path(min_length=1, max_length=48)]
Number = Annotated[int, Path(ge=0, lt=2 ** (LAST + 1))]
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_SPEC = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"
_GIVES: dict[int | str, dict[str, Any]] = {
    200: {"content": {MVT: {}}},
    204: {"description": "Empty"},
    304: {"description": "As known"},
}
collections.conforms += [
    *(f"{_SPEC}/{c}" for c in ("core", "tileset", "tilesets-list", "dataset-tilesets",
                               "geodata-tilesets", "mvt", "datetime", "oas30")),
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
]  # fmt: skip


def _link(path: str, rel: str, kind: str = "application/json", title: str = "") -> dict[str, Any]:
    said = {"href": f"{settings().public_url}/ogc{path}", "rel": rel, "type": kind}
    return said | ({"title": title} if title else {})


def _from_landing() -> list[dict[str, Any]]:
    return [
        _link("/tiles", f"{_REL}/tilesets-vector", title="底图瓦片 Tiles of the base map"),
        _link("/tileMatrixSets", f"{_REL}/tiling-schemes", title="瓦片网格 Tile matrix sets"),
    ]


collections.landing.append(_from_landing)


class Quick(APIRoute):
    """A route that FastAPI describes and `answer` serves."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the quick handler."""
        return answer


async def answer(request: Request) -> Response:
    """Return a tile of a tileset; rows are named before columns here."""
    said = request.path_params
    of = grid(said["tileMatrixSetId"])
    z, x, y = endpoints.numbers(said["tileMatrix"], said["tileCol"], said["tileRow"])
    if z > LAST or x >= of.columns(z) or y >= 2**z:
        raise BadRequest(f"The tile matrix {z} of {of.id} has no tile in row {y}, column {x}.")
    wish = endpoints.wish(request.scope["query_string"], degrees=of.degrees)
    layer = said.get("collectionId", DATASET)
    return endpoints.respond(
        request, await service.tile(layer, await caller(request), z, x, y, wish)
    )


async def dataset_tile(
    tileMatrixSetId: Name, tileMatrix: Number, tileRow: Number, tileCol: Number,
    datetime: Moment = None, filter: Filter = None,
) -> Response:  # fmt: skip
    """Return a tile of the base map."""
    raise NotImplementedError  # described here, served by `answer`


async def collection_tile(
    collectionId: Name, tileMatrixSetId: Name, tileMatrix: Number, tileRow: Number,
    tileCol: Number, datetime: Moment = None, filter: Filter = None,
) -> Response:  # fmt: skip
    """Return a tile of a collection."""
    raise NotImplementedError  # described here, served by `answer`


_TILE = "/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"
for _path, _endpoint in (
    (f"/tiles{_TILE}", dataset_tile),
    (f"/collections/{{collectionId}}/tiles{_TILE}", collection_tile),
):
    router.add_api_route(_path, _endpoint, methods=["GET"], response_class=Response,
                         route_class_override=Quick, responses=_GIVES)  # fmt: skip


@router.get("/tileMatrixSets")
async def matrix_sets() -> dict[str, Any]:
    """List the tile matrix sets."""
    return {
        "tileMatrixSets": [
            {"id": g.id, "title": g.title, "crs": g.crs, **({"uri": g.uri} if g.uri else {}),
             "links": [_link(f"/tileMatrixSets/{g.id}", "self")]}
            for g in GRIDS.values()
        ]
    }  # fmt: skip


@router.get("/tileMatrixSets/{tileMatrixSetId}")
async def matrix_set(tileMatrixSetId: Name) -> dict[str, Any]:
    """Describe a tile matrix set."""
    return definition(grid(tileMatrixSetId))


@router.get("/tiles")
async def dataset_tilesets(actor: Caller) -> dict[str, Any]:
    """List the tilesets of the base map."""
    return _list("", await service.layers(DATASET, actor), DATASET)


@router.get("/tiles/{tileMatrixSetId}")
async def dataset_tileset(
    tileMatrixSetId: Name, actor: Caller, f: Annotated[str, Query(pattern="^(json|tilejson)$")] = "json"
) -> dict[str, Any]:  # fmt: skip
    """Describe a tileset of the base map."""
    return _about("", DATASET, await service.layers(DATASET, actor), grid(tileMatrixSetId), f)


@router.get("/collections/{collectionId}/tiles")
async def tilesets(collectionId: Name, actor: Caller) -> dict[str, Any]:
    """List the tilesets of a collection."""
    return _list(
        f"/collections/{collectionId}", await service.layers(collectionId, actor), collectionId
    )


@router.get("/collections/{collectionId}/tiles/{tileMatrixSetId}")
async def tileset(
    collectionId: Name, tileMatrixSetId: Name, actor: Caller,
    f: Annotated[str, Query(pattern="^(json|tilejson)$")] = "json",
) -> dict[str, Any]:  # fmt: skip
    """Describe a tileset of a collection."""
    of, kinds = grid(tileMatrixSetId), await service.layers(collectionId, actor)
    return _about(f"/collections/{collectionId}", collectionId, kinds, of, f)


def _list(under: str, kinds: list[Kind], layer: str) -> dict[str, Any]:
    return {
        "tilesets": [_brief(under, kinds, layer, of) for of in GRIDS.values()],
        "links": [_link(f"{under}/tiles", "self")],
    }


def _title(kinds: list[Kind], layer: str) -> str:
    return "底图 Base map" if layer == DATASET else f"{kinds[0].title['zh']} {kinds[0].title['en']}"


def _brief(under: str, kinds: list[Kind], layer: str, of: Grid) -> dict[str, Any]:
    said: dict[str, Any] = {
        "title": _title(kinds, layer), "dataType": "vector", "crs": of.crs,
        "links": [
            _link(f"{under}/tiles/{of.id}", "self"),
            _link(f"/tileMatrixSets/{of.id}", f"{_REL}/tiling-scheme"),
            _link(f"{under}/tiles/{of.id}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", "item", MVT)
            | {"templated": True},
        ],
    }  # fmt: skip
    return said | {"tileMatrixSetURI": of.uri or address(of)}


def _about(under: str, layer: str, kinds: list[Kind], of: Grid, form: str) -> dict[str, Any]:
    about = endpoints.describe(layer, kinds)
    template = f"{settings().public_url}/ogc{under}/tiles/{of.id}/{{z}}/{{y}}/{{x}}"
    if form == "tilejson":
        if of.degrees:
            raise BadRequest("TileJSON knows WebMercatorQuad only; ask for f=json.")
        return about | {"tiles": [template]}
    first = max(0, about["minzoom"] - (1 if of.degrees else 0))
    return _brief(under, kinds, layer, of) | {
        "tileMatrixSetLimits": limits(of, CITY_BOUNDS, first, SHARPEST),
        "boundingBox": {"lowerLeft": list(CITY_BOUNDS[:2]), "upperRight": list(CITY_BOUNDS[2:]),
                        "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
        "layers": [
            {"id": one["id"], "title": one["description"], "dataType": "vector",
             "propertiesSchema": {"type": "object", "properties": {
                 name: _schema(type_) for name, type_ in one["fields"].items()}}}
            for one in about["vector_layers"]
        ],
    }  # fmt: skip


def _schema(type_: str) -> dict[str, str]:
    return {
        "type": {"integer": "integer", "number": "number", "boolean": "boolean"}.get(
            type_, "string"
        )
    }
