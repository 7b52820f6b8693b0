"""How every `twin` command speaks: `--json` gives one object on stdout, logs go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import typer

_json = False


def use_json(wanted: bool) -> None:
    """Choose the form for this run; called when `--json` stands anywhere in the command."""
    global _json
    _json = wanted


def wants_json() -> bool:
    """Tell whether one JSON object is wanted on standard output."""
    return _json


def tell(result: Mapping[str, Any] | list[Any], text: str) -> None:
    """Give the result: as JSON, or as text for people."""
    if _json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
    elif text:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def finish(result: Mapping[str, Any] | list[Any], text: str, *, partly: bool = False) -> NoReturn:
    """Give the result and end: exit 0, or 1 when something was refused or quarantined."""
    tell(result, text)
    raise typer.Exit(1 if partly else 0)


def table(rows: list[tuple[Any, ...]], heads: tuple[str, ...]) -> str:
    """Return rows as aligned columns."""
    cells = [
        tuple(map(str, heads)),
        *(tuple("" if c is None else str(c) for c in row) for row in rows),
    ]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def _width(cell: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in cell)
