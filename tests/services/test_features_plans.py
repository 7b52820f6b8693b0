"""What the database does for a page: the index of places for whoever asks, never a walk through all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from services.features import asked, repository
from tests import minicity
from twin import db, kinds
from twin.kinds import Kind
from twin.scope import Actor
from twin.settings import settings

MANY = 120_000
BOX = "121.42,31.21,121.425,31.215"
WEST = Actor(user="west", clearance=3, districts=("310101",))
CALLERS = {
    "unlimited": Actor(user="all", clearance=3),
    "district": WEST,
    "street": Actor(user="s", clearance=3, districts=("310101",), streets=("310101001",)),
    "area": Actor(user="a", clearance=3, districts=("310101",), area=minicity.area(121.41, 121.43)),
}


@pytest.fixture(scope="module")
def trees(database: str) -> Iterator[Kind]:
    """A kind with more things than anybody may walk through for one page."""
    minicity.build()
    with db.engine("owner").begin() as conn:
        conn.execute(text(
            "insert into greening.street_tree (id, num, code, district, street, source, source_key, geom) "
            "select gen_random_uuid(), 1000000 + i, 'x-ST-' || i, case when i % 2 = 0 then '310101' else "
            "'310104' end, '310101001', 'many', i::text, st_setsrid(st_makepoint(121.4 + (i % 400) * 0.00025, "
            "31.2 + (i / 400) * 0.00013), 4326) from generate_series(1, :n) i"), {"n": MANY})  # fmt: skip
    with db.engine("owner").connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("analyze greening.street_tree")
        )
        yield kinds.one(conn, "street_tree")


@pytest.mark.parametrize("generic", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("order", ["", "-name"])
@pytest.mark.parametrize("who", CALLERS.values(), ids=CALLERS.keys())
def test_a_small_box_uses_the_index_of_places(
    trees: Kind, who: Actor, order: str, generic: str
) -> None:
    query = {"bbox": BOX} | ({"sortby": order} if order else {})
    prepared, values = repository.page(asked.read(trees, who, query))
    plan = _plan(prepared, values, generic)
    assert "Seq Scan on street_tree" not in plan, plan
    assert "street_tree_geom" in plan


def test_a_page_of_all_walks_along_the_numbers(trees: Kind) -> None:
    plan = _plan(*repository.page(asked.read(trees, CALLERS["unlimited"], {})), "force_custom_plan")
    assert "street_tree_num_key" in plan


def _plan(prepared: Any, values: Any, how: str) -> str:
    dsn = settings().dsn("app").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn, autocommit=True, options=f"-c plan_cache_mode={how}") as conn:
        rows = conn.execute(b"explain " + prepared.sql, {**prepared.fixed, **values}, prepare=True)
        return "\n".join(r[0] for r in rows)
