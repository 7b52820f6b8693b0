"""HTTP doors of the features of a kind: pages, one feature, its history."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import shapely
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from services.features import asked as query
from services.features import cursors, described, formats, pages, repository
from services.features.asked import Asked
from services.features.crs import written
from services.features.direct import Direct
from services.features.links import GEOJSON, link
from services.web.auth import Caller, caller
from twin import catalogue, db, pool, versions
from twin.errors import BadRequest, FilterError, NotFound
from twin.kinds import Kind
from twin.scope import Actor

router = APIRouter(prefix="/ogc", tags=["OGC API Features"], route_class=Direct)
history = APIRouter(prefix="/ogc", tags=["OGC API Features"])
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}


async def kind_of(actor: Actor, name: str) -> Kind:
    """Return a kind that the actor may read; NotFound otherwise."""
    found = catalogue.one_now(actor, name)
    if found is not None:
        return found

    def ask() -> Kind:
        with db.engine("app").connect() as conn:
            return catalogue.one(conn, actor, name)

    return await run_in_threadpool(ask)


@router.get("/collections/{collectionId}/items", openapi_extra=described.ITEMS)
async def items(request: Request) -> Response:
    """Return a page of features; follow the `next` links for more."""
    actor = await caller(request)
    kind = await kind_of(actor, request.path_params["collectionId"])
    params = request.query_params
    form = formats.wanted(request, formats.OF_ITEMS)
    asked = query.read(kind, actor, params)
    if form in formats.FILES:
        return await run_in_threadpool(formats.file, asked, form, dict(params))
    rows = await _rows(asked, *await _prepared(asked))
    matched, rows = int(rows[0][0]), [r for r in rows if r[1] is not None]
    shown = rows[: asked.limit]
    features = await _features(asked, [r[2 + len(asked.order) :] for r in shown])
    head = _head(asked, request.url.query, matched, shown, len(rows) > asked.limit)
    if form == "html":
        return await run_in_threadpool(pages.items, asked, head, features, request)
    # Features are text from the database: they are joined, never parsed again.
    raw = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    body = b"".join((raw[:-1], b',"features":[', b",".join(features), b"]}"))
    return Response(body, media_type=GEOJSON, headers=_headers(asked, head["links"]))


async def _prepared(asked: Asked) -> Any:
    # To read and compile a filter takes a while: the loop goes on meanwhile.
    if asked.filter is not None:
        return await run_in_threadpool(repository.page, asked)
    return repository.page(asked)


async def _rows(asked: Asked, prepared: pool.Prepared, values: dict[str, Any]) -> Any:
    """Run a statement; what the arithmetic of a filter cannot hold is the asker's to mend."""
    try:
        async with pool.connection("app") as conn:
            return await pool.fetch(conn, prepared, values)
    except psycopg.DataError as why:
        if asked.filter is None:
            raise
        raise FilterError("The arithmetic of the filter goes beyond what numbers hold.") from why


async def _features(asked: Asked, rows: list[tuple[Any, ...]]) -> list[bytes]:
    if asked.geometry and asked.crs.srid is None:
        return await run_in_threadpool(_transformed, asked, rows)
    return [row[0] for row in rows]


def _transformed(asked: Asked, rows: list[tuple[Any, ...]]) -> list[bytes]:
    """Return features whose coordinates are reckoned here: our own references are not SQL's."""
    if not rows:
        return []
    ids, raw, said = zip(*rows, strict=True)
    shapes = np.asarray(shapely.from_wkb(np.array(raw, dtype=object)), dtype=object)
    shapes = written(shapes, asked.crs)
    texts = [shapely.to_geojson(s) if s is not None else "null" for s in shapes]
    return [
        f'{{"type":"Feature","id":"{i}","geometry":{g},"properties":{p}}}'.encode()
        for i, g, p in zip(ids, texts, said, strict=True)
    ]


