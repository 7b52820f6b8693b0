"""CRS by their URIs: which coordinates a request reads or writes, and in what order.

CRS84 and our own references say east before north; an EPSG code says what its register says:
4326 and 4490 latitude before longitude, 4549 and 4550 north before east.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from gis import crs as gis_crs
from twin.errors import BadRequest
from twin.settings import settings

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG_URI = "http://www.opengis.net/def/crs/EPSG/0/{}"
# What every collection is offered in; CGCS2000 first among the projected ones, as offices here use it.
EPSG = (4326, 4490, 4549, 4550, 3857)
OWN = ("sh2000", "gcj02", "bd09")
_EPSG = re.compile(
    r"^(?:https?://www\.opengis\.net/def/crs/EPSG/[\d.]+/|urn:ogc:def:crs:EPSG:[\d.]*:|\[?EPSG:)"
    r"(\d{4,5})\]?$"
)
_OWN = re.compile(r"^https?://[^/]+/def/crs/(sh2000|gcj02|bd09)$")
_CRS84 = (CRS84, CRS84.replace("http:", "https:"), "OGC:CRS84", "CRS84", f"{CRS84}h")
# Degrees keep a centimetre with seven digits, metres a millimetre with three.
_DIGITS = {True: 7, False: 3}


@dataclass(frozen=True)
class Reference:
    """A CRS of a request: its URI, its name in `gis.crs` and how its coordinates are written."""

    uri: str
    name: str
    north_first: bool = False
    degrees: bool = True
    srid: int | None = 4326

    @property
    def digits(self) -> int:
        """How many decimals its coordinates carry."""
        return _DIGITS[self.degrees]

    @property
    def plain(self) -> bool:
        """True where the stored degrees are written as they are (CGCS2000 is taken as WGS-84)."""
        return self.srid in (4326, 4490)


STORED = Reference(CRS84, "EPSG:4326")


def uris() -> list[str]:
    """Return the URIs that every collection is offered in, the stored one first."""
    base = settings().public_url
    return [CRS84, *(_EPSG_URI.format(n) for n in EPSG), *(f"{base}/def/crs/{n}" for n in OWN)]


def known(uri: str | None, parameter: str) -> Reference:
    """Return a CRS that is offered; BadRequest for any other."""
    found = _read(uri) if uri is not None else STORED
    if found is None or (found.srid is not None and found.srid not in EPSG):
        raise BadRequest(
            f"{(uri or '')[:120]!r} is no CRS of this collection; its `crs` lists them.",
            parameter=parameter,
        )
    return found


@lru_cache(maxsize=64)
def named(uri: str | None) -> tuple[str, bool]:
    """Return any CRS of a filter as `gis.crs` names it, and whether it writes north before east."""
    found = _read(uri) if uri is not None else STORED
    if found is None:
        raise BadRequest(
            f"{(uri or '')[:120]!r} is no CRS known here; give CRS84 or an EPSG code by its URI.",
            parameter="filter-crs",
        )
    return found.name, found.north_first


@lru_cache(maxsize=128)
def _read(uri: str) -> Reference | None:
    said = uri.strip()
    if said.strip("[]") in _CRS84:
        return STORED
    if own := _OWN.match(said):
        return Reference(said, own[1], degrees=own[1] != "sh2000", srid=None)
    found = _EPSG.match(said)
    if found is None:
        return None
    try:
        made = CRS.from_epsg(int(found[1]))
    except CRSError:
        return None
    north = bool(made.axis_info) and made.axis_info[0].direction.lower() == "north"
    number = int(found[1])
    return Reference(
        _EPSG_URI.format(number), f"EPSG:{number}", north, bool(made.is_geographic), number
    )


def written(shapes: np.ndarray, to: Reference) -> np.ndarray:
    """Return stored shapes in a CRS, in its order, rounded as it is written."""
    made = gis_crs.shapes_from_wgs84(shapes, to.name)
    digits = to.digits

    def order(points: Any) -> Any:
        return np.round(points[:, ::-1] if to.north_first else points, digits)

    return np.asarray(shapely.transform(made, order))


def stored(shapes: np.ndarray, of: Reference) -> np.ndarray:
    """Return shapes that were written in a CRS as they are stored: degrees, east before north."""
    made = shapely.force_2d(shapes)
    if of.north_first:
        made = shapely.transform(made, lambda points: points[:, ::-1])
    if of.plain:
        return np.asarray(made)
    try:
        return gis_crs.shapes_to_wgs84(np.asarray(made), of.name)
    except ValueError as why:
        raise BadRequest(str(why)) from why


_ABOUT = {
    "sh2000": (
        "上海2000坐标系 Shanghai 2000",
        "Transverse Mercator on GRS80, metres, east before north. Computed from the published "
        "parameters; to be checked with official points.",
    ),
    "gcj02": (
        "GCJ-02 国测局坐标",
        "The shifted degrees of Chinese web maps, longitude before latitude. The forward formula is "
        "public; the inverse is iterated to within a centimetre. Outside China nothing is shifted.",
    ),
    "bd09": (
        "BD-09 百度坐标",
        "The degrees of Baidu maps, shifted once more from GCJ-02; longitude before latitude.",
    ),
}


def definition(name: str) -> dict[str, Any] | None:
    """Return what stands behind a URI of ours."""
    if name not in OWN:
        return None
    title, about = _ABOUT[name]
    said = {"id": f"{settings().public_url}/def/crs/{name}", "title": title, "description": about}
    unit = "metre" if name == "sh2000" else "degree"
    said["axes"] = ["east", "north"] if unit == "metre" else ["longitude", "latitude"]  # type: ignore[assignment]
    said["unit"] = unit
    if name == "sh2000":
        said |= {"proj": gis_crs.SH2000, "wkt": CRS.from_proj4(gis_crs.SH2000).to_wkt()}
    return said
