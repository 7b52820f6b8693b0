"""HTTP doors of the data resource centre: catalogue, quality, lineage, coverage, Records, DCAT."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from layers.databases import databases
from services.catalogue import origins, records, repository, service
from services.web import collections as others
from services.web.auth import Caller, Person
from services.web.params import box, moment
from twin import catalogue as running
from twin import db, names
from twin.errors import BadRequest, NotFound

router = APIRouter(tags=["catalogue"])
others.extra.append(records.collection)
others.conforms += records.CONFORMS
others.names.add(records.COLLECTION)
Word = Annotated[str | None, Query(max_length=100)]
GEOJSON = "application/geo+json"


def _json(said: Any, kind: str = "application/json") -> Response:
    return Response(json.dumps(said, ensure_ascii=False, default=_plain), media_type=kind)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@router.get("/api/v1/catalogue")
def catalogue(
    person: Person, q: Word = None, topic: Word = None, database: Word = None, level: Word = None,
    share: Word = None, geometry: Word = None, provider: Word = None,
) -> Response:  # fmt: skip
    """Return all kinds that the caller may read, with facets to narrow them."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        found = service.Catalogue(conn, person)
        items = service.search(
            found.items(), q, topic=topic, database=database, level=level, share=share,
            geometry=geometry, provider=provider,
        )  # fmt: skip
    known = databases()
    return _json(
        {
            "items": items,
            "total": len(items),
            "topics": [{"key": k, "title": t} for k, t in service.TOPICS.items()],
            "databases": [
                {
                    "key": d.key,
                    "module": d.module,
                    "topic": d.topic,
                    "title": dict(d.title),
                    "description": dict(d.description),
                }
                for d in known.values()
            ],
        }  # fmt: skip
    )


@router.get("/api/v1/catalogue.dcat.jsonld")
def dcat(actor: Caller) -> Response:
    """Return the catalogue as DCAT, in the caller's scope."""
    with db.engine("app").connect() as conn:
        return _json(records.dcat(service.Catalogue(conn, actor)), "application/ld+json")


@router.get("/api/v1/catalogue/{name}")
def one(name: str, person: Person) -> Response:
    """Return one kind: fields, rules with what fails, sources, scores by day, links."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        found = service.Catalogue(conn, person, name)
        return _json(found.detail(found.kinds[name]))


@router.get("/api/v1/catalogue/{name}/lineage")
def lineage(name: str, person: Person) -> Response:
    """Return where the data of a kind come from and where they go, as a graph."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        kind = running.one(conn, person, name)
        things = service.Catalogue(conn, person, name).counted[name].things
        return _json(origins.graph(conn, person, kind, things))


@router.get("/api/v1/catalogue/{name}/coverage")
def coverage(name: str, person: Person, f: str = "json") -> Response:
    """Return count, density, freshness and quality of a kind by district; f=geojson for a map."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        found = service.Catalogue(conn, person, name)
        rows = found.coverage(found.kinds[name])
    if f == "geojson":
        return _json(service.features(rows, "things"), GEOJSON)
    return _json({"districts": [{k: v for k, v in r.items() if k != "shape"} for r in rows]})


@router.get("/api/v1/catalogue/{name}/failures")
def failures(
    name: str,
    person: Person,
    rule: Word = None,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=2000)] = 100,
    f: str = "json",
) -> Response:
    """Return the things of a kind that fail a rule (or any), with the reason of each."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        kind = running.one(conn, person, name)
        rows = repository.failing(conn, person, kind, rule, after, limit + 1)
        known = names.things(conn)
    quiet = repository.quiet_rules(person, kind)
    shown = [
        {**r._mapping, "district_name": known.get(r.district or ""),
         "detail": None if r.rule in quiet else r.detail}
        for r in rows[:limit]
    ]  # fmt: skip
    following = shown[-1]["num"] if len(rows) > limit else None
    if f == "geojson":
        made = [
            {"type": "Feature", "id": r["num"], "properties": r,
             "geometry": {"type": "Point", "coordinates": [r["lon"], r["lat"]]}}
            for r in shown if r["lon"] is not None
        ]  # fmt: skip
        return _json({"type": "FeatureCollection", "features": made, "next": following}, GEOJSON)
    return _json({"failures": shown, "next": following})


