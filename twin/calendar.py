"""Working time: a declared calendar as prefix sums of working seconds; adding is one bisection.

A year that is not published yet falls back to the plain week without the fixed holidays, and every
deadline that reaches into it is provisional until the calendar is published.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from twin import declarations
from twin.beside import Beside
from twin.errors import BadRequest, DeclarationError

KIND_OF = "calendar"
ZONE = ZoneInfo("Asia/Shanghai")
FIRST, LAST = date(2010, 1, 1), date(2060, 12, 31)
DAY_S = 86_400
Fault = tuple[tuple[Any, ...], str]


@dataclass(frozen=True)
class Deadline:
    """A moment, and whether the calendar up to it is still to be published."""

    at: datetime
    provisional: bool


_REMEMBERED = 4096


class Calendar:
    """The working time of one declared calendar."""

    def __init__(self, doc: Mapping[str, Any]) -> None:
        self.key = str(doc["key"])
        self.week = frozenset(doc["week"])
        self.spans = [(_seconds(a), _seconds(b)) for a, b in doc["spans"]]
        self.day_s = sum(b - a for a, b in self.spans)
        self.fixed = frozenset(doc.get("fixed", ()))
        self.always = bool(doc.get("always"))
        self._added: dict[tuple[datetime, float], Deadline] = {}
        self.years = {
            int(year): (frozenset(said.get("rest", ())), frozenset(said.get("work", ())))
            for year, said in doc.get("years", {}).items()
        }

    def published(self, year: int) -> bool:
        """Tell whether the days of a year are known and not only assumed."""
        return self.always or year in self.years

    def works(self, day: date) -> bool:
        """Tell whether a day is a working day."""
        said = f"{day:%m-%d}"
        plain = day.isoweekday() in self.week
        if day.year in self.years:
            rest, work = self.years[day.year]
            return said in work or (plain and said not in rest)
        return plain and (self.always or said not in self.fixed)

    @cached_property
    def _before(self) -> list[int]:
        """The number of working days before each day from FIRST on."""
        total, sums, day = 0, [], FIRST
        while day <= LAST:
            sums.append(total)
            total += self.works(day)
            day += timedelta(days=1)
        return [*sums, total]

    def _reckoned(self, at: datetime) -> float:
        """Return the working seconds from FIRST to a moment."""
        local = at.astimezone(ZONE)
        i = self._index(local.date())
        done = self._before[i] * self.day_s
        if self._before[i + 1] == self._before[i]:
            return done
        second = (local - datetime.combine(local.date(), time(), ZONE)).total_seconds()
        return done + sum(min(max(second - a, 0.0), b - a) for a, b in self.spans)

    @staticmethod
    def _index(day: date) -> int:
        if not FIRST <= day <= LAST:
            raise BadRequest(f"{day} lies outside what calendars know ({FIRST} to {LAST}).")
        return (day - FIRST).days

    def add(self, start: datetime, seconds: float) -> Deadline:
        """Return the moment after that many working seconds (UTC); fewer than none reach back."""
        known = self._added.get((start, seconds))
        if known is None:
            if len(self._added) > _REMEMBERED:
                self._added.clear()
            known = self._added[start, seconds] = self._add(start, seconds)
        return known

    def _add(self, start: datetime, seconds: float) -> Deadline:
        goal = self._reckoned(start) + seconds
        if seconds == 0:
            return Deadline(start.astimezone(UTC), not self.published(start.astimezone(ZONE).year))
        if not 0 < goal <= self._before[-1] * self.day_s:
            raise BadRequest("This deadline lies outside what calendars know.")
        # The last day that begins before the goal is reached: its end is the goal at the latest.
        i = bisect_left(self._before, goal, key=lambda days: days * self.day_s) - 1
        left, day = goal - self._before[i] * self.day_s, FIRST + timedelta(days=i)
        for a, b in self.spans:
            if left <= b - a:
                at = datetime.combine(day, time(), ZONE) + timedelta(seconds=a + left)
                return Deadline(at.astimezone(UTC), self._provisional(start, at))
            left -= b - a
        raise AssertionError("a working day holds its own seconds")

    def _provisional(self, start: datetime, end: datetime) -> bool:
        a, b = sorted((start.astimezone(ZONE).year, end.astimezone(ZONE).year))
        return any(not self.published(year) for year in range(a, b + 1))

    def between(self, start: datetime, end: datetime) -> float:
        """Return the working seconds from start to end; 0 when end is earlier."""
        return max(0.0, self._reckoned(end) - self._reckoned(start))

    def add_days(self, start: datetime, days: int) -> Deadline:
        """Return the end of the n-th working day after the day of start, as the law counts days."""
        local = start.astimezone(ZONE).date()
        goal = self._before[self._index(local) + 1] + max(days, 0)
        i = bisect_left(self._before, goal) - 1
        if not 0 <= i <= (LAST - FIRST).days or (days > 0 and self._before[i + 1] != goal):
            raise BadRequest("This deadline lies outside what calendars know.")
        day = FIRST + timedelta(days=i) if days > 0 else local
        at = datetime.combine(day, time(), ZONE) + timedelta(seconds=self.spans[-1][1])
        return Deadline(at.astimezone(UTC), self._provisional(start, at))

    def days_between(self, start: datetime, end: datetime) -> int:
        """Return the working days after the day of start up to the day of end, that one included."""
        a, b = (self._index(moment.astimezone(ZONE).date()) for moment in (start, end))
        return max(0, self._before[b + 1] - self._before[a + 1])


def midnight(day: date) -> datetime:
    """Return the moment at which a day of the city begins."""
    return datetime.combine(day, time(), ZONE)


def _seconds(said: str) -> int:
    hours, minutes = said.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def faults(doc: Mapping[str, Any]) -> list[Fault]:
    """Return what a calendar cannot mean: each with the path of the key."""
    found: list[Fault] = []
    last = -1
    for i, (a, b) in enumerate((_seconds(a), _seconds(b)) for a, b in doc["spans"]):
        if not last <= a < b:
            found.append((("spans", i), "spans follow one another and end after they begin"))
        last = b
    for year, said in doc.get("years", {}).items():
        for key in ("rest", "work"):
            found += [
                (("years", year, key, i), f"{year}-{day} is no day")
                for i, day in enumerate(said.get(key, ()))
                if not _is_day(int(year), day)
            ]
        for day in set(said.get("rest", ())) & set(said.get("work", ())):
            found.append((("years", year), f"{day} is both a day off and a day worked"))
    return found


def _is_day(year: int, said: str) -> bool:
    try:
        date.fromisoformat(f"{year}-{said}")
    except ValueError:
        return False
    return True


def read_file(path: Path) -> dict[str, Any]:
    """Read and check a calendar file; DeclarationError names file, line and key."""
    doc, lines = declarations.read(KIND_OF, path)
    for where, why in faults(doc):
        line = declarations.line_of(lines, where)
        raise DeclarationError(str(path), line, ".".join(map(str, where)), why)
    return doc


_known: Beside[dict[str, Any], Calendar] = Beside(64)


def load(conn: Connection, name: str) -> Calendar:
    """Return the calendar that runs under this name; made once for each document in memory."""
    doc = declarations.kept(conn, KIND_OF, name, declarations.newest(conn, KIND_OF, name)[2])
    return _known.get(doc, Calendar)
