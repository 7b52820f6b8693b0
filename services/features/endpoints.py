"""HTTP doors that describe the feature API: landing, conformance, collections, schemas, CRS: /ogc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from services.features import crs as references
from services.features import described, formats, openapi, pages, schemas
from services.features.items import kind_of
from services.features.links import (
    CONFORMANCE,
    DATA,
    GEOJSON,
    HTML,
    OPENAPI,
    QUERYABLES,
    SCHEMA,
    SCHEMA_REL,
    SORTABLES,
    link,
    url,
)  # fmt: skip
from services.web import collections as others
from services.web.auth import Caller
from twin import catalogue, counts, db
from twin.errors import NotFound
from twin.kinds import Kind

router = APIRouter(tags=["OGC API Features"])
_SPEC = "http://www.opengis.net/spec"
CONFORMS = [
    *(f"{_SPEC}/ogcapi-common-1/1.0/conf/{c}" for c in ("core", "landing-page", "json", "html", "oas30")),
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
    *(f"{_SPEC}/ogcapi-features-1/1.0/conf/{c}" for c in ("core", "geojson", "html", "oas30")),
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    *(f"{_SPEC}/ogcapi-features-3/1.0/conf/{c}"
      for c in ("queryables", "queryables-query-parameters", "filter", "features-filter")),
    *(f"{_SPEC}/ogcapi-features-4/1.0/conf/{c}"
      for c in ("create-replace-delete", "update", "features", "optimistic-locking-etags")),
    *(f"{_SPEC}/ogcapi-features-5/1.0/conf/{c}"
      for c in ("schemas", "core-roles-features", "sortables")),
    *(f"{_SPEC}/cql2/1.0/conf/{c}" for c in (
        "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators",
        "case-insensitive-comparison", "accent-insensitive-comparison", "basic-spatial-functions",
        "basic-spatial-functions-plus", "spatial-functions", "temporal-functions",
        "array-functions", "property-property", "arithmetic",
    )),
]  # fmt: skip
_ROOT = ("/ogc?f=html", "OGC API")


def _answer(
    request: Request, said: dict[str, Any], title: str, trail: Sequence[tuple[str, str]] = (),
    media: str = "application/json",
) -> Response:  # fmt: skip
    """Return JSON, or a page for people when the browser (or f=html) asks for it."""
    if formats.wanted(request, formats.OF_DOCUMENT | {"json": media}) == "html":
        return pages.document(title, said, trail)
    headers = {"Vary": "Accept, Authorization, Cookie"}
    return Response(orjson.dumps(said), media_type=media, headers=headers)


@router.get("/ogc", openapi_extra=described.DOCUMENT)
@router.get("/ogc/", include_in_schema=False)
async def landing(request: Request) -> Response:
    """Landing page."""
    said = {
        "title": "绿容孪生 Lvrong Twin",
        "description": "城市绿化市容要素：每一类要素一个集合 / one collection for each kind of thing",
        "links": [
            link("", "self", title="本页 This document"),
            link("?f=html", "alternate", HTML, "网页 As a page"),
            link("/api", "service-desc", OPENAPI, "接口说明 API definition"),
            link("/api?f=html", "service-doc", HTML, "接口文档 API documentation"),
            link("/conformance", "conformance", title="符合性 Conformance"),
            link("/conformance", CONFORMANCE, title="符合性 Conformance"),
            link("/collections", "data", title="集合 Collections"),
            link("/collections", DATA, title="集合 Collections"),
            *(one for more in others.landing for one in more()),
        ],
    }
    return _answer(request, said, "绿容孪生 OGC API")


@router.get("/ogc/conformance", openapi_extra=described.DOCUMENT)
async def conformance(request: Request) -> Response:
    """What this service conforms to."""
    said = {
        "conformsTo": [*CONFORMS, *others.conforms],
        "links": [link("/conformance", "self"), link("/conformance?f=html", "alternate", HTML)],
    }
    return _answer(request, said, "符合性 Conformance")


@router.get("/ogc/api", openapi_extra=described.API)
async def api(request: Request, actor: Caller) -> Response:
    """The OpenAPI description, with every collection that the caller may read."""
    if formats.wanted(request, formats.OF_DOCUMENT | {"json": OPENAPI}) == "html":
        return pages.document("接口说明 API definition", openapi.outline(await _kinds(actor)))
    raw = openapi.raw(await _kinds(actor), actor)
    return Response(raw, media_type=OPENAPI, headers={"Vary": "Accept, Authorization, Cookie"})


async def _kinds(actor: Any) -> dict[str, Kind]:
    known = catalogue.readable_now(actor)
    if known is None:
        async with db.async_engine("app").connect() as conn:
            known = await conn.run_sync(catalogue.readable, actor)
    return known


def _collection(kind: Kind, count: counts.Count | None, crs: list[str]) -> dict[str, Any]:
    path = f"/collections/{kind.kind}"
    title = f"{kind.title['zh']} {kind.title['en']}"
    found: dict[str, Any] = {
        "id": kind.kind,
        "title": title,
        "description": title,
        "itemType": "feature",
        "crs": crs,
        "storageCrs": references.CRS84,
        "links": [
            link(path, "self"),
            link(f"{path}?f=html", "alternate", HTML),
            link(f"{path}/items", "items", GEOJSON, title),
            *(link(f"{path}/items?f={form}", "items", media, title)
              for form, media in formats.OTHERS.items()),
            link(f"{path}/queryables", QUERYABLES, SCHEMA),
            link(f"{path}/sortables", SORTABLES, SCHEMA),
            link(f"{path}/schema", SCHEMA_REL, SCHEMA),
            link(f"{path}/schema", "describedby", SCHEMA),
        ],
    }  # fmt: skip
    extent: dict[str, Any] = {}
    if count and count.extent:
        extent["spatial"] = {"bbox": [list(count.extent)], "crs": references.CRS84}
    if kind.happened:
        trs = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
        extent["temporal"] = {"interval": [[None, None]], "trs": trs}
    return found | ({"extent": extent} if extent else {})


@router.get("/ogc/collections", openapi_extra=described.DOCUMENT)
async def collections(request: Request, actor: Caller) -> Response:
    """List the kinds that the caller may read."""
    async with db.async_engine("app").connect() as conn:
        known = await conn.run_sync(catalogue.readable, actor)
        held = await conn.run_sync(counts.of_kinds, actor, known)
    listed = [_collection(kind, held[name], ["#/crs"]) for name, kind in known.items()]
    listed += [make() for make in others.extra]
    said = {
        "links": [link("/collections", "self"), link("/collections?f=html", "alternate", HTML)],
        "crs": references.uris(),
        "numberMatched": len(listed),
        "numberReturned": len(listed),
        "collections": listed,
    }
    return _answer(request, said, "集合 Collections")


@router.get("/ogc/collections/{collectionId}", openapi_extra=described.OF_COLLECTION)
async def collection(request: Request, actor: Caller) -> Response:
    """Describe one kind."""
    kind = await kind_of(actor, request.path_params["collectionId"])
    async with db.async_engine("app").connect() as conn:
        held = await conn.run_sync(counts.of_kinds, actor, {kind.kind: kind})
    said = _collection(kind, held[kind.kind], references.uris())
    return _answer(request, said, said["title"], [("/ogc/collections?f=html", "集合 Collections")])


@router.get("/ogc/collections/{collectionId}/queryables", openapi_extra=described.OF_COLLECTION)
async def queryables(request: Request, actor: Caller) -> Response:
    """Say what a filter over this collection may name, as JSON Schema."""
    return await _schema(request, actor, "queryables")


@router.get("/ogc/collections/{collectionId}/sortables", openapi_extra=described.OF_COLLECTION)
async def sortables(request: Request, actor: Caller) -> Response:
    """Say what this collection may be sorted by, as JSON Schema."""
    return await _schema(request, actor, "sortables")


@router.get("/ogc/collections/{collectionId}/schema", openapi_extra=described.OF_COLLECTION)
async def schema(request: Request, actor: Caller) -> Response:
    """Say what a feature of this collection holds and takes, as JSON Schema."""
    return await _schema(request, actor, "schema")


async def _schema(request: Request, actor: Any, which: str) -> Response:
    kind = await kind_of(actor, request.path_params["collectionId"])
    path = f"/collections/{kind.kind}"
    said = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": url(f"{path}/{which}"),
        "type": "object",
        "title": f"{kind.title['zh']} {kind.title['en']}",
        **schemas.MAKERS[which](kind, actor),
    }
    trail = [("/ogc/collections?f=html", "集合 Collections"), (f"/ogc{path}?f=html", said["title"])]
    return _answer(request, said, f"{said['title']} · {which}", trail, SCHEMA)


@router.get("/def/crs/{name}", openapi_extra=described.DEFINITION)
async def definition(name: str, request: Request) -> Response:
    """Define a CRS that has no URI but ours."""
    said = references.definition(name)
    if said is None:
        raise NotFound("There is no such CRS; ours are sh2000, gcj02 and bd09.")
    return _answer(request, said, said["title"])
