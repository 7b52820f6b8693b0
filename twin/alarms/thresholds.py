"""The limits of a property as its running alarm rules declare them: what legends and charts are drawn by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from twin.alarms import rule
from twin.alarms.rule import RANGE, Rule
from twin.products import Product

# A rule may be louder from a second limit on: the form in which shipped rules say so.
_LOUDER = re.compile(r"^\s*a\.value\s*(>=?|<=?)\s*(-?\d+(?:\.\d+)?)\s*$")


class Threshold(NamedTuple):
    """From this value on (above, below or exactly it) a rule rings with this level."""

    word: str  # above | below | is
    limit: float
    level: int
    rule: str
    title: dict[str, str]

    def met(self, value: float) -> bool:
        """Tell whether a value is past the limit."""
        if self.word == "above":
            return value > self.limit
        return value < self.limit if self.word == "below" else value == self.limit


def of(conn: Connection, product: Product, name: str) -> list[Threshold]:
    """Return the limits that rules of a product put on a property, from low to high."""
    mine = [
        one for one in rule.running(conn).values()
        if one.enabled and one.form == RANGE and one.product == product.key and one.property == name
    ]  # fmt: skip
    found = [limit for one in mine for limit in _limits(one, product)]
    return sorted(found, key=lambda one: (one.limit, one.level, one.rule))


def _limits(one: Rule, product: Product) -> Iterable[Threshold]:
    word, limit, _ = one.limit(product)
    title = dict(one.title)
    yield Threshold(word, limit, one.level, one.key, title)
    for cel, level in one.levels:
        said = _LOUDER.match(cel)
        if said and (said[1][0] == ">") == (word == "above"):
            yield Threshold(word, float(said[2]), level, one.key, title)


def level_of(limits: Sequence[Threshold], value: float) -> int | None:
    """Return how loud a value would ring; None while it is within all limits."""
    return min((one.level for one in limits if one.met(value)), default=None)


def standing(conn: Connection, nums: Sequence[int], at: datetime | None) -> dict[int, int]:
    """Return the loudest level that stands with each thing, now or at a moment."""
    when = (
        "cleared_at is null"
        if at is None
        else "raised_at <= :at and (cleared_at is null or cleared_at > :at)"
    )
    rows = conn.execute(
        text(
            "select num, min(level) as level from iot.alarm "
            f"where {when} and num = any(:nums) group by num"
        ),
        {"at": at, "nums": list(nums)},
    )
    return {row.num: int(row.level) for row in rows}


def shown(limits: Sequence[Threshold]) -> list[dict[str, Any]]:
    """Return limits as screens draw them."""
    return [one._asdict() for one in limits]
