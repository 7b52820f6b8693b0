"""Use cases of search: find things, events and places; tell what is at a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection

from gis import coordinates, crs
from services.search import repository
from twin import catalogue, names, searchkeys
from twin.kinds import Kind
from twin.scope import Actor

EVENT = {"zh": "事件", "en": "Event"}
COORDINATE = {"zh": "坐标", "en": "Coordinates"}
_SYSTEMS = {"EPSG:4326": "WGS-84", "gcj02": "GCJ-02", "bd09": "BD-09", "sh2000": "上海2000"}


def search(
    conn: Connection, actor: Actor, query: str, limit: int, near: tuple[float, float] | None = None
) -> list[dict[str, Any]]:
    """Find by name, code, word or pinyin, in the actor's scope, what is near the view first."""
    places = coordinates.parse(query)
    if places:
        return [_place(one) for one in places]
    known = catalogue.readable(conn, actor)
    kinds = [*known, *(["event"] if actor.may("event.read") else [])]
    rows = repository.find(
        conn,
        actor,
        query,
        known=known,
        kinds=kinds,
        words=_words(known, actor),
        near=near,
        limit=limit,
    )
    where = names.things(conn)
    return [_shown(row, known, where) for row in rows]


def _words(known: Mapping[str, Kind], actor: Actor) -> dict[str, list[str]]:
    """Return the fields by whose words the actor may find: those that it may see."""
    found = {}
    for name, kind in known.items():
        seen = set(catalogue.fields(kind, actor))
        if fields := [f for f in searchkeys.fields(kind) if f in seen]:
            found[name] = fields
    return found


def _place(one: coordinates.Place) -> dict[str, Any]:
    system = _SYSTEMS.get(one.system, one.system)
    return {"num": None, "kind": "coordinate", "kind_title": COORDINATE, "code": None, "district_name": system,
            "name": f"{one.lon:.6f}, {one.lat:.6f}", "point": [one.lon, one.lat], "matched": None}  # fmt: skip


def _shown(row: Any, known: Mapping[str, Kind], where: Mapping[str, Any]) -> dict[str, Any]:
    kind = known.get(row.kind)
    matched = None
    if row.field and kind is not None and row.field in kind.fields:
        matched = {"field": row.field, "title": kind.fields[row.field].title, "value": row.word}
    return {
        "num": row.num,
        "kind": row.kind,
        "kind_title": kind.title if kind else EVENT,
        "code": row.code,
        "name": row.name or row.code,
        "district_name": where.get(row.district or ""),
        "point": [row.lon, row.lat] if row.lon is not None else None,
        "matched": matched,
    }


def here(
    conn: Connection, actor: Actor, lon: float, lat: float, metres: float, limit: int
) -> dict[str, Any]:
    """Tell what is at a place: district, street, grid, areas, road, nearest address, things around."""
    known, at = catalogue.readable(conn, actor), (lon, lat)
    areas = repository.covering(conn, actor, known, at)
    titles = names.things(conn)
    shifted = crs.from_wgs84(np.array([lon]), np.array([lat]), "gcj02")
    addressed = {
        n: k
        for n, k in known.items()
        if "address" in catalogue.fields(k, actor) and k.geometry != "none"
    }
    near = repository.nearest(
        conn, actor, [n for n, k in known.items() if not k.open], at, metres, limit
    )
    road = repository.road(conn, known["road"], at) if "road" in known else None
    return {
        "point": [lon, lat],
        "gcj02": [round(float(shifted[0][0]), 7), round(float(shifted[1][0]), 7)],
        **{place: _first(areas, place) for place in ("district", "street", "grid", "village")},
        "areas": [
            {**_titled(a, known), "district_name": titles.get(a["district"] or "")}
            for a in areas
            if a["kind"] not in ("district", "street", "grid", "village")
        ],
        "road": {"name": road.name, "metres": round(road.metres, 1)} if road else None,
        "address": repository.address(conn, actor, addressed, at),
        "things": [
            _titled(dict(r._mapping), known) | {"point": [r.lon, r.lat], "metres": round(r.metres, 1)}
            for r in near
        ],
    }  # fmt: skip


def _first(areas: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    found = next((a for a in areas if a["kind"] == kind), None)
    return {"code": found["code"], "name": found["name"]} if found else None


def _titled(row: Mapping[str, Any], known: Mapping[str, Kind]) -> dict[str, Any]:
    head = {k: row[k] for k in ("num", "kind", "code", "name")}
    return head | {"kind_title": known[row["kind"]].title}
