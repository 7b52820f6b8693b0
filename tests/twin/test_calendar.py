"""Working time against the published holidays of 2026 and the arithmetic of a plain calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin import calendar, db
from twin.calendar import ZONE, Calendar

pytestmark = pytest.mark.usefixtures("database")


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
    days = {date(2026, 1, 1) + timedelta(days=i): (date(2026, 1, 1) + timedelta(days=i)).weekday() < 5
            for i in range(800)}  # fmt: skip
    plain = Calendar(days)
    begin = start.replace(tzinfo=UTC)
    assert plain.between(begin, plain.add(begin, seconds).at) == pytest.approx(seconds, abs=1e-3)
