"""Counts of kinds follow the journal and are told in scope."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import text

from tests import minicity
from twin import counts, db, kinds, ledger, things
from twin.scope import SYSTEM, Actor
from twin.tables import table

XUHUI = Actor(user="x", districts=(minicity.EAST,), clearance=2)


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


def follow() -> list[str]:
    with db.engine("app").begin() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            pass
        return counts.follow(conn, kinds.catalogue(conn))


def told(actor: Actor) -> dict[str, counts.Count]:
    with db.engine("app").connect() as conn:
        return counts.of_kinds(conn, actor, kinds.catalogue(conn))


def test_the_first_count_is_of_everything() -> None:
    assert "toilet" in follow()
    all_of_it, east = told(SYSTEM)["toilet"], told(XUHUI)["toilet"]
    assert all_of_it.things == 190 and 0 < east.things < 190
    with db.engine("app").connect() as conn:
        made = table(kinds.one(conn, "toilet"))
        edges = conn.execute(
            sa.select(
                sa.func.min(sa.func.ST_X(made.c.geom)), sa.func.max(sa.func.ST_Y(made.c.geom))
            )
        ).one()
    assert all_of_it.extent and (all_of_it.extent[0], all_of_it.extent[3]) == tuple(edges)
    assert east.extent and east.extent[0] >= 121.45
    assert all_of_it.freshest and told(SYSTEM)["bin"] == counts.Count()


def test_open_kinds_are_counted_whole_for_everybody() -> None:
    assert told(XUHUI)["road"].things == told(SYSTEM)["road"].things > 100


def test_only_what_changed_is_counted_again() -> None:
    assert follow() == []
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        gone = conn.scalars(text("select id from sanitation.toilet where source_key = 't3'")).all()
        things.remove(conn, kind, gone, actor="t")
    assert follow() == ["toilet"]
    assert told(SYSTEM)["toilet"].things == 189
