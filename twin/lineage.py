"""Splitting and merging polygons: areas are conserved, parents stay in the history, lineage is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import shapely
import shapely.ops
from sqlalchemy import Connection, text

from gis import geometry
from twin import catalogue, codes, things
from twin.errors import BadRequest, NotFound
from twin.kinds import Field, Kind
from twin.revise import revise
from twin.scope import Actor, sees

# Relative: a millionth of the area, far below what any survey tells.
TOLERANCE = 1e-6
SOURCE = "lineage"
_SHORT_DEG = 0.0005
_UNITS = {"m2": 1.0, "ha": 1e-4, "km2": 1e-6}


def measured_m2(shape: Any) -> float:
    """Return the area on the ellipsoid between straight edges: additive however an edge is cut.

    Edges of an ellipsoid area are geodesics, which leave the straight line between two far
    vertices; within about fifty metres the two are one.
    """
    return geometry.area_m2(shapely.segmentize(shape, _SHORT_DEG))


def area_field(kind: Kind) -> Field | None:
    """Return the field that says how large a thing is, where the kind has one."""
    sized = [f for f in kind.fields.values() if f.unit in _UNITS and f.name.startswith("area")]
    return sized[0] if sized else None


def split(
    conn: Connection,
    kind: Kind,
    thing_id: UUID,
    shapes: Sequence[Any],
    actor: str,
    *,
    keep: str = "none",
) -> list[dict[str, Any]]:
    """Split a polygon into shapes (EPSG:4326) that cover exactly it; return the children.

    With `keep="largest"` the largest child goes on as the same thing; otherwise all are new and
    the parent goes out of service.
    """
    parent = _row(conn, kind, thing_id)
    parts = [_polygon(kind, s) for s in shapes]
    if len(parts) < 2:
        raise BadRequest("A split needs two parts or more.")
    _conserved(parent["geom"], parts)
    parts.sort(key=measured_m2, reverse=True)
    own = parts[1:] if keep == "largest" else parts
    made = _insert(conn, kind, parent, own, actor, {"split_from": parent["code"]})
    if keep == "largest":
        _reshape(conn, kind, parent, parts[0], actor, {"split_into": [m["code"] for m in made]})
    else:
        note = {"split_into": [m["code"] for m in made]}
        things.remove(conn, kind, [thing_id], actor=actor, note=note)
    _keep(conn, [m["id"] for m in made], [thing_id], "split", actor)
    return ([{"id": parent["id"], "code": parent["code"]}] if keep == "largest" else []) + made


def cut(shape: Any, line: Any) -> list[Any]:
    """Return the parts of a polygon on both sides of a line that crosses it."""
    found = [
        p for one in getattr(shape, "geoms", [shape]) for p in shapely.ops.split(one, line).geoms
    ]
    if len(found) <= len(getattr(shape, "geoms", [shape])):
        raise BadRequest("The line does not cross the polygon from edge to edge.")
    return found


def merge(
    conn: Connection,
    kind: Kind,
    ids: Sequence[UUID],
    keep: str | None,
    actor: str,
) -> dict[str, Any]:
    """Merge polygons into one; `keep` is the code of the one that goes on, or None for a new one.

    Attributes are those of the kept one, else of the largest.
    """
    parents = [_row(conn, kind, one) for one in dict.fromkeys(ids)]
    if len(parents) < 2:
        raise BadRequest("A merge needs two things or more.")
    parents.sort(key=lambda p: measured_m2(p["geom"]), reverse=True)
    whole = _polygon(kind, shapely.union_all([p["geom"] for p in parents]))
    _conserved(whole, [p["geom"] for p in parents])
    kept = next((p for p in parents if p["code"] == keep), None)
    if keep is not None and kept is None:
        raise BadRequest(f"{keep} is none of the things to merge.")
    note = {"merged_from": [p["code"] for p in parents]}
    if kept is None:
        made = _insert(conn, kind, parents[0], [whole], actor, note)[0]
    else:
        _reshape(conn, kind, kept, whole, actor, note)
        made = {"id": kept["id"], "code": kept["code"]}
    gone = [p["id"] for p in parents if p is not kept]
    things.remove(conn, kind, gone, actor=actor, note={"merged_into": made["code"]})
    _keep(conn, [made["id"]], gone, "merge", actor)
    return made


def _row(conn: Connection, kind: Kind, thing_id: UUID) -> dict[str, Any]:
    if kind.geometry != "polygon":
        raise BadRequest(f"{kind.kind} has no polygons: only those are split and merged.")
    found = conn.execute(
        text(
            f"select t.*, st_asbinary(t.geom) as raw from {kind.topic}.{kind.kind} t "
            "where id = :id for update"
        ),
        {"id": thing_id},
    ).first()
    if found is None or found.raw is None:
        raise NotFound("There is no such thing with a shape.")
    return {**found._mapping, "geom": shapely.from_wkb(bytes(found.raw))}


def _polygon(kind: Kind, shape: Any) -> Any:
    made = geometry.mend(shape, kind.geometry)
    if made.shape is None:
        raise BadRequest(f"A part cannot be used: {made.reason}.")
    return made.shape


def _conserved(whole: Any, parts: Sequence[Any]) -> None:
    """Refuse parts that do not cover exactly the whole: gaps, overlaps, overhang."""
    area = measured_m2(whole)
    lost = measured_m2(shapely.symmetric_difference(whole, shapely.union_all(list(parts))))
    twice = sum(measured_m2(p) for p in parts) - area
    if lost > TOLERANCE * area or abs(twice) > TOLERANCE * area:
        raise BadRequest(
            f"The parts do not cover exactly the whole: {lost:.1f} m² lie on one side only, "
            f"and the areas differ by {twice:+.1f} m².",
            lost_m2=lost,
            difference_m2=twice,
        )


def _hex(shape: Any) -> str:
    return str(geometry.wkb_hex(np.array([shape], dtype=object))[0])


def _area(kind: Kind, shape: Any) -> dict[str, float]:
    field = area_field(kind)
    if field is None or field.unit is None:
        return {}
    value = measured_m2(shape) * _UNITS[field.unit]
    return {field.name: round(value) if field.type == "integer" else value}


def _insert(
    conn: Connection,
    kind: Kind,
    parent: dict[str, Any],
    shapes: Sequence[Any],
    actor: str,
    note: dict[str, Any],
) -> list[dict[str, Any]]:
    made = codes.reserve(conn, parent["district"], kind.code, len(shapes))
    columns: dict[str, list[Any]] = {
        "source_key": list(made),
        "code": list(made),
        "name": [parent["name"]] * len(shapes),
        "state": [parent["state"]] * len(shapes),
        "geom": [_hex(s) for s in shapes],
    }
    areas = [_area(kind, s) for s in shapes]
    for name in kind.fields:
        columns[name] = [one.get(name, parent[name]) for one in areas]
    things.write(conn, kind, columns, actor=actor, source=SOURCE, note=note)
    found = conn.execute(
        text("select id, code from twin.thing where code = any(:c) order by code"), {"c": made}
    )
    return [{"id": r.id, "code": r.code} for r in found]


def _reshape(
    conn: Connection, kind: Kind, row: dict[str, Any], shape: Any, actor: str, note: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {
        "geom": [_hex(shape)],
        **{k: [v] for k, v in _area(kind, shape).items()},
    }
    revise(conn, kind, [row["id"]], changes, actor=actor, note=note)


def _keep(
    conn: Connection, children: Sequence[UUID], parents: Sequence[UUID], how: str, actor: str
) -> None:
    conn.execute(
        text(
            "insert into twin.lineage (child, parent, how, actor) select c, p, :how, :actor "
            "from unnest(cast(:c as uuid[])) c, unnest(cast(:p as uuid[])) p "
            "on conflict do nothing"
        ),
        {"c": list(children), "p": list(parents), "how": how, "actor": actor},
    )


def of(conn: Connection, actor: Actor, thing_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return what a thing came out of and what came out of it, as far as the actor may see."""
    rows = conn.execute(
        text(
            "select l.how, l.at, l.parent = :id as is_parent, g.id, g.code, g.name, g.kind, "
            "g.district, g.street, st_x(g.point) as lon, st_y(g.point) as lat, g.level, "
            "g.gone_at from twin.lineage l join twin.thing g "
            "on g.id = case when l.parent = :id then l.child else l.parent end "
            "where l.parent = :id or l.child = :id order by l.at, g.code"
        ),
        {"id": thing_id},
    ).all()
    readable = catalogue.readable(conn, actor)
    told: dict[str, list[dict[str, Any]]] = {"parents": [], "children": []}
    for row in rows:
        kind, at = readable.get(row.kind), (row.lon, row.lat)
        if kind is None or not sees(actor, kind, row.district, row.street, at, level=row.level):
            continue
        told["children" if row.is_parent else "parents"].append(
            {
                "id": str(row.id),
                "code": row.code,
                "name": row.name,
                "kind": row.kind,
                "how": row.how,
                "at": row.at.isoformat(),
                "gone": row.gone_at is not None,
            }  # fmt: skip
        )
    return told
