"""Changes and events as XML, as `changes.xsd` beside the doors describes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import shapely

NAMESPACE = "urn:lvrong:feed:1"
TYPE = "application/xml"
# For the description of a door that gives JSON, or XML on request.
ALSO: dict[int | str, dict[str, Any]] = {200: {"content": {TYPE: {"schema": {"type": "string"}}}}}
_HEAD = '<?xml version="1.0" encoding="utf-8"?>'
# XML 1.0 has no way to write these at all.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CHANGE = (
    "seq",
    "at",
    "kind",
    "key",
    "code",
    "version",
    "action",
    "reason",
    "step",
    "yours",
    "assert",
)
_EVENT = (
    "id",
    "code",
    "state",
    "version",
    "severity",
    "district",
    "opened_at",
    "due_at",
    "closed_at",
)


def changes(rows: Iterable[Mapping[str, Any]], following: str, more: bool) -> str:
    """Return a page of changes."""
    lines = [_HEAD, f'<changes xmlns="{NAMESPACE}" next="{following}" more="{_said(more)}">']
    for row in rows:
        lines.append(f"<change{_attributes(row, _CHANGE)}>")
        feature = row.get("feature")
        if feature:
            lines += _feature(feature["geometry"], feature["properties"])
        lines.append("</change>")
    return "\n".join([*lines, "</changes>"])


def events(rows: Iterable[Mapping[str, Any]], following: str | None) -> str:
    """Return a list of events."""
    more = f" next={quoteattr(following)}" if following else ""
    lines = [_HEAD, f'<events xmlns="{NAMESPACE}"{more}>']
    for row in rows:
        point = row.get("point") or [None]
        shape = {"type": "Point", "coordinates": point} if point[0] is not None else None
        rest = {k: v for k, v in row.items() if k not in (*_EVENT, "point", "actions")}
        lines.append(f"<event{_attributes(row, _EVENT)}>")
        lines += [*_feature(shape, rest), "</event>"]
    return "\n".join([*lines, "</events>"])


def _attributes(row: Mapping[str, Any], names: Iterable[str]) -> str:
    said = ((name, row.get(name)) for name in names)
    return "".join(f" {name}={quoteattr(_said(v))}" for name, v in said if v is not None)


def _feature(shape: Mapping[str, Any] | None, properties: Mapping[str, Any]) -> list[str]:
    lines = []
    if shape:
        wkt = shapely.to_wkt(shapely.from_geojson(json.dumps(shape)), rounding_precision=7)
        lines.append(f'<geometry crs="CRS84">{wkt}</geometry>')
    for name, value in properties.items():
        if value is None:
            continue
        start = f"<property name={quoteattr(name)}"
        if isinstance(value, list) and not any(isinstance(v, dict | list) for v in value):
            items = "".join(f"<item>{_text(v)}</item>" for v in value)
            lines.append(f'{start} type="list">{items}</property>')
        else:
            lines.append(f'{start} type="{_type(value)}">{_text(value)}</property>')
    return lines


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "json" if isinstance(value, dict | list) else "text"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return _UNWRITABLE.sub("\ufffd", str(value))


def _text(value: Any) -> str:
    return escape(_said(value))