@router.get("/api/v1/quality/scores")
def scores(
    person: Person,
    kind: Word = None,
    district: Word = None,
    day: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None,
) -> Response:
    """Return the quality score of each kind in each district, the last one up to a day."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        known = running.readable(conn, person)
        if kind is not None:
            known = {kind: running.one(conn, person, kind)}
        rows = repository.scores(conn, person, known, day)
    return _json({"scores": [dict(r._mapping) for r in rows if district in (None, r.district)]})


@router.get("/api/v1/quality/scores.geojson")
def score_layer(person: Person, kind: Annotated[str, Query(max_length=48)]) -> Response:
    """Return the districts with the score of a kind: the layer of quality on a map."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        found = service.Catalogue(conn, person, kind)
        rows = found.coverage(found.kinds[kind])
    return _json(service.features(rows, "score"), GEOJSON)


@router.get(f"/ogc/collections/{records.COLLECTION}")
def collection() -> Response:
    """Describe the collection of records."""
    return _json(records.collection())


@router.get(f"/ogc/collections/{records.COLLECTION}/items")
def items(
    request: Request,
    actor: Caller,
    q: Annotated[str | None, Query(max_length=200)] = None,
    bbox: Annotated[str | None, Query(max_length=160)] = None,
    datetime: Annotated[str | None, Query(max_length=80)] = None,
    kind_of: Annotated[str | None, Query(alias="type", max_length=40)] = None,
    ids: Annotated[str | None, Query(max_length=2000)] = None,
    external: Annotated[str | None, Query(alias="externalIds", max_length=2000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """Return records: words of q any of, box, interval of the last change, ids."""
    _known(request)
    since, until = _interval(datetime)
    wanted, area = _names(ids, external), box(bbox)
    with db.engine("app").connect() as conn:
        found = service.Catalogue(conn, actor)
        listed = found.items()
    if kind_of not in (None, "dataset"):
        listed = []
    # The standard joins blank-separated terms of q by nearness and commas by or.
    if q:
        listed = [i for i in listed if any(service.search([i], part) for part in q.split(","))]
    listed = [
        i for i in listed
        if (wanted is None or i["kind"] in wanted) and records.matches(i, area, since, until)
    ]  # fmt: skip
    shown = listed[offset : offset + limit]
    said = {
        "type": "FeatureCollection",
        "numberMatched": len(listed),
        "numberReturned": len(shown),
        "features": [records.record(i, found.kinds[i["kind"]]) for i in shown],
        "links": _links(request, offset, limit, len(listed)),
    }
    return _json(said, GEOJSON)


_PARAMETERS = frozenset(
    {"q", "bbox", "datetime", "type", "ids", "externalIds", "limit", "offset", "f"}
)


def _known(request: Request) -> None:
    for key in request.query_params:
        if key not in _PARAMETERS:
            raise BadRequest(f"There is no parameter {key!r} for records.", parameter=key)


def _interval(said: str | None) -> tuple[Any, Any]:
    if not said:
        return None, None
    first, slash, last = said.partition("/")
    if not slash:
        return moment(first), moment(first)
    ends = [None if end in ("", "..") else moment(end) for end in (first, last)]
    return ends[0], ends[1]


def _names(ids: str | None, external: str | None) -> set[str] | None:
    if ids is None and external is None:
        return None
    found = set((ids or "").split(","))
    # An external id may carry its scheme: kind:toilet.
    found |= {part.rpartition(":")[2] for part in (external or "").split(",")}
    return found - {""}


def _links(request: Request, offset: int, limit: int, total: int) -> list[dict[str, str]]:
    path = f"{records.base()}/ogc/collections/{records.COLLECTION}/items"
    query = dict(request.query_params)
    made = [{"rel": "self", "href": f"{path}?{urlencode(query)}", "type": GEOJSON}]
    if offset + limit < total:
        following = urlencode(query | {"offset": str(offset + limit)})
        made.append({"rel": "next", "href": f"{path}?{following}", "type": GEOJSON})
    return made


@router.get(f"/ogc/collections/{records.COLLECTION}/items/{{name}}")
def item(name: str, actor: Caller) -> Response:
    """Return one record."""
    with db.engine("app").connect() as conn:
        if name not in running.readable(conn, actor):
            raise NotFound(f"There is no record {name!r} that you may see.")
        found = service.Catalogue(conn, actor, name)
        kind = found.kinds[name]
        return _json(records.record(found.item(kind), kind), GEOJSON)
