"""Values of CQL2 as bound parameters: texts, numbers, dates, shapes, each within its bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa

from gis import crs as gis_crs
from twin.errors import FilterError, TooComplex
from twin.timespans import Span

SHAPE_KEYS = frozenset({"coordinates", "geometries", "bbox"})
MAX_VERTICES = 10_000
MAX_TEXT = 1000


@dataclass(frozen=True)
class Place:
    """How literal shapes are written: their CRS, and whether north stands before east."""

    crs: int | str = 4326
    swap: bool = False


@dataclass(frozen=True)
class Term:
    """A compiled part: its SQL, its type, and the value where it is a literal."""

    sql: Any
    type: str
    value: Any = None
    span: Span | None = None
    whole: bool = False


def short(said: Any) -> str:
    shown = repr(said)
    return shown if len(shown) <= 80 else shown[:77] + "…"


def literal(said: Any) -> Term:
    """Return a text, number or truth value as a bound parameter."""
    if isinstance(said, bool):
        return Term(sa.true() if said else sa.false(), "boolean", said)
    if isinstance(said, int | float):
        if not math.isfinite(said) or abs(said) > 1e300:
            raise FilterError("A number of the filter is out of range.")
        return Term(sa.literal(float(said), sa.Double), "number", said)
    if isinstance(said, str):
        if len(said) > MAX_TEXT or "\0" in said or any("\ud800" <= c <= "\udfff" for c in said):
            raise FilterError(f"A text of the filter has over {MAX_TEXT} or unusable characters.")
        return Term(sa.literal(said, sa.Text), "text", said)
    raise FilterError(f"{short(said)} is no value of CQL2; ask for nothing with `is null`.")


def moment(tree: Mapping[str, Any]) -> Term:
    """Return a date or timestamp literal."""
    said = tree.get("date", tree.get("timestamp"))
    try:
        if not isinstance(said, str):
            raise ValueError
        if "date" in tree:
            day = date.fromisoformat(said)
            bound = sa.literal(day, sa.Date)
            return Term(bound, "date", day, Span(bound, bound, True))
        at = datetime.fromisoformat(said)
        if at.tzinfo is None:
            raise ValueError
        bound = sa.literal(at.astimezone(UTC), sa.DateTime(timezone=True))
        return Term(bound, "datetime", at, Span(bound, bound, False))
    except (ValueError, OverflowError) as why:
        raise FilterError(
            f"{short(said)} is no date or time; write 2026-11-20 or 2026-11-20T08:00:00Z."
        ) from why


def shape(tree: Mapping[str, Any], place: Place) -> Any:
    """Return a literal shape in EPSG:4326 as a bound parameter."""
    made = _bbox(tree["bbox"], place) if "bbox" in tree else _geojson(tree)
    if shapely.get_num_coordinates(made) > MAX_VERTICES:
        raise TooComplex(f"A shape of the filter has over {MAX_VERTICES} vertices.")
    if made.is_empty or not made.is_valid:
        raise FilterError(f"A shape of the filter is not valid: {shapely.is_valid_reason(made)}.")
    made = shapely.force_2d(made)
    if place.swap and "bbox" not in tree:
        made = shapely.transform(made, lambda xy: xy[:, ::-1])
    made = _degrees(made, place)
    raw = shapely.to_wkb(shapely.set_srid(made, 4326), include_srid=True)
    return sa.func.public.ST_GeomFromEWKB(sa.literal(raw, sa.LargeBinary))


def _degrees(made: Any, place: Place) -> Any:
    name = f"EPSG:{place.crs}" if isinstance(place.crs, int) else place.crs
    try:
        made = gis_crs.shapes_to_wgs84(np.array([made], object), name)[0]
    except ValueError as why:
        raise FilterError(f"The shapes of the filter: {why}") from why
    west, south, east, north = shapely.bounds(made)
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise FilterError("A shape of the filter lies outside the world; check its CRS and order.")
    return made


def _geojson(tree: Mapping[str, Any]) -> Any:
    try:
        kept = {k: tree[k] for k in ("type", "coordinates", "geometries") if k in tree}
        raw = shapely.from_geojson(json.dumps(kept))
    except (shapely.errors.ShapelyError, ValueError, TypeError) as why:
        raise FilterError("A shape of the filter is no GeoJSON geometry.") from why
    if raw is None:
        raise FilterError("A shape of the filter is no GeoJSON geometry.")
    return raw


def _bbox(said: Any, place: Place) -> Any:
    if not isinstance(said, list) or len(said) not in (4, 6) or not all(map(_is_number, said)):
        raise FilterError("bbox takes four finite numbers: west, south, east, north.")
    flat = said if len(said) == 4 else [said[0], said[1], said[3], said[4]]
    if place.swap:
        flat = [flat[1], flat[0], flat[3], flat[2]]
    west, south, east, north = flat
    if south > north:
        raise FilterError("A bbox of the filter has its south above its north.")
    if west <= east:
        return shapely.box(west, south, east, north)
    if place.crs != 4326:
        raise FilterError("A bbox of the filter has its west beyond its east.")
    return shapely.MultiPolygon(
        [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
    )


def _is_number(said: Any) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said)
