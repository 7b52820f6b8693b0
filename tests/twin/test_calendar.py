"""Working time against the published holidays of 2026 and the arithmetic of a plain calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import chinese_calendar
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin import calendar, db
from twin.calendar import ZONE, Calendar

pytestmark = pytest.mark.usefixtures("database")
PLAIN: dict[str, Any] = {
    "key": "plain", "week": [1, 2, 3, 4, 5], "always": True,
    "spans": [["08:30", "12:00"], ["13:00", "17:30"]],
}  # fmt: skip


@lru_cache(maxsize=1)
def whole() -> Calendar:
    return Calendar(PLAIN)


def at(said: str) -> datetime:
    return datetime.fromisoformat(said).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        ("2026-02-13 17:00", 60, "2026-02-14 09:00"),  # Saturday worked in exchange
        ("2026-02-14 17:00", 60, "2026-02-24 09:00"),  # over the Spring Festival
        ("2026-09-30 17:00", 60, "2026-10-08 09:00"),  # over the National Day
        ("2026-10-09 17:00", 60, "2026-10-10 09:00"),  # Saturday worked in exchange
        ("2026-11-20 11:30", 60, "2026-11-20 13:30"),  # over the noon rest
        ("2026-11-21 10:00", 30, "2026-11-23 09:00"),  # begun on a Saturday
    ],
)
def test_working_minutes_follow_the_published_days(start: str, minutes: int, expected: str) -> None:
    with db.engine("owner").connect() as conn:
        made = calendar.load(conn, "sh-workday").add(at(start), minutes * 60)
    assert made.at == at(expected)
    assert not made.provisional


def test_an_unpublished_year_is_provisional() -> None:
    with db.engine("owner").connect() as conn:
        made = calendar.load(conn, "sh-workday").add(at("2027-03-01 08:30"), 3600)
    assert made.at == at("2027-03-01 09:30")
    assert made.provisional


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),
    st.integers(min_value=0, max_value=5 * 8 * 3600),
)
def test_between_undoes_add(start: datetime, seconds: int) -> None:
    plain = whole()
    begin = start.replace(tzinfo=UTC)
    assert plain.between(begin, plain.add(begin, seconds).at) == pytest.approx(seconds, abs=1e-3)


def test_ten_thousand_random_deadlines_are_those_of_counting_minutes() -> None:
    """The other side knows nothing of ours: it lists every working minute of three years."""
    minutes = counted_minutes()
    gen = np.random.default_rng(5)
    first = int(datetime(2024, 1, 1, tzinfo=ZONE).timestamp()) // 60
    last = int(datetime(2026, 12, 1, tzinfo=ZONE).timestamp()) // 60
    starts = gen.integers(first, last, 10_000)
    spans = gen.integers(1, 10 * 480, 10_000)
    with db.engine("owner").connect() as conn:
        made = calendar.load(conn, "sh-workday")
    wrong, known = [], 0
    for start, span in zip(starts.tolist(), spans.tolist(), strict=True):
        at = int(np.searchsorted(minutes, start)) + span - 1
        if at >= len(minutes):
            continue
        known += 1
        due = made.add(datetime.fromtimestamp(start * 60, UTC), span * 60)
        if due.provisional or due.at.timestamp() != (minutes[at] + 1) * 60:
            wrong.append((start, span, due))
    assert known > 9_900
    assert not wrong


def counted_minutes() -> np.ndarray:
    day, found = date(2024, 1, 1), []
    while day.year < 2027:
        if chinese_calendar.is_workday(day):
            noon = int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()) // 60
            found += [*range(noon + 510, noon + 720), *range(noon + 780, noon + 1050)]
        day += timedelta(days=1)
    return np.array(found)


def test_legal_days_end_with_office_hours_and_skip_holidays() -> None:
    with db.engine("owner").connect() as conn:
        made = calendar.load(conn, "sh-workday")
    assert made.add_days(at("2026-09-29 10:00"), 3).at == at("2026-10-09 17:30")
    assert made.add_days(at("2026-11-20 23:00"), 1).at == at("2026-11-23 17:30")
    assert made.days_between(at("2026-09-29 10:00"), at("2026-10-09 09:00")) == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"spans": [["13:00", "12:00"]]}, "follow one another"),
        ({"spans": [["08:00", "12:00"], ["11:00", "17:00"]]}, "follow one another"),
        ({"years": {"2026": {"source": "x", "rest": ["02-30"]}}}, "no day"),
        ({"years": {"2026": {"source": "x", "rest": ["02-03"], "work": ["02-03"]}}}, "both"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(change: dict[str, object], why: str) -> None:
    assert why in str(calendar.faults(PLAIN | change))
