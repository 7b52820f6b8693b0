"""Workbooks: XLSX row by row, and the HTML tables that call themselves .xls."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from ingest.files.formats import encodings, rows
from ingest.files.formats.opened import Opened
from twin.errors import Unreadable

_NO_WORKBOOK = (
    InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError, TypeError,
)  # fmt: skip
# The words of a workbook are held in memory.
MAX_WORDS = 400 * 1024**2


def open_workbook(path: Path, sheet: str | None, shown: str) -> Opened:
    """Open the named sheet of a workbook, or the first that has rows."""
    with zipfile.ZipFile(path) as archive:
        words = next((i for i in archive.infolist() if i.filename == "xl/sharedStrings.xml"), None)
    if words is not None and words.file_size > MAX_WORDS:
        raise Unreadable(f"{shown} holds too many words for a workbook; save it as CSV.")
    names = _sheets(path, shown)
    if sheet is not None and sheet not in names:
        raise Unreadable(f"{shown} has no sheet {sheet}; it has {', '.join(names)}.")
    for name in [sheet] if sheet else names:
        if next(_rows(path, name, shown), None) is not None:
            made = rows.open_rows(
                shown, "xlsx", lambda name=name: _rows(path, name, shown),  # type: ignore[misc]
                total=_count(path, name, shown), layers=names, layer=name,
            )  # fmt: skip
            if len(names) > 1 and sheet is None:
                made.notes.append(f"sheets {', '.join(names[:12])}: {name} is read")
            return made
    raise Unreadable(f"{shown} has no sheet with rows.")


def _sheets(path: Path, shown: str) -> list[str]:
    # Opened as a file, not by name: openpyxl judges a file by its ending.
    with path.open("rb") as file:
        return [s.title for s in _book(file, shown).worksheets]


def _book(file: Any, shown: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return openpyxl.load_workbook(file, read_only=True, data_only=True)
        except _NO_WORKBOOK as why:
            raise Unreadable(f"{shown} cannot be read as a workbook ({why}).") from why


def _count(path: Path, name: str, shown: str) -> int | None:
    """Return how many rows the sheet says that it has."""
    with path.open("rb") as file:
        return _book(file, shown)[name].max_row  # type: ignore[no-any-return]


def _rows(path: Path, name: str, shown: str) -> Iterator[Any]:
    with path.open("rb") as file:
        sheet = _book(file, shown)[name]
        # Some programs write a wrong extent of the sheet, which would cut it.
        sheet.reset_dimensions()
        try:
            for row in sheet.iter_rows(values_only=True):
                if any(c not in (None, "") for c in row):
                    yield row
        except _NO_WORKBOOK as why:
            raise Unreadable(f"{shown} is a damaged workbook ({why}).") from why


class _Cells(HTMLParser):
    """Gathers the cells of all tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        if tag in ("td", "th", "tr"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Add what stands in a cell."""
        if self._inside:
            self.rows[-1][-1] += data


def open_html(path: Path, encoding: str, shown: str) -> Opened:
    """Open the tables of a page that was saved as a workbook."""
    used = encodings.of_text(path) if encoding == "auto" else encodings.known(encoding)
    page = _Cells()
    page.feed(path.read_text(encoding=used, errors="replace"))
    found = [row for row in page.rows if any(c.strip() for c in row)]
    if not found:
        raise Unreadable(f"{shown} is a web page without a table.")
    return rows.open_rows(
        shown, "html", lambda: iter(found), total=len(found), encoding=used,
        notes=["an HTML table that calls itself a workbook", f"encoding {used}"],
    )  # fmt: skip
