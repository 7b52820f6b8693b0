"""Formats that GDAL reads, as a stream of Arrow batches: memory stays bounded whatever the size."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.errors import ShapelyError

from ingest.files.formats import arrow, encodings
from ingest.files.formats.drivers import FORBIDDEN, without
from ingest.files.formats.opened import Opened, Source
from ingest.files.formats.unpack import Folder
from twin.errors import Unreadable

# What GDAL may find a file to be; anything else names other files, or is no data.
_DRIVERS = {
    "shapefile": ("ESRI Shapefile",), "dbf": ("ESRI Shapefile",), "gpkg": ("GPKG",), "sqlite": ("SQLite", "GPKG"),
    "flatgeobuf": ("FlatGeobuf",), "geojson": ("GeoJSON", "GeoJSONSeq", "JSONFG"),
    "topojson": ("TopoJSON",), "esrijson": ("ESRIJSON",), "kml": ("LIBKML", "KML"),
    "gml": ("GML",), "gpx": ("GPX",), "georss": ("GeoRSS",), "jml": ("JML",), "dxf": ("DXF",),
    "dgn": ("DGN",), "tab": ("MapInfo File",), "mif": ("MapInfo File",), "osm": ("OSM",),
    "pbf": ("OSM",), "filegdb": ("OpenFileGDB",), "gmt": ("OGR_GMT",), "ods": ("ODS",),
}  # fmt: skip
# Text formats that GDAL takes for UTF-8 whatever they are in.
_TEXTS = frozenset(("geojson", "topojson", "esrijson", "kml", "gml", "gpx", "georss", "osm", "jml"))
_OPTIONS: dict[str, dict[str, Any]] = {
    "gml": {"WRITE_GFS": "NO", "DOWNLOAD_SCHEMA": "NO"},
    "sqlite": {"LIST_ALL_TABLES": "NO"},
}
_UNREADABLE = (
    DataSourceError, DataLayerError, pa.ArrowException, ShapelyError,
    ValueError, OverflowError, RuntimeError, OSError,
)  # fmt: skip
MAX_COLUMNS = 2000
_LISTED = 12
_CORNERS = ("route_points", "track_points")
without(FORBIDDEN)
pyogrio.set_gdal_config_options(
    {
        # A batch ends early rather than hold more than this.
        "OGR_ARROW_MEM_LIMIT": str(64 * 1024**2),
        # In MiB: one feature of a million vertices fits, one of ten million does not.
        "OGR_GEOJSON_MAX_OBJ_SIZE": "64",
        "GML_SKIP_RESOLVE_ELEMS": "ALL",
        "OSM_MAX_TMPFILE_SIZE": "64",
        "OGR_SQLITE_LOAD_EXTENSIONS": "NO",
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    }
)


@dataclass(frozen=True)
class _File:
    """A file as GDAL opens it; `kept` holds what it lies in, where it was made for reading."""

    path: Path
    shown: str
    format: str
    encoding: str | None
    kept: Any = None

    @property
    def options(self) -> dict[str, Any]:
        more: dict[str, Any] = dict(_OPTIONS.get(self.format, {}))
        return more | ({"encoding": self.encoding} if self.encoding else {})


@dataclass
class _Layer:
    name: str
    columns: list[str]
    crs: str | None
    family: str | None
    count: int


def open_vector(
    path: Path, kind: str, encoding: str, layer: str | None, shown: str, prefer: str | None = None
) -> Opened:
    """Open a file that GDAL reads; Unreadable tells in one sentence why it cannot be.

    Of several layers the first is read whose shapes are of the family `prefer` (point, line,
    polygon, none), else the first with shapes.
    """
    notes: list[str] = []
    file = _File(path, shown, kind, None)
    if kind in _TEXTS:
        file = _as_utf8(file, encoding, notes)
    elif kind in ("shapefile", "dbf"):
        used = _of_shapefile(path) if encoding == "auto" else encoding
        notes.append(f"encoding {used}")
        file = replace(file, encoding=used)
    with _told(file, notes):
        layers = [str(n) for n in pyogrio.list_layers(file.path)[:, 0]]
        chosen = _chosen(file, layers, layer, prefer, notes)
    if not chosen:
        raise Unreadable(f"{shown} holds no features.")
    first = chosen[0]
    many = len(chosen) > 1
    columns = list(dict.fromkeys(c for one in chosen for c in one.columns))
    columns += ["folder"] if many and "folder" not in columns else []
    if len(columns) > MAX_COLUMNS:
        raise Unreadable(f"{shown} has more than {MAX_COLUMNS} columns.")
    total = sum(one.count for one in chosen) if all(one.count >= 0 for one in chosen) else None
    return Opened(
        format=kind, columns=columns, crs=first.crs, notes=notes, total=total, layers=layers,
        stream=lambda size: _stream(file, chosen, columns, notes, size),
        layer=None if many else first.name, encoding=file.encoding,
    )  # fmt: skip


class _told:
    """Turns what GDAL raises into one sentence, and what it warns of into notes."""

    def __init__(self, file: _File, notes: list[str]) -> None:
        self._file, self._notes = file, notes

    def __enter__(self) -> None:
        self._caught = warnings.catch_warnings(record=True)
        self._said = self._caught.__enter__()
        warnings.simplefilter("always")

    def __exit__(self, kind: Any, why: BaseException | None, trace: Any) -> None:
        said = self._said or []
        self._caught.__exit__(kind, why, trace)
        new = dict.fromkeys(_plain(str(w.message), self._file) for w in said[:3])
        self._notes += [note for note in new if note not in self._notes]
        if isinstance(why, _UNREADABLE) and not isinstance(why, Unreadable):
            raise Unreadable(
                f"{self._file.shown} cannot be read as {self._file.format}: "
                f"{_plain(str(why), self._file)}"
            ) from why


def _plain(said: str, file: _File) -> str:
    """Return the first sentence of what GDAL says, without its advice to programmers."""
    said = said.splitlines()[0] if said else "it is damaged."
    said = said.replace(f"{file.path.parent}/", "")
    if "SHAPE_RESTORE_SHX" in said:
        return f"its index {file.path.stem}.shx is missing beside it; put it there."
    if "OGR_GEOJSON_MAX_OBJ_SIZE" in said or "Too large feature" in said:
        return "one of its features is larger than 64 MiB; split it."
    return said.split("; It might help")[0].split(" For more details")[0][:200]


def _as_utf8(file: _File, encoding: str, notes: list[str]) -> _File:
    """Return the file, written anew in UTF-8 where it is in another encoding."""
    used = encodings.of_text(file.path) if encoding == "auto" else encodings.known(encoding)
    if used in ("utf-8", "utf-8-sig", "ascii") or (
        used == "utf-16" and file.format not in ("geojson", "topojson", "esrijson")
    ):
        return replace(file, encoding=None)
    kept = Folder()
    target = kept.path / file.path.name
    try:
        with file.path.open(encoding=used) as given, target.open("w", encoding="utf-8") as out:
            # A declared encoding would be believed by the XML parser.
            head = given.read(200).replace("\ufeff", "")
            out.write(encodings.without_declaration(head))
            shutil.copyfileobj(given, out, 1024 * 1024)
    except UnicodeDecodeError as why:
        raise Unreadable(f"{file.shown} is not {used} text; try --encoding auto.") from why
    notes.append(f"encoding {used}")
    return replace(file, path=target, encoding=None, kept=kept)


def _of_shapefile(path: Path) -> str:
    return encodings.of_dbf(_beside(path, ".dbf"), _beside(path, ".cpg"))


def _beside(path: Path, ending: str) -> bytes:
    for candidate in (path.with_suffix(ending), path.with_suffix(ending.upper())):
        if candidate.is_file():
            with candidate.open("rb") as file:
                return file.read(4 * 1024 * 1024)
    return b""


def _layer(file: _File, name: str, *, count: bool = False) -> _Layer:
    info = pyogrio.read_info(file.path, layer=name, force_feature_count=count, **file.options)
    if info["driver"] not in _DRIVERS[file.format]:
        raise Unreadable(f"{file.shown} is a {info['driver']} file; that is not read.")
    columns = [str(f) for f in info["fields"]]
    return _Layer(name, columns, _crs_name(info["crs"]), info["geometry_type"], info["features"])


def _chosen(
    file: _File, layers: list[str], wanted: str | None, prefer: str | None, notes: list[str]
) -> list[_Layer]:
    """Return the layers to read: the one that is named, all folders of a KML, else the first."""
    if wanted is not None:
        if wanted not in layers:
            listed = ", ".join(layers[:_LISTED])
            raise Unreadable(f"{file.shown} has no layer {wanted}; it has {listed}.")
        return [_layer(file, wanted)]
    if len(layers) < 2:
        return [_layer(file, name) for name in layers]
    if file.format == "kml":
        found = [one for one in (_layer(file, n, count=True) for n in layers) if one.count]
        listed = ", ".join(one.name for one in found[:_LISTED])
        notes.append(f"folders {listed}: all are read; --layer picks one")
        return found
    listed = ", ".join(layers[:_LISTED])
    chosen = _first_with_rows(file, layers, prefer)
    notes.append(f"layers {listed}: {chosen.name} is read; --layer picks another")
    return [chosen]


def _first_with_rows(file: _File, layers: Sequence[str], prefer: str | None) -> _Layer:
    known = [_layer(file, name) for name in layers]
    with_shapes = [one for one in known if one.family] or known[:1]
    if prefer:
        # Stable, so that of equals the first stays the first; the corners of a way are no places.
        with_shapes.sort(key=lambda one: one.name in _CORNERS or prefer not in _families(one))
    for one in with_shapes:
        if one.count > 0 or (one.count < 0 and _has_rows(file, one)):
            return one
    return with_shapes[0]


def _families(layer: _Layer) -> tuple[str, ...]:
    said = (layer.family or "none").lower()
    if said.startswith(("unknown", "geometry")):
        return ("point", "line", "polygon")
    return tuple(f for f in ("point", "line", "polygon", "none") if f in said)


def _has_rows(file: _File, layer: _Layer) -> bool:
    with _reader(file, layer, 1) as (_, batches):
        return any(b.num_rows for b in batches)


def _reader(file: _File, layer: _Layer, size: int) -> Any:
    more = dict(file.options)
    if file.format in ("osm", "pbf"):
        # Asked for by SQL, the driver does not pile up the features of all other layers.
        quoted = layer.name.replace('"', "")
        return pyogrio.raw.open_arrow(
            file.path, sql=f'select * from "{quoted}"', batch_size=size, use_pyarrow=True,
            datetime_as_string=True, **more
        )  # fmt: skip
    return pyogrio.raw.open_arrow(
        file.path, layer=layer.name, batch_size=size, return_fids=True, use_pyarrow=True,
        # As numbers they would lose the offset that the file says.
        datetime_as_string=True, **more
    )  # fmt: skip


def _stream(
    file: _File, layers: list[_Layer], columns: list[str], notes: list[str], size: int
) -> Iterator[Source]:
    found = 0
    for layer in layers:
        for read in _of_layer(file, layer, notes, size):
            found += read.rows
            if len(layers) > 1:
                read.columns.setdefault("folder", [layer.name] * read.rows)
                nothing = [None] * read.rows
                read.columns = {c: read.columns.get(c, nothing) for c in columns}
            yield read
    if not found and not columns:
        raise Unreadable(f"{file.shown} holds no features.")


def _of_layer(file: _File, layer: _Layer, notes: list[str], size: int) -> Iterator[Source]:
    with _told(file, notes):
        reader = _reader(file, layer, size)
        meta, batches = reader.__enter__()
    try:
        fields = [str(f) for f in meta["fields"]]
        while True:
            with _told(file, notes):
                batch = next(iter(batches), None)
                if batch is None:
                    return
                if batch.num_rows:
                    read = _source(file, layer, meta, fields, batch)
            if batch.num_rows:
                yield read
    finally:
        reader.__exit__(None, None, None)


def _source(file: _File, layer: _Layer, meta: Any, fields: list[str], batch: Any) -> Source:
    columns = {name: arrow.listed(batch.column(name)) for name in fields}
    place = meta["geometry_name"] or "wkb_geometry"
    shapes = None
    if layer.family and place in batch.schema.names:
        blobs = batch.column(place).to_numpy(zero_copy_only=False)
        shapes = _shapes(file, layer, blobs, lambda: arrow.listed(batch.column(0)))
    return Source(columns, shapes, layer.crs, rows=batch.num_rows)


def _shapes(
    file: _File, layer: _Layer, blobs: np.ndarray, fids: Callable[[], list[int]]
) -> np.ndarray:
    try:
        return np.asarray(shapely.from_wkb(blobs, on_invalid="ignore"))
    except (ShapelyError, NotImplementedError):
        pass
    # Curves are not known to GEOS: those rows are read again by GDAL, which draws them as lines.
    made = np.empty(len(blobs), dtype=object)
    curved = []
    for i, blob in enumerate(blobs):
        try:
            made[i] = shapely.from_wkb(blob, on_invalid="ignore")
        except (ShapelyError, NotImplementedError):
            curved.append(i)
    numbers = fids()
    _, _, lines, _ = pyogrio.raw.read(
        file.path, layer=layer.name, fids=[numbers[i] for i in curved], columns=[], **file.options
    )
    made[curved] = shapely.from_wkb(lines, on_invalid="ignore")
    return made


def _crs_name(said: str | None) -> str | None:
    if said == "EPSG:4979":
        # What GDAL calls GeoJSON with heights; they are dropped.
        return "EPSG:4326"
    return said if said is None or said.upper().startswith("EPSG:") else f"wkt:{said}"
