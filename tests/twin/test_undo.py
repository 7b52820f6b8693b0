"""Undo of one change and of one load; what changed since stays and is named."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from twin import bulk, db, kinds, things, undo, versions
from twin.errors import Conflict, NotFound
from twin.scope import SYSTEM
from twin.undo import ChangedSince


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def columns(seats: dict[str, int], lon: float = 121.41) -> dict[str, list[Any]]:
    return {"source_key": list(seats), "name": list(seats), "seats_m": list(seats.values()),
            "geom": [minicity.ewkb(shapely.Point(lon, 31.21))] * len(seats)}  # fmt: skip


def write(seats: dict[str, int], lon: float = 121.41) -> None:
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", columns(seats, lon))


def load(seats: dict[str, int]) -> int:
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        with bulk.Load(conn, kind, actor="t", source="mini", file="f.csv") as made:
            made.add(columns(seats))
        return made.load


def row(key: str) -> Any:
    with db.engine("app").connect() as conn:
        return conn.execute(
            sa.text(
                "select t.id, t.version, t.seats_m, t.district, t.code, round(st_x(t.geom)::numeric, 3) "
                "as lon from sanitation.toilet t where source_key = :k"
            ),
            {"k": key},
        ).first()


def registered(thing: UUID) -> Any:
    with db.engine("app").connect() as conn:
        return conn.execute(sa.text("select * from twin.thing where id = :i"), {"i": thing}).one()


def back(thing: UUID, version: int) -> undo.Undone:
    with db.engine("app").begin() as conn:
        return undo.change(conn, thing, version, "t")


def undo_load(number: int) -> undo.Undone:
    with db.engine("app").begin() as conn:
        return undo.load(conn, number, "t")


def told(thing: UUID) -> list[tuple[str, int | None]]:
    with db.engine("app").connect() as conn:
        return [(e.action, e.version) for e in versions.entries(conn, thing)]


def test_an_update_goes_back_with_place_and_shape_and_can_be_undone_itself() -> None:
    write({"a": 3})
    write({"a": 9}, lon=121.47)
    moved = row("a")
    assert (moved.district, moved.version) == (minicity.EAST, 2)
    assert back(moved.id, 2).restored == 1
    was = row("a")
    assert (was.seats_m, was.district, float(was.lon), was.version) == (3, minicity.WEST, 121.41, 3)
    assert registered(was.id).district == minicity.WEST
    assert back(was.id, 3).restored == 1
    assert (row("a").seats_m, row("a").district) == (9, minicity.EAST)


def test_only_the_last_change_can_be_undone() -> None:
    write({"b": 1})
    write({"b": 2})
    write({"b": 3})
    with pytest.raises(ChangedSince, match="at version 3"):
        back(row("b").id, 2)
    with pytest.raises(NotFound):
        back(row("b").id, 7)
    assert row("b").seats_m == 3


def test_an_insert_goes_and_comes_back_under_its_code() -> None:
    write({"c": 4})
    first = row("c")
    assert back(first.id, 1).removed == 1
    assert row("c") is None
    assert registered(first.id).gone_at is not None
    assert back(first.id, 2).restored == 1
    again = row("c")
    assert (again.id, again.code, again.seats_m, again.version) == (first.id, first.code, 4, 3)
    assert registered(first.id).gone_at is None
    assert told(first.id) == [("restore", 3), ("remove", 2), ("insert", 1)]


def test_what_stands_in_its_place_keeps_it() -> None:
    write({"d": 1})
    gone = row("d").id
    back(gone, 1)
    write({"d": 2})
    with pytest.raises(ChangedSince, match="stands in its place"):
        back(gone, 2)


@pytest.fixture(params=["small", "bulk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Loads with an entry for each row, and loads with one for all."""
    if request.param == "bulk":
        monkeypatch.setattr(bulk, "SMALL", 0)
    with db.engine("app").begin() as conn:
        for key in ("new1", "new2", "new3", "old", "old2"):
            there = row(key)
            if there:
                things.remove(conn, kinds.one(conn, "toilet"), [there.id], actor="t")
    return str(request.param)


def test_a_load_goes_as_a_whole_but_for_what_changed_since(way: str) -> None:
    write({"old": 1, "old2": 1})
    number = load({"new1": 5, "new2": 5, "new3": 5, "old": 7, "old2": 7})
    write({"new3": 6, "old2": 8})
    with db.engine("app").connect() as conn:
        asked = sa.text("select * from twin.load where id = :i")
        seen = undo.preview(conn, conn.execute(asked, {"i": number}).one())
    assert seen == {"would_remove": 2, "would_restore": 1, "changed_since": 2}
    kept = {key: row(key) for key in ("new3", "old2")}
    gone = row("new1").id
    done = undo_load(number)
    assert (done.removed, done.restored, done.left_alone) == (2, 1, 2)
    assert set(done.changed_since) == {r.code for r in kept.values()}
    assert row("new1") is None
    assert row("old").seats_m == 1
    assert (row("new3").seats_m, row("old2").seats_m) == (6, 8)
    own = [("remove", 2), ("insert", 1)]
    assert told(gone) == ([("undo", None), ("load", None)] if way == "bulk" else own)
    with pytest.raises(Conflict, match="was undone"):
        undo_load(number)
    assert load({"new1": 5}) > number
    assert row("new1").id != gone


def test_the_first_version_of_a_bulk_row_names_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SMALL", 0)
    number = load({"bulk": 5})
    thing = row("bulk").id
    with db.engine("app").connect() as conn:
        (only,) = versions.history(conn, kinds.one(conn, "toilet"), SYSTEM, thing)
    said = only["properties"]
    assert (said["action"], said["note"]["load"], said["note"]["file"]) == ("load", number, "f.csv")
    assert (said["version"], said["valid_to"]) == (1, None)


def test_digests_of_loads_hold_after_undo(way: str) -> None:
    undo_load(load({"x1": 1, "x2": 2}))
    with db.engine("app").connect() as conn:
        assert bulk.broken(conn, kinds.catalogue(conn)) == []
