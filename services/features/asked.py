"""What a request for features asks for, read from its query with every bound checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import shapely

from services.features import crs as references
from services.features import cursors
from services.features.crs import Reference
from services.web.params import moment
from twin import catalogue, filters
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.scope import Actor

HEADER = ("num", "code", "name", "district", "street", "state", "source", "version", "updated_at")
MAX_LIMIT = 10_000
DEFAULT_LIMIT = 100
MAX_KEYS = 4
MAX_VALUE = 1000
KNOWN = frozenset(
    {"bbox", "bbox-crs", "crs", "datetime", "limit", "after", "f", "sortby", "properties",
     "skipGeometry", "filter", "filter-lang", "filter-crs"}
)  # fmt: skip
_HEADER_TYPES = {"num": "integer", "version": "integer", "updated_at": "datetime"}
# A box is said to hold a shape for sure only this far inside its edges: the index knows 32 bits.
_SURE = 2e-5
_EVER, _ALWAYS = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
# Square degrees, a hundredth of the city: in a box below it the place of a thing says more than any other.
_NEAR = 0.0146
_NOWHERE = (200.0, 200.0, 200.0, 200.0)
_EDGES = 64


@dataclass(frozen=True)
class Box:
    """A box as the statement needs it: its form and its values."""

    form: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Filter:
    """A filter as it was written."""

    said: str
    lang: filters.Lang
    crs: str
    swap: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request for features of a kind, checked."""

    kind: Kind
    actor: Actor
    fields: tuple[str, ...]
    names: tuple[str, ...]
    geometry: bool = True
    crs: Reference = references.STORED
    limit: int = DEFAULT_LIMIT
    whole: bool = True  # no limit was asked for: files then hold all that matches
    order: tuple[tuple[str, bool], ...] = ()  # (name, descending)
    after: tuple[int, list[Any]] | None = None
    box: Box | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    happened: bool = False
    filter: Filter | None = None

    @property
    def moment(self) -> datetime | None:
        """The moment of the past that is read; None is now."""
        if self.happened or (self.since is None and self.until is None):
            return None
        return self.until or _ALWAYS

    @property
    def from_(self) -> datetime | None:
        """Where the time that is read begins; None where it is a moment."""
        if self.moment is None or self.since == self.until:
            return None
        return self.since or _EVER

    @property
    def belongs(self) -> str:
        """What a cursor of this list belongs to."""
        return f"{self.kind.kind}|{self.order}"


def read(kind: Kind, actor: Actor, query: Mapping[str, str]) -> Asked:
    """Return what a query asks of a kind; BadRequest names the parameter that cannot be used."""
    fields = tuple(catalogue.fields(kind, actor))
    order = _order(kind, fields, query.get("sortby"))
    happened = kind.happened in fields and "datetime" in query
    since, until = _interval(query.get("datetime"))
    said = Asked(
        kind=kind, actor=actor, fields=fields,
        names=_names(kind, fields, query.get("properties")),
        geometry=kind.geometry != "none" and not _flag(query, "skipGeometry"),
        crs=references.known(query.get("crs"), "crs"),
        limit=_limit(query.get("limit")), whole="limit" not in query, order=order,
        after=None, box=_box(query.get("bbox"), query.get("bbox-crs")),
        equals=_equals(kind, fields, query), since=since, until=until, happened=happened,
        filter=_filter(query),
    )  # fmt: skip
    if "after" not in query:
        return said
    num, values = cursors.read(said.belongs, query["after"])
    typed = [
        _typed(type_of(kind, name), name, v) for (name, _), v in zip(order, values, strict=True)
    ]
    return Asked(**{**vars(said), "after": (num, typed)})


def type_of(kind: Kind, name: str) -> str:
    """Return the type of a header column or field."""
    if name in kind.fields:
        return kind.fields[name].type
    return _HEADER_TYPES.get(name, "text")


