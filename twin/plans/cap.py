"""A warning read from XML: CAP 1.2 as it stands, or a sender's own dialect of it (`data/warnings`)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import shapely

from twin import declarations
from twin.errors import BadRequest

CAP = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_BYTES, MAX_POSITIONS = 1 << 20, 20_000
COLORS = {"红": 1, "red": 1, "橙": 2, "orange": 2, "黄": 3, "yellow": 3, "蓝": 4, "blue": 4}
NAMES = {1: "red", 2: "orange", 3: "yellow", 4: "blue"}
_SEVERITY = {"Extreme": 1, "Severe": 2, "Moderate": 3, "Minor": 4}
_TYPES = {"Alert": "alert", "Update": "update", "Cancel": "cancel"}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a sender names what CAP says."""

    key: str
    namespace: str
    fields: Mapping[str, tuple[str, ...]]
    colors: Mapping[str, int]
    events: Mapping[str, str]
    offset: str | None = None

    def text(self, element: ET.Element, name: str) -> str:
        """Return the text of a field, under the first of its names that is there."""
        space = f"{{{self.namespace}}}" if self.namespace else ""
        for one in self.fields.get(name, (name,)):
            said = (element.findtext(f"{space}{one}") or "").strip()
            if said:
                return said
        return ""

    def all(self, element: ET.Element, name: str) -> list[ET.Element]:
        """Return the parts of a name."""
        space = f"{{{self.namespace}}}" if self.namespace else ""
        return element.findall(f"{space}{name}")

    def needed(self, element: ET.Element, name: str) -> str:
        """Return the text of a field that must be there."""
        said = self.text(element, name)
        if not said:
            raise BadRequest(f"The warning has no {self.fields.get(name, (name,))[0]}.")
        return said

    def moment(self, said: str) -> datetime | None:
        """Return a moment; without an offset only where the dialect declares one."""
        if not said:
            return None
        try:
            at = datetime.fromisoformat(said)
            if at.tzinfo is None and self.offset:
                at = datetime.fromisoformat(f"{at.isoformat()}{self.offset}")
        except ValueError as why:
            raise BadRequest(f"{said[:64]!r} is no time of CAP.") from why
        if at.tzinfo is None:
            raise BadRequest(f"{said!r} has no offset.")
        return at


STANDARD = Dialect(key="cap", namespace=CAP, fields={}, colors={}, events={})


@lru_cache(maxsize=1)
def dialects() -> dict[str, Dialect]:
    """Return the declared dialects by the tag of their root."""
    made = {f"{{{CAP}}}alert": STANDARD}
    for path in declarations.shipped_files("warnings"):
        doc, _ = declarations.read("warnings", path)
        for space in doc["namespaces"]:
            one = Dialect(
                key=doc["key"], namespace=space, offset=doc["offset"], colors=doc["colors"],
                events={str(k): v for k, v in doc["events"].items()},
                fields={k: tuple(v) for k, v in doc["fields"].items()},
            )  # fmt: skip
            made |= {f"{{{space}}}{root}" if space else root: one for root in doc["roots"]}
    return made


def parse(raw: bytes) -> dict[str, Any]:
    """Return a message as a warning; BadRequest says what it lacks."""
    if len(raw) > MAX_BYTES:
        raise BadRequest("A warning has at most 1 MiB.")
    # Entities need a document type; without one an XML message can only say what it says.
    if b"<!DOCTYPE" in raw or b"\x00" in raw:
        raise BadRequest("A warning is CAP 1.2 in UTF-8 without a document type.")
    try:
        root = ET.fromstring(raw)  # noqa: S314 (no document type, so no entity)
    except (ET.ParseError, ValueError, LookupError) as why:
        raise BadRequest(f"The warning is no XML: {why}.") from why
    by = dialects().get(root.tag)
    if by is None:
        raise BadRequest(
            "The warning is neither CAP 1.2 (root alert of that namespace) nor of a declared sender."
        )
    kind = _TYPES.get(by.text(root, "msgType"))
    if kind is None:
        raise BadRequest("msgType must be Alert, Update or Cancel.")
    info = _info(root, by)
    event, headline = by.text(info, "event"), by.text(info, "headline")[:300]
    said = {
        "dialect": by.key,
        "identifier": by.needed(root, "identifier")[:200],
        "sender": by.needed(root, "sender")[:200],
        "sent": by.moment(by.needed(root, "sent")),
        "kind": kind,
        "exercise": by.text(root, "status") in ("Exercise", "Test"),
        "references": _references(by.text(root, "references")),
        "event": by.events.get(event, event)[:120],
        "headline": headline,
        "description": by.text(info, "description")[:4000],
        "onset": by.moment(by.text(info, "onset") or by.text(info, "effective")),
        "expires": by.moment(by.text(info, "expires")),
    }
    return said | _level(info, headline, by) | _area(info, by)


def _info(root: ET.Element, by: Dialect) -> ET.Element:
    """Return the Chinese part where there are several languages."""
    found = by.all(root, "info")
    if not found:
        return ET.Element("info")
    return next((i for i in found if by.text(i, "language").lower().startswith("zh")), found[0])


def _references(said: str) -> list[str]:
    """Return the identifiers that are referred to: triples of sender, identifier, sent; or bare ones."""
    found = [one.split(",") for one in said.split()]
    return [parts[1] if len(parts) >= 3 else parts[0] for parts in found][:50]


def _level(info: ET.Element, headline: str, by: Dialect) -> dict[str, Any]:
    """Return the level: the colour where one is said, else the severity of CAP."""
    severity = by.text(info, "severity")
    if severity in by.colors:
        return {"level": by.colors[severity], "color": NAMES[by.colors[severity]]}
    said = [headline] + [by.text(p, "value") for p in by.all(info, "parameter")]
    for words in said:
        for color, level in COLORS.items():
            if color in words.lower():
                return {"level": level, "color": NAMES[level]}
    level = _SEVERITY.get(severity, 4)
    return {"level": level, "color": NAMES[level]}


def _area(info: ET.Element, by: Dialect) -> dict[str, Any]:
    names, codes, shapes = [], [], []
    for area in by.all(info, "area"):
        names.append(by.text(area, "areaDesc"))
        for code in by.all(area, by.fields.get("geocode", ("geocode",))[0]):
            said = by.text(code, "value") or (code.text or "").strip()
            codes += [one.strip()[:6] for one in said.split(",")]
        shapes += [
            _polygon(p.text or "") for p in by.all(area, "polygon") if (p.text or "").strip()
        ]
    whole = shapely.union_all(shapes) if shapes else None
    return {
        "area": "、".join(n for n in names if n)[:300],
        "districts": [
            c for c in dict.fromkeys(codes) if len(c) == 6 and c.isdigit() and c[4:] != "00"
        ],
        "geom": whole if whole is not None and not whole.is_empty else None,
    }


def _polygon(said: str) -> shapely.Geometry:
    """CAP writes latitude before longitude."""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in said.split()]
        ring = [(lon, lat) for lat, lon in pairs]
        made = shapely.make_valid(shapely.Polygon(ring))
    except (ValueError, shapely.errors.ShapelyError) as why:
        raise BadRequest("A polygon of the warning is not lat,lon lat,lon ….") from why
    if len(ring) > MAX_POSITIONS or not all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring):
        raise BadRequest("A polygon of the warning lies outside the world or is too long.")
    return made
