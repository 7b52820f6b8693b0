"""What devices say, read strictly: a message is a fix, observations, or refused with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import orjson

from gis import crs

MAX_BYTES = 65_536
MAX_VALUES = 256
OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = timedelta(minutes=5)
_TOPIC = re.compile(
    r"twin/v1/([^/]{1,64})/([^/]{1,64})/(position|telemetry|event|shadow/reported|command/reply|ota/progress)"
)
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")


class Refused(Exception):
    """A message that cannot be used; the text says why."""


class Topic(NamedTuple):
    """Who speaks, and about what."""

    product: str
    device: str
    channel: str


class Place(NamedTuple):
    """A reported position in WGS-84."""

    at: datetime
    lon: float
    lat: float
    speed_kmh: float | None
    heading_deg: float | None


class Value(NamedTuple):
    """A reported number."""

    at: datetime
    property: str
    value: float


def read_topic(topic: str) -> Topic:
    """Return who speaks; Refused for a topic that is none of ours."""
    found = _TOPIC.fullmatch(topic)
    if not found:
        raise Refused("the topic is not twin/v1/{product}/{device}/position|telemetry|event")
    return Topic(*found.groups())


def read_position(payload: bytes, received: datetime) -> Place:
    """Read `{"t", "lon", "lat", "speed_kmh", "heading_deg", "crs"}`."""
    said = _object(_json(payload))
    lon, lat = _number(said, "lon", -180, 180), _number(said, "lat", -90, 90)
    if lon is None or lat is None:
        raise Refused("lon and lat are required")
    system = said.get("crs", "wgs84")
    if system == "gcj02":
        lon, lat = _from_gcj02(lon, lat)
    elif system != "wgs84":
        raise Refused(f"crs {str(system)[:20]!r} is not wgs84 or gcj02")
    heading = _number(said, "heading_deg", -360, 720)
    return Place(
        _time(said.get("t"), received),
        lon,
        lat,
        _number(said, "speed_kmh", 0, 500),
        heading % 360 if heading is not None else None,
    )


def read_telemetry(payload: bytes, received: datetime) -> list[Value]:
    """Read `{"t", "values": {name: number}}` or an array of these."""
    said = _json(payload)
    found = list(_values(said if isinstance(said, list) else [said], received))
    if not found:
        raise Refused("there are no values in it")
    if len(found) > MAX_VALUES:
        raise Refused(f"more than {MAX_VALUES} values in one message")
    return found


def read_event(payload: bytes, received: datetime) -> list[Value]:
    """Read `{"t", "type", "level", "values"}`: kept as property `event.{type}`."""
    said = _object(_json(payload))
    name = f"event.{said.get('type')}"
    if not _PROPERTY.fullmatch(name):
        raise Refused("type is required, of letters, digits and _")
    at = _time(said.get("t"), received)
    level = _number(said, "level", 0, 10)
    return [Value(at, name, level if level is not None else 0.0), *_numbers(said.get("values"), at)]


def _values(parts: Iterable[Any], received: datetime) -> Iterator[Value]:
    for part in parts:
        said = _object(part)
        yield from _numbers(said.get("values"), _time(said.get("t"), received))


def _numbers(values: Any, at: datetime) -> Iterator[Value]:
    if values is None:
        return
    for name, value in _object(values).items():
        if not _PROPERTY.fullmatch(name):
            raise Refused(f"{name[:40]!r} is no name of a property")
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise Refused(f"{name} is not a number")
        yield Value(at, name, float(value))


def _json(payload: bytes) -> Any:
    if len(payload) > MAX_BYTES:
        raise Refused(f"longer than {MAX_BYTES} bytes")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as why:
        raise Refused(f"not JSON: {why}") from why


def _object(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise Refused("not a JSON object")
    return said


def _number(said: dict[str, Any], key: str, low: float, high: float) -> float | None:
    value = said.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"{key} is not a number")
    if not low <= value <= high:  # also false for what is not finite
        raise Refused(f"{key} {value:g} is not within {low:g} to {high:g}")
    return float(value)


def _time(said: Any, received: datetime) -> datetime:
    if said is None:
        return received
    try:
        at = datetime.fromisoformat(said)
    except (TypeError, ValueError) as why:
        raise Refused("t is not an RFC 3339 time") from why
    if at.tzinfo is None:
        raise Refused("t has no offset from UTC")
    if at > received + FUTURE:
        raise Refused("t lies more than 5 minutes in the future")
    if at < OLDEST:
        raise Refused("t lies before 2020")
    return at.astimezone(UTC)


def _from_gcj02(lon: float, lat: float) -> tuple[float, float]:
    x, y = crs.gcj02_to_wgs84(np.array([lon]), np.array([lat]))
    return float(x[0]), float(y[0])
