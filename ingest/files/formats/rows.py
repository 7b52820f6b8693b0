"""Tables of rows: the header found below what stands before it, rows gathered into batches."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from statistics import mode
from typing import Any

from ingest.files.formats.opened import Opened, Source
from twin.errors import Unreadable

MAX_COLUMNS = 2000
# A template's example row begins so in its first cell.
EXAMPLES = ("#示例", "#example")
_LOOKED = 40
Row = Sequence[Any]


def header_at(rows: Sequence[Row]) -> int:
    """Return which of the first rows is the header: the first as wide as the table, and of words."""
    filled = [sum(_said(c) for c in row) for row in rows]
    if len(rows) < 2:
        return 0
    width = mode(filled[len(filled) // 3 :])
    for i, count in enumerate(filled[:-1]):
        if count >= max(2, 0.7 * width) and _words(rows[i]) >= 0.5 * count:
            return i
    return 0


def _said(cell: Any) -> bool:
    return cell is not None and cell != "" and (not isinstance(cell, str) or bool(cell.strip()))


def _words(row: Row) -> int:
    return sum(isinstance(c, str) and _said(c) and not _number(c) for c in row)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def open_rows(
    shown: str, kind: str, rows: Callable[[], Iterator[Row]], *, total: int | None, **more: Any
) -> Opened:
    """Open a table; `rows` yields all rows anew each time that it is called, empty ones left out."""
    first = list(itertools.islice(rows(), _LOOKED))
    at = header_at(first)
    if len(first) < at + 2:
        raise Unreadable(f"{shown} has a header at most and no rows.")
    columns = _names(shown, first[at])
    notes: list[str] = [*more.pop("notes", ())]
    if at:
        notes.append(f"{at} lines before the header were passed over")
    return Opened(
        format=kind, columns=columns, notes=notes,
        stream=lambda size: _batches(itertools.islice(rows(), at + 1, None), columns, notes, size),
        total=max(0, total - at - 1) if total is not None else None, **more,
    )  # fmt: skip


def _names(shown: str, header: Row) -> list[str]:
    said = [str(h).strip() if h is not None else "" for h in header]
    while said and not said[-1]:
        said.pop()
    if len(said) > MAX_COLUMNS:
        raise Unreadable(f"{shown} has more than {MAX_COLUMNS} columns.")
    names: list[str] = []
    for i, name in enumerate(said):
        plain = " ".join(name.split()) or f"column_{i + 1}"
        names.append(plain if plain not in names else f"{plain}_{i + 1}")
    return names


def _batches(
    rows: Iterator[Row], columns: list[str], notes: list[str], size: int
) -> Iterator[Source]:
    start = 0
    while taken := list(itertools.islice(rows, size)):
        examples = [i for i, row in enumerate(taken) if _is_example(row)] if start == 0 else []
        for i in reversed(examples):
            del taken[i]
            notes.append("the example row was passed over")
        yield _source(taken, columns, start)
        start += len(taken)


def _is_example(row: Row) -> bool:
    first = row[0] if row else None
    return isinstance(first, str) and first.strip().lower().startswith(EXAMPLES)


def _source(rows: list[Row], names: list[str], start: int) -> Source:
    width = len(names)
    made = Source({}, rows=len(rows))
    fitting: list[Row] = []
    for i, row in enumerate(rows):
        if len(row) == width:
            fitting.append(row)
        elif len(row) < width:
            fitting.append([*row, *[None] * (width - len(row))])
        elif any(_said(c) for c in row[width:]):
            given = dict(zip(names, map(_cell, row), strict=False))
            why = f"{len(row)} cells where the header has {width}"
            made.refused.append((start + i + 1, given, why))
        else:
            fitting.append(row[:width])
    columns = zip(*fitting, strict=True) if fitting else [()] * width
    made.columns = {n: list(map(_cell, c)) for n, c in zip(names, columns, strict=True)}
    return made


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value
