"""Shapes that a person draws on the map, checked before they reach a query."""

from __future__ import annotations

import math
from typing import Annotated, Any

import shapely
from pydantic import BaseModel, ConfigDict, Field

from gis import geometry
from twin.errors import BadRequest

MAX_POSITIONS = 2_000
MAX_AREA_M2 = 40_000_000_000.0
LONLAT = Annotated[float, Field(allow_inf_nan=False, ge=-180, le=180)]


class Circle(BaseModel):
    """A circle: centre in degrees of WGS-84, radius in metres."""

    model_config = ConfigDict(extra="forbid")

    center: tuple[LONLAT, Annotated[float, Field(allow_inf_nan=False, ge=-89, le=89)]]
    radius_m: Annotated[float, Field(allow_inf_nan=False, gt=0, le=100_000)]

    def polygon(self) -> shapely.Polygon:
        """Return the circle as a polygon of 96 corners: exact to a thousandth of its radius."""
        lon, lat = self.center
        up = self.radius_m / 111_195.0
        side = up / math.cos(math.radians(lat))
        steps = [math.tau * i / 96 for i in range(96)]
        return shapely.Polygon([(lon + side * math.cos(a), lat + up * math.sin(a)) for a in steps])


def read(said: dict[str, Any], families: tuple[str, ...]) -> shapely.Geometry:
    """Return a GeoJSON geometry in EPSG:4326; BadRequest tells what is wrong with it."""
    try:
        found = shapely.geometry.shape(said)
    except (shapely.errors.ShapelyError, AttributeError, KeyError, TypeError, ValueError) as why:
        raise BadRequest("The shape is no GeoJSON geometry of WGS-84 degrees.") from why
    if found.is_empty or found.geom_type not in families:
        raise BadRequest(f"A shape here is one of {', '.join(families)}, and not empty.")
    if shapely.get_num_coordinates(found) > MAX_POSITIONS:
        raise BadRequest(f"A shape has at most {MAX_POSITIONS} positions; draw it coarser.")
    west, south, east, north = found.bounds
    if not (math.isfinite(west + south + east + north) and west >= -180 and east <= 180
            and south >= -90 and north <= 90):  # fmt: skip
        raise BadRequest("The shape lies outside the world.")
    return shapely.force_2d(found)


def area(said: dict[str, Any] | None, circle: Circle | None) -> shapely.Polygon:
    """Return what encloses: a polygon or a circle, mended where its sides cross."""
    if (said is None) == (circle is None):
        raise BadRequest("Say either a shape (a GeoJSON polygon) or a circle.")
    found = circle.polygon() if circle else read(said or {}, ("Polygon", "MultiPolygon"))
    mended = found if found.is_valid else shapely.make_valid(found)
    if geometry.area_m2(mended) > MAX_AREA_M2:
        raise BadRequest("The area is larger than 40,000 km²; choose a smaller one.")
    return mended
