"""Query options of SensorThings: $top, $skip, $count, $orderby, $select, $filter, and nested $expand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.sta import filters
from twin.errors import BadRequest, TooComplex

DEFAULT_TOP = 100
MAX_TOP = 1_000
MAX_SKIP = 1_000_000
MAX_EXPANDS = 24
_KNOWN = frozenset(
    ("$top", "$skip", "$count", "$orderby", "$select", "$filter", "$expand", "$resultFormat")
)


@dataclass
class Options:
    """What was asked of one collection or entity."""

    top: int = DEFAULT_TOP
    skip: int = 0
    count: bool = False
    orderby: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    select: list[str] = field(default_factory=list)
    filter: Any = None
    expand: dict[str, Options] = field(default_factory=dict)
    array: bool = False

    @property
    def is_newest(self) -> bool:
        """True for `$top=1;$orderby=phenomenonTime desc`: the last value, which is at hand."""
        last = [(("phenomenonTime",), True)], [(("resultTime",), True)]
        return self.top == 1 and not self.skip and not self.filter and self.orderby in last


def parse(said: Mapping[str, str]) -> Options:
    """Return the options of a query; BadRequest names what is not known."""
    made = Options()
    for name, value in said.items():
        _one(made, name, value)
    if _many(made) > MAX_EXPANDS:
        raise TooComplex(f"At most {MAX_EXPANDS} expansions in one request.")
    return made


def _many(made: Options) -> int:
    return len(made.expand) + sum(_many(one) for one in made.expand.values())


def _one(made: Options, name: str, value: str) -> None:
    if name not in _KNOWN:
        raise BadRequest(f"{name} is no query option here.", parameter=name)
    if name == "$top":
        made.top = _whole(name, value, MAX_TOP)
    elif name == "$skip":
        made.skip = _whole(name, value, MAX_SKIP)
    elif name == "$count":
        made.count = value.lower() == "true"
    elif name == "$orderby":
        made.orderby = [_order(part) for part in _split(value, ",")]
    elif name == "$select":
        made.select = [part.strip() for part in value.split(",") if part.strip()]
    elif name == "$filter":
        made.filter = filters.parse(value)
    elif name == "$resultFormat":
        made.array = value == "dataArray"
    else:
        for part in _split(value, ","):
            _expand(made, part.strip())


def _whole(name: str, value: str, most: int) -> int:
    if not value.isdecimal() or len(value) > 9:
        raise BadRequest(f"{name} is a whole number.", parameter=name)
    return min(int(value), most)


def _order(part: str) -> tuple[tuple[str, ...], bool]:
    words = part.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[1] not in ("asc", "desc")):
        raise BadRequest(
            "$orderby is a list of properties, each with asc or desc.", parameter="$orderby"
        )
    return tuple(words[0].split("/")), len(words) == 2 and words[1] == "desc"


def _expand(made: Options, part: str) -> None:
    head, bracket, inner = part.partition("(")
    path = head.strip().split("/")
    given: dict[str, str] = {}
    if bracket:
        if not inner.endswith(")"):
            raise BadRequest("$expand lacks a bracket.", parameter="$expand")
        for option in _split(inner[:-1], ";"):
            name, _, value = option.strip().partition("=")
            given[name] = value
    here = made
    for name in path[:-1]:
        here = here.expand.setdefault(name, Options())
    known = here.expand.get(path[-1])
    found = parse(given)
    if known is not None:
        found.expand = {**known.expand, **found.expand}
    here.expand[path[-1]] = found


def _split(said: str, sign: str) -> list[str]:
    """Return the parts between signs that stand outside of brackets and quotes."""
    parts, depth, quoted, begin = [], 0, False, 0
    for i, letter in enumerate(said):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if depth > 8:
                raise TooComplex("The query nests too deep.")
            if letter == sign and depth == 0:
                parts.append(said[begin:i])
                begin = i + 1
    return [part for part in (*parts, said[begin:]) if part.strip()]
