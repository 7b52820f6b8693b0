"""OGC API Features over every kind: core, and filters in CQL2: /ogc."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime as moment_type
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.exc import DataError

from services.features import pages, repository
from services.features.crs import CRS84, named
from services.web import collections as others
from services.web.auth import Caller
from services.web.params import Moment, box, moment
from twin import catalogue, counts, db, filters, versions
from twin.errors import BadRequest, FilterError, NotFound
from twin.kinds import Kind
from twin.scope import Actor
from twin.settings import settings

router = APIRouter(prefix="/ogc", tags=["OGC API Features"])
CONFORMS = [
    f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{c}"
    for c in ("core", "geojson", "html", "oas30")
] + [
    f"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/{c}"
    for c in ("queryables", "filter", "features-filter")
] + [
    f"http://www.opengis.net/spec/cql2/1.0/conf/{c}"
    for c in (
        "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators",
        "case-insensitive-comparison", "accent-insensitive-comparison", "basic-spatial-functions",
        "basic-spatial-functions-plus", "spatial-functions", "temporal-functions",
        "array-functions", "property-property", "arithmetic",
    )
]  # fmt: skip
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
FILTER = ("filter", "filter-lang", "filter-crs")
KNOWN = frozenset({"bbox", "datetime", "limit", "after", "f", *FILTER})
MAX_LIMIT = 10000


def _url(path: str = "") -> str:
    return f"{settings().public_url}/ogc{path}"


def _link(path: str, rel: str, kind: str = "application/json", title: str = "") -> dict[str, str]:
    return {"href": _url(path), "rel": rel, "type": kind, "title": title or rel}


def _answer(
    request: Request, form: str | None, said: dict[str, Any], title: str
) -> Response | dict[str, Any]:
    """Return JSON, or a page for people when the browser (or f=html) asks for it."""
    if form not in (None, "json", "html"):
        raise BadRequest("f is json or html here.")
    accepts = request.headers.get("accept", "")
    if form == "html" or (form is None and "text/html" in accepts):
        return Response(pages.page(title, said), media_type="text/html")
    return said


@router.get("", response_model=None)
@router.get("/", response_model=None)
def landing(request: Request, f: str | None = None) -> Response | dict[str, Any]:
    """Landing page."""
    said = {
        "title": "绿容孪生 Lvrong Twin",
        "description": "城市绿化市容要素：每一类要素一个集合 / one collection for each kind of thing",
        "links": [
            _link("", "self"),
            _link("/api", "service-desc", "application/vnd.oai.openapi+json;version=3.0"),
            _link("/conformance", "conformance"),
            _link("/collections", "data"),
        ],
    }
    return _answer(request, f, said, "OGC API")


@router.get("/conformance", response_model=None)
def conformance(request: Request, f: str | None = None) -> Response | dict[str, Any]:
    """What this service conforms to."""
    return _answer(request, f, {"conformsTo": CONFORMS + others.conforms}, "Conformance")


@router.get("/api")
def api(request: Request) -> Response:
    """The OpenAPI description."""
    raw = json.dumps(request.app.openapi(), ensure_ascii=False)
    return Response(raw, media_type="application/vnd.oai.openapi+json;version=3.0")


def _collection(kind: Kind, count: counts.Count) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": kind.kind,
        "title": f"{kind.title['zh']} {kind.title['en']}",
        "description": kind.title["zh"],
        "itemType": "feature",
        "crs": [CRS84],
        "links": [
            _link(f"/collections/{kind.kind}", "self"),
            _link(f"/collections/{kind.kind}/items", "items", GEOJSON),
            _link(f"/collections/{kind.kind}/queryables", QUERYABLES, SCHEMA),
        ],
    }
    if count.extent:
        found["extent"] = {"spatial": {"bbox": [list(count.extent)], "crs": CRS84}}
    return found


@router.get("/collections", response_model=None)
async def collections(
    request: Request, actor: Caller, f: str | None = None
) -> Response | dict[str, Any]:
    """List the kinds that the caller may read."""
    async with db.async_engine("app").connect() as conn:
        known = await conn.run_sync(catalogue.readable, actor)
        held = await conn.run_sync(counts.of_kinds, actor, known)
    said = [_collection(kind, held[name]) for name, kind in known.items()]
    said += [make() for make in others.extra]
    return _answer(
        request, f, {"links": [_link("/collections", "self")], "collections": said}, "Collections"
    )


@router.get("/collections/{name}", response_model=None)
async def collection(
    name: str, request: Request, actor: Caller, f: str | None = None
) -> Response | dict[str, Any]:
    """Describe one kind."""
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
        held = await conn.run_sync(counts.of_kinds, actor, {name: kind})
    said = _collection(kind, held[name])
    return _answer(request, f, said, name)


@router.get("/collections/{name}/queryables", response_model=None)
async def queryables(
    name: str, request: Request, actor: Caller, f: str | None = None
) -> Response | dict[str, Any]:
    """Say what a filter over this collection may name, as JSON Schema."""
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
    said = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _url(f"/collections/{name}/queryables"),
        "type": "object",
        "title": f"{kind.title['zh']} {kind.title['en']}",
        "properties": filters.queryables(kind, catalogue.fields(kind, actor)),
        "additionalProperties": False,
    }
    if isinstance(found := _answer(request, f, said, name), Response):
        return found
    return Response(json.dumps(said, ensure_ascii=False), media_type=SCHEMA)


class Filter:
    """The filter of a request: what it says, in which language and CRS."""

    def __init__(
        self,
        said: Annotated[str | None, Query(alias="filter")] = None,
        lang: Annotated[filters.Lang, Query(alias="filter-lang")] = "cql2-text",
        crs: Annotated[str | None, Query(alias="filter-crs", max_length=120)] = None,
    ) -> None:
        """Take the three parameters of Part 3."""
        self.said, self.lang = said, lang
        self.crs, self.swap = named(crs)

    def over(self, kind: Kind, actor: Actor) -> repository.Filter | None:
        """Return the filter over the rows of a kind, with the fields that the actor may see."""
        said = self.said
        if said is None:
            return None
        names = catalogue.fields(kind, actor)
        return lambda source: filters.compile_filter(
            said, source, kind, lang=self.lang, crs=self.crs, swap=self.swap, names=names
        )


async def _rows(conn: Any, statement: Any) -> Any:
    """Run a statement; what the arithmetic of a filter cannot hold is the asker's to mend."""
    try:
        return await conn.execute(statement)
    except DataError as why:
        raise FilterError("The arithmetic of the filter goes beyond what numbers hold.") from why


