"""Scenes: layers, topic, side, plan and camera of a wall for an occasion, declared and edited as policies are."""

from __future__ import annotations

from typing import Any

from pyproj import Geod
from sqlalchemy import Connection

from twin import catalogue, declarations, policies
from twin.policies import Doc, Fault

KIND_OF = "scene"
_GEOD = Geod(ellps="WGS84")
# Layers that are no kind of thing.
LIVE = frozenset({"events", "movers"})


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a scene by itself."""
    if doc.get("activity") and not doc.get("camera"):
        return [(("activity",), "an activity has its place: say where the camera stands")]
    both = set(doc.get("show", ())) & set(doc.get("hide", ()))
    return [(("show",), f"{', '.join(sorted(both))} is both shown and hidden")] if both else []


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what a scene names and the installation does not have."""
    kinds = set(catalogue.all_kinds(conn)) | LIVE
    found: list[Fault] = [
        ((name, i), f"no layer is called {one}")
        for name in ("show", "hide", "kinds")
        for i, one in enumerate(doc.get(name, ()))
        if one not in kinds
    ]
    if doc.get("plan") and doc["plan"] not in declarations.current(conn, "plan"):
        found.append((("plan",), f"no plan is called {doc['plan']}"))
    return found


KIND = policies.register(
    policies.Kind(
        kind=KIND_OF,
        folder="scenes",
        title={"zh": "场景", "en": "Scenes"},
        faults=faults,
        known=known,
    )
)


def scenes(conn: Connection) -> list[dict[str, Any]]:
    """Return the scenes that run."""
    found = declarations.current(conn, KIND_OF)
    return [{"key": key, **policies.clean(doc)} for key, doc in sorted(found.items())]


def activities(conn: Connection) -> list[dict[str, Any]]:
    """Return the scenes that are activities (重点活动), each with its place and radius in metres."""
    return [
        {"key": one["key"], "title": one["title"], "kinds": one.get("kinds", []),
         "lon": one["camera"]["lon"], "lat": one["camera"]["lat"],
         "radius_m": one["activity"]["radius_m"]}
        for one in scenes(conn) if one.get("activity")
    ]  # fmt: skip


def around(places: list[dict[str, Any]], geom: str) -> tuple[str, dict[str, Any]]:
    """Return the condition that a geometry lies within one of the activities, and its values."""
    tests: list[str] = []
    params: dict[str, Any] = {}
    for i, one in enumerate(places):
        here = f"st_setsrid(st_makepoint(:act_lon{i}, :act_lat{i}), 4326)"
        # The box lets the index work: one degree of longitude is at least 94 km in the city.
        tests.append(
            f"({geom} && st_expand({here}, :act_box{i}) and "
            f"st_dwithin({geom}::geography, {here}::geography, :act_m{i}))"
        )
        params |= {f"act_lon{i}": one["lon"], f"act_lat{i}": one["lat"],
                   f"act_m{i}": one["radius_m"], f"act_box{i}": one["radius_m"] / 94_000}  # fmt: skip
    return (f"({' or '.join(tests)})" if tests else "false"), params


def holds(places: list[dict[str, Any]], lon: float | None, lat: float | None) -> bool:
    """Tell in memory what `around` tells in SQL, on the ellipsoid as well."""
    if lon is None or lat is None:
        return False
    return any(_GEOD.inv(one["lon"], one["lat"], lon, lat)[2] <= one["radius_m"] for one in places)
