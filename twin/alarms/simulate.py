"""A rule over the past: which alarms it would have given, before anybody publishes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection

from twin import products
from twin.alarms import readings, rule, standing
from twin.alarms.candidates import DOWN, UP, RangeTest
from twin.alarms.rule import Rule, seconds
from twin.errors import BadRequest
from twin.products import Product

MOST_VALUES = 1_000_000
MOST_DAYS = 92
LISTED = 500
Array = np.ndarray[Any, Any]
Crossings = list[tuple[float, bool, float]]
FORMS = (rule.RANGE, rule.WINDOW, rule.RATE, rule.SILENCE)


def simulate(conn: Connection, said: Rule, start: datetime, end: datetime) -> dict[str, Any]:
    """Return the alarms that a rule would have given between two moments, and how many a day."""
    if said.form not in FORMS:
        raise BadRequest(
            f"Rules of the form {said.form} cannot be simulated; {', '.join(FORMS)} can.",
            forms=list(FORMS),
        )
    if not timedelta(0) < end - start <= timedelta(days=MOST_DAYS):
        raise BadRequest(f"from lies before to, at most {MOST_DAYS} days.")
    product = products.one(conn, said.product or "")
    name = said.property or _any_property(product)
    found = readings.series(conn, product.key, name, start, end, MOST_VALUES + 1)
    values = sum(len(at) for at, _ in found.values())
    spans = standing.Spans(said.hold_s, said.clear_s, "below" in said.when)
    look = _look(said, product)
    made: list[tuple[int, standing.Stretch]] = []
    for num, (at, v) in found.items():
        crossed = look(at, v, end.timestamp())
        made += [(num, one) for one in standing.replay(crossed, spans, end.timestamp())]
    return _told(conn, said, made, found, values, start, end)


def _any_property(product: Product) -> str:
    shown = product.shown
    if shown is None:
        raise BadRequest(f"{product.key} reports no numbers; name a property.")
    return shown.name


def _look(said: Rule, product: Product) -> Callable[[Array, Array, float], Crossings]:
    if said.form == rule.SILENCE:
        return lambda at, _v, end: _silences(said, at, end)
    word, limit, clear = said.limit(product)
    test = RangeTest(said.key, said.property or "", word, limit, clear)
    if said.form == rule.RANGE:
        return lambda at, v, _end: crossings(test, at, v)
    measure = _rate if said.form == rule.RATE else _window
    return lambda at, v, _end: crossings(test, at, measure(said, at, v))


def crossings(test: RangeTest, at: Array, v: Array) -> Crossings:
    """Return where the values of one thing, in order, crossed the limit of a test."""
    way = np.where(test.past(v), UP, np.where(test.back(v), DOWN, 0))
    kept = np.flatnonzero(way)
    if not kept.size:
        return []
    turned = kept[np.concatenate(([True], way[kept][1:] != way[kept][:-1]))]
    return [(float(at[i]), bool(way[i] == UP), float(v[i])) for i in turned]


def _spans_of(said: Rule, at: Array) -> Iterator[tuple[int, int]]:
    """Yield for each value the first and the one behind the last of the span that ends with it."""
    first = np.searchsorted(at, at - seconds(said.when["over"]), side="right")
    yield from zip(first.tolist(), range(1, len(at) + 1), strict=True)


def _window(said: Rule, at: Array, v: Array) -> Array:
    what = said.when["of"]
    measure: dict[str, Callable[[Array], float]] = {
        "mean": lambda x: float(x.mean()),
        "min": lambda x: float(x.min()),
        "max": lambda x: float(x.max()),
        "spread": lambda x: float(np.ptp(x)),
        "count": lambda x: float(len(x)),
        "change": lambda x: float(x[-1] - x[0]),
    }
    return np.array([measure[what](v[a:b]) for a, b in _spans_of(said, at)])


def _rate(said: Rule, at: Array, v: Array) -> Array:
    over = seconds(said.when["over"])
    made = np.full(len(at), np.nan)
    for i, (a, b) in enumerate(_spans_of(said, at)):
        span = at[b - 1] - at[a]
        if b - a >= 3 and span >= over / 3:
            made[i] = (v[b - 1] - v[a]) / span * 3600
    return made


def _silences(said: Rule, at: Array, end: float) -> Crossings:
    """Return when a thing had been silent for too long, and when it spoke again."""
    if "after" not in said.when:
        raise BadRequest("Give the span of silence with after to simulate the rule.")
    after = seconds(said.when["after"])
    made: Crossings = []
    for here, following in zip(at, [*at[1:], end], strict=True):
        if following - here > after:
            made.append((float(here + after), True, (following - here) / 60))
            if following != end:
                made.append((float(following), False, 0.0))
    return made


def _told(
    conn: Connection,
    said: Rule,
    made: list[tuple[int, standing.Stretch]],
    found: dict[int, tuple[Array, Array]],
    values: int,
    start: datetime,
    end: datetime,
) -> dict[str, Any]:
    made.sort(key=lambda one: one[1].raised)
    things = readings.things(conn, sorted({num for num, _ in made}))
    days = (end - start).total_seconds() / 86400
    lasted = [one.cleared - one.raised for _, one in made if one.cleared is not None]
    return {
        "rule": said.key,
        "from": start,
        "to": end,
        "devices": len(found),
        "values": min(values, MOST_VALUES),
        "cut": values > MOST_VALUES,
        "alarms": len(made),
        "devices_with_alarms": len(things),
        "per_day": round(len(made) / days, 2),
        "median_minutes": round(float(np.median(lasted)) / 60, 1) if lasted else None,
        "by_day": _by_day(made, start, end),
        "found": [_row(one, things.get(num, {})) for num, one in made[:LISTED]],
    }


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _row(one: standing.Stretch, thing: Any) -> dict[str, Any]:
    return {
        "code": thing.get("code"), "name": thing.get("name"),
        "point": [thing.get("lon"), thing.get("lat")] if thing.get("lon") is not None else None,
        "since": _moment(one.since), "raised_at": _moment(one.raised),
        "cleared_at": _moment(one.cleared), "peak": one.peak,
    }  # fmt: skip


def _by_day(
    made: list[tuple[int, standing.Stretch]], start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return how many would have rung on each day of the city."""
    east_s = 8 * 3600
    first = int((start.timestamp() + east_s) // 86400)
    last = int((end.timestamp() + east_s) // 86400)
    counts = dict.fromkeys(range(first, last + 1), 0)
    for _, one in made:
        day = int((one.raised + east_s) // 86400)
        if day in counts:
            counts[day] += 1
    base = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        {"day": (base + timedelta(days=day)).date().isoformat(), "alarms": n}
        for day, n in counts.items()
    ]
