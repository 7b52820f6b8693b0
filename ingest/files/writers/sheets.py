"""CSV and XLSX, row by row; no cell runs as a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import numpy as np
import openpyxl
import shapely
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from ingest.files.writers.plan import Batch, Job, Plan, text
from twin.errors import BadRequest

ROWS = 1_048_575
CELL = 32_767
RUNS = ("=", "+", "-", "@", "\t", "\r")
_SHEET = "来源 Source"


def header(plan: Plan) -> list[str]:
    """Return the columns of a table: fields, then where the place stands."""
    degrees = plan.crs in ("EPSG:4326", "EPSG:4490", "gcj02", "bd09")
    place = {"point": ["lon", "lat"] if degrees else ["x", "y"], "none": []}
    return [*plan.types, *place.get(plan.geometry, ["wkt"])]


def _rows(batch: Batch, plan: Plan) -> Iterator[tuple[Any, ...]]:
    columns: list[Any] = [batch.columns[n] for n in plan.types]
    if batch.shapes is not None and plan.geometry == "point":
        x, y = shapely.get_x(batch.shapes), shapely.get_y(batch.shapes)
        columns += [[None if np.isnan(v) else v for v in axis.tolist()] for axis in (x, y)]
    elif batch.shapes is not None:
        columns.append(shapely.to_wkt(batch.shapes, rounding_precision=-1).tolist())
    return zip(*columns, strict=True)


def write_csv(job: Job) -> None:
    """Write CSV that Excel opens as UTF-8; the source stands in a line of its own on top."""
    plan = job.plan
    encoding = "utf-8-sig" if plan.encoding.lower() in ("utf-8", "auto") else plan.encoding
    try:
        with job.path.open("w", encoding=encoding, newline="") as file:
            out = csv.writer(file)
            if plan.with_note:
                out.writerow([f"# {plan.line}"])
            out.writerow(header(plan))
            for batch in job.batches:
                out.writerows([_quoted(text(c)) for c in row] for row in _rows(batch, plan))
    except UnicodeEncodeError as why:
        raise BadRequest(
            f"{plan.encoding} has no letter for {why.object[why.start : why.end]!r}; export in UTF-8."
        ) from why


def _quoted(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(RUNS) else value


def write_xlsx(job: Job) -> None:
    """Write a workbook: the table, and a sheet that says where it comes from."""
    plan = job.plan
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(plan.kind[:31])
    sheet.freeze_panes = "A2"
    sheet.append(header(plan))
    written = cut = 0
    for batch in job.batches:
        written += batch.rows
        if written > ROWS:
            raise BadRequest(f"More than {ROWS} rows do not fit a sheet; export GeoPackage or CSV.")
        for row in _rows(batch, plan):
            cells = [_cell(sheet, text(value)) for value in row]
            cut += sum(c is _TOO_LONG for c in cells)
            sheet.append([None if c is _TOO_LONG else c for c in cells])
    if cut:
        plan.notes.append(
            f"{cut} texts are longer than a cell holds and were left out; GeoPackage keeps them"
        )
    note = book.create_sheet(_SHEET)
    for key, value in plan.source.items():
        note.append([key, _cell(note, value)])
    book.save(job.path)


_TOO_LONG = object()


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, float) and float(f"{value:.16g}") != value:
        # The library writes 16 digits; a few numbers need 17 to come back the same.
        exact = WriteOnlyCell(sheet, repr(value))
        exact.data_type = "n"
        return exact
    if not isinstance(value, str):
        return value
    if len(value) > CELL:
        return _TOO_LONG
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
    # A text that begins like a formula stays a text.
    cell.data_type = "s"
    return cell
