"""Reading a file into columns and shapes, whatever the format, with the encoding found out."""

from __future__ import annotations

import csv
import datetime as dt
import io
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyogrio
import shapely
from openpyxl.utils.exceptions import InvalidFileException
from pyogrio.errors import DataLayerError, DataSourceError

from ingest.files import sniff
from twin.errors import Unreadable

# Language driver byte of a DBF header → code page, for files without .cpg.
_LDID = {0x4D: "gb18030", 0x4F: "big5", 0x57: "cp1252", 0x03: "cp1252", 0x01: "cp437"}
_TRIED = ("utf-8", "gb18030", "iso-8859-1")
MAX_COLUMNS = 2000
MAX_CELL = 1_000_000
_UNREADABLE = (DataSourceError, DataLayerError, ValueError, OverflowError, RuntimeError)
_NO_WORKBOOK = (
    InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError,
)  # fmt: skip


@dataclass
class Source:
    """A file as columns of equal length; `shapes` where the format has geometry."""

    columns: dict[str, list[Any]]
    shapes: np.ndarray | None = None
    crs: str | None = None
    notes: list[str] = field(default_factory=list)
    refused: list[tuple[int, dict[str, Any], str]] = field(default_factory=list)
    rows: int = 0


def read(path: Path, *, encoding: str = "auto", layer: str | None = None) -> Source:
    """Read a file; Unreadable tells in one sentence why it cannot be."""
    kind = sniff.kind_of(path)
    if kind == "parquet":
        raise Unreadable("GeoParquet is not read yet; convert it to GeoPackage.")
    if kind == "csv":
        return _csv(path, encoding)
    if kind == "xlsx":
        return _xlsx(path, layer)
    return _gdal(path, kind, encoding, layer)


def _gdal(path: Path, kind: str, encoding: str, layer: str | None) -> Source:
    name = f"/vsizip/{path}" if kind == "zipped shapefile" else str(path)
    notes: list[str] = []
    if kind == "zipped shapefile":
        name, layer = _in_zip(path, layer)
    used = None
    if "shapefile" in kind:
        used = _dbf_encoding(path, kind, layer) if encoding == "auto" else encoding
        notes.append(f"encoding {used}")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if layer is None:
                layer = _only_layer(name, notes)
            meta, fids, shapes, values = pyogrio.raw.read(
                name, layer=layer, encoding=used, return_fids=True
            )
        except _UNREADABLE as why:
            raise Unreadable(
                f"{path.name} cannot be read as {kind}: {_plainly(why, path)}"
            ) from why
    notes += [str(w.message).splitlines()[0][:200] for w in said[:3]]
    if not len(meta["fields"]) and not len(fids):
        raise Unreadable(f"{path.name} holds no features.")
    columns = {str(n): _listed(v) for n, v in zip(meta["fields"], values, strict=True)}
    made = None
    if shapes is not None:
        made = shapely.from_wkb(shapes, on_invalid="ignore")
    return Source(columns, made, _crs_name(meta.get("crs")), notes, rows=len(fids))


def _plainly(why: Exception, path: Path) -> str:
    """Return the first sentence of what GDAL says, without its advice to programmers."""
    said = str(why).splitlines()[0].replace(f"{path.parent}/", "")
    if "SHAPE_RESTORE_SHX" in said:
        return f"its index {path.stem}.shx is missing beside it; put it there."
    return said.split("; It might help")[0][:200]


def _only_layer(name: str, notes: list[str]) -> str | None:
    """Return the layer to read of several: the first that has shapes and rows."""
    layers = pyogrio.list_layers(name)
    if len(layers) < 2:
        return None
    listed = ", ".join(map(str, layers[:, 0]))
    notes.append(f"layers {listed}: the first with shapes is read; --layer picks another")
    with_shapes = [str(row[0]) for row in layers if row[1]] or [str(layers[0][0])]
    for one in with_shapes:
        if pyogrio.read_info(name, layer=one, force_feature_count=True)["features"]:
            return one
    return with_shapes[0]


def _in_zip(path: Path, layer: str | None) -> tuple[str, str | None]:
    with zipfile.ZipFile(path) as archive:
        found = [n for n in archive.namelist() if n.lower().endswith(".shp")]
    stems = {Path(n).stem: n for n in found}
    if layer and layer not in stems:
        raise Unreadable(f"{path.name} has no layer {layer}; it has {', '.join(stems)}.")
    chosen = stems[layer] if layer else found[0]
    return f"/vsizip/{path}/{chosen}", None


