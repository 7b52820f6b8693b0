"""GeoParquet and Parquet, by pyarrow: shapes from the columns that its `geo` metadata names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from ingest.files.formats import arrow
from ingest.files.formats.opened import Opened, Source
from twin.errors import Unreadable

MAX_UNPACKED = 32 * 1024**3
MAX_COLUMNS = 2000
_DEPTH = {"point": 0, "linestring": 1, "polygon": 2, "multipoint": 1, "multilinestring": 2,
          "multipolygon": 3}  # fmt: skip
_KINDS = {name: getattr(shapely.GeometryType, name.upper()) for name in _DEPTH}
_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, ShapelyError)


def open_parquet(path: Path, shown: str) -> Opened:
    """Open a Parquet file; without `geo` metadata it is a table."""
    try:
        with pq.ParquetFile(path) as file:
            meta, schema = file.metadata, file.schema_arrow
        geo = _geo(schema.metadata or {})
    except _BROKEN as why:
        raise Unreadable(f"{shown} cannot be read as Parquet: {_first(why)}") from why
    unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if unpacked > MAX_UNPACKED:
        raise Unreadable(f"{shown} unpacks to {unpacked} bytes; split it.")
    place = geo.get("primary_column")
    if place is not None and place not in schema.names:
        raise Unreadable(f"{shown} names a column {place} for shapes that it does not have.")
    others = {place, "bbox" if place else None, *geo.get("columns", {})}
    columns = [n for n in schema.names if n not in others]
    if len(columns) > MAX_COLUMNS:
        raise Unreadable(f"{shown} has more than {MAX_COLUMNS} columns.")
    about = geo.get("columns", {}).get(place, {})
    crs = _crs(about) if place else None

    def stream(size: int) -> Iterator[Source]:
        try:
            with pq.ParquetFile(path, pre_buffer=False, buffer_size=1024 * 1024) as file:
                wanted = [*columns, *([place] if place else [])]
                for batch in file.iter_batches(size, columns=wanted, use_threads=False):
                    made = {n: arrow.listed(batch.column(n)) for n in columns}
                    shapes = _shapes(batch.column(place), about) if place else None
                    yield Source(made, shapes, crs, rows=batch.num_rows)
        except _BROKEN as why:
            raise Unreadable(f"{shown} is a damaged Parquet file: {_first(why)}") from why

    return Opened(
        format="geoparquet" if place else "parquet", columns=columns, stream=stream, crs=crs,
        total=meta.num_rows,
    )  # fmt: skip


def _first(why: BaseException) -> str:
    return (str(why).splitlines() or ["it is damaged"])[0][:200]


def _geo(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    said = json.loads(metadata.get(b"geo", b"{}"))
    return said if isinstance(said, dict) else {}


def _crs(about: dict[str, Any]) -> str | None:
    """Return the CRS by its EPSG number where it has one; GeoParquet's default is WGS-84."""
    if "crs" not in about:
        return "EPSG:4326"
    if about["crs"] is None:
        return None
    try:
        made = CRS.from_user_input(about["crs"])
    except CRSError:
        return None
    number = made.to_epsg()
    if made.to_authority() == ("OGC", "CRS84"):
        number = 4326
    return f"EPSG:{number}" if number else f"wkt:{made.to_wkt()}"


def _shapes(column: Any, about: dict[str, Any]) -> np.ndarray:
    encoding = str(about.get("encoding", "WKB"))
    if encoding == "WKB":
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        return np.asarray(
            shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore")
        )
    if encoding not in _DEPTH:
        raise ValueError(f"shapes encoded as {encoding} are not read")
    return _native(column, encoding)


def _native(column: Any, encoding: str) -> np.ndarray:
    """Return shapes of nested lists of points, null rows as None."""
    made = np.empty(len(column), dtype=object)
    there = np.flatnonzero(~column.is_null().to_numpy(zero_copy_only=False))
    inner, offsets = column.drop_null(), []
    for _ in range(_DEPTH[encoding]):
        starts = inner.offsets.to_numpy()
        offsets.append(starts - starts[0])
        inner = inner.flatten()
    points = np.column_stack([inner.field(i).to_numpy(zero_copy_only=False) for i in (0, 1)])
    made[there] = shapely.from_ragged_array(_KINDS[encoding], points, tuple(reversed(offsets)))
    return made
