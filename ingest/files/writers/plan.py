"""What is written: the columns, the shapes' CRS, and the line that says where the data come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyproj import CRS

from gis import crs as reference

_TYPES = {
    "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


@dataclass
class Batch:
    """Rows column-wise; `shapes` are shapely geometries in the CRS of the plan."""

    columns: Mapping[str, Sequence[Any]]
    shapes: np.ndarray | None
    rows: int


@dataclass(kw_only=True)
class Plan:
    """One export: what every writer needs to know of it."""

    kind: str
    title: str
    geometry: str
    types: Mapping[str, str]
    crs: str
    source: Mapping[str, str]
    encoding: str = "utf-8"
    with_note: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The source line as people read it."""
        return " · ".join(v for v in self.source.values() if v)

    @property
    def crs_said(self) -> str | None:
        """The CRS as a file can say it; None for shifted ones, which have no definition."""
        if self.crs == "sh2000":
            return str(CRS.from_proj4(reference.SH2000).to_wkt())
        return None if self.crs in reference.SHIFTED else self.crs

    @property
    def geometry_type(self) -> str:
        """The type as GDAL calls it."""
        return {"point": "Point", "line": "MultiLineString", "polygon": "MultiPolygon"}[
            self.geometry
        ]


@dataclass(frozen=True)
class Job:
    """A plan, its batches and the file to write."""

    plan: Plan
    batches: Iterator[Batch]
    path: Path


def arrow_type(said: str, *, lists: bool = False) -> Any:
    """Return the Arrow type of a field type; lists stay lists where the format has them."""
    if said == "list" and lists:
        return pa.list_(pa.string())
    return _TYPES.get(said, pa.string())


def text(value: Any) -> Any:
    """Return a value as one cell of a format that knows texts and numbers only."""
    if isinstance(value, list):
        return "、".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else value
