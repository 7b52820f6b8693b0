"""WMTS 1.0.0 for desktop clients: capabilities, tiles as PNG or MVT, by KVP and by REST."""

from __future__ import annotations

from typing import Annotated
from xml.sax.saxutils import escape

from fastapi import APIRouter, Path, Query, Request, Response

from services.tiles import endpoints, pictures, service
from services.tiles.endpoints import MVT
from services.tiles.grids import GRIDS, LAST, SIDE_PX, Grid, grid
from services.tiles.repository import Wish
from services.web.auth import Caller
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.settings import CITY_BOUNDS, settings

router = APIRouter(tags=["WMTS"])
STYLES = {"day": "日 Day", "night": "夜 Night"}
PNG = "image/png"
FORMATS = {"png": PNG, "mvt": MVT}
_XML = "application/xml"
Word = Annotated[str, Path(min_length=1, max_length=48)]
Number = Annotated[str, Path(pattern="^[0-9]{1,8}$")]


@router.get("/wmts", responses={200: {"content": {_XML: {}, PNG: {}, MVT: {}}}})
async def kvp(
    request: Request, actor: Caller,
    service_: Annotated[str, Query(alias="SERVICE", max_length=20)] = "WMTS",
    asked: Annotated[str, Query(alias="REQUEST", max_length=40)] = "GetCapabilities",
) -> Response:  # fmt: skip
    """Answer a request whose parameters are named in any case, as WMTS clients write them."""
    said = {k.lower(): v for k, v in request.query_params.items()}
    asked, service_ = said.get("request", asked), said.get("service", service_)
    if service_.upper() != "WMTS":
        raise BadRequest("This door speaks WMTS only.", parameter="SERVICE")
    if asked.lower() == "getcapabilities":
        return await capabilities(actor)
    if asked.lower() != "gettile":
        raise BadRequest("REQUEST is GetCapabilities or GetTile here.", parameter="REQUEST")
    missing = [
        n for n in ("layer", "tilematrixset", "tilematrix", "tilerow", "tilecol") if n not in said
    ]
    if missing:
        raise BadRequest(
            f"GetTile needs {', '.join(missing)} as well.", parameter=missing[0].upper()
        )
    form = next((k for k, v in FORMATS.items() if v == said.get("format", PNG)), None)
    if form is None:
        raise BadRequest(f"FORMAT is {PNG} or {MVT}.", parameter="FORMAT")
    at = (said["tilematrixset"], said["tilematrix"], said["tilerow"], said["tilecol"])
    return await _tile(request, actor, said["layer"], said.get("style") or "day", *at, form)


@router.get("/wmts/1.0.0/WMTSCapabilities.xml", responses={200: {"content": {_XML: {}}}})
async def capabilities(actor: Caller) -> Response:
    """Say which layers, styles and tile matrix sets there are for the caller."""
    known = await service.known(actor)
    kinds = [k for k in known.values() if k.geometry != "none"]
    return Response(
        _capabilities(kinds), media_type=_XML, headers={"Vary": "Cookie, Authorization"}
    )


@router.get(
    "/wmts/{layer}/{style}/{tileMatrixSet}/{tileMatrix}/{tileRow}/{tileCol}.{form}",
    responses={200: {"content": {PNG: {}, MVT: {}}}},
)
async def rest(
    request: Request, actor: Caller, layer: Word, style: Word, tileMatrixSet: Word,
    tileMatrix: Number, tileRow: Number, tileCol: Number,
    form: Annotated[str, Path(pattern="^(png|mvt)$")],
) -> Response:  # fmt: skip
    """Return a tile as a picture or as a vector tile."""
    return await _tile(
        request, actor, layer, style, tileMatrixSet, tileMatrix, tileRow, tileCol, form
    )


async def _tile(
    request: Request, actor: Caller, layer: str, style: str, set_: str, matrix: str, row: str,
    column: str, form: str,
) -> Response:  # fmt: skip
    of = grid(set_)
    z, x, y = endpoints.numbers(matrix, column, row)
    if style not in STYLES:
        raise BadRequest(f"STYLE is one of {', '.join(STYLES)}.", parameter="STYLE")
    if z > LAST or x >= of.columns(z) or y >= 2**z:
        raise BadRequest(f"The tile matrix {z} of {of.id} has no tile in row {y}, column {x}.")
    wish = Wish(degrees=of.degrees)
    if form == "mvt":
        return endpoints.respond(request, await service.tile(layer, actor, z, x, y, wish))
    raw, etag = await pictures.png(layer, actor, z, x, y, wish, style)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(raw, media_type=PNG, headers=headers)


