"""The batch writer behind every device door: one commit for rows, last values, journal and ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ingest import heard, records, sta, tracing
from ingest.devices import Registry, Source
from ingest.messages import Refused, Value, read_event, read_position, read_telemetry
from twin import db, observations, positions, products, series, shadow
from twin.alarms import candidates
from twin.errors import Unavailable
from twin.observations import Observation
from twin.positions import Fix
from twin.telemetry import write as telemetry
from twin.telemetry.columns import Columns
from twin.telemetry.ledger import Rejected, Tally

_READ_VALUES: dict[str, Callable[[bytes, datetime], list[Value]]] = {
    "telemetry": read_telemetry,
    "event": read_event,
}


# What a message that nobody thought of may raise; it must not hold up all others. Whatever else is
# wrong ends the process: devices keep what they have, and the supervisor starts it anew.
_SURPRISES = (ValueError, TypeError, LookupError, ArithmeticError)


_NO_DAY = "no partition of relation"


class Uplink(NamedTuple):
    """One message from any door."""

    source: Source
    channel: str
    payload: bytes
    received: float
    door: str = "mqtt"
    port: int | None = None
    counter: int | None = None  # of a signed CoAP message
    mark: heard.Mark | None = None  # of an MQTT message without a time


Said = Uplink | Rejected  # what the door itself had to refuse is counted too


class Written(NamedTuple):
    """What a batch came to, in records; `reasons` by the place of a message in the batch."""

    stored: int
    rejected: int
    duplicate: int
    reasons: dict[int, str]


class Batch:
    """Messages sorted into rows."""

    def __init__(self, said: Sequence[Said]) -> None:
        self.said = said
        self.began = time.time()
        self.tally = Tally()
        self.reasons: dict[int, str] = {}
        self.columns: list[Columns] = []
        self.fixes: list[Fix] = []
        self.loose: list[list[Observation]] = []  # by record
        self.extra: list[Observation] = []  # of records that are counted as rows of a product
        self.events: dict[str, list[tuple[int, float, str, int]]] = {}
        self.shadows: list[int] = []

    def refuse(self, place: int, reason: str) -> None:
        """Count one record of a message as rejected, and keep it with its reason."""
        one = self.said[place]
        self.reasons.setdefault(place, reason)
        if isinstance(one, Rejected):
            self.tally.rejected.append(one)
            return
        source = one.source
        topic = f"{source.product}/{source.device}/{one.channel}"
        self.tally.rejected.append(Rejected(source.num, one.door, topic, reason, one.payload))


def write_all(registry: Registry, said: Sequence[Said], *, again: bool = True) -> Written:
    """Write a batch; a message that the database itself will not take is found and refused.

    Without this one such message would come again for ever and hold up all others.
    """
    try:
        return write(registry, said)
    except (psycopg.DataError, psycopg.IntegrityError) as why:
        reason = _blame(why)
    except DBAPIError as why:
        if not isinstance(why.orig, psycopg.DataError | psycopg.IntegrityError):
            raise
        reason = _blame(why.orig)
    except _SURPRISES as why:
        reason = f"{type(why).__name__}: {why}"
    if again and _NO_DAY in reason:
        # Retention dropped the day of something late: it is made anew, now that it was forgotten.
        return write_all(registry, said, again=False)
    if len(said) == 1:
        return write(registry, [_refused(said[0], reason)])
    half = len(said) // 2
    one, other = write_all(registry, said[:half]), write_all(registry, said[half:])
    reasons = {**one.reasons, **{half + i: why for i, why in other.reasons.items()}}
    stored, rejected, duplicate = (a + b for a, b in zip(one[:3], other[:3], strict=True))
    return Written(stored, rejected, duplicate, reasons)


def _blame(why: psycopg.Error) -> str:
    """Return what is wrong with a message; what cannot be its fault goes on, to be tried again.

    No message makes a key twice: a sequence that a crash set back did, and it heals by going on.
    """
    if isinstance(why, psycopg.errors.UniqueViolation):
        raise why
    return str(why).splitlines()[0]


def _refused(one: Said, reason: str) -> Rejected:
    if isinstance(one, Rejected):
        return one
    topic = f"{one.source.product}/{one.source.device}/{one.channel}"
    return Rejected(one.source.num, one.door, topic, reason, one.payload)


def write(registry: Registry, said: Sequence[Said]) -> Written:
    """Commit a batch; when this returns, every record is stored, known already, or refused."""
    received = max(
        (one.received for one in said if isinstance(one, Uplink)),
        default=datetime.now(UTC).timestamp(),
    )
    with db.engine("ingest").connect() as conn:
        raw = conn.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise Unavailable("The database connection was lost; the batch will be tried again.")
        try:
            with conn.begin():
                registry.refresh(conn)
                clock = tracing.Clock()
                again = heard.sift(raw, said)
                batch = sort_out(conn, registry, said, received, again)
                clock.sort()
                told = _store(conn, raw, batch, received)
                batch.tally.write(raw, received)
                clock.store()
                tracing.keep(raw, said, batch.reasons, told, clock)
                _count_on(raw, said)
        except BaseException:
            forget()
            raise
    return Written(*batch.tally.counts(), batch.reasons)


def forget() -> None:
    """Whatever ended a batch rolls back what it made on the way: remember none of it."""
    series.forget_days()
    telemetry.forget()
    candidates.forget()


def _store(
    conn: Connection, raw: psycopg.Connection[Any], batch: Batch, received: float
) -> dict[str, int]:
    """Write every row; return the journal's entry of each product's rows."""
    moment = datetime.fromtimestamp(received, UTC)
    told: dict[str, int] = {}
    for columns in batch.columns:
        kept = telemetry.write(raw, columns)
        batch.tally.keep(columns.num, kept.new)
        if kept.new.any():
            candidates.keep(raw, columns if kept.new.all() else columns.take(kept.new.nonzero()[0]))
            table = f"iot.up_{columns.product.key}"
            told[columns.product.key] = series.note_batch(
                conn, table, _Noted(int(kept.new.sum()), kept.first, kept.last, kept.digest), moment
            )
    _store_fixes(conn, batch, moment)
    _store_loose(conn, batch, moment)
    for key, events in batch.events.items():
        candidates.keep_events(raw, key, events)
    _tell_shadows(raw, batch)
    if told:
        said = {"products": sorted(told), "entry": max(told.values())}
        raw.execute("select pg_notify('twin_telemetry', %s)", (orjson.dumps(said).decode(),))
    return told


class _Noted(NamedTuple):
    stored: int
    first: datetime | None
    last: datetime | None
    digest: str


def _store_fixes(conn: Connection, batch: Batch, moment: datetime) -> None:
    kept = positions.write(conn, batch.fixes, moment)
    new = np.zeros(len(batch.fixes), dtype=bool)
    for i, fix in enumerate(batch.fixes):
        if (fix.num, fix.at) in kept:
            kept.remove((fix.num, fix.at))
            new[i] = True
    batch.tally.keep(np.array([fix.num for fix in batch.fixes], dtype=np.int64), new)


def _store_loose(conn: Connection, batch: Batch, moment: datetime) -> None:
    """Store loose observations; a record is new where one of its values is."""
    every = [value for record in batch.loose for value in record] + batch.extra
    kept = observations.write(conn, every, moment)
    new = np.zeros(len(batch.loose), dtype=bool)
    for i, record in enumerate(batch.loose):
        mine = {(value.num, value.property, value.at) for value in record}
        new[i] = bool(mine & kept)
        kept -= mine
    batch.tally.keep(np.array([record[0].num for record in batch.loose], dtype=np.int64), new)


def _tell_shadows(raw: psycopg.Connection[Any], batch: Batch) -> None:
    for place in batch.shadows:
        one = batch.said[place]
        assert isinstance(one, Uplink)
        try:
            with raw.transaction():
                shadow.uplink(raw, one.source.num, one.channel, one.payload)
        except (shadow.Refused, psycopg.DataError) as why:
            batch.refuse(place, str(why).splitlines()[0])
        else:
            batch.tally.keep(np.array([one.source.num]), np.ones(1, dtype=bool))


def _count_on(raw: psycopg.Connection[Any], said: Sequence[Said]) -> None:
    """Keep how far the counters of signed messages have come, with what they signed."""
    highest: dict[int, int] = {}
    for one in said:
        if isinstance(one, Uplink) and one.counter is not None:
            highest[one.source.num] = max(one.counter, highest.get(one.source.num, 0))
    if highest:
        nums = sorted(highest)
        raw.execute(
            "insert into iot.counter as c (num, counter) select * from unnest(%s::int[], %s::bigint[]) "
            "on conflict (num) do update set counter = greatest(c.counter, excluded.counter)",
            (nums, [highest[num] for num in nums]),
        )


def sort_out(
    conn: Connection, registry: Registry, said: Sequence[Said], received: float,
    again: Collection[int] = (),
) -> Batch:  # fmt: skip
    """Read every message strictly; what cannot be used is kept with its reason.

    The messages at `again` are stored already.
    """
    batch = Batch(said)
    known = products.running(conn)
    by_product: dict[str, list[tuple[int, int, bytes, float, int | None]]] = {}
    for place, one in enumerate(said):
        if isinstance(one, Rejected):
            batch.refuse(place, one.reason)
            continue
        source, channel, payload, at, _, port, _, _ = one
        if place in again:
            batch.tally.keep(np.array([source.num]), np.zeros(1, dtype=bool))
            continue
        if channel == "telemetry" and source.product in known:
            by_product.setdefault(source.product, []).append((place, source.num, payload, at, port))
        else:
            try:
                if channel.startswith(sta.CHANNEL) and source.product in known:
                    said_so = (place, source.num, sta.read(channel, payload, source.num), at, None)
                    by_product.setdefault(source.product, []).append(said_so)
                else:
                    _other(batch, known, place, one)
            except Refused as why:
                batch.refuse(place, str(why))
    for key in sorted(by_product):
        _measured(batch, records.read(known[key], by_product[key]), received)
    _place(batch, registry)
    return batch


def _measured(batch: Batch, found: records.Records, received: float) -> None:
    columns = found.columns(received) if found.num else None
    for place, reason in found.refused:
        batch.refuse(place, reason)
    if columns is not None:
        batch.columns.append(columns)
    batch.extra += [Observation(*one[:4]) for one in found.loose]


def _other(batch: Batch, known: dict[str, products.Product], place: int, one: Uplink) -> None:
    """Sort a message that is no telemetry of a product: a place, an event, the shadow's."""
    source, moment = one.source, datetime.fromtimestamp(one.received, UTC)
    if one.channel == "position":
        found = read_position(one.payload, moment)
        batch.fixes.append(Fix(source.num, *found, source.district, source.level))
    elif one.channel in _READ_VALUES:
        values = _READ_VALUES[one.channel](one.payload, moment)
        batch.loose += _by_record(source.num, values)
        if one.channel == "event" and source.product in known:
            first = values[0]
            told = (source.num, first.at.timestamp(), first.property[6:], int(first.value))
            batch.events.setdefault(source.product, []).append(told)
    elif one.channel in shadow.CHANNELS:
        batch.shadows.append(place)
    else:
        raise Refused("the topic is none that a device publishes on")


def _by_record(num: int, values: Sequence[Value]) -> list[list[Observation]]:
    found: dict[datetime, list[Observation]] = {}
    for value in values:
        found.setdefault(value.at, []).append(
            Observation(num, value.property, value.at, value.value)
        )
    return list(found.values())


def _place(batch: Batch, registry: Registry) -> None:
    """Find the district of each fix; outside every one a thing keeps its own, for its owner's sake."""
    if not batch.fixes:
        return
    found = registry.districts([p.lon for p in batch.fixes], [p.lat for p in batch.fixes])
    batch.fixes = [
        fix._replace(district=district or fix.district)
        for fix, district in zip(batch.fixes, found, strict=True)
    ]


__all__ = ["Rejected", "Uplink", "Written", "write", "write_all"]
