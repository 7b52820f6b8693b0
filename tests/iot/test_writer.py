"""The batch writer: typed rows, last values, what is known already, what is refused, the ledger."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import text

from ingest.devices import Registry
from ingest.writer import Rejected, Uplink, Written, write_all
from tests.iot.conftest import PRODUCT, ask, enter, rows
from twin import db, observations, products
from twin.telemetry import read

BEGAN = datetime.now(UTC) - timedelta(hours=3)


@pytest.fixture(scope="module")
def registry(database: str) -> Registry:
    enter(5)
    found = Registry()
    with db.engine("ingest").connect() as conn:
        found.refresh(conn)
    return found


def said(device: str, second: float, values: object, **more: object) -> bytes:
    at = (BEGAN + timedelta(seconds=second)).isoformat()
    return orjson.dumps({"t": at, "values": values, **more})


def send(registry: Registry, *payloads: tuple[str, bytes]) -> Written:
    uplinks = []
    for device, payload in payloads:
        source = registry.find(PRODUCT, device)
        assert source is not None
        uplinks.append(Uplink(source, "telemetry", payload, time.time()))
    return write_all(registry, uplinks)


def test_a_record_is_stored_once(registry: Registry) -> None:
    one = ("d00000", said("d00000", 1, {"level_m": 2.5, "battery_pct": 80}))
    assert send(registry, one)[:3] == (1, 0, 0)
    assert send(registry, one)[:3] == (0, 0, 1)
    assert send(registry, one, one)[:3] == (0, 0, 2)
    assert rows() == 1


def test_the_same_moment_may_say_more_than_one_thing(registry: Registry) -> None:
    first = ("d00001", said("d00001", 1, {"level_m": 2.5}))
    other = ("d00001", said("d00001", 1, {"battery_pct": 70}))
    assert send(registry, first, other)[:3] == (2, 0, 0)
    assert send(registry, other, first)[:3] == (0, 0, 2)


def test_late_records_do_not_turn_last_values_back(registry: Registry) -> None:
    source = registry.find(PRODUCT, "d00002")
    assert source is not None
    send(registry, ("d00002", said("d00002", 100, {"level_m": 3.0})))
    done = send(registry, ("d00002", said("d00002", 50, {"level_m": 1.0, "battery_pct": 60})))
    assert done[:3] == (1, 0, 0)
    with db.engine("app").connect() as conn:
        last = {row.property: row for row in read.last(conn, [source.num])}
        assert last["level_m"].value == 3.0
        assert last["battery_pct"].value == 60
        assert last["battery_pct"].at == BEGAN + timedelta(seconds=50)
        values = observations.values(conn, source.num, "level_m", BEGAN, datetime.now(UTC))
        assert [row.value for row in values] == [1.0, 3.0]
        [one] = read.buckets(conn, source.num, "level_m", BEGAN, datetime.now(UTC), 86_400 * 7)
        assert (one.n, one.low, one.mean, one.high) == (2, 1.0, 2.0, 3.0)


REFUSED = [
    (b"{", "the layout needs"),
    (b'["x"]', "not a JSON object"),
    (b"{}", "there are no values"),
    (b'{"values": {}}', "there are no values"),
    (b'{"values": {"level_m": "deep"}}', "is not a number"),
    (b'{"values": {"level_m": true}}', "is not a number"),
    (b'{"values": {"level_m": 1e9}}', "is not within"),
    (b'{"values": {"depth": 1}}', "is no property of"),
    (b'{"t": "yesterday", "values": {"level_m": 1}}', "RFC 3339"),
    (b'{"t": "2026-01-01T00:00:00", "values": {"level_m": 1}}', "no offset"),
    (b'{"t": "2019-01-01T00:00:00Z", "values": {"level_m": 1}}', "before 2020"),
    (b'{"t": "2099-01-01T00:00:00Z", "values": {"level_m": 1}}', "in the future"),
    (b'{"seq": -5, "values": {"level_m": 1}}', "seq is not"),
    (b"[]", "records"),
    (b'[{"values": {"level_m": 1}}, 5]', "not a JSON object"),
]


@pytest.mark.parametrize(("payload", "reason"), REFUSED)
def test_what_cannot_be_used_is_kept_with_its_reason(
    registry: Registry, payload: bytes, reason: str
) -> None:
    done = send(registry, ("d00003", payload))
    assert done.rejected == 1
    assert reason in done.reasons[0]
    last = ask("select * from iot.reject order by id desc limit 1")[0]
    assert reason in last.reason
    assert bytes(last.raw) == payload


def test_the_ledger_closes(registry: Registry) -> None:
    good = ("d00004", said("d00004", 1, {"level_m": 2}))
    bad = ("d00004", said("d00004", 2, {"level_m": -1e9}))
    many = ("d00004", b"[" + good[1] + b"," + said("d00004", 3, {"level_m": 2.1}) + b"]")
    done = send(registry, good, bad, many)
    assert done[:3] == (2, 1, 1)
    assert write_all(registry, [Rejected(0, "mqtt", "x", "nobody", b"")])[:3] == (0, 1, 0)
    source = registry.find(PRODUCT, "d00004")
    assert source is not None
    [own] = ask("select * from iot.ledger where num = :n", n=source.num)
    assert (own.accepted, own.stored, own.rejected, own.duplicate) == (4, 2, 1, 1)
    [total] = ask("select sum(stored) as s, sum(rejected) as r from iot.ledger")
    assert total.s == rows()
    assert total.r == ask("select sum(records) as n from iot.reject")[0].n


def test_the_journal_proves_the_rows_of_a_batch(registry: Registry) -> None:
    send(registry, ("d00000", said("d00000", 500, {"level_m": 2.25, "battery_pct": 55})))
    note = ask(
        "select note from twin.journal where class = 'observation' order by id desc limit 1"
    )[0].note
    assert note["table"] == f"iot.up_{PRODUCT}"
    with db.engine("app").connect() as conn:
        product = products.one(conn, PRODUCT)
        found = conn.execute(
            text(f"select count(*) from iot.up_{PRODUCT} where received = :r"),
            {"r": note["received_at"]},
        ).scalar()
    assert found == note["count"] == 1
    assert product.key == PRODUCT
