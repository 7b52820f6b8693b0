"""Quality at the door: the same rules over the columns of a batch, before anything is stored.

What needs the stored things (references, places, overlaps) or has no columnwise reading here is
left to the check that follows the load; null means not applicable, as in the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin import batchfilter
from twin.calendar import ZONE, midnight
from twin.kinds import Kind
from twin.rulebook import Rule, rules

Failure = tuple[int, str, str, str]
Mask = NDArray[np.bool_]
Columns = Mapping[str, Sequence[Any]]


def at_door(
    kind: Kind,
    columns: Columns,
    shapes: NDArray[np.object_] | None = None,
    *,
    implied: bool = False,
) -> list[Failure]:
    """Return (row, rule, reason, severity) for what fails in a batch, in the order of the rows.

    `columns` are typed values as `things.write` takes them. The rules that fields imply are
    checked where cells are parsed; `implied` checks them here too, for doors that do not parse.
    """
    found: list[Failure] = []
    rows = len(next(iter(columns.values()), ()))
    for rule in rules(kind):
        if rule.whole or rule.check not in _CHECKS or (not implied and "." in rule.id):
            continue
        failed = _CHECKS[rule.check](rule, columns, shapes, rows)
        if failed is None:
            continue
        said = rule.title["zh"]
        found += [
            (int(i), rule.id, f"{rule.id} {said}{_given(rule, columns, int(i))}", rule.severity)
            for i in np.flatnonzero(failed)
        ]
    return sorted(found, key=lambda f: f[0])


def _given(rule: Rule, columns: Columns, row: int) -> str:
    names = rule.fields or tuple(sorted(batchfilter.names(rule.expr)))
    said = [f"{n}={columns[n][row]}" for n in names if n in columns]
    return f" ({', '.join(said)})"[:200] if said else ""


def _nothing(cells: Sequence[Any]) -> Mask:
    return np.array([c is None or c == "" or c == [] for c in cells], dtype=bool)


def _required(rule: Rule, columns: Columns, shapes: Any, rows: int) -> Mask | None:
    failed = np.zeros(rows, dtype=bool)
    for name in rule.fields:
        if name == "geom" and shapes is not None:
            failed |= shapely.is_missing(shapes) | shapely.is_empty(shapes)
        elif name in columns:
            failed |= _nothing(columns[name])
    return failed


def _unique(rule: Rule, columns: Columns, _shapes: Any, rows: int) -> Mask | None:
    if any(name not in columns for name in rule.fields):
        return None
    seen: dict[tuple[Any, ...], int] = {}
    failed = np.zeros(rows, dtype=bool)
    for i, key in enumerate(zip(*(columns[name] for name in rule.fields), strict=True)):
        if None in key:
            continue
        # The first one stands; who comes again has to be looked at.
        failed[i] = key in seen
        seen.setdefault(key, i)
    return failed


def _range(rule: Rule, columns: Columns, _shapes: Any, _rows: int) -> Mask | None:
    if rule.fields[0] not in columns:
        return None
    cells = [np.nan if c is None else c for c in columns[rule.fields[0]]]
    values = np.array(cells, dtype=float)
    low = -np.inf if rule.min is None else rule.min
    high = np.inf if rule.max is None else rule.max
    with np.errstate(invalid="ignore"):
        return np.asarray((values < low) | (values > high))


def _each(test: Callable[[Any], bool], rule: Rule, columns: Columns) -> Mask | None:
    if rule.fields[0] not in columns:
        return None
    cells = columns[rule.fields[0]]
    return np.array([c is not None and not test(c) for c in cells], dtype=bool)


def _pattern(rule: Rule, columns: Columns, _shapes: Any, _rows: int) -> Mask | None:
    wanted = re.compile(rule.pattern or "")
    return _each(lambda cell: wanted.fullmatch(str(cell)) is not None, rule, columns)


def _codes(rule: Rule, columns: Columns, _shapes: Any, _rows: int) -> Mask | None:
    known = frozenset(rule.codes)

    def holds(cell: Any) -> bool:
        return known.issuperset(cell) if isinstance(cell, list) else str(cell) in known

    return _each(holds, rule, columns)


def _valid(_rule: Rule, _columns: Columns, shapes: Any, _rows: int) -> Mask | None:
    if shapes is None:
        return None
    return np.asarray(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))


def _fresh(rule: Rule, columns: Columns, _shapes: Any, _rows: int) -> Mask | None:
    limit = datetime.now(UTC) - timedelta(seconds=rule.within_s or 0)

    def holds(cell: Any) -> bool:
        at = cell
        if isinstance(cell, str):
            at = datetime.fromisoformat(cell)
        if isinstance(at, date) and not isinstance(at, datetime):
            at = midnight(at)
        return bool((at if at.tzinfo else at.replace(tzinfo=ZONE)) >= limit)

    return _each(holds, rule, columns)


def _expression(rule: Rule, columns: Columns, _shapes: Any, rows: int) -> Mask | None:
    return batchfilter.failing(rule.expr or "true", columns, rows)


_CHECKS: dict[str, Callable[[Rule, Columns, Any, int], Mask | None]] = {
    "required": _required, "unique": _unique, "range": _range, "pattern": _pattern,
    "codes": _codes, "valid": _valid, "fresh": _fresh, "expression": _expression,
}  # fmt: skip
