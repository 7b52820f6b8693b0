"""The write path: upsert by key, history, registry, codes, journal; the past can be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from twin import db, history, kinds, things
from twin.errors import BadRequest
from twin.tables import table


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def write(kind: str, columns: dict[str, list[Any]]) -> things.Counts:
    with db.engine("app").begin() as conn:
        return minicity.write(conn, kind, columns)


def point(lon: float, lat: float) -> str:
    return minicity.ewkb(shapely.Point(lon, lat))


def read(kind: str, moment: datetime | None, key: str) -> Any:
    with db.engine("app").connect() as conn:
        declared = kinds.one(conn, kind)
        rows = history.as_of(declared, moment)
        return conn.execute(
            sa.select(rows.c.version, rows.c.name, rows.c.district, rows.c.seats_m).where(
                rows.c.source_key == key
            )
        ).first()


def test_the_same_again_changes_nothing() -> None:
    columns = {"source_key": ["a", "b"], "name": ["一", "二"], "seats_m": [3, None],
               "geom": [point(121.41, 31.21), point(121.46, 31.21)]}  # fmt: skip
    assert write("toilet", columns) == things.Counts(inserted=2)
    assert write("toilet", columns) == things.Counts(unchanged=2)
    columns["seats_m"] = [4, None]
    assert write("toilet", columns) == things.Counts(updated=1, unchanged=1)


def test_district_and_street_are_found_by_the_map_and_follow_a_move() -> None:
    write("toilet", {"source_key": ["m"], "geom": [point(121.44, 31.21)]})
    assert read("toilet", None, "m").district == minicity.WEST
    write("toilet", {"source_key": ["m"], "geom": [point(121.46, 31.21)]})
    assert read("toilet", None, "m").district == minicity.EAST
    write("toilet", {"source_key": ["m"], "geom": [point(121.60, 31.21)]})
    assert read("toilet", None, "m").district is None


def test_the_past_is_read_typed_and_as_it_was() -> None:
    moments = []
    for seats in (1, 2, 3):
        write("toilet", {"source_key": ["h"], "seats_m": [seats], "geom": [point(121.41, 31.21)]})
        moments.append(datetime.now(UTC))
    assert [read("toilet", t, "h").seats_m for t in moments] == [1, 2, 3]
    assert [read("toilet", t, "h").version for t in moments] == [1, 2, 3]
    assert read("toilet", datetime(2020, 1, 1, tzinfo=UTC), "h") is None


def test_codes_are_unique_and_never_reused() -> None:
    write("bin", {"source_key": ["x"], "geom": [point(121.41, 31.21)]})
    with db.engine("app").begin() as conn:
        declared = kinds.one(conn, "bin")
        rows = table(declared)
        first = conn.execute(sa.select(rows.c.id, rows.c.code)).one()
        assert things.remove(conn, declared, [first.id], actor="t") == 1
    write("bin", {"source_key": ["x"], "geom": [point(121.41, 31.21)]})
    with db.engine("app").connect() as conn:
        second = conn.execute(sa.select(rows.c.code)).scalar_one()
    assert first.code.startswith(f"{minicity.WEST}-{declared.code}-")
    assert second != first.code


def test_every_change_of_a_thing_is_one_journal_entry_with_before_and_after() -> None:
    write("bin", {"source_key": ["j"], "name": ["旧"], "geom": [point(121.41, 31.215)]})
    write("bin", {"source_key": ["j"], "name": ["新"], "geom": [point(121.41, 31.215)]})
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            sa.text(
                "select j.action, j.version, j.before->>'name' as before, j.after->>'name' as after, "
                "j.district from twin.journal j join sanitation.bin b on b.id = j.subject "
                "where b.source_key = 'j' order by j.version"
            )
        ).all()
    assert [tuple(r) for r in rows] == [
        ("insert", 1, None, "旧", minicity.WEST),
        ("update", 2, "旧", "新", minicity.WEST),
    ]


def test_a_failed_write_leaves_nothing_behind() -> None:
    with db.engine("app").connect() as conn:
        before = conn.execute(sa.text("select count(*) from twin.journal")).scalar_one()
    columns = {"source_key": ["n1", "n2"], "geom": [point(121.41, 31.21), "not a geometry"]}
    with pytest.raises(Exception, match="geometry"):
        write("toilet", columns)
    with db.engine("app").connect() as conn:
        assert conn.execute(sa.text("select count(*) from twin.journal")).scalar_one() == before
    assert read("toilet", None, "n1") is None


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"name": ["x"]}, "source_key"),
        ({"source_key": ["x"], "nonsense": [1]}, "no field nonsense"),
        ({"source_key": ["x", "y"], "name": ["z"]}, "differ in length"),
        ({"source_key": ["x", "x"]}, "twice"),
    ],
)
def test_wrong_columns_are_named(columns: dict[str, list[Any]], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        write("toilet", columns)


def test_a_change_without_a_shape_leaves_the_place_alone() -> None:
    write("toilet", {"source_key": ["placed"], "name": ["甲"], "geom": [point(121.42, 31.21)]})
    assert write("toilet", {"source_key": ["placed"], "name": ["乙"]}) == things.Counts(updated=1)
    row = read("toilet", None, "placed")
    assert (row.name, row.district) == ("乙", minicity.WEST)
    with db.engine("app").connect() as conn:
        kept = conn.execute(
            sa.text("select st_x(point) from twin.thing g join sanitation.toilet t using (id) "
                    "where t.source_key = 'placed'")
        ).scalar_one()  # fmt: skip
    assert kept == 121.42
