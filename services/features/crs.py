"""CRS by their URIs: which coordinates a request writes, and in what order."""

from __future__ import annotations

import re
from functools import lru_cache

from pyproj import CRS
from pyproj.exceptions import CRSError

from twin.errors import BadRequest

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG = re.compile(
    r"^(?:https?://www\.opengis\.net/def/crs/EPSG/[\d.]+/|urn:ogc:def:crs:EPSG:[\d.]*:|\[?EPSG:)"
    r"(\d{4,5})\]?$"
)


@lru_cache(maxsize=64)
def named(uri: str | None) -> tuple[str, bool]:
    """Return the CRS as `gis.crs` names it, and whether it writes north before east."""
    if uri is None or uri.strip("[]") in (CRS84, "OGC:CRS84", "CRS84"):
        return "EPSG:4326", False
    found = _EPSG.match(uri)
    try:
        made = CRS.from_epsg(int(found[1])) if found else None
    except CRSError:
        made = None
    if found is None or made is None:
        raise BadRequest(
            f"{uri[:120]!r} is no CRS known here; give CRS84 or an EPSG code by its URI.",
            parameter="filter-crs",
        )
    return f"EPSG:{found[1]}", made.axis_info[0].direction.lower() == "north"
