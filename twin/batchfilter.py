"""CQL2 over columns in memory: the rows of a batch for which a filter is known not to hold.

Three-valued like SQL: null is unknown, and unknown does not fail. Operators that need the database
(shapes, intervals, lists) make the whole filter unreadable here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin import filters
from twin.literals import moment

Mask = NDArray[np.bool_]
Columns = Mapping[str, Sequence[Any]]


class Unreadable(Exception):
    """The filter uses what columns in memory cannot answer."""


@dataclass(frozen=True)
class Values:
    """Values of a column and where they are known; for conditions the values are true or false."""

    data: NDArray[Any]
    known: Mask


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, ">": operator.gt,
    "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_MATHS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "%": np.fmod, "^": operator.pow, "div": lambda a, b: np.trunc(a / b),
}  # fmt: skip


@lru_cache(maxsize=512)
def _tree(said: str) -> Any:
    return filters.parse(said)


@lru_cache(maxsize=512)
def names(said: str | None) -> frozenset[str]:
    """Return the names that a filter uses."""
    return frozenset(filters.names_in(said)) if said else frozenset()


def failing(said: str, columns: Columns, rows: int) -> Mask | None:
    """Return the rows where the filter is known to be false; None when it cannot be told here."""
    try:
        found = _Reader(columns, rows).read(_tree(said))
    except (Unreadable, TypeError, ValueError):
        # Types that do not fit are told by the check over what is stored.
        return None
    return np.asarray(found.known & ~found.data.astype(bool))


class _Reader:
    def __init__(self, columns: Columns, rows: int) -> None:
        self.columns, self.rows = columns, rows

    def read(self, tree: Any) -> Values:
        """Return any part of a filter over all rows."""
        if isinstance(tree, Mapping):
            return self._mapping(tree)
        if isinstance(tree, str | int | float):
            return self._all(float(tree) if type(tree) is int else tree)
        raise Unreadable

    def _mapping(self, tree: Mapping[str, Any]) -> Values:
        if "property" in tree:
            return self._column(str(tree["property"]))
        if "date" in tree or "timestamp" in tree:
            return self._all(moment(tree).value)
        name, args = str(tree.get("op", "")).lower(), tree.get("args", [])
        if name in ("and", "or"):
            return self._logic(name, [self.read(a) for a in args])
        if name == "not":
            found = self.read(args[0])
            return Values(~found.data.astype(bool), found.known)
        if name == "isnull":
            return Values(~self.read(args[0]).known, np.ones(self.rows, dtype=bool))
        if name in _COMPARE:
            return self._apply(_COMPARE[name], *self._pair(*args), bool)
        if name in _MATHS:
            return self._maths(name, *(self.read(a) for a in args))
        return self._more(name, args)

    def _more(self, name: str, args: list[Any]) -> Values:
        if name == "between":
            low = self._apply(operator.ge, *self._pair(args[0], args[1]), bool)
            high = self._apply(operator.le, *self._pair(args[0], args[2]), bool)
            return self._logic("and", [low, high])
        if name == "in":
            pairs = (self._pair(args[0], one) for one in args[1])
            return self._logic("or", [self._apply(operator.eq, *p, bool) for p in pairs])
        raise Unreadable

    def _all(self, value: Any) -> Values:
        data = np.empty(self.rows, dtype=type(value) if isinstance(value, float | bool) else object)
        data[:] = value
        return Values(data, np.ones(self.rows, dtype=bool))

    def _column(self, name: str) -> Values:
        if name not in self.columns:
            return Values(np.zeros(self.rows), np.zeros(self.rows, dtype=bool))
        cells = self.columns[name]
        known = np.array([c is not None for c in cells], dtype=bool)
        types = {type(c) for c in cells if c is not None}
        if types <= {int, float}:
            data = np.array([np.nan if c is None else c for c in cells], dtype=float)
        else:
            data = np.empty(self.rows, dtype=object)
            data[:] = [None if c is None else c for c in cells]
        return Values(data, known)

    def _pair(self, one: Any, other: Any) -> tuple[Values, Values]:
        a, b = self.read(one), self.read(other)
        return _like_other(a, b, one), _like_other(b, a, other)

    def _apply(
        self, do: Callable[[Any, Any], Any], a: Values, b: Values, kind: type[Any]
    ) -> Values:
        known = a.known & b.known
        data = np.zeros(self.rows, dtype=kind)
        with np.errstate(all="ignore"):
            data[known] = do(a.data[known], b.data[known])
        return Values(data, known)

    def _maths(self, name: str, a: Values, b: Values) -> Values:
        found = self._apply(_MATHS[name], a, b, float)
        # Division by nothing gives nothing, as it does in the database.
        return Values(found.data, found.known & np.isfinite(found.data))

    def _logic(self, name: str, parts: list[Values]) -> Values:
        true = [p.known & p.data.astype(bool) for p in parts]
        false = [p.known & ~p.data.astype(bool) for p in parts]
        if name == "and":
            no, yes = np.logical_or.reduce(false), np.logical_and.reduce(true)
        else:
            no, yes = np.logical_and.reduce(false), np.logical_or.reduce(true)
        return Values(yes, yes | no)


def _like_other(one: Values, other: Values, said: Any) -> Values:
    """Read a date written as text where the other side holds dates."""
    sample = next((v for v in other.data[other.known] if v is not None), None)
    if not isinstance(sample, date) or not len(one.data):
        return one
    if isinstance(said, str):
        value = moment({"date" if len(said) == 10 else "timestamp": said}).value
        data = np.empty(len(one.data), dtype=object)
        data[:] = value
        one = Values(data, one.known)
    first = next((v for v in one.data[one.known] if v is not None), None)
    if first is not None and isinstance(first, datetime) != isinstance(sample, datetime):
        raise Unreadable
    return one
