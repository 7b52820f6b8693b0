"""Where the rows of a file lie: shapes or coordinate columns, and the CRS they are in.

A file that names no CRS is read as WGS-84, unless it says itself that it is shifted: a DataV file,
or points whose declared districts agree with the map only after the shift is taken off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import crs as reference
from ingest.files import columns as naming
from ingest.files import source as reading
from twin.errors import Unreadable
from twin.kinds import Kind

_DEGREES = 360.0
_LISTED = 20
# How many points, and how much better (share of points), before a shift is believed.
_ENOUGH, _SAMPLE, _GAIN = 50, 5_000, 0.01
_GENERATED = "demo"


def shapes(
    conn: Connection,
    kind: Kind,
    read: reading.Source,
    named: naming.Mapping_,
    wanted: str,
    notes: list[str],
) -> tuple[np.ndarray | None, str]:
    """Return the shapes in EPSG:4326 (None where a row has none) and the CRS they came in."""
    if kind.geometry == "none":
        return None, ""
    given = read.shapes if read.shapes is not None else _from_columns(read, named)
    used = wanted if wanted != "auto" else _found(conn, read, given, notes)
    try:
        # GDAL strings for systems without an EPSG number are taken as they are.
        return _moved(given, used.removeprefix("wkt:")), used
    except ValueError as why:
        raise Unreadable(str(why)) from why


def _moved(given: np.ndarray, crs: str) -> np.ndarray:
    moved = given.copy()
    there = _there(given)
    if there.any():
        moved[there] = reference.shapes_to_wgs84(given[there], crs)
    return moved


def _there(given: np.ndarray) -> np.ndarray:
    return np.asarray(~(shapely.is_missing(given) | shapely.is_empty(given)))


def _from_columns(read: reading.Source, named: naming.Mapping_) -> np.ndarray:
    """Return points of the x and y columns, or the shapes of a WKT column."""
    if named.x and named.y:
        pairs = [
            (_float(a), _float(b))
            for a, b in zip(read.columns[named.x], read.columns[named.y], strict=True)
        ]
        made = np.empty(len(pairs), dtype=object)
        good = [i for i, pair in enumerate(pairs) if None not in pair]
        if good:
            made[good] = shapely.points(np.array([pairs[i] for i in good], dtype=float))
        return made
    if named.wkt:
        said = [str(v or "") for v in read.columns[named.wkt]]
        # A NaN among the numbers is refused later, with its row and reason.
        with np.errstate(invalid="ignore"):
            return np.asarray(shapely.from_wkt(said, on_invalid="ignore"))
    listed = ", ".join(list(read.columns)[:_LISTED])
    raise Unreadable(f"No coordinates were found in the columns {listed}; give --x COL --y COL.")


def _float(cell: Any) -> float | None:
    try:
        return float(str(cell).strip())
    except ValueError:
        return None


def _found(conn: Connection, read: reading.Source, given: np.ndarray, notes: list[str]) -> str:
    """Return the CRS of a file that the user has not named, and note how it was found."""
    if read.crs not in (None, "EPSG:4326", "EPSG:4490"):
        return str(read.crs)
    if {"adcode", "acroutes"} <= set(read.columns):
        notes.append("columns adcode and acroutes: a DataV file, taken as GCJ-02")
        return "gcj02"
    there = given[_there(given)]
    bounds = shapely.total_bounds(there) if len(there) else np.zeros(4)
    if np.isfinite(bounds).all() and np.abs(bounds).max() > _DEGREES:
        raise Unreadable("The coordinates are no degrees and the file names no CRS; give --crs.")
    shifted = _shifted(conn, read, given, notes)
    if shifted:
        return shifted
    if read.crs is None:
        notes.append("no CRS named: taken as WGS-84; for a Chinese web map give --crs gcj02")
    return "EPSG:4326"


def _shifted(
    conn: Connection, read: reading.Source, given: np.ndarray, notes: list[str]
) -> str | None:
    """Return `gcj02` or `bd09` when the declared districts fit the map only after unshifting."""
    rows = conn.execute(
        text(
            "select code, name, st_asbinary(geom) as shape from base.district "
            "where geom is not null and source <> :made order by code"
        ),
        {"made": _GENERATED},
    ).all()
    said = _declared(read, {word: i for i, r in enumerate(rows) for word in (r.name, r.code)})
    if said is None:
        return None
    known = np.flatnonzero(_there(given) & (said >= 0))[:_SAMPLE]
    if len(known) < _ENOUGH:
        return None
    areas = shapely.from_wkb(np.array([bytes(r.shape) for r in rows], dtype=object))
    points = shapely.get_coordinates(shapely.point_on_surface(given[known]))
    share = {
        name: _agreement(areas, said[known], *reference.to_wgs84(points[:, 0], points[:, 1], name))
        for name in ("EPSG:4326", *reference.SHIFTED)
    }
    best = max(reference.SHIFTED, key=lambda name: share[name])
    if share[best] < share["EPSG:4326"] + _GAIN:
        return None
    notes.append(
        f"the declared districts agree with the map for {share[best]:.1%} as {best} and "
        f"{share['EPSG:4326']:.1%} as WGS-84: taken as {best}"
    )
    return best


def _declared(read: reading.Source, districts: dict[str, int]) -> np.ndarray | None:
    """Return the district that each row declares (-1 for none), from the column that names them."""
    for cells in read.columns.values():
        if not isinstance(next((c for c in cells if c is not None), None), str | int):
            continue
        said = np.array([districts.get(str(c), -1) for c in cells])
        given = sum(c is not None for c in cells)
        if given and (said >= 0).sum() > 0.8 * given and len(np.unique(said[said >= 0])) > 1:
            return said
    return None


def _agreement(areas: Any, said: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> float:
    point, area = shapely.STRtree(areas).query(shapely.points(lon, lat), predicate="intersects")
    return len(np.unique(point[said[point] == area])) / len(said)