def _equals(kind: Kind, actor: Actor, request: Request) -> dict[str, str]:
    """Return the filters of the query; an unknown parameter is refused, as the standard asks."""
    allowed = {*repository.HEADER, *catalogue.fields(kind, actor)} - {"updated_at"}
    found = {}
    for key, value in request.query_params.items():
        if key in KNOWN:
            continue
        if key not in allowed:
            raise BadRequest(f"There is no parameter {key!r} for {kind.kind}.", parameter=key)
        found[key] = value
    return found


def _one_moment(said: str | None) -> Any:
    if said and "/" in said:
        raise BadRequest("Give one moment, not an interval: this collection shows a state.")
    return moment(said)


@router.get("/collections/{name}/items", response_model=None)
async def items(
    name: str,
    request: Request,
    actor: Caller,
    filtered: Annotated[Filter, Depends()],
    bbox: Annotated[str | None, Query(max_length=160)] = None,
    datetime: Moment = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    f: str | None = None,
) -> Response:
    """Return a page of features; follow the `next` links for more."""
    limit = min(limit, MAX_LIMIT)
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
        page, count = repository.items(
            kind, actor, bbox=box(bbox), moment=_one_moment(datetime),
            equals=_equals(kind, actor, request), filtered=filtered.over(kind, actor),
            after=after, limit=limit + 1,
        )  # fmt: skip
        rows = (await _rows(conn, page)).all()
        total = (await _rows(conn, count)).scalar_one()
    shown = rows[:limit]
    following = shown[-1][0] if len(rows) > limit else None
    return _page(request, name, [row[1] for row in shown], total, following)


def _page(
    request: Request, name: str, shown: list[str], total: int, following: int | None
) -> Response:
    path = f"/collections/{name}/items"
    query = {k: v for k, v in request.query_params.items() if k != "after"}
    links = [_link(f"{path}?{urlencode(dict(request.query_params))}", "self", GEOJSON)]
    if following is not None:
        links.append(_link(f"{path}?{urlencode(query | {'after': following})}", "next", GEOJSON))
    head = {
        "type": "FeatureCollection",
        "numberMatched": total,
        "numberReturned": len(shown),
        "timeStamp": moment_type.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "links": links,
    }
    # Features are text from the database: they are joined, never parsed again.
    raw = json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [' + ",".join(shown) + "]}"
    accepts = request.headers.get("accept", "")
    form = request.query_params.get("f")
    if form == "html" or (form is None and "text/html" in accepts):
        return Response(pages.page(name, json.loads(raw)), media_type="text/html")
    if form not in (None, "json"):
        raise BadRequest("f is json or html here.")
    return Response(raw, media_type=GEOJSON)


@router.get("/collections/{name}/items/{thing_id}")
async def item(name: str, thing_id: str, actor: Caller, datetime: Moment = None) -> Response:
    """Return one feature by id or code, now or at a moment."""
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
        row = (
            await conn.execute(repository.item(kind, actor, thing_id, _one_moment(datetime)))
        ).first()
    if row is None:
        raise NotFound(f"There is no such {name}, or it is outside your districts.")
    links = [
        _link(f"/collections/{name}/items/{thing_id}", "self", GEOJSON),
        _link(f"/collections/{name}", "collection"),
        _link(f"/collections/{name}/items/{thing_id}/history", "version-history", GEOJSON),
    ]
    raw = row[1][:-1] + ', "links": ' + json.dumps(links) + "}"
    return Response(raw, media_type=GEOJSON, headers={"ETag": f'"{row[0]}"'})


@router.get("/collections/{name}/items/{thing_id}/history")
async def item_history(name: str, thing_id: str, actor: Caller) -> Response:
    """Return every version of a feature, newest first, with its lineage; removed ones as well."""
    async with db.async_engine("app").connect() as conn:
        kind = await conn.run_sync(catalogue.one, actor, name)
        found = (await conn.execute(repository.registered(kind, thing_id))).scalar()
        if found is None:
            raise NotFound(f"There is no such {name}.")
        said = await conn.run_sync(versions.collection, kind, actor, found)
    if not said["features"]:
        raise NotFound(f"There is no such {name}, or it is outside your districts.")
    said["links"] = [
        _link(f"/collections/{name}/items/{thing_id}/history", "self", GEOJSON),
        _link(f"/collections/{name}/items/{thing_id}", "canonical", GEOJSON),
    ]
    return Response(json.dumps(said, ensure_ascii=False, default=str), media_type=GEOJSON)
