"""CQL2 filters (text and JSON): bounded, parsed by `cql2`, compiled to SQL with bound parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import cql2
from sqlalchemy import ColumnElement

from twin.errors import FilterError, TooComplex
from twin.kinds import Kind
from twin.literals import SHAPE_KEYS, Place
from twin.predicates import Compiler, Property

MAX_CHARS = 4000
MAX_BRACKETS = 8
# What the parser may try at most, in signs: each bracket around a sign doubles how often it is read
# when something further in is wrong. This many take it some 20 ms, whatever the text.
MAX_TRIES = 60_000
MAX_JSON_CHARS = 64_000
MAX_DEPTH = 16
MAX_NODES = 2000
# A text of 8 brackets may still chain hundreds of signs: `1+1+1+…` nests to the left.
MAX_CHAIN = 100
Lang = Literal["cql2-text", "cql2-json"]
_HEADER = {
    "id": "id", "num": "number", "code": "text", "name": "text", "district": "text",
    "street": "text", "state": "text", "source": "text", "source_key": "text",
    "version": "number", "valid_from": "datetime", "updated_at": "datetime",
}  # fmt: skip
_TYPES = {
    "integer": "number", "number": "number", "boolean": "boolean", "date": "date",
    "datetime": "datetime", "list": "list", "json": "json",
}  # fmt: skip


def compile_filter(
    said: str | Mapping[str, Any] | bool,
    columns: Any,
    kind: Kind,
    *,
    lang: Lang | None = None,
    crs: int | str = 4326,
    swap: bool = False,
    names: Iterable[str] | None = None,
) -> ColumnElement[bool]:
    """Return a filter over a kind as a predicate on `columns` (table, alias or subquery).

    `names` are the declared fields that the asker may use (`catalogue.fields`); None allows all,
    which is for the product's own rules. `crs` is that of literal shapes, `swap` tells that they
    are written north before east.
    """
    known = properties(columns, kind, names)
    return compile_over(said, known, lang=lang, crs=crs, swap=swap, of=kind.kind)


def compile_over(
    said: str | Mapping[str, Any] | bool,
    known: Mapping[str, Property],
    *,
    lang: Lang | None = None,
    crs: int | str = 4326,
    swap: bool = False,
    of: str = "this collection",
) -> ColumnElement[bool]:
    """Return a filter over given properties as a predicate."""
    tree = parse(said, lang)
    return Compiler(known, Place(crs, swap), of).predicate(tree)


def properties(columns: Any, kind: Kind, names: Iterable[str] | None = None) -> dict[str, Property]:
    """Return what a filter over a kind may name: header, shape and the allowed fields."""
    c = getattr(columns, "c", columns)
    known = {name: Property(c[name], said) for name, said in _HEADER.items() if name in c}
    if "geom" in c:
        known["geom"] = known["geometry"] = Property(c["geom"], "geometry")
    for name in kind.fields if names is None else names:
        field = kind.fields[name]
        if name in c:
            known[name] = Property(c[name], _TYPES.get(field.type, "text"))
    return known


def parse(said: str | Mapping[str, Any] | bool, lang: Lang | None = None) -> Any:
    """Return the CQL2 JSON of a filter, refused before it is parsed when it is beyond the bounds."""
    if isinstance(said, str):
        text = said.strip()
        if lang is None:
            lang = "cql2-json" if text.startswith("{") else "cql2-text"
        return _of_text(text) if lang == "cql2-text" else _of_json(text)
    _bound(said, MAX_DEPTH)
    return said


def _of_text(said: str) -> Any:
    if len(said) > MAX_CHARS:
        raise TooComplex(f"The filter is longer than {MAX_CHARS} characters; make it shorter.")
    if not said:
        raise FilterError("The filter is empty.")
    _brackets(said)
    try:
        tree = cql2.parse_text(said).to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError) as why:
        raise FilterError(f"The filter is no CQL2 text: {_reason(why)}") from why
    _bound(tree, MAX_CHAIN)
    return tree


def _of_json(said: str) -> Any:
    if len(said) > MAX_JSON_CHARS:
        raise TooComplex(f"The filter is longer than {MAX_JSON_CHARS} characters; make it shorter.")
    # A shape has up to five brackets of its own inside the deepest operator.
    _depth(_QUOTED_JSON.sub("", said), "[{", "]}", 2 * MAX_DEPTH + 6)
    try:
        tree = json.loads(said, parse_constant=_no_constant)
    except ValueError as why:
        raise FilterError(f"The filter is no JSON: {why}.") from why
    _bound(tree, MAX_DEPTH)
    return tree


def _no_constant(said: str) -> Any:
    raise ValueError(f"{said} is no number")


def _reason(why: Exception) -> str:
    """Return where and what of the parser's many lines."""
    lines = [line.strip() for line in str(why).splitlines() if line.strip()]
    where = next((line[4:] for line in lines if line.startswith("--> ")), "")
    what = next((line[2:] for line in lines if line.startswith("= ")), lines[0] if lines else "")
    column = where.rpartition(":")[2]
    return f"at character {column}, {what}." if column.isdigit() else f"{what}."


