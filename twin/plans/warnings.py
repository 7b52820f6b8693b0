"""Official warnings: CAP 1.2 as it comes, kept as it came; an update or a cancel ends what it refers to."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import shapely
from sqlalchemy import Connection, text

from twin import ids, journal
from twin.errors import BadRequest

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
MAX_BYTES = 1 << 20
COLORS = {"红": 1, "red": 1, "橙": 2, "orange": 2, "黄": 3, "yellow": 3, "蓝": 4, "blue": 4}
NAMES = {1: "red", 2: "orange", 3: "yellow", 4: "blue"}
_SEVERITY = {"Extreme": 1, "Severe": 2, "Moderate": 3, "Minor": 4}
_TYPES = {"Alert": "alert", "Update": "update", "Cancel": "cancel"}
MAX_POSITIONS = 20_000
Warning_ = dict[str, Any]


def parse(raw: bytes) -> Warning_:
    """Return a CAP message as a warning; BadRequest says what it lacks."""
    if len(raw) > MAX_BYTES:
        raise BadRequest("A warning has at most 1 MiB.")
    # Entities need a document type; without one an XML message can only say what it says.
    if b"<!DOCTYPE" in raw or b"\x00" in raw:
        raise BadRequest("A warning is CAP 1.2 in UTF-8 without a document type.")
    try:
        root = ET.fromstring(raw)  # noqa: S314 (no document type, so no entity)
    except ET.ParseError as why:
        raise BadRequest(f"The warning is no XML: {why}.") from why
    if root.tag != f"{CAP}alert":
        raise BadRequest("The warning is not CAP 1.2: its root is not alert of that namespace.")
    kind = _TYPES.get(_text(root, "msgType"))
    if kind is None:
        raise BadRequest("msgType must be Alert, Update or Cancel.")
    info = _info(root)
    said = {
        "identifier": _needed(root, "identifier")[:200],
        "sender": _needed(root, "sender")[:200],
        "sent": _moment(_needed(root, "sent")),
        "kind": kind,
        "exercise": _text(root, "status") in ("Exercise", "Test"),
        "references": _references(_text(root, "references")),
        "event": _text(info, "event")[:120],
        "headline": _text(info, "headline")[:300],
        "description": _text(info, "description")[:4000],
        "onset": _moment(_text(info, "onset") or _text(info, "effective")),
        "expires": _moment(_text(info, "expires")),
    }
    return said | _level(info, str(said["headline"])) | _area(info)


def _info(root: ET.Element) -> ET.Element:
    """Return the Chinese part where there are several languages."""
    found = root.findall(f"{CAP}info")
    if not found:
        return ET.Element("info")
    return next((i for i in found if _text(i, "language").lower().startswith("zh")), found[0])


def _text(element: ET.Element, name: str) -> str:
    return (element.findtext(f"{CAP}{name}") or "").strip()


def _needed(element: ET.Element, name: str) -> str:
    said = _text(element, name)
    if not said:
        raise BadRequest(f"The warning has no {name}.")
    return said


def _moment(said: str) -> datetime | None:
    if not said:
        return None
    try:
        at = datetime.fromisoformat(said)
    except ValueError as why:
        raise BadRequest(f"{said!r} is no time of CAP.") from why
    if at.tzinfo is None:
        raise BadRequest(f"{said!r} has no offset.")
    return at


def _references(said: str) -> list[str]:
    """Return the identifiers that are referred to: triples of sender, identifier, sent."""
    return [one.split(",")[1] for one in said.split() if one.count(",") >= 2]


def _level(info: ET.Element, headline: str) -> dict[str, Any]:
    """Return the level: the colour where one is said, else the severity of CAP."""
    said = [headline] + [p.findtext(f"{CAP}value") or "" for p in info.findall(f"{CAP}parameter")]
    for words in said:
        for color, level in COLORS.items():
            if color in words.lower():
                return {"level": level, "color": NAMES[level]}
    level = _SEVERITY.get(_text(info, "severity"), 4)
    return {"level": level, "color": NAMES[level]}


def _area(info: ET.Element) -> dict[str, Any]:
    names, codes, shapes = [], [], []
    for area in info.findall(f"{CAP}area"):
        names.append(_text(area, "areaDesc"))
        codes += [
            (c.findtext(f"{CAP}value") or "").strip()[:6] for c in area.findall(f"{CAP}geocode")
        ]
        shapes += [_polygon(p.text or "") for p in area.findall(f"{CAP}polygon")]
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


def keep(conn: Connection, said: Mapping[str, Any], actor: str) -> tuple[Warning_, bool]:
    """Keep a warning once; end what it updates or cancels. Returns it, and whether it is new."""
    known = conn.execute(
        text("select * from twin.warning where identifier = :i"), {"i": said["identifier"]}
    ).mappings().first()  # fmt: skip
    if known is not None:
        return dict(known), False
    geom = said["geom"]
    row = {k: v for k, v in said.items() if k not in ("references", "geom")} | {
        "id": ids.uuid7(),
        "shape": shapely.to_wkb(shapely.set_srid(geom, 4326), hex=True, include_srid=True)
        if geom is not None else None,
    }  # fmt: skip
    made = conn.execute(
        text(
            "insert into twin.warning (id, identifier, sender, sent, kind, exercise, event, level, "
            "color, headline, description, onset, expires, area, districts, geom) values (:id, "
            ":identifier, :sender, :sent, :kind, :exercise, :event, :level, :color, :headline, "
            ":description, :onset, :expires, :area, :districts, cast(:shape as geometry)) returning *"
        ),
        row,
    ).mappings().one()  # fmt: skip
    if said["references"]:
        conn.execute(
            text("update twin.warning set ended_at = now() where identifier = any(:r) and ended_at is null"),
            {"r": said["references"]},
        )  # fmt: skip
    shown = {k: v for k, v in row.items() if k not in ("shape", "id")}
    journal.append(
        conn, cls="warning", action=said["kind"], actor=actor, subject=made["id"], kind="warning",
        version=1, level=1, after=journal_doc(shown), note={"references": said["references"]},
    )  # fmt: skip
    return dict(made), True


def journal_doc(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values, times in RFC 3339."""
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in said.items()}


def standing(conn: Connection) -> list[dict[str, Any]]:
    """Return the warnings that hold now, the gravest first."""
    rows = conn.execute(
        text(
            "select id, identifier, sender, sent, exercise, event, level, color, headline, "
            "description, onset, expires, area, districts, st_asgeojson(geom, 5)::jsonb as geometry "
            "from twin.warning where ended_at is null and kind <> 'cancel' "
            "and (expires is null or expires > now()) and sent > now() - interval '14 days' "
            "order by level, sent desc limit 200"
        )
    ).mappings()
    return [dict(row) for row in rows]
