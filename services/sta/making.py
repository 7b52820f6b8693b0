"""Observations that are posted: the same writer as at every door, for devices that the caller may see."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, Field

from ingest import sta
from ingest.devices import Registry, Source
from ingest.messages import Refused
from ingest.writer import Uplink, write_all
from services.sta.world import World
from twin import db
from twin.errors import BadRequest, NotFound
from twin.scope import Actor
from twin.settings import settings

MOST_ROWS = 10_000
ERROR = "error"


class _Named(BaseModel):
    id: str = Field(alias="@iot.id", max_length=80)


class Table(BaseModel):
    """Observations of one datastream as a table."""

    Datastream: _Named
    components: list[str] = Field(min_length=1, max_length=8)
    dataArray: list[list[Any]] = Field(min_length=1, max_length=MOST_ROWS)


def one(person: Actor, key: Any, said: dict[str, Any]) -> str:
    """Store an observation and return its address."""
    person.need("device.write")
    sources = _sources(person, [key])
    return _stored(key, sources[key], [said])[0]


def many(person: Actor, tables: list[Table]) -> list[str]:
    """Store tables of observations; return the address of each line, or `error`."""
    person.need("device.write")
    if sum(len(table.dataArray) for table in tables) > MOST_ROWS:
        raise BadRequest(f"At most {MOST_ROWS} observations at once.")
    sources = _sources(person, [table.Datastream.id for table in tables])
    answers: list[str] = []
    for table in tables:
        rows = [dict(zip(table.components, row, strict=False)) for row in table.dataArray]
        key = table.Datastream.id
        answers += _stored(key, sources[key], rows, strict=False)
    return answers


def _sources(person: Actor, keys: list[Any]) -> dict[str, Source]:
    """Return the device of each datastream; NotFound for one that the caller may not see."""
    found: dict[str, Source] = {}
    with db.engine("app").connect() as conn:
        world = World(conn, person)
        for key in keys:
            if sta.stream(key) is None:
                raise BadRequest('Name the datastream: {"Datastream": {"@iot.id": "12:level_m"}}.')
            row = world.rows[world.one("Datastreams", key)["_num"]]
            who = (row.product, row.device)
            _registry().reload(conn, {who})
            source = _registry().find(*who)
            if source is None:
                raise NotFound("That device is disabled.")
            found[key] = source
    return found


@cache
def _registry() -> Registry:
    return Registry()


def _stored(
    key: str, source: Source, rows: list[dict[str, Any]], *, strict: bool = True
) -> list[str]:
    named = sta.stream(key)
    assert named is not None
    now = time.time()
    said: list[Uplink] = []
    answers: list[str] = []
    for row in rows:
        at = row.get("phenomenonTime") or row.get("resultTime")
        row["phenomenonTime"] = at or datetime.fromtimestamp(now, UTC).isoformat()
        try:
            payload = sta.telemetry(named[1], row)
        except Refused as why:
            if strict:
                raise BadRequest(f"{why}.") from why
            answers.append(ERROR)
            continue
        answers.append(_address(key, payload))
        if answers[-1] != ERROR or strict:  # a single one is refused by the writer, with its reason
            said.append(Uplink(source, "telemetry", payload, now, "sta"))
    if said:
        reasons = write_all(_registry(), said).reasons
        if reasons and strict:
            raise BadRequest(f"Not stored: {next(iter(reasons.values()))}.")
        places = [i for i, one in enumerate(answers) if strict or one != ERROR]
        for place in reasons:
            answers[places[place]] = ERROR
    return answers


def _address(key: str, payload: bytes) -> str:
    """Return the address that the observation has once it is stored; `error` for no time."""
    try:
        at = datetime.fromisoformat(orjson.loads(payload)["t"])
    except ValueError:
        return ERROR
    base = settings().public_url.rstrip("/")
    return f"{base}/sta/v1.1/Observations('{key}:{round(at.timestamp() * 1e6)}')"
