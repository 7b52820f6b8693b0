"""Positions in the database: once each, the last one by the device's time, the past as it was."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
import shapely
from sqlalchemy import text

from ingest.devices import Registry, Source
from ingest.writer import Rejected, Uplink, write, write_all
from twin import db, positions
from twin.scope import Actor, sees, sees_many

T0 = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
LAST_NOTE = "select note from twin.journal where class = 'observation' order by id desc limit 1"


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


def said(payload: bytes) -> Uplink:
    registry = Registry()
    with db.engine("ingest").connect() as conn:
        registry.refresh(conn)
    source = registry.find("vehicle", "V1")
    assert isinstance(source, Source)
    return Uplink(source, "position", payload, (T0 + timedelta(minutes=3)).timestamp())


def fix(seconds: int, lon: float = 121.4) -> Uplink:
    at = (T0 + timedelta(seconds=seconds)).isoformat()
    return said(f'{{"t":"{at}","lon":{lon},"lat":31.2}}'.encode())


def test_a_late_fix_is_kept_but_is_not_the_last(num: int) -> None:
    registry = Registry()
    assert write(registry, [fix(60, 121.5), fix(61, 121.6)]).stored == 2
    assert write(registry, [fix(30, 121.45), fix(61, 121.6)]) == (1, 0, 1, {})
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
    bad = said(b"{")
    stranger = Rejected(0, "mqtt", "twin/v1/vehicle/V2/position", "no such device", b"")
    done = write_all(Registry(), [bad, fix(200), stranger])
    assert (done.stored, done.rejected) == (1, 2)
    assert "not JSON" in done.reasons[0]


def test_a_keyframe_is_kept_once(num: int) -> None:
    with db.engine("ingest").begin() as conn:
        assert positions.keep_frame(conn) == 1
        assert positions.keep_frame(conn) == 0


def test_frames_made_by_columns_are_those_made_row_by_row(num: int) -> None:
    write(Registry(), [fix(200, 121.7)])
    moment = datetime.now(UTC)
    with db.engine("app").connect() as conn:
        rows, listed = positions.fixes(conn), positions.now(conn)
    made, origin = positions.records(rows, moment)
    assert made["num"].tolist() == [row.num for row in listed]
    for one, row in zip(made, listed, strict=True):
        assert origin[0] + one["dlon"] == pytest.approx(row.lon, abs=1e-6)
        assert origin[1] + one["dlat"] == pytest.approx(row.lat, abs=1e-6)
        assert one["heading"] == int(row.heading_deg or 0) % 360
        late = (moment - row.at).total_seconds() > positions.STALE_S
        assert (one["status"] == positions.OFFLINE) == late == bool(one["flags"] & 1)
    assert rows["district"][0].decode().strip() == "310104" and rows["level"][0] == 2


def test_a_frame_of_the_past_holds_the_newest_fix_before_it(num: int) -> None:
    write(Registry(), [fix(300, 121.6), fix(330, 121.65), fix(360, 121.7)])
    then = T0 + timedelta(seconds=345)
    with db.engine("app").connect() as conn:
        rows, listed = positions.fixes(conn, moment=then), positions.at(conn, then)
    assert rows["num"].tolist() == [row.num for row in listed]
    mine = rows[rows["num"] == num][0]
    assert mine["lon"] == pytest.approx(121.65)
    assert mine["at"] == pytest.approx((T0 + timedelta(seconds=330)).timestamp())
    assert mine["level"] == next(row.level for row in listed if row.num == num)


def test_a_fix_is_told_once() -> None:
    rows = np.zeros(2, [("num", ">i4"), ("at", ">f8")])
    rows["num"], rows["at"] = [3, 900], [10, 10]
    told = positions.Told()
    assert told.fresh(rows).tolist() == [True, True]
    rows["at"][1] = 11
    assert told.fresh(rows).tolist() == [False, True]
    rows["at"] = 5
    assert told.fresh(rows).tolist() == [False, False]
    assert told.fresh(rows[:0]).tolist() == []


def test_many_are_seen_as_one_is() -> None:
    area = shapely.to_wkb(
        shapely.set_srid(shapely.box(121.4, 31.2, 121.5, 31.3), 4326), hex=True, include_srid=True
    )
    actors = [
        Actor(user="a", clearance=2), Actor(user="b", clearance=1), Actor(user="c", clearance=2, districts=("310104",)),
        Actor(user="d", clearance=2, districts=("310104",), streets=("310104001",)),
        Actor(user="e", clearance=2, area=area), Actor(user="f", clearance=2, kinds=frozenset({"park"})),
    ]  # fmt: skip
    said = [("310104", "310104001", 121.45, 31.25, 2), ("310104", "310104002", 121.55, 31.25, 2),
            ("310101", "", 121.45, 31.25, 1), ("", "", 121.45, 31.35, 2)]  # fmt: skip
    columns = [np.array(c) for c in zip(*said, strict=True)]
    codes = [np.array([c.encode().ljust(12) for c in column]) for column in columns[:2]]
    for actor in actors:
        many = sees_many(actor, *codes, *columns[2:])
        one = [sees(actor, None, d, s, (x, y), level=level) for d, s, x, y, level in said]
        assert many.tolist() == one, actor
