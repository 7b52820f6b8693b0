"""Dates, times and intervals in SQL: the fifteen relations of CQL2 over their first and last moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from twin.calendar import ZONE

# A date is a day of the city: it begins and ends at the city's midnight.
_ZONE = str(ZONE)


@dataclass(frozen=True)
class Span:
    """First and last moment; `days` tells that both are dates."""

    first: Any
    last: Any
    days: bool


_Relation = Callable[[Any, Any, Any, Any], Any]
INSTANTS = frozenset({"t_after", "t_before", "t_disjoint", "t_equals", "t_intersects"})
OPERATORS: dict[str, _Relation] = {
    "t_after": lambda a, z, b, y: a > y,
    "t_before": lambda a, z, b, y: z < b,
    "t_disjoint": lambda a, z, b, y: sa.or_(a > y, z < b),
    "t_equals": lambda a, z, b, y: sa.and_(a == b, z == y),
    "t_intersects": lambda a, z, b, y: sa.and_(a <= y, z >= b),
    "t_contains": lambda a, z, b, y: sa.and_(a < b, z > y),
    "t_during": lambda a, z, b, y: sa.and_(a > b, z < y),
    "t_finishedby": lambda a, z, b, y: sa.and_(a < b, z == y),
    "t_finishes": lambda a, z, b, y: sa.and_(a > b, z == y),
    "t_meets": lambda a, z, b, y: z == b,
    "t_metby": lambda a, z, b, y: a == y,
    "t_overlappedby": lambda a, z, b, y: sa.and_(a > b, a < y, z > y),
    "t_overlaps": lambda a, z, b, y: sa.and_(a < b, z > b, z < y),
    "t_startedby": lambda a, z, b, y: sa.and_(a == b, z > y),
    "t_starts": lambda a, z, b, y: sa.and_(a == b, z < y),
}
# What the signs mean between a day and a moment: a moment of the day equals the day.
_SIGNS: dict[str, _Relation] = {
    "=": OPERATORS["t_intersects"],
    "<>": OPERATORS["t_disjoint"],
    "<": OPERATORS["t_before"],
    ">": OPERATORS["t_after"],
    "<=": lambda a, z, b, y: a <= y,
    ">=": lambda a, z, b, y: z >= b,
}


def compare(name: str, one: Span, other: Span) -> ColumnElement[bool]:
    """Return a relation of two spans; where only one is of days, its days become moments."""
    if one.days != other.days:
        one, other = _moments(one), _moments(other)
    relation = OPERATORS.get(name) or _SIGNS[name]
    made: ColumnElement[bool] = relation(one.first, one.last, other.first, other.last)
    return made


def span_of_interval(ends: Sequence[Span | None]) -> Span:
    """Return the span of an interval from its ends; None is an open end."""
    days = all(end.days for end in ends if end is not None) and any(ends)
    first, last = ((end if days or end is None else _moments(end)) for end in ends)
    kind = sa.Date() if days else sa.DateTime(timezone=True)
    return Span(
        first.first if first else sa.cast(sa.literal_column("'-infinity'"), kind),
        last.last if last else sa.cast(sa.literal_column("'infinity'"), kind),
        days,
    )


def _moments(span: Span) -> Span:
    if not span.days:
        return span
    return Span(_midnight(span.first, 0), _midnight(span.last, 1) - _TICK, False)


_TICK = sa.literal_column("interval '1 microsecond'", sa.Interval)


def _midnight(day: Any, later: int) -> Any:
    moved = day + sa.literal_column(str(later), sa.Integer) if later else day
    local = sa.cast(moved, sa.DateTime())
    return sa.type_coerce(
        sa.func.timezone(sa.literal_column(f"'{_ZONE}'"), local), sa.DateTime(timezone=True)
    )
