"""The first sheet of a workbook that somebody has uploaded, bounded."""

from __future__ import annotations

import io
from typing import Any
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from twin.errors import Unreadable


def lines(raw: bytes, what: str, *, max_bytes: int, max_lines: int) -> list[tuple[Any, ...]]:
    """Return the lines of the sheet, the headings first; Unreadable says why it cannot be read."""
    if len(raw) > max_bytes:
        raise Unreadable(f"{what} has at most {max_bytes >> 20} MiB.")
    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        found = list(book.worksheets[0].iter_rows(values_only=True, max_row=max_lines))
    except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError, IndexError) as why:
        raise Unreadable("This is no Excel workbook (.xlsx).") from why
    if not found:
        raise Unreadable("The sheet is empty; its first line holds the headings.")
    return found
