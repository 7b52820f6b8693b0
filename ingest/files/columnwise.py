"""Parsing whole columns: what is typed already is only checked, repeated cells are read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ingest.files import values
from twin.kinds import Field

_NUMBERS = {"number": frozenset((float, int, type(None))), "integer": frozenset((int, type(None)))}
Reasons = dict[int, str]


def parse(cells: Sequence[Any], field: Field, reasons: Reasons) -> list[Any]:
    """Return typed values; the first reason of a row that does not fit goes into `reasons`."""
    typed = _typed(cells, field)
    return typed if typed is not None else _each(cells, field, reasons)


def _typed(cells: Sequence[Any], field: Field) -> list[Any] | None:
    """Return numbers that need no reading and break no bound; None when a look at each is needed."""
    allowed = _NUMBERS.get(field.type)
    if allowed is None or field.pattern or not set(map(type, cells)) <= allowed:
        return None
    found = np.array(cells, dtype=float)
    empty = np.isnan(found)
    if (field.required and empty.any()) or np.isinf(found).any():
        return None
    low = -values.SAFE_INT if field.type == "integer" else -np.inf
    high = values.SAFE_INT if field.type == "integer" else np.inf
    bounds = (max(low, field.min or low) if field.min is not None else low,
              field.max if field.max is not None else high)  # fmt: skip
    with np.errstate(invalid="ignore"):
        if ((found < bounds[0]) | (found > bounds[1])).any():
            return None
    # NaN is nothing, as it is in every format that has no null for numbers.
    return (
        [None if e else c for c, e in zip(cells, empty, strict=True)]
        if empty.any()
        else list(cells)
    )


def _each(cells: Sequence[Any], field: Field, reasons: Reasons) -> list[Any]:
    """Read each different cell once: most columns say the same few things."""
    try:
        # True, 1 and 1.0 are one key but three values: tell them apart where types are mixed.
        keys = cells if len(set(map(type, cells))) == 1 else [(type(c), c) for c in cells]
        known = {k: _parsed(c, field) for k, c in dict(zip(keys, cells, strict=True)).items()}
        out = [known[k] for k in keys]
        unfit = any(isinstance(v, values.Unfit) for v in known.values())
    except TypeError:
        out = [_parsed(c, field) for c in cells]
        unfit = True
    if not unfit:
        return out
    for i, value in enumerate(out):
        if isinstance(value, values.Unfit):
            reasons.setdefault(i, str(value))
            out[i] = None
    return out


def _parsed(cell: Any, field: Field) -> Any:
    try:
        return values.parse(cell, field)
    except values.Unfit as why:
        return why
