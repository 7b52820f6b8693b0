"""CSV and TSV, read line by line in the encoding that all of it is in."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.files.formats import encodings, rows
from ingest.files.formats.opened import Opened
from twin.errors import Unreadable

MAX_CELL = 1_000_000
_DELIMITERS = (",", ";", "\t", "|")
_LOOKED = 30
_SIGN = re.compile(r"^'(?=[=+\-@\t\r])", re.MULTILINE)


def open_delimited(path: Path, encoding: str, shown: str) -> Opened:
    """Open a text table; its delimiter is the one that cuts its lines most evenly."""
    used = encodings.of_text(path) if encoding == "auto" else encodings.known(encoding)
    csv.field_size_limit(MAX_CELL)
    delimiter = _delimiter(path, used, shown)

    def read() -> Iterator[Any]:
        try:
            with path.open(encoding=used, newline="") as file:
                for row in csv.reader(_without_nul(file, shown), delimiter=delimiter):
                    if row and any(row):
                        yield [_unquoted(c) for c in row] if _SIGN.search("\n".join(row)) else row
        except UnicodeError as why:
            raise Unreadable(f"{shown} is not {used} text; try --encoding auto.") from why
        except csv.Error as why:
            raise Unreadable(f"{shown} is broken as CSV: {why}.") from why

    kind = "tsv" if delimiter == "\t" else "csv"
    return rows.open_rows(
        shown, kind, read, total=_lines(path), notes=[f"encoding {used}"], encoding=used
    )  # fmt: skip


def _unquoted(cell: str) -> str:
    """Return a cell without the sign that keeps spreadsheets from running it as a formula."""
    return cell[1:] if _SIGN.match(cell) else cell


def _lines(path: Path) -> int:
    """Return the number of line ends: what a table has of rows, unless cells hold some."""
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1024 * 1024), b""))


def _without_nul(lines: Any, shown: str) -> Iterator[str]:
    for line in lines:
        if "\x00" in line:
            raise Unreadable(f"{shown} holds NUL bytes; it is no CSV text.")
        yield line


def _delimiter(path: Path, encoding: str, shown: str) -> str:
    try:
        with path.open(encoding=encoding, newline="") as file:
            lines = [line for _, line in zip(range(_LOOKED), file, strict=False)]
    except UnicodeError as why:
        raise Unreadable(f"{shown} is not {encoding} text; try --encoding auto.") from why

    def worth(sign: str) -> tuple[int, int]:
        counts = [len(row) for row in _rows(lines, sign) if len(row) > 1]
        often = max(set(counts), key=counts.count) if counts else 0
        return counts.count(often), often

    return max(_DELIMITERS, key=worth)


def _rows(lines: list[str], sign: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=sign))
    except csv.Error:
        return []