def _head(asked: Asked, raw: str, matched: int, shown: list[Any], more: bool) -> dict[str, Any]:
    """Return what stands before the features; `raw` is the query as it was sent."""
    path = f"/collections/{asked.kind.kind}/items"
    parts = [p for p in raw.split("&") if p]
    bare = "".join(f"{p}&" for p in parts if not p.startswith(("after=", "f=")))
    links = [link(f"{path}?{raw}" if raw else path, "self", GEOJSON)]
    for form, media in formats.OTHERS.items():
        links.append(link(f"{path}?{bare}f={form}", "alternate", media, form))
    links.append(link(f"/collections/{asked.kind.kind}", "collection"))
    if more:
        last = shown[-1]
        after = cursors.made(asked.belongs, last[1], last[2 : 2 + len(asked.order)])
        kept = "".join(f"{p}&" for p in parts if not p.startswith("after="))
        links.append(link(f"{path}?{kept}after={after}", "next", GEOJSON))
    return {
        "type": "FeatureCollection",
        "numberMatched": matched,
        "numberReturned": len(shown),
        "timeStamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "links": links,
    }


def _headers(asked: Asked, links: list[dict[str, str]]) -> dict[str, str]:
    following = [f'<{one["href"]}>; rel="next"' for one in links if one["rel"] == "next"]
    said = {**PRIVATE, "Content-Crs": f"<{asked.crs.uri}>"}
    return said | {"Link": following[0]} if following else said


@router.get("/collections/{collectionId}/items/{featureId}", openapi_extra=described.ITEM)
async def item(request: Request) -> Response:
    """Return one feature by id or code, now or at a moment."""
    actor = await caller(request)
    name, key = request.path_params["collectionId"], request.path_params["featureId"]
    kind = await kind_of(actor, name)
    params = request.query_params
    form = formats.wanted(request, formats.OF_ITEM)
    for one in params:
        if one not in ("crs", "datetime", "f", "properties", "skipGeometry"):
            raise BadRequest(
                f"There is no parameter {one[:60]!r} for a feature.", parameter=one[:60]
            )
    # Of one feature the time always means how it stood then, a record's as well.
    asked = replace(query.read(kind, actor, params), happened=False)
    if len(key) > 200 or "\0" in key:
        raise NotFound(f"There is no such {name}.")
    version, feature = await single(kind, actor, key, asked)
    etag = f'"{version}"'
    headers = {**PRIVATE, "ETag": etag, "Content-Crs": f"<{asked.crs.uri}>"}
    if form == "json" and etag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    path = f"/collections/{name}/items/{key}"
    links = [
        link(path, "self", GEOJSON),
        link(f"{path}?f=html", "alternate", "text/html"),
        link(f"/collections/{name}", "collection"),
        link(f"{path}/history", "version-history", GEOJSON),
    ]
    if form == "html":
        return await run_in_threadpool(pages.item, asked, feature, links, request)
    raw = feature[:-1] + b',"links":' + json.dumps(links, ensure_ascii=False).encode() + b"}"
    return Response(raw, media_type=GEOJSON, headers=headers)


async def single(kind: Kind, actor: Actor, key: str, asked: Asked) -> tuple[int, bytes]:
    """Return the version and the text of one feature; NotFound when the actor sees none."""
    rows = await _rows(asked, *repository.one(kind, actor, key, asked))
    if not rows:
        raise NotFound(f"There is no such {kind.kind}, or it is outside your districts.")
    (feature,) = await _features(asked, [rows[0][1:]])
    return rows[0][0], feature


@history.get("/collections/{collectionId}/items/{featureId}/history")
async def item_history(collectionId: str, featureId: str, actor: Caller) -> Response:
    """Return every version of a feature, newest first, with its lineage; removed ones as well."""
    name, key = collectionId, featureId
    if len(key) > 200 or "\0" in key:
        raise NotFound(f"There is no such {name}.")
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
        found = (await conn.execute(repository.registered(kind, key))).scalar()
        if found is None:
            raise NotFound(f"There is no such {name}.")
        said = await conn.run_sync(versions.collection, kind, actor, found)
    if not said["features"]:
        raise NotFound(f"There is no such {name}, or it is outside your districts.")
    said["links"] = [
        link(f"/collections/{name}/items/{key}/history", "self", GEOJSON),
        link(f"/collections/{name}/items/{key}", "canonical", GEOJSON),
    ]
    raw = json.dumps(said, ensure_ascii=False, default=str)
    return Response(raw, media_type=GEOJSON, headers=PRIVATE)