def _dbf_encoding(path: Path, kind: str, layer: str | None) -> str:
    """Return the encoding of a shapefile's table: .cpg, the header's byte, or what decodes."""
    if kind == "shapefile":
        raw = _beside(path, ".dbf")
        said = _beside(path, ".cpg")
    else:
        with zipfile.ZipFile(path) as archive:
            names = {n.lower(): n for n in archive.namelist()}
            stem = next((n[:-4] for n in names if n.endswith(".shp")), "")
            raw = archive.read(names[f"{stem}.dbf"]) if f"{stem}.dbf" in names else b""
            said = archive.read(names[f"{stem}.cpg"]) if f"{stem}.cpg" in names else b""
    label = said.decode("ascii", "ignore").strip().lower()
    if label:
        return {"936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}.get(label, label)
    cells = _dbf_cells(raw)
    guess = _LDID.get(raw[29]) if len(raw) > 32 else None
    return guess if guess and _decodes(cells, guess) else _guess(cells)


def _dbf_cells(raw: bytes) -> list[bytes]:
    """Return the text cells of a DBF table (dBASE III layout), at most of 2,000 records."""
    if len(raw) < 65:
        return []
    head, width = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")
    spans, at = [], 1
    for i in range(32, min(head, len(raw)) - 31, 32):
        length = raw[i + 16]
        if raw[i + 11 : i + 12] == b"C":
            spans.append((at, at + length))
        at += length
    starts = range(head, min(len(raw), head + width * 2000), width) if width else range(0)
    cells = [raw[i + a : i + b].rstrip() for i in starts for a, b in spans]
    return [c for c in cells if c]


def _beside(path: Path, ending: str) -> bytes:
    for candidate in (path.with_suffix(ending), path.with_suffix(ending.upper())):
        if candidate.is_file():
            return candidate.read_bytes()
    return b""


def _decodes(cells: Sequence[bytes], encoding: str) -> bool:
    """Tell whether cells decode; a hundredth may fail, for fixed widths cut characters in two."""
    failed = 0
    for cell in cells:
        try:
            cell.decode(encoding)
        except UnicodeDecodeError:
            failed += 1
        except LookupError:
            return False
    return failed <= len(cells) / 100


def _guess(cells: Sequence[bytes]) -> str:
    return next(e for e in _TRIED if _decodes(cells, e))


def _listed(values: Any) -> list[Any]:
    """Return plain Python values; NaN and NaT are None."""
    if values.dtype.kind == "M":
        return [None if np.isnat(v) else v.astype("datetime64[us]").item() for v in values]
    if values.dtype.kind == "f":
        return [None if np.isnan(v) else float(v) for v in values]
    return [v.item() if isinstance(v, np.generic) else v for v in values]


def _crs_name(said: str | None) -> str | None:
    return said if said is None or said.upper().startswith("EPSG:") else f"wkt:{said}"


def _csv(path: Path, encoding: str) -> Source:
    raw = path.read_bytes()
    if b"\x00" in raw:
        raise Unreadable(f"{path.name} holds NUL bytes; it is no CSV text.")
    if encoding == "auto":
        encoding = "utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else _guess([raw])
    try:
        text = raw.decode(encoding)
    except (UnicodeDecodeError, LookupError) as why:
        raise Unreadable(f"{path.name} is not {encoding} text; try --encoding auto.") from why
    csv.field_size_limit(MAX_CELL)
    try:
        sample = text[:65536]
        dialect: Any = csv.Sniffer().sniff(sample.splitlines()[0], delimiters=",;\t|")
    except (csv.Error, IndexError):
        dialect = csv.excel
    dialect.quotechar, dialect.doublequote = '"', True
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), dialect) if row]
    except csv.Error as why:
        raise Unreadable(f"{path.name} is broken as CSV: {why}.") from why
    made = _table(path, rows)
    made.notes.append(f"encoding {encoding}")
    return made


def _xlsx(path: Path, layer: str | None) -> Source:
    # Opened here, not by name: openpyxl judges a file by its ending.
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except _NO_WORKBOOK as why:
            raise Unreadable(f"{path.name} cannot be read as a workbook ({why}).") from why
        if layer is not None and layer not in book.sheetnames:
            listed = ", ".join(book.sheetnames)
            raise Unreadable(f"{path.name} has no sheet {layer}; it has {listed}.")
        for sheet in [book[layer]] if layer else book.worksheets:
            rows = [list(r) for r in sheet.iter_rows(values_only=True)]
            rows = [r for r in rows if any(c not in (None, "") for c in r)]
            if rows:
                return _table(path, rows)
    raise Unreadable(f"{path.name} has no sheet with rows.")


def _table(path: Path, rows: Sequence[Sequence[Any]]) -> Source:
    if len(rows) < 2:
        raise Unreadable(f"{path.name} has a header at most and no rows.")
    header = [str(h).strip() if h is not None else "" for h in rows[0]]
    if len(header) > MAX_COLUMNS:
        raise Unreadable(f"{path.name} has more than {MAX_COLUMNS} columns.")
    names: list[str] = []
    for i, name in enumerate(header):
        plain = name or f"column_{i + 1}"
        names.append(plain if plain not in names else f"{plain}_{i + 1}")
    made = Source({n: [] for n in names}, rows=len(rows) - 1)
    for number, row in enumerate(rows[1:], start=1):
        cells = list(row) + [None] * (len(names) - len(row))
        if len(cells) > len(names) and any(c not in (None, "") for c in cells[len(names) :]):
            given = dict(zip(names, map(_cell, cells), strict=False))
            why = f"{len(row)} cells where the header has {len(names)}"
            made.refused.append((number, given, why))
            continue
        for name, cell in zip(names, cells, strict=False):
            made.columns[name].append(_cell(cell))
    return made


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value


@dataclass
class Opened:
    """A file that is open for reading."""

    source: Source
    columns: list[str]
    notes: list[str]
    total: int | None

    def batches(self) -> Any:
        """Yield it at once."""
        yield self.source


def open_source(path: Path, *, encoding: str = "auto", layer: str | None = None) -> Opened:
    """Open a file."""
    made = read(path, encoding=encoding, layer=layer)
    return Opened(made, list(made.columns), made.notes, made.rows)