def sortable(kind: Kind, fields: tuple[str, ...]) -> list[str]:
    """Return the names that a list may be ordered by."""
    return [*HEADER, *(n for n in fields if kind.fields[n].type not in ("list", "json"))]


def _names(kind: Kind, fields: tuple[str, ...], said: str | None) -> tuple[str, ...]:
    known = (*HEADER, *fields)
    if said is None:
        return known
    wanted = dict.fromkeys(n for n in said.split(",") if n)
    for name in wanted:
        if name not in known:
            raise BadRequest(
                f"{kind.kind} has no property {name[:60]!r} that you may see.",
                parameter="properties",
            )
    return tuple(n for n in known if n in wanted)


def _flag(query: Mapping[str, str], name: str) -> bool:
    said = query.get(name, "false")
    if said not in ("true", "false"):
        raise BadRequest(f"{name} is true or false.", parameter=name)
    return said == "true"


def _limit(said: str | None) -> int:
    if said is None:
        return DEFAULT_LIMIT
    if not (said.isascii() and said.isdigit()) or len(said) > 18 or int(said) < 1:
        raise BadRequest("limit is a whole number from 1.", parameter="limit")
    # The standard asks that more than is given at once means as much as is given at once.
    return min(int(said), MAX_LIMIT)


def _order(kind: Kind, fields: tuple[str, ...], said: str | None) -> tuple[tuple[str, bool], ...]:
    if said is None:
        return ()
    known, keys = set(sortable(kind, fields)), []
    for part in said.split(","):
        # A plus sign in a query arrives as a space when the client did not encode it.
        name = part.lstrip("+ -")
        if name not in known or len(part) - len(name) > 1:
            raise BadRequest(
                f"{kind.kind} cannot be sorted by {part[:60]!r}; see its sortables.",
                parameter="sortby",
            )
        keys.append((name, part.startswith("-")))
    if len(keys) > MAX_KEYS or len({name for name, _ in keys}) < len(keys):
        raise BadRequest(f"sortby takes up to {MAX_KEYS} different names.", parameter="sortby")
    return tuple(keys)


def _interval(said: str | None) -> tuple[datetime | None, datetime | None]:
    """Return both ends of a time; an instant is an interval of no length, None is open."""
    if said is None:
        return None, None
    if len(said) > 80:
        raise BadRequest("datetime is a time or an interval of two.", parameter="datetime")
    first, slash, last = said.partition("/")
    if not slash:
        at = moment(first)
        return at, at
    since, until = (None if end in ("", "..") else moment(end) for end in (first, last))
    if since and until and since > until:
        raise BadRequest("datetime: the interval ends before it begins.", parameter="datetime")
    return since, until


def _filter(query: Mapping[str, str]) -> Filter | None:
    lang = query.get("filter-lang", "cql2-text")
    if lang not in ("cql2-text", "cql2-json"):
        raise BadRequest("filter-lang is cql2-text or cql2-json.", parameter="filter-lang")
    uri = query.get("filter-crs")
    if uri is not None and len(uri) > 120:
        raise BadRequest("filter-crs is the URI of a CRS.", parameter="filter-crs")
    name, swap = references.named(uri)
    said = query.get("filter")
    return None if said is None else Filter(said, lang, name, swap)  # type: ignore[arg-type]


