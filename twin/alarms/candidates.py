"""The writer's part of alarms: one range test per rule over the columns of a batch, before its commit.

What crosses a limit becomes a row of `iot.candidate` in the transaction of the values, so no
value that is stored can miss its alarm; everything dearer happens in the engine, on candidates
only. In memory stands which things may be past a limit: always a superset, never the truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import psycopg
from psycopg.rows import tuple_row

from twin import products
from twin.alarms import rule as declared
from twin.products import Product

REFRESH_S = 2.0
# A thing that stays past a limit is told again after this: what was told and then rolled back heals.
TELL_AGAIN_S = 60.0
UNKNOWN, UP, DOWN = 0, 1, -1
Array = np.ndarray[Any, Any]


class Columns(Protocol):
    """A batch of one product as columns (see `twin.telemetry.columns`)."""

    @property
    def product(self) -> Product:
        """The product of all rows."""

    @property
    def num(self) -> Array:
        """The thing of each row."""

    @property
    def at(self) -> Array:
        """The moment of each row, seconds since 1970."""

    @property
    def values(self) -> Mapping[str, Array]:
        """The values by property; nan where a row has none."""


@dataclass
class RangeTest:
    """One range rule made ready for columns."""

    rule: str
    property: str
    word: str
    limit: float
    clear: float
    maybe: Array = field(default_factory=lambda: np.zeros(1, dtype=bool))
    told: Array = field(default_factory=lambda: np.zeros(1, dtype=np.int8))

    def past(self, v: Array) -> Array:
        """Tell which values are past the limit; nan never is."""
        if self.word == "above":
            return np.asarray(v > self.limit)
        return np.asarray(v < self.limit if self.word == "below" else v == self.limit)

    def back(self, v: Array) -> Array:
        """Tell which values are behind the clear limit; between the two nothing changes."""
        if self.word == "above":
            return np.asarray(v <= self.clear)
        if self.word == "below":
            return np.asarray(v >= self.clear)
        return np.asarray((v != self.limit) & ~np.isnan(v))

    def room(self, highest: int) -> None:
        """Make room for thing numbers up to this; the last place is for all that lie beyond."""
        if highest + 2 > len(self.maybe):
            more = max(highest + 2, 2 * len(self.maybe))
            for name in ("maybe", "told"):
                old = getattr(self, name)
                made = np.zeros(more, dtype=old.dtype)
                made[: len(old)] = old
                setattr(self, name, made)

    def crossings(self, num: Array, at: Array, v: Array) -> tuple[Array, Array]:
        """Return the rows at which a thing crossed, in order of thing and time, and which way."""
        past = self.past(v)
        if past.any():
            self.room(int(num[past].max()))
            self.maybe[num[past]] = True
        mine = np.flatnonzero(self.maybe.take(num, mode="clip"))
        if not mine.size:
            return mine, mine
        way = np.where(past[mine], UP, np.where(self.back(v[mine]), DOWN, UNKNOWN))
        mine, way = mine[way != UNKNOWN], way[way != UNKNOWN]
        order = np.lexsort((at[mine], num[mine]))
        mine, way = mine[order], way[order].astype(np.int8)
        whose = num[mine]
        before = np.concatenate(([UNKNOWN], way[:-1]))
        first = np.concatenate(([True], whose[1:] != whose[:-1]))[: len(whose)]
        before = np.where(first, self.told.take(whose, mode="clip"), before[: len(whose)])
        turned = way != before
        if whose.size:
            last = np.concatenate((first[1:], [True]))
            self.told[whose[last]] = way[last]
        return mine[turned], way[turned]


class Screen:
    """The range tests of all running rules in this process."""

    def __init__(self) -> None:
        self.tests: dict[str, list[RangeTest]] = {}
        self._stamp: Any = None
        self._asked = float("-inf")
        self._told = float("-inf")

    def forget(self) -> None:
        """Start anew from the database: a batch was rolled back."""
        self._asked = self._told = float("-inf")

    def refresh(self, conn: psycopg.Connection[Any], now: float) -> None:
        """Read rules and what stands past limits again, when that was a while ago."""
        if now - self._asked < REFRESH_S:
            return
        with conn.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_STAMP)
            stamp = cursor.fetchone()
            if stamp != self._stamp:
                cursor.execute(_RULES)
                self.tests = tests({key: doc for key, doc in cursor}, _products(conn))
                self._stamp, self._told = stamp, float("-inf")
            cursor.execute(_STANDING)
            standing: dict[str, list[int]] = {}
            for key, num in cursor:
                standing.setdefault(key, []).append(num)
        for test in (one for many in self.tests.values() for one in many):
            nums = standing.get(test.rule, [])
            test.room(max(nums, default=0))
            if now - self._told > TELL_AGAIN_S:
                test.told[:] = UNKNOWN
                test.maybe[:] = False
            test.maybe[nums] = True
        if now - self._told > TELL_AGAIN_S:
            self._told = now
        self._asked = now

    def crossed(self, columns: Columns) -> list[tuple[str, int, datetime, bool, float]]:
        """Return the rows of `iot.candidate` that a batch gives."""
        rows: list[tuple[str, int, datetime, bool, float]] = []
        for test in self.tests.get(columns.product.key, ()):
            v = columns.values.get(test.property)
            if v is None:
                continue
            found, way = test.crossings(columns.num, columns.at, v)
            for i, up in zip(found.tolist(), (way == UP).tolist(), strict=True):
                at = datetime.fromtimestamp(float(columns.at[i]), UTC)
                rows.append((test.rule, int(columns.num[i]), at, up, float(v[i])))
        return rows


_STAMP = (
    "select count(*), max(published_at) from twin.declaration where kind_of in ('alarm', 'product')"
)
_RULES = (
    "select distinct on (key) key, doc from twin.declaration where kind_of = 'alarm' "
    "order by key, version desc"
)
# What the engine has not taken yet counts too: it moves from one to the other in one transaction.
_STANDING = "select rule, num from iot.watch union select rule, num from iot.candidate"
_PRODUCTS = (
    "select distinct on (key) key, doc, version from twin.declaration where kind_of = 'product' "
    "order by key, version desc"
)


def _products(conn: psycopg.Connection[Any]) -> dict[str, Product]:
    with conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_PRODUCTS)
        return {key: products.from_doc({**doc, "_version": v}) for key, doc, v in cursor}


def tests(docs: Mapping[str, Any], known: Mapping[str, Product]) -> dict[str, list[RangeTest]]:
    """Return the tests by product of all rules that are range rules and run."""
    made: dict[str, list[RangeTest]] = {}
    for doc in docs.values():
        rule = declared.from_doc(doc)
        if rule.form != declared.RANGE or not rule.enabled or rule.product is None:
            continue
        if rule.product not in known:
            continue
        word, limit, clear = rule.limit(known[rule.product])
        test = RangeTest(rule.key, rule.property or "", word, limit, clear)
        made.setdefault(rule.product, []).append(test)
    return made


_screen = Screen()


def keep(conn: psycopg.Connection[Any], columns: Columns) -> int:
    """Keep what a batch makes cross a limit, in the batch's transaction; return how many rows."""
    _screen.refresh(conn, time.monotonic())
    rows = _screen.crossed(columns)
    if rows:
        with (
            conn.cursor() as cursor,
            cursor.copy(
                "copy iot.candidate (rule, num, at, up, value) from stdin (format binary)"
            ) as out,
        ):
            out.set_types(["text", "int4", "timestamptz", "bool", "float8"])
            for row in rows:
                out.write_row(row)
    return len(rows)


_EVENT_RULES = (
    "select distinct on (key) key, doc from twin.declaration where kind_of = 'alarm' "
    "order by key, version desc"
)


def keep_events(
    conn: psycopg.Connection[Any], product: str, told: Sequence[tuple[int, float, str, float]]
) -> int:
    """Keep what devices called out (thing, seconds since 1970, type, level) for rules of events."""
    if not told:
        return 0
    with conn.cursor(row_factory=tuple_row) as cursor:
        rules = [declared.from_doc(doc) for _, doc in cursor.execute(_EVENT_RULES)]
        mine = {
            one.when["type"]: one.key
            for one in rules
            if one.form == declared.EVENT and one.enabled and one.product == product
        }
        # It is over at once and clears a while after: nobody says that an event has ended.
        rows = [
            (mine[type_], num, datetime.fromtimestamp(at, UTC), up, level)
            for num, at, type_, level in told
            if type_ in mine
            for up in (True, False)
        ]
        cursor.executemany(
            "insert into iot.candidate (rule, num, at, up, value) values (%s, %s, %s, %s, %s)", rows
        )
    return len(rows)


def forget() -> None:
    """Forget what was told: to be called after the transaction of a batch was rolled back."""
    _screen.forget()
