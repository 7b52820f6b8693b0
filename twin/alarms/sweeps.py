"""Conditions that no single value can tell: looked at every few seconds, all things of a rule at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from sqlalchemy import Connection

from twin import rules
from twin.alarms import places, readings, rule
from twin.alarms.readings import Window
from twin.alarms.rule import Rule, seconds
from twin.predictions import cadence
from twin.products import Product

# An expression is asked of devices that spoke since a little before the last look.
LOOK_BACK = timedelta(seconds=60)
MOST = 20_000
# A value older than this does not stand for the place any more.
STALE_S = 3600.0
UNLOAD_OVER_S = 900.0
Products = Mapping[str, Product]


@dataclass
class Seen:
    """What a rule sees of one thing now."""

    num: int
    at: float
    up: bool
    value: float | None
    detail: dict[str, Any] = field(default_factory=dict)


class _Placed(NamedTuple):
    num: int
    at: float
    value: float
    lon: float
    lat: float


def _compared(said: Rule, value: float) -> bool | None:
    """Tell whether a value is past the limit; None between limit and clear limit."""
    word, limit, clear = said.limit(None)
    past, back = (
        (value > limit, value <= clear) if word == "above" else (value < limit, value >= clear)
    )
    return True if past else False if back else None


def _window_value(said: Rule, one: Window) -> float | None:
    what = said.when.get("of", "mean")
    return {
        "mean": one.mean,
        "min": one.low,
        "max": one.high,
        "spread": one.high - one.low,
        "count": float(one.n),
        "change": one.last - one.first,
    }[what]


def window(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """Mean, least, most, spread, count or change of a property over a span."""
    return _windowed(conn, said, now, _window_value)


def _slope(said: Rule, one: Window) -> float | None:
    """Return the change per hour; a span that is hardly filled tells nothing."""
    span = (one.last_at - one.first_at).total_seconds()
    if one.n < 3 or span < seconds(said.when["over"]) / 3:
        return None
    return (one.last - one.first) / span * 3600


def rate(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """Change of a property per hour over a span."""
    return _windowed(conn, said, now, _slope)


def _windowed(
    conn: Connection,
    said: Rule,
    now: datetime,
    measure: Callable[[Rule, Window], float | None],
) -> Iterable[Seen]:
    start = now - timedelta(seconds=seconds(said.when["over"]))
    for one in readings.windows(conn, said.product or "", said.property or "", start, now):
        value = measure(said, one)
        up = None if value is None else _compared(said, value)
        if up is not None:
            yield Seen(one.num, one.last_at.timestamp(), up, value)


def expr(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """An expression over all newest values of a device."""
    nums = readings.heard_since(conn, said.product or "", now - LOOK_BACK, MOST)
    values, things = readings.newest(conn, nums), readings.things(conn, nums)
    for num in nums:
        if num not in things or num not in values:
            continue
        t = {k: things[num][k] for k in ("code", "name", "kind", "district", "street")}
        v = {name: value for name, (_, value) in values[num].items()}
        at = max(moment for moment, _ in values[num].values()).timestamp()
        up = rules.holds(said.when["expr"], {"v": v, "t": t}, rule.NAMES)
        yield Seen(num, at, up, None, {"values": v} if up else {})


def silence(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """Nothing heard: for a given span, or for longer than the learned period of a property."""
    key, after = said.product or "", said.when.get("after")
    if after is None:
        for num, silent, up in cadence.silences(conn, key, said.property, now):
            yield Seen(num, now.timestamp(), up, round(silent / 60, 1))
        return
    heard: dict[int, datetime] = {}
    for num, _, at, _ in readings.last_of(conn, key, said.property):
        heard[num] = max(at, heard.get(num, at))
    for num, at in heard.items():
        silent = (now - at).total_seconds()
        yield Seen(num, now.timestamp(), silent > seconds(after), round(silent / 60, 1))


def neighbours(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """Several devices near each other past a limit: one bad sensor is no bad place."""
    fresh = now - timedelta(seconds=STALE_S)
    last = [r for r in readings.last_of(conn, said.product or "", said.property) if r.at > fresh]
    where = readings.things(conn, [r.num for r in last])
    rows = [
        _Placed(r.num, r.at.timestamp(), r.value, where[r.num]["lon"], where[r.num]["lat"])
        for r in last
        if r.num in where and where[r.num]["lon"] is not None
    ]
    past = [row for row in rows if _compared(said, row.value)]
    count = _company(past, float(said.when["within_m"]))
    for row in rows:
        others = count.get(row.num, 0)
        up = others >= said.when["at_least"]
        yield Seen(row.num, row.at, up, row.value, {"neighbours": others} if up else {})


def _company(rows: list[_Placed], within_m: float) -> dict[int, int]:
    """Return how many of the rows, itself included, lie near each."""
    if not rows:
        return {}
    lon, lat = np.array([r.lon for r in rows]), np.array([r.lat for r in rows])
    east = np.cos(np.radians(lat.mean())) * 111_320
    flat = np.column_stack([lon * east, lat * 110_870])
    near = cKDTree(flat).query_ball_point(flat, within_m, return_length=True)
    return {row.num: int(n) for row, n in zip(rows, near, strict=True)}


def _placed(rows: Iterable[places.Row]) -> Iterable[Seen]:
    for num, at, up, value, lon, lat in rows:
        yield Seen(num, at, up, value, {"at_place": [lon, lat]} if up else {})


def zone(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A moving thing inside or outside the things of a kind."""
    return _placed(places.zone(conn, said, now))


def fence(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A moving thing that breaks a fence drawn on the map."""
    return _placed(places.fence(conn, said, now))


def near(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A moving thing within so many metres of the things of a kind."""
    return _placed(places.near(conn, said, now))


def route(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A moving thing off its approved routes."""
    return _placed(places.route(conn, said, now))


def stop(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A moving thing that stands where it may not."""
    return _placed(places.stop(conn, said, now))


def unload(conn: Connection, said: Rule, _p: Products, now: datetime) -> Iterable[Seen]:
    """A load that fell by so much away from where it may be unloaded."""
    start = now - timedelta(seconds=seconds(said.when.get("over", UNLOAD_OVER_S)))
    found = readings.windows(conn, said.product or "", said.property or "", start, now)
    dropped = [
        (one.num, one.last_at.timestamp(), one.high - one.last)
        for one in found
        if one.high - one.last >= said.when["drop"]
    ]
    wrong = [one for one in _placed(places.unloaded(conn, said, dropped)) if one.up]
    yield from wrong
    up = {one.num for one in wrong}
    for one in found:
        if one.num not in up:
            yield Seen(one.num, one.last_at.timestamp(), False, one.last)


FORMS: Mapping[str, Callable[[Connection, Rule, Products, datetime], Iterable[Seen]]] = {
    rule.WINDOW: window,
    rule.RATE: rate,
    rule.EXPR: expr,
    rule.SILENCE: silence,
    rule.NEIGHBOURS: neighbours,
    rule.ZONE: zone,
    rule.FENCE: fence,
    rule.NEAR: near,
    rule.ROUTE: route,
    rule.STOP: stop,
    rule.UNLOAD: unload,
}
