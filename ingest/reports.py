"""Files of reports from other systems (CSV, TSV, XLSX, GeoJSON), each record taken through its declared mapping."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException
from sqlalchemy import Connection

from twin import db, mapped
from twin.errors import BadRequest, Unreadable
from twin.mapped import Counts, Source
from twin.scope import SYSTEM

BATCH = 500
MAX_FIELD = 1 << 20
MAX_JSON = 256 << 20
_ENCODINGS = ("utf-8-sig", "gb18030")
Progress = Callable[[int], None]


def records(path: Path, sheet: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file by their headings."""
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xlsm"):
        yield from _workbook(path, sheet)
    elif ending in (".csv", ".tsv", ".txt"):
        yield from _table(path, "\t" if ending == ".tsv" else ",")
    elif ending in (".geojson", ".json"):
        yield from _features(path)
    else:
        raise BadRequest(f"{path.name}: reports come as .csv, .tsv, .xlsx or .geojson.")


def _features(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the properties of each feature with its geometry; a feature's own id stands in for `id`."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise Unreadable(f"{path.name} is larger than {MAX_JSON >> 20} MiB; cut it in parts.")
        said = json.loads(path.read_text(encoding="utf-8-sig"))
        features = said["features"]
        if not isinstance(features, list):
            raise TypeError("features is no list")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as why:
        raise Unreadable(f"{path.name} cannot be read as a GeoJSON FeatureCollection.") from why
    for one in features:
        if not isinstance(one, dict) or not isinstance(one.get("properties") or {}, dict):
            yield {}
            continue
        own = {"id": one["id"]} if "id" in one else {}
        yield {**own, **(one.get("properties") or {}), "geometry": one.get("geometry")}


def _table(path: Path, comma: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(MAX_FIELD)
    encoding = _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            rows = csv.DictReader(file, delimiter=comma, restkey="+", restval=None)
            if not rows.fieldnames:
                raise Unreadable(f"{path.name} is empty; its first line holds the headings.")
            yield from ({str(k).strip(): v for k, v in row.items()} for row in rows)
    except (OSError, csv.Error, UnicodeDecodeError) as why:
        raise Unreadable(f"{path.name} cannot be read as a table: {why}") from why


def _encoding(path: Path) -> str:
    for encoding in _ENCODINGS:
        try:
            with path.open(encoding=encoding) as file:
                for _ in iter(lambda: file.read(1 << 20), ""):
                    pass
        except UnicodeDecodeError:
            continue
        except OSError as why:
            raise Unreadable(f"{path.name} cannot be opened: {why.strerror}.") from why
        return encoding
    raise Unreadable(f"{path.name} is neither UTF-8 nor GB 18030.")


def _workbook(path: Path, sheet: str | None) -> Iterator[dict[str, Any]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        page = book[sheet] if sheet else book.worksheets[0]
    except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError, IndexError) as why:
        raise Unreadable(f"{path.name} cannot be read as an Excel workbook.") from why
    rows = page.iter_rows(values_only=True)
    heads = [str(v).strip() if v is not None else "" for v in next(rows, ())]
    for row in rows:
        if any(v is not None for v in row):
            yield {head: v for head, v in zip(heads, row, strict=False) if head}


def load(path: Path, source: str, *, progress: Progress | None = None) -> Counts:
    """Take every row of a file; the same file again changes nothing."""
    counts = Counts()
    with db.engine("app").connect() as conn:
        made = mapped.source(conn, source)
    rows = records(path, made.doc.get("sheet"))
    _check_heads(made, rows, path, counts, progress)
    return counts


def _check_heads(
    made: Source, rows: Iterator[dict[str, Any]], path: Path, counts: Counts,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Refuse a file without the column of the ids before anything is written, then take its rows."""
    first = next(rows, None)
    if first is None:
        return
    wanted = made.doc["fields"]["id"].get("from")
    if isinstance(wanted, str) and wanted not in first:
        raise Unreadable(f"{path.name} has no column {wanted!r}; is it a file of this source?")
    waiting = itertools.chain([first], rows)
    while batch := list(itertools.islice(waiting, BATCH)):
        with db.engine("app").begin() as conn:
            _take(conn, made, batch, counts)
        if progress is not None:
            progress(counts.read)


def _take(
    conn: Connection, made: Source, batch: list[Mapping[str, Any]] | list[dict[str, Any]], counts: Counts
) -> None:  # fmt: skip
    for record in batch:
        mapped.receive(conn, made, record, counts, actor=SYSTEM)
