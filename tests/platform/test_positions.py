"""Positions in the database: once each, the last one by the device's time, the past as it was."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from ingest.devices import Registry
from ingest.writer import Message, write, write_all
from twin import db, positions

T0 = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
LAST_NOTE = "select note from twin.journal where class = 'observation' order by id desc limit 1"
TOPIC = "twin/v1/vehicle/V1/position"


@pytest.fixture(scope="module")
def num(database: str) -> int:
    with db.engine("owner").begin() as conn:
        return int(
            conn.execute(
                text(
                    "insert into twin.thing (id, kind, code, district, level) "
                    "values (:id, 'vehicle', 'V1', '310104', 2) returning num"
                ),
                {"id": uuid4()},
            ).scalar_one()
        )


def fix(seconds: int, lon: float = 121.4) -> Message:
    at = (T0 + timedelta(seconds=seconds)).isoformat()
    return Message(
        TOPIC, f'{{"t":"{at}","lon":{lon},"lat":31.2}}'.encode(), T0 + timedelta(minutes=3)
    )


def test_a_late_fix_is_kept_but_is_not_the_last(num: int) -> None:
    registry = Registry()
    assert write(registry, [fix(60, 121.5), fix(61, 121.6)]).fixes == 2
    assert write(registry, [fix(30, 121.45), fix(61, 121.6)]) == (1, 0, 0, 1)
    with db.engine("app").connect() as conn:
        last = next(row for row in positions.now(conn) if row.num == num)
        then = next(row for row in positions.at(conn, T0 + timedelta(seconds=45)) if row.num == num)
        track = positions.track(conn, num, T0, T0 + timedelta(minutes=5))
    assert (last.lon, last.district, last.level) == (121.6, "310104", 2)
    assert then.lon == 121.45
    assert [row.lon for row in track] == [121.45, 121.5, 121.6]


def test_the_digest_of_a_batch_can_be_computed_again(num: int) -> None:
    write(Registry(), [fix(100), fix(101), fix(102)])
    with db.engine("audit").connect() as conn:
        note = conn.scalar(text(LAST_NOTE))
        rows = conn.execute(
            text(
                "select concat_ws(' ', num, extract(epoch from at), lon, lat) as line "
                "from twin.position where received_at = :r and at between :a and :b "
                "order by num, at"
            ),
            {"r": note["received_at"], "a": note["from"], "b": note["to"]},
        ).scalars()
        lines = "\n".join(rows)
    assert note["count"] == 3
    assert note["digest"] == hashlib.sha256(lines.encode()).hexdigest()


def test_refusals_do_not_hold_up_the_rest(num: int) -> None:
    bad = Message(TOPIC, b"{", T0)
    stranger = Message("twin/v1/vehicle/V2/position", fix(200).payload, T0)
    done = write_all(Registry(), [bad, fix(200), stranger])
    assert (done.fixes, done.refused) == (1, 2)


def test_a_keyframe_is_kept_once(num: int) -> None:
    with db.engine("ingest").begin() as conn:
        assert positions.keep_frame(conn) == 1
        assert positions.keep_frame(conn) == 0
