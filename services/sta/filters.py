"""Filters of SensorThings (OData): parsed to a tree, evaluated over entities, or made SQL for observations."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import shapely
from shapely.errors import ShapelyError

from twin.errors import FilterError, TooComplex

MAX_LENGTH = 2_000
MAX_DEPTH = 24
_TOKEN = re.compile(
    r"\s*(?:(?P<geo>geography'(?:[^']|'')*')|(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_@][\w.@]*(?:/[A-Za-z_@][\w.@]*)*)|(?P<sign>[(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge,
    "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_SQL = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_MATH: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "mod": operator.mod,
}  # fmt: skip


class Path(NamedTuple):
    """The way to a property: `Datastreams/ObservedProperty/name`."""

    parts: tuple[str, ...]


class Literal(NamedTuple):
    """A value that stands in the filter."""

    value: Any


class Call(NamedTuple):
    """An operator or function with its arguments."""

    name: str
    args: tuple[Any, ...]


def parse(text: str) -> Any:
    """Return the tree of a filter; FilterError says where it cannot be read."""
    if len(text) > MAX_LENGTH:
        raise TooComplex(f"A filter has at most {MAX_LENGTH} characters.")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise FilterError(f"The filter cannot be read at {text[at : at + 20]!r}.")
            kind = found.lastgroup or ""
            self.tokens.append((kind, found.group(kind)))
            at = found.end()
        self.at = 0
        self.depth = 0

    def whole(self) -> Any:
        made = self._or()
        if self.at < len(self.tokens):
            raise FilterError(
                f"The filter goes on where it should end: {self.tokens[self.at][1]!r}."
            )
        return made

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.at >= len(self.tokens) or (wanted and self._peek() != wanted):
            raise FilterError(
                f"The filter lacks {wanted or 'a value'} at its end or {self._peek()!r}."
            )
        self.at += 1
        return self.tokens[self.at - 1]

    def _or(self) -> Any:
        left = self._and()
        while self._peek() == "or":
            self._take()
            left = Call("or", (left, self._and()))
        return left

    def _and(self) -> Any:
        left = self._not()
        while self._peek() == "and":
            self._take()
            left = Call("and", (left, self._not()))
        return left

    def _not(self) -> Any:
        if self._peek() == "not":
            self._take()
            return Call("not", (self._not(),))
        left = self._sum()
        if self._peek() in _COMPARE:
            return Call(self._take()[1], (left, self._sum()))
        return left

    def _sum(self) -> Any:
        left = self._value()
        while self._peek() in _MATH:
            left = Call(self._take()[1], (left, self._value()))
        return left

    def _value(self) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH * 8:
            raise TooComplex("The filter is too deep.")
        kind, said = self._take()
        if said == "(":
            made = self._or()
            self._take(")")
            return made
        if kind == "name":
            return self._name(said)
        return Literal(_literal(kind, said))

    def _name(self, said: str) -> Any:
        if said in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[said])
        if self._peek() != "(":
            return Path(tuple(said.split("/")))
        self._take("(")
        args = []
        while self._peek() != ")":
            args.append(self._or())
            if self._peek() == ",":
                self._take()
        self._take(")")
        if said not in _FUNCTIONS:
            raise FilterError(f"There is no function {said}.")
        return Call(said, tuple(args))


def _literal(kind: str, said: str) -> Any:
    if kind == "geo":
        try:
            return shapely.from_wkt(said[len("geography'") : -1])
        except ShapelyError as why:
            raise FilterError("The geometry in the filter is not WKT.") from why
    if kind == "text":
        return said[1:-1].replace("''", "'")
    if kind == "time":
        return _time(said)
    if kind == "number":
        return float(said) if any(c in said for c in ".eE") else int(said)
    raise FilterError(f"The filter cannot be read at {said!r}.")


def _time(said: str) -> datetime:
    try:
        return datetime.fromisoformat(said).astimezone(UTC)
    except ValueError as why:
        raise FilterError(f"{said} is no time.") from why


def _shape(value: Any) -> Any:
    return shapely.geometry.shape(value) if isinstance(value, dict) else value


def _metres(a: Any, b: Any) -> float:
    """Return degrees between shapes, as the standard's distance on a plane does."""
    return float(shapely.distance(_shape(a), _shape(b)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "substringof": lambda part, text: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "length": len, "indexof": lambda text, part: text.find(part),
    "substring": lambda text, a, n=None: text[a:] if n is None else text[a : a + n],
    "tolower": lambda text: text.lower(), "toupper": lambda text: text.upper(),
    "trim": lambda text: text.strip(), "concat": lambda a, b: a + b,
    "year": lambda t: t.year, "month": lambda t: t.month, "day": lambda t: t.day,
    "hour": lambda t: t.hour, "minute": lambda t: t.minute, "second": lambda t: t.second,
    "now": lambda: datetime.now(UTC), "round": round,
    "floor": lambda n: n // 1, "ceiling": lambda n: -(-n // 1),
    "geo.distance": _metres, "geo.length": lambda g: float(_shape(g).length),
    "geo.intersects": lambda a, b: bool(shapely.intersects(_shape(a), _shape(b))),
    "st_equals": lambda a, b: bool(shapely.equals(_shape(a), _shape(b))),
    "st_disjoint": lambda a, b: bool(shapely.disjoint(_shape(a), _shape(b))),
    "st_touches": lambda a, b: bool(shapely.touches(_shape(a), _shape(b))),
    "st_within": lambda a, b: bool(shapely.within(_shape(a), _shape(b))),
    "st_overlaps": lambda a, b: bool(shapely.overlaps(_shape(a), _shape(b))),
    "st_crosses": lambda a, b: bool(shapely.crosses(_shape(a), _shape(b))),
    "st_intersects": lambda a, b: bool(shapely.intersects(_shape(a), _shape(b))),
    "st_contains": lambda a, b: bool(shapely.contains(_shape(a), _shape(b))),
}  # fmt: skip

Follow = Callable[[Any, tuple[str, ...]], list[Any]]


def holds(tree: Any, entity: Any, follow: Follow) -> bool:
    """Tell whether a filter holds of an entity; of a way to many, one is enough."""
    return any(value is True for value in _values(tree, entity, follow))


def _values(tree: Any, entity: Any, follow: Follow) -> list[Any]:
    if isinstance(tree, Literal):
        return [tree.value]
    if isinstance(tree, Path):
        return follow(entity, tree.parts)
    if tree.name in ("and", "or"):
        left, right = (holds(one, entity, follow) for one in tree.args)
        return [left and right if tree.name == "and" else left or right]
    if tree.name == "not":
        return [not holds(tree.args[0], entity, follow)]
    return _applied(tree, [_values(one, entity, follow) for one in tree.args])


def _applied(tree: Call, args: Sequence[list[Any]]) -> list[Any]:
    rows: list[tuple[Any, ...]] = [()]
    for values in args:
        rows = [(*row, value) for row in rows for value in values]
    found = []
    for row in rows:
        try:
            found.append(_apply(tree.name, row))
        except (TypeError, ValueError, AttributeError, ZeroDivisionError):
            continue  # what cannot be compared does not hold
    return found


def _apply(name: str, row: tuple[Any, ...]) -> Any:
    if name in _COMPARE:
        return bool(_COMPARE[name](*row))
    return _MATH[name](*row) if name in _MATH else _FUNCTIONS[name](*row)


def sql(tree: Any, columns: dict[str, str], params: dict[str, Any]) -> str:
    """Return the predicate of a filter over observations; values go into `params`."""
    if isinstance(tree, Call) and tree.name in ("and", "or"):
        return f"({f' {tree.name} '.join(sql(one, columns, params) for one in tree.args)})"
    if isinstance(tree, Call) and tree.name == "not":
        return f"(not {sql(tree.args[0], columns, params)})"
    if isinstance(tree, Call) and tree.name in _SQL:
        left, right = (_sql_value(one, columns, params) for one in tree.args)
        return f"({left} {_SQL[tree.name]} {right})"
    raise FilterError(
        "Observations are filtered by comparing phenomenonTime, resultTime and result."
    )


def _sql_value(tree: Any, columns: dict[str, str], params: dict[str, Any]) -> str:
    if isinstance(tree, Path) and tree.parts[-1] in columns and len(tree.parts) == 1:
        return columns[tree.parts[0]]
    if isinstance(tree, Call) and tree.name in _MATH and tree.name != "mod":
        sign = {"add": "+", "sub": "-", "mul": "*", "div": "/"}[tree.name]
        left, right = (_sql_value(one, columns, params) for one in tree.args)
        return f"({left} {sign} {right})"
    if isinstance(tree, Call) and tree.name == "now":
        return "now()"
    if isinstance(tree, Literal) and isinstance(tree.value, int | float | datetime):
        name = f"f{len(params)}"
        params[name] = tree.value
        kind = "timestamptz" if isinstance(tree.value, datetime) else "float8"
        return f"cast(:{name} as {kind})"
    raise FilterError(
        "Observations are filtered by comparing phenomenonTime, resultTime and result."
    )
