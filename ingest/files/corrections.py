"""Corrections of single cells, kept beside an uploaded file and applied while it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ingest.files.formats.opened import Source

ENDING = ".twin-corrections.json"
Cells = Mapping[int, Mapping[str, str | None]]


def beside(path: Path) -> Path:
    """Return where the corrections of a file lie."""
    return path.with_name(path.name + ENDING)


def read(path: Path) -> Cells:
    """Return row number → column → value of a file's corrections, if it has any."""
    try:
        said = json.loads(beside(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {int(row): cells for row, cells in said.items()}


def keep(path: Path, cells: Cells) -> None:
    """Write the corrections of a file."""
    target = beside(path)
    part = target.with_suffix(".part")
    part.write_text(json.dumps(dict(cells), ensure_ascii=False), encoding="utf-8")
    part.replace(target)


def apply(batches: Iterator[Source], cells: Cells) -> Iterator[Source]:
    """Yield the batches with the corrections in them; numbers are those of the file, 1 the first."""
    start = 0
    for batch in batches:
        refused = {number for number, *_ in batch.refused}
        standing = [n for n in range(start + 1, start + batch.rows + 1) if n not in refused]
        for i, number in enumerate(standing):
            for column, value in cells.get(number, {}).items():
                if column in batch.columns:
                    batch.columns[column][i] = value
        start += batch.rows
        yield batch