_SHAPE = re.compile(r"\b(?:POINT|LINESTRING|POLYGON|MULTI[A-Z]+|BBOX)\s*Z?\s*\(", re.IGNORECASE)
_RINGS = 3
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_QUOTED_JSON = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _brackets(said: str) -> None:
    """Refuse text whose brackets do not close or nest too deep: the parser's time doubles with each."""
    if "\\'" in said:
        # Readers differ on where such a text ends, and what one skips the other would parse.
        raise FilterError("Write a quotation mark inside a text twice: ''.")
    bare = _QUOTED.sub("", said)
    _depth(bare, "(", ")", MAX_BRACKETS)
    if _tries(bare) > MAX_TRIES:
        raise TooComplex(
            "The filter is too long for how deep it nests; make it flatter or shorter."
        )


def _tries(bare: str) -> int:
    """Return how many signs the parser may read at most; within a shape it reads each once."""
    tries = depth = 0
    shape: int | None = None
    starts = {found.end() - 1 for found in _SHAPE.finditer(bare)}
    for i, sign in enumerate(bare):
        if sign == ")":
            depth -= 1
            shape = None if depth == shape else shape
        elif sign == "(":
            shape = depth if shape is None and i in starts else shape
            depth += 1
        known = shape is not None and depth - shape <= _RINGS
        tries += 1 if known else 1 << depth
    return tries


def _depth(bare: str, opening: str, closing: str, most: int) -> None:
    depth = 0
    for sign in bare:
        if sign in "'\"":
            raise FilterError("A quotation mark in the filter does not close.")
        depth += (sign in opening) - (sign in closing)
        if depth > most:
            raise TooComplex(f"The filter nests deeper than {most} brackets; make it flatter.")
        if depth < 0:
            break
    if depth:
        raise FilterError("The brackets of the filter do not match.")


def _bound(tree: Any, most: int) -> None:
    """Refuse a tree of too many or too deeply nested operators; walked without recursion."""
    stack, nodes = [(tree, 1)], 0
    while stack:
        node, depth = stack.pop()
        nodes += 1
        if depth > most:
            raise TooComplex(f"The filter nests deeper than {most} operators; make it flatter.")
        if nodes > MAX_NODES:
            raise TooComplex(f"The filter has more than {MAX_NODES} parts; make it shorter.")
        if isinstance(node, Mapping):
            # Shapes are bounded by their vertices where they are read.
            stack += [(v, depth + 1) for k, v in node.items() if k not in SHAPE_KEYS]
        elif isinstance(node, list):
            # A list of arguments belongs to its operator: it is no level of its own.
            stack += [(v, depth) for v in node]


def names_in(said: str | Mapping[str, Any] | bool, lang: Lang | None = None) -> set[str]:
    """Return the property names that a filter uses."""
    found: set[str] = set()
    stack = [parse(said, lang)]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            if isinstance(node.get("property"), str):
                found.add(node["property"])
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return found


def queryables(kind: Kind, names: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema properties of what a filter over a kind may name."""
    said: dict[str, Any] = {
        name: {"title": name, **_SCHEMAS[type_]} for name, type_ in _HEADER.items()
    }
    if kind.geometry != "none":
        shape = {"point": "point", "line": "multilinestring", "polygon": "multipolygon"}
        said["geom"] = {"title": "geom", "format": f"geometry-{shape[kind.geometry]}"}
    for name in names:
        field = kind.fields[name]
        one = dict(_SCHEMAS[_TYPES.get(field.type, "text")])
        if field.type == "integer":
            one["type"] = "integer"
        if field.codes:
            one["enum"] = list(field.codes)
        for key, value in (
            ("minimum", field.min),
            ("maximum", field.max),
            ("x-ogc-unit", field.unit),
        ):
            if value is not None:
                one[key] = value
        said[name] = {"title": f"{field.title['zh']} {field.title['en']}", **one}
    return said


_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "format": "uuid"},
    "text": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "list": {"type": "array", "items": {"type": "string"}},
    "json": {"type": "object"},
}
__all__ = ["FilterError", "Lang", "Property", "TooComplex", "compile_filter", "compile_over", "names_in",
           "parse", "properties", "queryables"]  # fmt: skip
