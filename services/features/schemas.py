"""What a collection holds, as JSON Schema: what may be filtered, sorted, read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.features.asked import HEADER, sortable
from twin import catalogue, filters
from twin.kinds import Field, Kind
from twin.scope import Actor

_FORMATS = {"point": "geometry-point", "line": "geometry-multilinestring",
            "polygon": "geometry-multipolygon"}  # fmt: skip
_TYPES: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer"}, "number": {"type": "number"}, "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "list": {"type": "array", "items": {"type": "string"}}, "json": {},
}  # fmt: skip
_WRITABLE = ("name", "state")


def queryables(kind: Kind, actor: Actor) -> dict[str, Any]:
    """Return what a filter may name."""
    said = filters.queryables(kind, catalogue.fields(kind, actor))
    return {"properties": said, "additionalProperties": False}


def sortables(kind: Kind, actor: Actor) -> dict[str, Any]:
    """Return what a list may be sorted by."""
    fields = tuple(catalogue.fields(kind, actor))
    known = filters.queryables(kind, fields)
    return {
        "properties": {name: known[name] for name in sortable(kind, fields)},
        "additionalProperties": False,
    }


def schema(kind: Kind, actor: Actor) -> dict[str, Any]:
    """Return what a feature holds; what only the twin itself sets is read-only."""
    fields = catalogue.fields(kind, actor)
    known = filters.queryables(kind, fields)
    said: dict[str, Any] = {
        "id": {**known["id"], "readOnly": True, "x-ogc-role": "id", "x-ogc-propertySeq": 0}
    }
    if kind.geometry != "none":
        said["geometry"] = {
            "title": "geometry", "format": _FORMATS[kind.geometry],
            "x-ogc-role": "primary-geometry", "x-ogc-propertySeq": 1,
        }  # fmt: skip
    for i, name in enumerate((*HEADER, *fields), 2):
        one = (
            of_field(kind.fields[name]) if name in kind.fields else header(kind, name, known[name])
        )
        said[name] = {**one, "x-ogc-propertySeq": i}
    if kind.happened in fields:
        said[kind.happened]["x-ogc-role"] = "primary-instant"
    required = [n for n in fields if kind.fields[n].required]
    return {"properties": said, "required": required, "additionalProperties": False}


def header(kind: Kind, name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a header column."""
    if name == "state":
        return {**known, "enum": list(kind.states), "default": "active"}
    return known if name in _WRITABLE else {**known, "readOnly": True}


def of_field(field: Field) -> dict[str, Any]:
    """Return the schema of a declared field with its bounds, codes and unit."""
    said: dict[str, Any] = {
        "title": f"{field.title['zh']} {field.title['en']}",
        **_TYPES.get(field.type, {"type": "string"}),
    }
    more = {"minimum": field.min, "maximum": field.max, "pattern": field.pattern,
            "x-ogc-unit": field.unit}  # fmt: skip
    if field.codes:
        more["enum"] = list(map(str, field.codes))  # type: ignore[assignment]
    if field.codes and field.type == "list":
        said["items"] = {"type": "string", "enum": more.pop("enum")}
    return said | {k: v for k, v in more.items() if v is not None}


MAKERS: dict[str, Callable[[Kind, Actor], dict[str, Any]]] = {
    "queryables": queryables, "sortables": sortables, "schema": schema,
}  # fmt: skip