def _capabilities(kinds: list[Kind]) -> str:
    layers = _layer("base", "底图 Base map") + "".join(
        _layer(k.kind, f"{k.title['zh']} {k.title['en']}") for k in kinds
    )
    at = f"{settings().public_url}/wmts"
    operations = "".join(
        f'<ows:Operation name="{name}"><ows:DCP><ows:HTTP><ows:Get xlink:href="{at}?">'
        '<ows:Constraint name="GetEncoding"><ows:AllowedValues><ows:Value>KVP</ows:Value>'
        "</ows:AllowedValues></ows:Constraint></ows:Get></ows:HTTP></ows:DCP></ows:Operation>"
        for name in ("GetCapabilities", "GetTile")
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">'
        "<ows:ServiceIdentification><ows:Title>绿容孪生 Lvrong Twin</ows:Title>"
        "<ows:ServiceType>OGC WMTS</ows:ServiceType>"
        "<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>"
        f"<ows:OperationsMetadata>{operations}</ows:OperationsMetadata>"
        f"<Contents>{layers}{''.join(_matrices(g) for g in GRIDS.values())}</Contents>"
        f'<ServiceMetadataURL xlink:href="{at}/1.0.0/WMTSCapabilities.xml"/></Capabilities>'
    )


def _layer(name: str, title: str) -> str:
    west, south, east, north = CITY_BOUNDS
    styles = "".join(
        f'<Style isDefault="{"true" if key == "day" else "false"}"><ows:Title>{said}</ows:Title>'
        f"<ows:Identifier>{key}</ows:Identifier></Style>"
        for key, said in STYLES.items()
    )
    sets = "".join(
        f"<TileMatrixSetLink><TileMatrixSet>{g}</TileMatrixSet></TileMatrixSetLink>" for g in GRIDS
    )
    place = f"{settings().public_url}/wmts/{name}/{{Style}}/{{TileMatrixSet}}/{{TileMatrix}}/{{TileRow}}/{{TileCol}}"
    urls = "".join(
        f'<ResourceURL format="{kind}" resourceType="tile" template="{place}.{ending}"/>'
        for ending, kind in FORMATS.items()
    )
    return (
        f"<Layer><ows:Title>{escape(title)}</ows:Title><ows:WGS84BoundingBox>"
        f"<ows:LowerCorner>{west} {south}</ows:LowerCorner><ows:UpperCorner>{east} {north}</ows:UpperCorner>"
        f"</ows:WGS84BoundingBox><ows:Identifier>{name}</ows:Identifier>{styles}"
        + "".join(f"<Format>{kind}</Format>" for kind in FORMATS.values())
        + f"{sets}{urls}</Layer>"
    )


def _matrices(of: Grid) -> str:
    first, second = of.origin
    every = "".join(
        f"<TileMatrix><ows:Identifier>{z}</ows:Identifier><ScaleDenominator>{of.scale(z)!r}</ScaleDenominator>"
        f"<TopLeftCorner>{first!r} {second!r}</TopLeftCorner><TileWidth>{SIDE_PX}</TileWidth>"
        f"<TileHeight>{SIDE_PX}</TileHeight><MatrixWidth>{of.columns(z)}</MatrixWidth>"
        f"<MatrixHeight>{2**z}</MatrixHeight></TileMatrix>"
        for z in range(LAST + 1)
    )
    known = of.uri.rpartition("/")[2] if of.uri else ""
    scale_set = {
        "WebMercatorQuad": "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible",
        "WorldCRS84Quad": "urn:ogc:def:wkss:OGC:1.0:GoogleCRS84Quad",
    }.get(known)
    said = f"<WellKnownScaleSet>{scale_set}</WellKnownScaleSet>" if scale_set else ""
    return (
        f"<TileMatrixSet><ows:Identifier>{of.id}</ows:Identifier>"
        f"<ows:SupportedCRS>urn:ogc:def:crs:{of.code}</ows:SupportedCRS>{said}{every}</TileMatrixSet>"
    )
