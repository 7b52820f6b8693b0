"""Numbers for the wall, each with the list that it counts, now or at a past moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import boards, calendar, cases
from twin.eventview import PROCESS
from twin.indicators import view
from twin.indicators.model import Indicator
from twin.indicators.published import running
from twin.indicators.values import Figure, Reader
from twin.scope import Actor, scope_sql

STRIP, MOST_CARDS = "wall", 6
_YESTERDAY = {"zh": "较昨日同时", "en": "vs. same time yesterday"}


def strip(conn: Connection, actor: Actor, moment: datetime | None) -> list[dict[str, Any]]:
    """Return the cards of the wall's strip: declared indicators, at any second as the lists then showed."""
    said = next((one for one in boards.boards(conn) if one["key"] == STRIP), None)
    cards = said["cards"][:MOST_CARDS] if said else []
    known = running(conn)
    day = (moment or datetime.now(UTC)).astimezone(calendar.ZONE).date()
    reader = Reader(conn, known, actor, day)
    figures = reader.at([one["indicator"] for one in cards if one["indicator"] in known.indicators],
                        moment)  # fmt: skip
    return [_card(one, known.one(one["indicator"]), figures[one["indicator"]])
            for one in cards if one["indicator"] in figures]  # fmt: skip


def _card(said: Mapping[str, Any], one: Indicator, figure: Figure) -> dict[str, Any]:
    made = view.card(one, figure)
    if one.window is not None and one.window.days == 1:
        made["delta_base"] = _YESTERDAY
    return made | {"title": said.get("title") or one.title,
                   "level": made["level"] if said.get("thresholds") else "none"}  # fmt: skip


def bins(
    conn: Connection, actor: Actor, start: datetime, end: datetime, count: int
) -> list[Mapping[str, Any]]:
    """Return how many events were opened, closed and became late in each of `count` equal spans."""
    width = (end - start) / count
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            "with s as (select i, cast(:a as timestamptz) + i * cast(:w as interval) as f, "
            "cast(:a as timestamptz) + (i + 1) * cast(:w as interval) as g "
            "from generate_series(0, :n - 1) i) "
            "select s.f as from, s.g as to, "
            + "".join(
                f'(select count(*) from twin."case" c where process = :process and {at} >= s.f '
                f"and {at} < s.g and {scope}) as {name}, "
                for at, name in (("opened_at", "opened"), ("closed_at", "closed"))
            )
            + '(select count(*) from twin.journal j join twin."case" c on c.id = j.subject '
            "where j.class = 'case' and j.action = 'late' and c.process = :process "
            f"and j.at >= s.f and j.at < s.g and {scope}) as late from s order by s.i"
        ),
        {"a": start, "w": width, "n": count, "process": PROCESS, **more},
    ).mappings()
    return [dict(r) for r in rows]
