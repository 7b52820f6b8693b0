"""HTTP doors of SensorThings 1.1: /sta/v1.1, its entity sets and the ways between them."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import JSONResponse, PlainTextResponse

from services.sta import filters, making, options
from services.sta.options import Options
from services.sta.world import SETS, Entity, World
from services.web.auth import Person
from twin import db
from twin.errors import BadRequest, NotFound
from twin.settings import settings

router = APIRouter(prefix="/sta/v1.1", tags=["sensorthings"])
MAX_SEGMENTS = 8
_SEGMENT = re.compile(r"(\w+|\$ref|\$value)(?:\((?:'((?:[^']|'')*)'|(-?\d+))\))?")
CONFORMANCE = [
    "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/resource-path/resource-path-to-entities",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/request-data",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/data-array/data-array",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/create-observations-via-mqtt/observations-creation",
]
_Path = Annotated[str, Path(max_length=400)]


def _base() -> str:
    return f"{settings().public_url.rstrip('/')}/sta/v1.1"


@router.get("")
@router.get("/")
def root() -> dict[str, Any]:
    """Return the entity sets and what of the standard is served."""
    return {
        "value": [{"name": name, "url": f"{_base()}/{name}"} for name in SETS],
        "serverSettings": {"conformance": CONFORMANCE},
    }


@router.get("/{path:path}")
def read(path: _Path, request: Request, person: Person) -> Response:
    """Return an entity set, an entity, a property of it, or where it leads to."""
    person.need("map.read")
    asked = options.parse(dict(request.query_params))
    segments = [segment for segment in path.split("/") if segment]
    if not segments or len(segments) > MAX_SEGMENTS:
        raise NotFound("There is no such resource.")
    with db.engine("app").connect() as conn:
        return _Walk(World(conn, person), asked, request).go(segments)


@router.post("/Observations", status_code=201)
def create(said: dict[str, Any], person: Person, response: Response) -> None:
    """Store one observation of the datastream that it names; 201 means committed."""
    of = said.get("Datastream")
    key = of.get("@iot.id") if isinstance(of, dict) else None
    response.headers["location"] = making.one(person, key, said)


@router.post("/Datastreams({key})/Observations", status_code=201)
def create_in(key: _Path, said: dict[str, Any], person: Person, response: Response) -> None:
    """Store one observation of a datastream; 201 means committed."""
    response.headers["location"] = making.one(person, key.strip("'"), said)


@router.post("/CreateObservations", status_code=201)
def create_many(said: list[making.Table], person: Person) -> list[str]:
    """Store observations given as tables (the standard's data arrays); each line is answered."""
    return making.many(person, said)


class _Walk:
    """One request on its way along the path."""

    def __init__(self, world: World, asked: Options, request: Request) -> None:
        self.world, self.asked = world, asked
        self.path, self.query = request.url.path, dict(request.query_params)

    def go(self, segments: list[str]) -> Response:
        name, key = _parsed(segments[0])
        if name not in SETS:
            raise NotFound(f"There is no entity set {name}.")
        if key is None:
            if len(segments) > 1 and segments[1:] != ["$ref"]:
                raise NotFound("A set is followed by nothing but $ref.")
            return self._collection(name, None, ref=len(segments) > 1)
        entity = self.world.one(name, key)
        return self._from(name, entity, segments[1:])

    def _from(self, name: str, entity: Entity, rest: list[str]) -> Response:
        if not rest:
            return JSONResponse(self._shown(name, entity, self.asked))
        head, key = _parsed(rest[0])
        ways = SETS[name][1]
        if head not in ways:
            return self._property(entity, head, rest[1:])
        target, is_one = ways[head]
        if key is not None and not is_one:
            one = self.world.one(target, key)
            if target != "Observations" and one not in self.world.linked(name, entity, head):
                raise NotFound(f"That {SETS[target][0]} does not belong here.")
            return self._from(target, one, rest[1:])
        if is_one:
            found = self.world.linked(name, entity, head)
            if not found:
                raise NotFound(f"There is no {head} here.")
            return self._from(target, found[0], rest[1:])
        if rest[1:] not in ([], ["$ref"]):
            raise NotFound("A set is followed by nothing but $ref.")
        return self._collection(target, (name, entity, head), ref=len(rest) > 1)

    def _property(self, entity: Entity, name: str, rest: list[str]) -> Response:
        if name.startswith("_") or name not in entity or rest not in ([], ["$value"]):
            raise NotFound(f"There is no property {name} here.")
        if rest:
            value = entity[name]
            return JSONResponse(value) if isinstance(value, dict) else PlainTextResponse(str(value))
        return JSONResponse({name: entity[name]})

    def _collection(
        self, name: str, parent: tuple[str, Entity, str] | None, *, ref: bool = False
    ) -> Response:
        found, count, more = self._page(name, parent, self.asked)
        made: dict[str, Any] = {}
        if count is not None:
            made["@iot.count"] = count
        if more:
            made["@iot.nextLink"] = self._next()
        if ref:
            made["value"] = [{"@iot.selfLink": _link(name, one)} for one in found]
        elif self.asked.array and name == "Observations":
            made["value"] = [_array(found)] if found else []
        else:
            made["value"] = [self._shown(name, one, self.asked) for one in found]
        return JSONResponse(made)

    def _page(
        self, name: str, parent: tuple[str, Entity, str] | None, asked: Options
    ) -> tuple[list[Entity], int | None, bool]:
        if name == "Observations":
            return self.world.observations(self._stream(parent, asked), asked)
        found = self.world.linked(*parent) if parent else list(self.world.all(name).values())
        follow = self.world.follow(name)
        if asked.filter is not None:
            found = [one for one in found if filters.holds(asked.filter, one, follow)]
        for way, down in reversed(asked.orderby):
            found = sorted(found, key=lambda one, w=way: _order(follow(one, w)), reverse=down)  # type: ignore[misc]
        end = asked.skip + asked.top
        return found[asked.skip : end], len(found) if asked.count else None, len(found) > end

    def _stream(self, parent: tuple[str, Entity, str] | None, asked: Options) -> Entity:
        """Return the datastream whose observations are meant: of the path, or named by the filter."""
        if parent and parent[0] == "Datastreams":
            return parent[1]
        key, asked.filter = _named_stream(asked.filter)
        if key is None:
            raise BadRequest(
                "Ask for the observations of a datastream: Datastreams('…')/Observations, or "
                "$filter=Datastream/id eq '…'."
            )
        return self.world.one("Datastreams", key)

    def _shown(self, name: str, entity: Entity, asked: Options) -> dict[str, Any]:
        wanted = set(asked.select)
        made: dict[str, Any] = {}
        if not wanted or wanted & {"id", "@iot.id"}:
            made = {"@iot.id": entity["@iot.id"], "@iot.selfLink": _link(name, entity)}
        made |= {
            key: value for key, value in entity.items()
            if not key.startswith(("_", "@")) and (not wanted or key in wanted)
        }  # fmt: skip
        for way, (target, is_one) in SETS[name][1].items():
            if way in asked.expand:
                made |= self._expanded(name, entity, way, target, is_one, asked.expand[way])
            elif not wanted or way in wanted:
                made[f"{way}@iot.navigationLink"] = f"{_link(name, entity)}/{way}"
        unknown = set(asked.expand) - set(SETS[name][1])
        if unknown:
            raise BadRequest(f"{name} leads to no {', '.join(unknown)}.", parameter="$expand")
        return made

    def _expanded(
        self, name: str, entity: Entity, way: str, target: str, is_one: bool, asked: Options
    ) -> dict[str, Any]:
        if is_one:
            found = self.world.linked(name, entity, way)
            return {way: self._shown(target, found[0], asked) if found else None}
        found, count, more = self._page(target, (name, entity, way), asked)
        made: dict[str, Any] = {way: [self._shown(target, one, asked) for one in found]}
        if count is not None:
            made[f"{way}@iot.count"] = count
        if more:
            made[f"{way}@iot.nextLink"] = (
                f"{_link(name, entity)}/{way}?$skip={asked.skip + asked.top}&$top={asked.top}"
            )
        return made

    def _next(self) -> str:
        said = dict(self.query)
        said["$skip"] = str(self.asked.skip + self.asked.top)
        said["$top"] = str(self.asked.top)
        return f"{settings().public_url.rstrip('/')}{quote(self.path)}?{urlencode(said, quote_via=quote, safe='$')}"


def _parsed(segment: str) -> tuple[str, Any]:
    found = _SEGMENT.fullmatch(segment)
    if not found:
        raise NotFound(f"{segment[:40]!r} is no resource.")
    name, text, number = found.groups()
    if text is not None:
        return name, text.replace("''", "'")
    return name, int(number) if number is not None else None


def _link(name: str, entity: Entity) -> str:
    key = entity["@iot.id"]
    said = str(key) if isinstance(key, int) else f"'{key}'"
    return f"{_base()}/{name}({said})"


def _order(values: list[Any]) -> tuple[bool, str, Any]:
    """Return what a list is sorted by: numbers among numbers, texts among texts, nothing first."""
    value = values[0] if values else None
    return (
        value is not None,
        type(value).__name__ if not isinstance(value, int | float) else "",
        value,
    )


def _named_stream(tree: Any) -> tuple[Any, Any]:
    """Return the datastream that a filter names, and what is left of the filter."""
    if isinstance(tree, filters.Call) and tree.name == "and":
        for mine, other in (tree.args, tree.args[::-1]):
            key, rest = _named_stream(mine)
            if key is not None:
                return key, other if rest is None else filters.Call("and", (rest, other))
    if isinstance(tree, filters.Call) and tree.name == "eq":
        for way, said in (tree.args, tree.args[::-1]):
            if isinstance(way, filters.Path) and way.parts in (
                ("Datastream", "id"),
                ("Datastream", "@iot.id"),
            ):
                return (said.value if isinstance(said, filters.Literal) else None), None
    return None, tree


def _array(found: list[Entity]) -> dict[str, Any]:
    """Return observations as a table: a third of the bytes."""
    names = ["phenomenonTime", "resultTime", "result"]
    return {
        "Datastream@iot.navigationLink": f"{_link('Observations', found[0])}/Datastream",
        "components": ["id", *names],
        "dataArray@iot.count": len(found),
        "dataArray": [[one["@iot.id"], *(one[name] for name in names)] for one in found],
    }
