"""Lists of devices as spreadsheets: names in, secrets out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import openpyxl

from twin.devices import Registered
from twin.errors import BadRequest, Unreadable

MOST = 100_000
HEADS = ("product", "device", "username", "secret")


def read(path: Path) -> list[tuple[str, str]]:
    """Return name and thing code of each row; the first row names the columns."""
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except (OSError, BadZipFile, KeyError, ValueError) as why:
        raise Unreadable(f"{path} cannot be read as XLSX ({why}).") from why
    rows = sheet.iter_rows(values_only=True)
    heads = [str(one or "").strip().lower() for one in next(rows, ())]
    try:
        name, thing = heads.index("name"), heads.index("thing")
    except ValueError as why:
        raise BadRequest("The first row names the columns: name and thing.") from why
    found: list[tuple[str, str]] = []
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if len(found) >= MOST:
            raise BadRequest(f"At most {MOST} devices at once.")
        if row[name] is None or row[thing] is None:
            raise BadRequest(f"Row {number} has no name or no thing.")
        found.append((str(row[name]).strip(), str(row[thing]).strip()))
    return found


def write(path: Path, done: Sequence[Registered]) -> None:
    """Write secrets, readable by their owner only."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("devices")
    sheet.append(HEADS)
    for one in done:
        sheet.append((one.product, one.device, f"{one.product}/{one.device}", one.secret))
    path.touch(mode=0o600)
    book.save(path)
