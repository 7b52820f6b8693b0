"""HTTP doors of /styles and /layers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from layers import catalogue as layer_tree
from layers import live, style
from services.layers import repository
from services.web import collections
from services.web.auth import Caller
from twin import catalogue, db, levels, terrain
from twin.kinds import Kind
from twin.scope import Actor
from twin.settings import settings

router = APIRouter(tags=["layers"])
Lang = Annotated[str, Query(pattern="^(zh-CN|en)$")]
_STYLES = "http://www.opengis.net/def/rel/ogc/1.0/styles"
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}


def _from_landing() -> list[dict[str, Any]]:
    return [{"href": f"{settings().public_url}/styles", "rel": _STYLES, "type": "application/json",
             "title": "地图样式 Styles"}]  # fmt: skip


collections.landing.append(_from_landing)


def _kinds(actor: Actor) -> tuple[dict[str, Kind], frozenset[str], dict[str, Any] | None]:
    """Return the kinds of the caller, those of which levels of detail are kept, and the heights."""
    with db.engine("app").connect() as conn:
        ground = terrain.current(conn)
        known = catalogue.readable(conn, actor)
        return known, levels.kept(conn), ground.json() if ground else None


@router.get("/styles/{theme}.json")
def map_style(theme: str, request: Request, actor: Caller, lang: Lang = "zh-CN") -> Response:
    """Return the MapLibre style `night`, `day`, `wall` or `mobile` of what the caller may see."""
    # MapLibre's worker asks for tiles itself and knows no page to resolve a path against.
    origin = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    if settings().public_url.startswith("https://"):
        origin = origin.replace("http://", "https://", 1)
    kinds, levelled, heights = _kinds(actor)
    made = style.build(theme, kinds, lang, origin, levelled, heights)
    return JSONResponse(made, headers=PRIVATE)


@router.get("/styles")
@router.get("/ogc/styles")
def styles() -> dict[str, Any]:
    """List the styles (OGC API Styles)."""
    at = f"{settings().public_url}/styles"
    return {
        "default": "night",
        "styles": [
            {"id": name, "title": f"{v.title['zh']} {v.title['en']}",
             "links": [{"href": f"{at}/{name}.json", "rel": "stylesheet", "title": v.title["zh"],
                        "type": "application/vnd.mapbox.style+json"}]}
            for name, v in style.VARIANTS.items()
        ],
        "links": [{"href": at, "rel": "self", "type": "application/json"}],
    }  # fmt: skip


@router.get("/layers")
def tree(
    actor: Caller, theme: Annotated[str, Query(pattern="^(night|day)$")] = "night"
) -> dict[str, Any]:
    """Return the layer tree with its legend."""
    kinds, levelled, heights = _kinds(actor)
    return layer_tree.tree(kinds, theme, levelled, heights)


@router.get(
    "/terrain/{z}/{x}/{y}.png", response_class=Response,
    responses={200: {"content": {"image/png": {}}}, 204: {"description": "Nothing known there"}},
)  # fmt: skip
def heights(
    z: Annotated[int, Path(ge=0, le=22)], x: Annotated[int, Path(ge=0, lt=2**22)],
    y: Annotated[int, Path(ge=0, lt=2**22)], of: Annotated[str, Query(max_length=16)] = "",
) -> Response:  # fmt: skip
    """Return heights of the ground in Terrarium's coding; `of` names the set, so that it may be kept."""
    with db.engine("app").connect() as conn:
        found = terrain.picture(conn, z, x, y)
    if found is None:
        return Response(status_code=204)
    kept = {"Cache-Control": "public, max-age=86400, immutable"} if of else PRIVATE
    return Response(found, media_type="image/png", headers=kept)


@router.get("/layers/places.geojson")
def places(actor: Caller) -> Response:
    """Return the names of districts, streets, parks and waters, each once."""
    with db.engine("tiles").connect() as conn:
        raw = repository.places(conn, actor)
    return Response(raw, media_type="application/geo+json", headers=PRIVATE)


@router.get("/layers/freshness")
def freshness(actor: Caller) -> dict[str, Any]:
    """Tell of each layer how much it holds, when it last changed, and whether that is in time."""
    with db.engine("app").connect() as conn:
        return {"layers": repository.freshness(conn, actor)}


@router.get("/layers/{layer_id}")
def live_layer(layer_id: str) -> dict[str, Any]:
    """Return a live layer written in pydeck."""
    return live.definition(layer_id)
