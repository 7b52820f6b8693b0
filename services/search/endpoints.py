"""HTTP doors of search: /api/v1/search and /api/v1/here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query

from gis import crs as systems
from services.search import service
from services.web.auth import Person
from services.web.params import place
from twin import db
from twin.errors import BadRequest

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.get("/search")
def search(
    person: Person,
    q: Annotated[str, Query(min_length=1, max_length=100)],
    limit: Annotated[int, Query(ge=1, le=100)] = 12,
    near: Annotated[
        str | None,
        Query(max_length=48, description="lon,lat of the view: what is near comes first"),
    ] = None,
) -> dict[str, Any]:
    """Find things, events and places: names, codes, plates, addresses, coordinates, pinyin initials."""
    person.need("map.read")
    said = q.replace("\x00", "").strip()
    if not said:
        raise BadRequest("q is empty; give a name, a code or coordinates.", parameter="q")
    with db.engine("app").connect() as conn:
        return {"results": service.search(conn, person, said, limit, _near(near))}


def _near(said: str | None) -> tuple[float, float] | None:
    if said is None:
        return None
    try:
        lon, lat = (float(v) for v in said.split(","))
    except ValueError as why:
        raise BadRequest("near is lon,lat in degrees.", parameter="near") from why
    return place(lon, lat)


@router.get("/here")
def here(
    person: Person,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    crs: Literal["wgs84", "gcj02"] = "wgs84",
    radius: Annotated[float, Query(gt=0, le=1_000, description="metres")] = 60,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> dict[str, Any]:
    """Tell what is at a place: district, street, grid, areas, road, nearest address, things around."""
    person.need("map.read")
    at = place(lon, lat)
    if crs == "gcj02":
        x, y = systems.gcj02_to_wgs84(np.array([at[0]]), np.array([at[1]]))
        at = (float(x[0]), float(y[0]))
    with db.engine("app").connect() as conn:
        return service.here(conn, person, *at, radius, limit)
