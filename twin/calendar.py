"""Working time: days from a table, spans of a working day, adding and measuring seconds.

Days are seeded from the published holiday notices; a year that is not published yet falls back to
Monday–Friday and every deadline in it is marked provisional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
from sqlalchemy import Connection, text

ZONE = ZoneInfo("Asia/Shanghai")
# Office hours of the city's departments; a dated parameter once an office says otherwise.
SPANS = ((time(8, 30), time(12, 0)), (time(13, 0), time(17, 30)))
FIRST_YEAR, LAST_YEAR = 2024, 2026
_FAR = 3660


@dataclass(frozen=True)
class Deadline:
    """A moment, and whether the calendar up to it is confirmed."""

    at: datetime
    provisional: bool


class Calendar:
    """Working days of one calendar; days it does not know are Monday–Friday, provisionally."""

    def __init__(self, days: Mapping[date, bool]) -> None:
        self.days = days

    def works(self, day: date) -> bool:
        """Tell whether a day is a working day."""
        known = self.days.get(day)
        return day.weekday() < 5 if known is None else known

    def add(self, start: datetime, seconds: float) -> Deadline:
        """Return the moment after that many working seconds (start and result in UTC)."""
        local = start.astimezone(ZONE)
        left, provisional = seconds, False
        for i in range(_FAR):
            day = local.date() + timedelta(days=i)
            if not self.works(day):
                continue
            provisional |= day not in self.days
            for begin, end in _spans(day):
                length = (end - max(begin, local)).total_seconds()
                if length <= 0:
                    continue
                if left <= length:
                    at = max(begin, local) + timedelta(seconds=left)
                    return Deadline(at.astimezone(UTC), provisional)
                left -= length
        raise ValueError("more than ten years of working time")

    def between(self, start: datetime, end: datetime) -> float:
        """Return the working seconds from start to end; 0 when end is earlier."""
        a, b = start.astimezone(ZONE), end.astimezone(ZONE)
        total, day = 0.0, a.date()
        while day <= b.date():
            if self.works(day):
                for begin, stop in _spans(day):
                    total += max(0.0, (min(stop, b) - max(begin, a)).total_seconds())
            day += timedelta(days=1)
        return total


def _spans(day: date) -> list[tuple[datetime, datetime]]:
    return [(datetime.combine(day, a, ZONE), datetime.combine(day, b, ZONE)) for a, b in SPANS]


def load(conn: Connection, name: str) -> Calendar:
    """Return a calendar of twin.calendar_day."""
    rows = conn.execute(
        text("select day, kind from twin.calendar_day where calendar = :n"), {"n": name}
    )
    return Calendar({r.day: r.kind == "work" for r in rows})


def seed(conn: Connection, name: str) -> int:
    """Fill a calendar from the published notices where a day is still missing."""
    rows = []
    day = date(FIRST_YEAR, 1, 1)
    while day.year <= LAST_YEAR:
        kind = "work" if chinese_calendar.is_workday(day) else "rest"
        rows.append({"n": name, "d": day, "k": kind})
        day += timedelta(days=1)
    done = conn.execute(
        text(
            "insert into twin.calendar_day (calendar, day, kind, source, confirmed) "
            "values (:n, :d, :k, 'State Council holiday notices', true) on conflict do nothing"
        ),
        rows,
    )
    return done.rowcount
