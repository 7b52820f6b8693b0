"""The batch writer behind every device door: one commit for rows, journal and refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, IntegrityError

from ingest.devices import Registry, Source
from ingest.messages import (
    Refused,
    Topic,
    Value,
    read_event,
    read_position,
    read_telemetry,
    read_topic,
)
from twin import db, observations, positions, series
from twin.observations import Observation
from twin.positions import Fix

_READ_VALUES: dict[str, Callable[[bytes, datetime], list[Value]]] = {
    "telemetry": read_telemetry,
    "event": read_event,
}


class Message(NamedTuple):
    """What came in by any door."""

    topic: str
    payload: bytes
    received: datetime


class Written(NamedTuple):
    """What a batch came to."""

    fixes: int
    values: int
    refused: int
    known: int


class Batch:
    """Messages sorted into rows."""

    def __init__(self) -> None:
        self.fixes: list[Fix] = []
        self.values: list[Observation] = []
        self.refused: list[tuple[str, str, bytes]] = []


def write_all(registry: Registry, messages: Sequence[Message]) -> Written:
    """Write a batch; a message that the database itself will not take is found and refused.

    Without this one such message would come again for ever and hold up all others.
    """
    try:
        return write(registry, messages)
    except (DataError, IntegrityError) as why:
        if len(messages) == 1:
            return _refuse(messages[0], str(why.orig).splitlines()[0])
    half = len(messages) // 2
    parts = (write_all(registry, messages[:half]), write_all(registry, messages[half:]))
    return Written(*(sum(pair) for pair in zip(*parts, strict=True)))


def _refuse(message: Message, reason: str) -> Written:
    with db.engine("ingest").begin() as conn:
        _keep_refused(conn, [(message.topic[:400], reason, message.payload[:4096])])
    return Written(0, 0, 1, 0)


def write(registry: Registry, messages: Sequence[Message]) -> Written:
    """Commit a batch; when this returns, every message is stored, known already, or refused."""
    with db.engine("ingest").connect() as conn:
        batch = sort_out(conn, registry, messages)
        received = max(message.received for message in messages)
        try:
            fixes = positions.write(conn, batch.fixes, received)
            values = observations.write(conn, batch.values, received)
            _keep_refused(conn, batch.refused)
            conn.commit()
        except BaseException:
            # Whatever ended it rolls back the partitions made on the way: remember none of them.
            series.forget_days()
            raise
    known = len(batch.fixes) + len(batch.values) - fixes - values
    return Written(fixes, values, len(batch.refused), known)


def sort_out(conn: Connection, registry: Registry, messages: Sequence[Message]) -> Batch:
    """Read every message strictly; what cannot be used is kept with its reason."""
    registry.refresh(conn, unknown=False)
    batch = Batch()
    places: list[Fix] = []
    for message in messages:
        try:
            topic = read_topic(message.topic)
            source = _source(conn, registry, topic)
            if topic.channel == "position":
                place = read_position(message.payload, message.received)
                places.append(Fix(source.num, *place, source.district, source.level))
            else:
                batch.values += [
                    Observation(source.num, value.property, value.at, value.value)
                    for value in _READ_VALUES[topic.channel](message.payload, message.received)
                ]
        except Refused as why:
            batch.refused.append((message.topic[:400], str(why), message.payload[:4096]))
    found = registry.districts([p.lon for p in places], [p.lat for p in places])
    # A thing outside every district keeps its own, so that its owner goes on seeing it.
    batch.fixes = [
        place._replace(district=district or place.district)
        for place, district in zip(places, found, strict=True)
    ]
    return batch


def _source(conn: Connection, registry: Registry, topic: Topic) -> Source:
    source = registry.find(topic.product, topic.device)
    if source is None:
        registry.refresh(conn, unknown=True)
        source = registry.find(topic.product, topic.device)
    if source is None:
        raise Refused("no such device, or it is disabled")
    return source


def _keep_refused(conn: Connection, refused: Sequence[tuple[str, str, bytes]]) -> None:
    if refused:
        conn.execute(
            text("insert into twin.rejected_message (topic, reason, payload) values (:t, :r, :p)"),
            [
                {"t": topic.replace("\0", "?"), "r": reason, "p": raw}
                for topic, reason, raw in refused
            ],
        )
