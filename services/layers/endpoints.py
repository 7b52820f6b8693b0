"""HTTP doors of /styles and /layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from layers import catalogue as layer_tree
from layers import live, style
from services.layers import repository
from services.web import collections
from services.web.auth import Caller, Person
from twin import catalogue, db, levels, policies, styles, terrain
from twin.errors import BadRequest
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


def _kinds(
    actor: Actor, doc: Mapping[str, Any] | None = None
) -> tuple[dict[str, Kind], frozenset[str], dict[str, Any] | None]:
    """Return the kinds of the caller as they are drawn, those with levels of detail, and the heights."""
    with db.engine("app").connect() as conn:
        ground = terrain.current(conn)
        known = styles.changed(catalogue.readable(conn, actor), doc or styles.running(conn))
        return known, levels.kept(conn), ground.json() if ground else None


def _origin(request: Request) -> str:
    """Return what stands before every address: MapLibre's worker asks for tiles and knows no page."""
    origin = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    if settings().public_url.startswith("https://"):
        origin = origin.replace("http://", "https://", 1)
    return origin


@router.get("/styles/{theme}.json")
def map_style(
    theme: str, request: Request, actor: Caller, lang: Lang = "zh-CN", shown: bool = False
) -> Response:
    """Return the MapLibre style `night`, `day`, `wall` or `mobile` of what the caller may see.

    `shown` leaves out what nobody has chosen yet: a screen that starts adds it when it stands.
    """
    kinds, levelled, heights = _kinds(actor)
    made = style.build(theme, kinds, lang, _origin(request), levelled, heights)
    made = style.shown(made) if shown else made
    return JSONResponse(made, headers=PRIVATE)


class Draft(BaseModel):
    """A document of styles that somebody is writing."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any]
    theme: Literal["night", "day"] = "night"
    lang: Literal["zh-CN", "en"] = "zh-CN"


@router.post("/api/v1/styles/try")
def tried(body: Draft, request: Request, person: Person) -> dict[str, Any]:
    """Return the map style as a draft of layer styles would make it; nothing is written."""
    person.need("policy.write")
    with db.engine("app").connect() as conn:
        said = policies.check(conn, styles.KIND_OF, body.document)
    if said["faults"]:
        first = said["faults"][0]
        raise BadRequest(f"{'.'.join(map(str, first['path']))}: {first['why']}")
    kinds, levelled, heights = _kinds(person, body.document)
    return style.build(body.theme, kinds, body.lang, _origin(request), levelled, heights)


@router.get("/styles")
@router.get("/ogc/styles")
def offered() -> dict[str, Any]:
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
