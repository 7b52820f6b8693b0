"""Bounded parameters shared by the doors: boxes, moments, limits."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated

from fastapi import Query

from twin.errors import BadRequest

Limit = Annotated[int, Query(ge=1, le=10000)]
Moment = Annotated[str | None, Query(max_length=64, description="RFC 3339 with offset")]


def moment(said: str | None) -> datetime | None:
    """Return a moment; BadRequest unless it is RFC 3339 with an offset."""
    if said is None:
        return None
    try:
        # A plus sign in a query arrives as a space when the client did not encode it.
        at = datetime.fromisoformat(said.strip().replace(" ", "+"))
    except ValueError as why:
        raise BadRequest(
            f"{said!r} is not a time; write it like 2026-11-20T08:00:00+08:00.",
            parameter="datetime",
        ) from why
    if at.tzinfo is None:
        raise BadRequest(
            f"{said!r} has no offset; write it like 2026-11-20T08:00:00+08:00.",
            parameter="datetime",
        )
    return at


def box(said: str | None) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees; BadRequest when it is no box."""
    if said is None or not said.strip():
        return None
    try:
        values = [float(v) for v in said.split(",")]
    except ValueError as why:
        raise BadRequest("bbox needs numbers: west,south,east,north.", parameter="bbox") from why
    if len(values) == 6:
        values = [values[0], values[1], values[3], values[4]]
    if len(values) != 4 or not all(math.isfinite(v) for v in values):
        raise BadRequest("bbox needs four finite numbers: west,south,east,north.", parameter="bbox")
    west, south, east, north = values
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise BadRequest("bbox lies outside the world or south is above north.", parameter="bbox")
    if west > east:
        raise BadRequest("bbox crosses the antimeridian; split it in two.", parameter="bbox")
    return west, south, east, north


def place(lon: float, lat: float) -> tuple[float, float]:
    """Return a finite point of the world; BadRequest otherwise."""
    if not (math.isfinite(lon) and math.isfinite(lat) and -180 <= lon <= 180 and -90 <= lat <= 90):
        raise BadRequest("lon and lat must be degrees of WGS-84 (lon -180…180, lat -90…90).")
    return lon, lat
