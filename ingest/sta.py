"""Observations as SensorThings 1.1 says them, made into the telemetry of a device.

By MQTT a device publishes on `v1.1/Datastreams('{thing}:{property}')/Observations`, or on
`v1.1/Observations` with the datastream in the message (the standard's 14.2); HTTP posts the same.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ingest.messages import Refused

TOPIC = "v1.1/"
CHANNEL = "sta/"  # followed by the property, or by nothing where the message names the datastream
_TOPIC = re.compile(r"v1\.1/(?:Datastreams\('?(\d{1,10}):([A-Za-z_]\w{0,63})'?\)/)?Observations")
_STREAM = re.compile(r"(\d{1,10}):([A-Za-z_]\w{0,63})")


def channel(topic: str, num: int) -> str | None:
    """Return the channel of a topic of thing `num`; None where it is none, or another's."""
    found = _TOPIC.fullmatch(topic)
    if found is None or (found[1] is not None and int(found[1]) != num):
        return None
    return CHANNEL + (found[2] or "")


def stream(said: Any) -> tuple[int, str] | None:
    """Return thing and property of a datastream's id; None where it is no such id."""
    found = _STREAM.fullmatch(said) if isinstance(said, str) else None
    return (int(found[1]), found[2]) if found else None


def telemetry(prop: str, said: dict[str, Any]) -> bytes:
    """Return an Observation as telemetry; a stretch of time counts at its end."""
    if "result" not in said:
        raise Refused("the Observation has no result")
    made: dict[str, Any] = {"values": {prop: said["result"]}}
    at = said.get("phenomenonTime") or said.get("resultTime")
    if at is not None:
        if not isinstance(at, str):
            raise Refused("phenomenonTime is not a time of ISO 8601")
        made["t"] = at.rpartition("/")[2]
    return orjson.dumps(made)


def read(asked: str, payload: bytes, num: int) -> bytes:
    """Return the message on a channel of `channel` as telemetry; Refused says why it is none."""
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError as why:
        raise Refused(f"not JSON: {why}") from why
    if not isinstance(said, dict):
        raise Refused("not a JSON object")
    prop = asked.removeprefix(CHANNEL)
    if not prop:
        of = said.get("Datastream")
        named = stream(of.get("@iot.id")) if isinstance(of, dict) else None
        if named is None:
            raise Refused('the Observation names no Datastream: {"@iot.id": "thing:property"}')
        if named[0] != num:
            raise Refused("the Datastream is another's")
        prop = named[1]
    return telemetry(prop, said)