def _equals(kind: Kind, fields: tuple[str, ...], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the values asked for; an unknown parameter is refused, as the standard asks."""
    found = {}
    for name, value in query.items():
        if name in KNOWN:
            continue
        if name not in fields and (name not in HEADER or name == "updated_at"):
            raise BadRequest(
                f"There is no parameter {name[:60]!r} for {kind.kind}.", parameter=name[:60]
            )
        found[name] = _typed(type_of(kind, name), name, value)
    return found


def _typed(type_: str, name: str, said: Any) -> Any:
    """Return a value as its column has it."""
    if said is None:
        return None
    try:
        return _READ.get(type_, _text)(said)
    except (ValueError, OverflowError, TypeError) as why:
        raise BadRequest(f"{name}: {str(said)[:60]!r} is no {type_}.", parameter=name) from why


def _text(said: Any) -> str:
    if len(said) > MAX_VALUE or "\0" in said:
        raise ValueError
    return str(said)


def _integer(said: Any) -> int:
    made = int(said)
    if not -(2**63) <= made < 2**63:
        raise ValueError
    return made


def _number(said: Any) -> float:
    made = float(said)
    if not math.isfinite(made):
        raise ValueError
    return made


def _boolean(said: Any) -> bool:
    return {"true": True, "false": False, True: True, False: False}.get(said) or _false(said)


def _false(said: Any) -> bool:
    if said not in ("false", False):
        raise ValueError
    return False


def _datetime(said: Any) -> datetime:
    made = moment(said)
    assert made is not None
    return made


def _no(said: Any) -> Any:
    raise ValueError


_READ: dict[str, Any] = {
    "integer": _integer, "number": _number, "boolean": _boolean, "date": date.fromisoformat,
    "datetime": _datetime, "json": _no,
}  # fmt: skip


def _box(said: str | None, uri: str | None) -> Box | None:
    of = references.known(uri, "bbox-crs")
    if said is None or not said.strip():
        return None
    west, south, east, north = _corners(said, of)
    if not of.degrees or not of.plain:
        return _projected(west, south, east, north, of)
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise BadRequest("bbox lies outside the world or south is above north.", parameter="bbox")
    if west > east:
        return Box("split", {"west": west, "south": south, "east": east, "north": north})
    if west == east or south == north:
        # A box without extent is no polygon that anything could meet.
        ends = [(west, south), (east, north)]
        line = shapely.Point(ends[0]) if ends[0] == ends[1] else shapely.LineString(ends)
        return Box("shape", {"box_shape": shapely.to_wkb(line)})
    near = (east - west) * (north - south) < _NEAR
    return Box("near" if near else "box", _sure(west, south, east, north))


def _corners(said: str, of: Reference) -> list[float]:
    try:
        values = [float(v) for v in said[:400].split(",")]
    except ValueError as why:
        raise BadRequest("bbox needs numbers: west,south,east,north.", parameter="bbox") from why
    if len(values) == 6:
        values = [values[0], values[1], values[3], values[4]]
    if len(values) != 4 or not all(math.isfinite(v) for v in values):
        raise BadRequest("bbox needs four or six finite numbers.", parameter="bbox")
    if of.north_first:
        values = [values[1], values[0], values[3], values[2]]
    return values


def _sure(west: float, south: float, east: float, north: float) -> dict[str, float]:
    inner = (west + _SURE, south + _SURE, east - _SURE, north - _SURE)
    if inner[0] > inner[2] or inner[1] > inner[3]:
        inner = _NOWHERE
    said = {"west": west, "south": south, "east": east, "north": north}
    return said | dict(zip(("in_west", "in_south", "in_east", "in_north"), inner, strict=True))


def _projected(west: float, south: float, east: float, north: float, of: Reference) -> Box:
    """Return a box of another CRS as the polygon that it is in degrees."""
    if west > east or south > north or max(map(abs, (west, south, east, north))) > 1e9:
        raise BadRequest("bbox: west is beyond east, or south above north.", parameter="bbox")
    made = shapely.box(west, south, east, north)
    step = max(east - west, north - south) / _EDGES
    if step > 0:
        made = shapely.segmentize(made, step)
    if of.north_first:
        made = shapely.transform(made, lambda points: points[:, ::-1])
    found = references.stored(np.array([made], dtype=object), of)[0]
    ends = shapely.bounds(found)
    inside = np.isfinite(ends).all() and ends[0] >= -180 and ends[2] <= 180
    if not (inside and ends[1] >= -90 and ends[3] <= 90 and found.is_valid):
        raise BadRequest("bbox lies outside what its CRS can hold.", parameter="bbox-crs")
    return Box("shape", {"box_shape": shapely.to_wkb(found)})
