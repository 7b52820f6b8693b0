"""A generated week taken in report by report, with the rule that runs: what merged by itself, and how often rightly."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from twin import db, intake
from twin.eventview import PROCESS
from twin.likeness import Report
from twin.scope import SYSTEM
from ui.terminal.benchmarks import reports

# The week before: its closed cases are what a city knows of words, as any city does after its first days.
BEFORE = 99
_CHANNEL = {sigma: name for name, sigma in reports.SIGMA.items()}


class Week(NamedTuple):
    """What a week of merging by itself came to."""

    reports: int
    again: int  # reports of a thing that was reported before
    merged: int
    right: int


_FILL = text(
    "with n as (select gen_random_uuid() as id, r.* from jsonb_to_recordset(cast(:rows as jsonb)) as r "
    "(code text, category text, words text, lon float8, lat float8, at timestamptz)), "
    "t as (insert into twin.thing (id, kind, code, level, point) select id, 'event', code, 2, "
    "st_setsrid(st_makepoint(lon, lat), 4326) from n returning id, num) "
    'insert into twin."case" (id, num, code, process, process_version, state, title, category, point, '
    "source, data, opened_at, closed_at) select n.id, t.num, code, :p, 1, 'closed', category, category, "
    "st_setsrid(st_makepoint(lon, lat), 4326), 'map', "
    "jsonb_build_object('photos', '[]'::jsonb, 'description', words), at, at + interval '8 hours' "
    "from n join t using (id)"
)


def _earlier(begun: datetime, incidents: int) -> None:
    """Write the closed cases of the week before."""
    rows = [
        {"code": f"B-{i}", "category": r.category, "words": r.words, "lon": r.lon, "lat": r.lat,
         "at": (begun + timedelta(seconds=r.at, days=-reports.DAYS)).isoformat()}
        for i, r in enumerate(reports.city(BEFORE, incidents).reports)
    ]  # fmt: skip
    with db.engine("owner").begin() as conn:
        conn.execute(_FILL, {"rows": json.dumps(rows), "p": PROCESS})


def week(seed: int, incidents: int = reports.INCIDENTS) -> Week:
    """Take in the reports of a week in their order, each in a transaction of its own, in a database for it."""
    made = reports.city(seed, incidents)
    begun = datetime.now(UTC) - timedelta(days=reports.DAYS)
    _earlier(begun, incidents)
    truth = dict(zip((r.code for r in made.reports), made.incident, strict=True))
    merged = right = again = 0
    seen: set[int] = set()
    for one, incident in zip(made.reports, made.incident, strict=True):
        again += incident in seen
        seen.add(incident)
        with db.engine("app").begin() as conn:
            case = intake.take(conn, _draft(one, begun), actor=SYSTEM).case
            master = _master(conn, case)
        if master is not None:
            merged += 1
            right += truth[master] == incident
    return Week(len(made.reports), again, merged, right)


def _draft(one: Report, begun: datetime) -> intake.Draft:
    return intake.Draft(
        source=_CHANNEL[one.sigma], source_id=one.code, category=one.category,
        description=one.words, lon=one.lon, lat=one.lat, filtered=False,
        opened_at=begun + timedelta(seconds=one.at),
    )  # fmt: skip


def _master(conn: Any, case: Any) -> str | None:
    """Return which report's case a case was joined to; None where it stands for itself."""
    into = case["data"].get("merged_into")
    if into is None:
        return None
    return str(
        conn.execute(
            text('select source_id from twin."case" where code = :c'), {"c": into}
        ).scalar_one()
    )
