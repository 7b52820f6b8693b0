"""Bulk loads: COPY for what is new, one entry that names and proves it, entries for what changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from sqlalchemy import text

from tests import minicity
from twin import bulk, db, kinds
from twin.errors import BadRequest

ROWS = 2_400


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def ask(sql: str, **params: Any) -> Any:
    with db.engine("owner").connect() as conn:
        return conn.execute(text(sql), params)


def shapes(rows: int) -> np.ndarray:
    at = np.arange(rows)
    return np.asarray(shapely.points(121.401 + at % 90 * 0.001, 31.201 + at // 90 * 0.001))


def load(rows: int = ROWS, source: str = "bulk", dry: bool = False, **more: Any) -> bulk.Load:
    keys = [f"k{i}" for i in range(rows)]
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        with bulk.Load(conn, kind, actor="test", source=source, dry=dry) as into:
            half = rows // 2
            for part in (slice(0, half), slice(half, rows)):
                columns = {"source_key": keys[part]} | {n: v[part] for n, v in more.items()}
                into.add(columns, shapes(rows)[part])
        return into


def test_a_load_comes_whole_and_a_second_time_changes_nothing() -> None:
    names = [f'厕,"{i}"\n第{i}' for i in range(ROWS)]
    seats: list[Any] = [None if i % 7 == 0 else i for i in range(ROWS)]
    first = load(name=names, seats_f=seats)
    assert (first.counts.inserted, first.counts.unchanged) == (ROWS, 0)
    rows = ask(
        "select t.name, t.seats_f, t.district, t.state, t.version, g.name as known, g.district as d, "
        "st_equals(g.point, t.geom) as same, t.code from sanitation.toilet t "
        "join twin.thing g on g.num = t.num and g.id = t.id and g.code = t.code "
        "where t.source = 'bulk' order by t.num"
    ).all()
    assert [r.name for r in rows] == names and [r.seats_f for r in rows] == seats
    assert all(r.same and r.known == r.name and r.d == r.district for r in rows)
    assert {r.district for r in rows} == {"310101", "310104"} and {r.version for r in rows} == {1}
    assert len({r.code for r in rows}) == ROWS
    again = load(name=names, seats_f=seats)
    assert (again.counts.inserted, again.counts.unchanged) == (0, ROWS)


def test_one_entry_names_the_rows_and_proves_them() -> None:
    made = load(source="proved")
    entry = ask(
        "select note from twin.journal where class = 'load' and (note->>'load')::int = :l",
        l=made.load,
    ).scalar_one()
    assert entry["inserted"] == ROWS
    held = ask(
        "select count(*) from twin.load l join twin.thing t on l.nums @> t.num where l.id = :l",
        l=made.load,
    ).scalar_one()
    assert held == ROWS
    own = "select count(*) from twin.journal j join sanitation.toilet t on t.id = j.subject "
    assert ask(own + "where t.source = 'proved'").scalar_one() == 0
    assert wrong_loads() == []
    # A change through the front door leaves the first version in the history: still proved.
    load(source="proved", seats_f=[9 if i == 7 else None for i in range(ROWS)])
    assert wrong_loads() == []
    touched = (
        "update sanitation.toilet set name = 'x' where source_key = 'k8' and source = 'proved'"
    )
    with db.engine("owner").begin() as conn:
        conn.execute(text(touched))
    assert wrong_loads() == [made.load]
    with db.engine("owner").begin() as conn:
        conn.execute(text(touched.replace("'x'", "''")))


def wrong_loads() -> list[int]:
    with db.engine("app").connect() as conn:
        return [w["load"] for w in bulk.broken(conn, kinds.catalogue(conn))]


def test_changed_rows_keep_entries_of_their_own() -> None:
    load(source="changing", seats_f=[1] * ROWS)
    made = load(source="changing", seats_f=[2 if i == 5 else 1 for i in range(ROWS)])
    assert (made.counts.updated, made.counts.unchanged) == (1, ROWS - 1)
    row = ask(
        "select action, before->>'seats_f' as b, after->>'seats_f' as a from twin.journal "
        "where class = 'thing' and (note->>'load')::int = :l",
        l=made.load,
    ).one()
    assert tuple(row) == ("update", "1", "2")


def test_small_loads_are_edits_that_the_maps_hear_of_one_by_one() -> None:
    made = load(40, source="small")
    entries = ask(
        "select count(*) from twin.journal where class = 'thing' and action = 'insert' "
        "and (note->>'load')::int = :l",
        l=made.load,
    ).scalar_one()
    assert entries == 40
    held = "select count(*) from twin.load l join twin.thing t on l.nums @> t.num where l.id = :l"
    assert ask(held, l=made.load).scalar_one() == 40


def test_a_dry_load_only_counts() -> None:
    made = load(source="dry", dry=True)
    assert made.counts.inserted == ROWS
    assert not ask("select count(*) from sanitation.toilet where source = 'dry'").scalar_one()


def test_a_failure_anywhere_leaves_nothing() -> None:
    with pytest.raises(BadRequest):
        load(source="broken", seats_f=[1] * (ROWS - 1) + ["many"])
    left = "select count(*) from twin.load where source = 'broken'"
    assert not ask(left).scalar_one()
    assert not ask("select count(*) from sanitation.toilet where source = 'broken'").scalar_one()


def test_serials_held_by_this_transaction_do_not_stop_the_load() -> None:
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        minicity.write(
            conn, "toilet", {"source_key": ["held"], "geom": [minicity.ewkb(shapes(1)[0])]}
        )
        with bulk.Load(conn, kind, actor="test", source="after") as into:
            into.add({"source_key": [f"a{i}" for i in range(1_100)]}, shapes(1_100))
    codes = (
        ask("select code from sanitation.toilet where source in ('after', 'mini')").scalars().all()
    )
    assert len(set(codes)) == len(codes)
