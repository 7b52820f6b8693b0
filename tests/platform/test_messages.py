"""What devices may say, and why anything else is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.messages import Refused, read_event, read_position, read_telemetry, read_topic

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
PLACE = {"t": "2026-11-20T16:00:00+08:00", "lon": 121.4737, "lat": 31.2304}


def raw(said: Any) -> bytes:
    return json.dumps(said).encode()


def test_a_position_is_read_in_utc() -> None:
    place = read_position(raw({**PLACE, "speed_kmh": 30, "heading_deg": -90}), NOW)
    assert place == (NOW, 121.4737, 31.2304, 30.0, 270.0)


def test_gcj02_is_converted_at_the_door() -> None:
    place = read_position(raw({**PLACE, "crs": "gcj02"}), NOW)
    # The offset in Shanghai is some 450 m; the forward formula applied again gives the input back.
    assert 0.003 < 121.4737 - place.lon < 0.006
    assert 0.001 < abs(31.2304 - place.lat) < 0.004


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lon": None}, "lon and lat are required"),
        ({"lon": 181}, "lon 181 is not within -180 to 180"),
        ({"lat": "31"}, "lat is not a number"),
        ({"lat": True}, "lat is not a number"),
        ({"t": "2026-11-20T16:00:00"}, "t has no offset from UTC"),
        ({"t": "2026-11-20T16:06:00+08:00"}, "t lies more than 5 minutes in the future"),
        ({"t": "2019-12-31T23:59:59Z"}, "t lies before 2020"),
        ({"t": 1763625600}, "t is not an RFC 3339 time"),
        ({"crs": "bd09"}, "crs 'bd09' is not wgs84 or gcj02"),
        ({"speed_kmh": -1}, "speed_kmh -1 is not within 0 to 500"),
    ],
)
def test_a_position_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused) as refused:
        read_position(raw({**PLACE, **change}), NOW)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[1]",
        b"null",
        b'{"lon": NaN, "lat": 1}',
        b"{" * 100,
        b'{"lon":1e999,"lat":0}',
    ],
)
def test_garbage_is_refused(payload: bytes) -> None:
    with pytest.raises(Refused):
        read_position(payload, NOW)


def test_a_little_ahead_is_a_clock_not_a_lie() -> None:
    ahead = (NOW + timedelta(minutes=4)).isoformat()
    assert read_position(raw({**PLACE, "t": ahead}), NOW).at > NOW


def test_telemetry_may_come_in_arrays() -> None:
    said = [{"t": PLACE["t"], "values": {"level_pct": 81.5, "open": True}}, {"values": {"a": 1}}]
    assert read_telemetry(raw(said), NOW) == [
        (NOW, "level_pct", 81.5),
        (NOW, "open", 1.0),
        (NOW, "a", 1.0),
    ]


@pytest.mark.parametrize(
    "said",
    [{}, {"values": {}}, {"values": {"a b": 1}}, {"values": {"a": "1"}}, {"values": {"a": None}},
     {"values": {f"p{i}": i for i in range(300)}}],
)  # fmt: skip
def test_telemetry_without_numbers_is_refused(said: Any) -> None:
    with pytest.raises(Refused):
        read_telemetry(raw(said), NOW)


def test_an_event_is_kept_with_its_level() -> None:
    said = {"t": PLACE["t"], "type": "tilt", "level": 2, "values": {"deg": 14}}
    assert read_event(raw(said), NOW) == [(NOW, "event.tilt", 2.0), (NOW, "deg", 14.0)]


@pytest.mark.parametrize("topic", ["twin/v1/a/b/c", "twin/v1/a/position", "x", "twin/v1//b/event"])
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(Refused):
        read_topic(topic)
