"""What NGSI-LD asks: `q` over attributes and the geo-query, read strictly and tested in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import shapely
from pyproj import Geod
from shapely.geometry import shape
from shapely.ops import nearest_points

from twin.errors import BadRequest

MOST_TERMS, MOST_POINTS = 20, 5000
_TERM = re.compile(
    r'\s*([A-Za-z_]\w{0,63})\s*(?:(==|!=|>=|<=|>|<|~=|!~=)\s*("[^"]{0,200}"|[^;|()"=<>!~\s]{1,200}))?\s*'
)
_GEOD = Geod(ellps="WGS84")
Values = Mapping[str, Any]
Test = Callable[[Values], bool]


def parse(said: str) -> Test:
    """Return the test of a `q`: terms joined by `;` (and) and `|` (or), with parentheses."""
    rest = _Rest(said)
    test = _either(rest)
    if rest.at < len(said):
        raise _bad(f"nothing is understood from {said[rest.at :][:30]!r}")
    return test


class _Rest:
    """What of a query is not read yet."""

    def __init__(self, said: str) -> None:
        self.said, self.at, self.terms = said, 0, 0

    def eat(self, sign: str) -> bool:
        """Take a sign if it comes next."""
        if self.said[self.at : self.at + 1] != sign:
            return False
        self.at += 1
        return True


def _either(rest: _Rest) -> Test:
    parts = [_both(rest)]
    while rest.eat("|"):
        parts.append(_both(rest))
    return parts[0] if len(parts) == 1 else lambda v: any(part(v) for part in parts)


def _both(rest: _Rest) -> Test:
    parts = [_one(rest)]
    while rest.eat(";"):
        parts.append(_one(rest))
    return parts[0] if len(parts) == 1 else lambda v: all(part(v) for part in parts)


def _one(rest: _Rest) -> Test:
    rest.terms += 1
    if rest.terms > MOST_TERMS:
        raise _bad(f"at most {MOST_TERMS} terms")
    if rest.eat("("):
        inner = _either(rest)
        if not rest.eat(")"):
            raise _bad("a parenthesis is not closed")
        return inner
    found = _TERM.match(rest.said, rest.at)
    if not found:
        raise _bad(f"no attribute at {rest.said[rest.at :][:30]!r}")
    rest.at = found.end()
    name, sign, value = found.groups()
    if sign is None:
        return lambda v: v.get(name) is not None
    return _compared(name, sign, value.strip())


def _compared(name: str, sign: str, said: str) -> Test:
    if sign in ("~=", "!~="):
        wanted = said.strip('"')  # a part of the text: patterns of strangers are not run
        return lambda v: (wanted in str(v.get(name) or "")) == (sign == "~=")
    if sign in ("==", "!="):
        tests = [_equal(part) for part in _split(said)]
        return lambda v: (
            v.get(name) is not None and any(t(v[name]) for t in tests) == (sign == "==")
        )
    limit = _literal(said)
    order: dict[str, Callable[[Any, Any], bool]] = {
        ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    }  # fmt: skip
    return lambda v: _comparable(v.get(name), limit) and order[sign](v[name], limit)


def _split(said: str) -> list[str]:
    return [said] if said.startswith('"') else said.split(",")


def _equal(said: str) -> Callable[[Any], bool]:
    low, dots, high = said.partition("..")
    if dots and not said.startswith('"'):
        ends = _literal(low), _literal(high)
        return lambda value: _comparable(value, ends[0]) and ends[0] <= value <= ends[1]
    wanted = _literal(said)
    return lambda value: type(value) is type(wanted) and value == wanted or (
        _comparable(value, wanted) and value == wanted
    )  # fmt: skip


def _literal(said: str) -> Any:
    said = said.strip()
    if said in ("true", "false"):
        return said == "true"
    if said.startswith('"'):
        return said.strip('"')
    try:
        return float(said)
    except ValueError:
        return said


def _comparable(value: Any, other: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (value, other))
    return numbers or (isinstance(value, str) and isinstance(other, str))


class Near(NamedTuple):
    """A geo-query made ready."""

    relation: str
    form: shapely.Geometry
    low_m: float
    high_m: float

    def holds(self, lon: float, lat: float) -> bool:
        """Tell whether a place fits."""
        point = shapely.Point(lon, lat)
        if self.relation == "near":
            end = nearest_points(self.form, point)[0]
            _, _, away = _GEOD.inv(lon, lat, end.x, end.y)
            return self.low_m <= float(away) <= self.high_m
        if self.relation == "disjoint":
            return not bool(shapely.intersects(self.form, point))
        return bool(shapely.intersects(self.form, point))


def geo(georel: str, geometry: str, coordinates: str) -> Near:
    """Return the geo-query of `georel`, `geometry` and `coordinates`."""
    relation, _, rest = georel.partition(";")
    if relation not in ("near", "within", "intersects", "disjoint"):
        raise _bad("georel is near, within, intersects or disjoint")
    low, high = 0.0, float("inf")
    if relation == "near":
        name, _, metres = rest.partition("==")
        try:
            away = float(metres)
        except ValueError:
            raise _bad("near;maxDistance==METRES or near;minDistance==METRES") from None
        if name not in ("maxDistance", "minDistance"):
            raise _bad("near;maxDistance==METRES or near;minDistance==METRES")
        low, high = (0.0, away) if name == "maxDistance" else (away, high)
    try:
        form = shape({"type": geometry, "coordinates": orjson.loads(coordinates)})
        count = shapely.get_num_coordinates(form)
        if not 0 < count <= MOST_POINTS or not form.is_valid:
            raise ValueError
    except (ValueError, TypeError, AttributeError, IndexError, shapely.errors.ShapelyError):
        raise _bad("geometry and coordinates are no geometry of GeoJSON") from None
    return Near(relation, form, low, high)


def _bad(why: str) -> BadRequest:
    return BadRequest(f"The query is not understood: {why}.")
