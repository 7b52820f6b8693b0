"""Tiles hold nothing forbidden, whoever asks; and who is limited pays with no scan of a table."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import psycopg
import pytest
import shapely
import sqlalchemy as sa
from psycopg import sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from sqlalchemy import text

from gis.tiles import tile_of
from services.tiles import levels as served
from services.tiles import repository, service
from services.tiles.repository import Wish
from tests import minicity
from tests.services.conftest import Api
from tests.support import run_async
from twin import counts, db, detail, kinds, levels, pool, tables
from twin.errors import NotFound
from twin.scope import ANONYMOUS, Actor, visible
from twin.settings import settings

KINDS = ("sign", "toilet", "crew", "sub_compartment", "road", "district")
MANY = 120_000
AREA = minicity.ewkb(shapely.box(121.46, 31.21, 121.47, 31.22))
ACTORS = {
    "city": Actor(user="a", clearance=3),
    "nobody": ANONYMOUS,
    "east": Actor(user="b", clearance=2, districts=(minicity.EAST,)),
    "west": Actor(user="c", clearance=3, districts=(minicity.WEST,)),
    "street": Actor(user="d", clearance=3, districts=(minicity.EAST,), streets=("S1",)),
    "area": Actor(user="e", clearance=3, districts=(minicity.EAST,), area=AREA),
    "partner": Actor(user="f", clearance=1, kinds=frozenset({"toilet"}), key_id="1"),
    "thin": Actor(user="g", clearance=3, fields={"sign": frozenset({"name"})}),
}


@pytest.fixture(scope="module")
def full(api: Api) -> Iterator[Api]:
    """A table of more than a hundred thousand signs, half of each district, with levels of detail."""
    patch = pytest.MonkeyPatch()
    patch.setattr(detail, "MANY", 1_000)
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into landscape.sign (id, num, code, name, district, street, source, source_key, risk, geom) "
                "select gen_random_uuid(), 1000000 + i, 'S-' || i, 'sign ' || i, "
                "case when x < 121.45 then :w else :e end, 'S' || i % 9, 't', 't' || i, "
                "(1 + i % 4)::text, st_setsrid(st_makepoint(x, 31.2 + random() * 0.04), 4326) "
                "from (select i, 121.4 + random() * 0.1 as x from generate_series(1, :n) i) q"
            ),
            {"w": minicity.WEST, "e": minicity.EAST, "n": MANY},
        )
        conn.execute(text("analyze landscape.sign"))
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "sign")
        counts.refresh(conn, kind)
        levels.follow(conn, {"sign": kind})
    patch.setattr(served, "_held", frozenset({"sign"}))
    yield api
    patch.undo()


def _known() -> dict[str, kinds.Kind]:
    with db.engine("app").connect() as conn:
        return {name: kinds.one(conn, name) for name in KINDS}


def _allowed(kind: kinds.Kind, actor: Actor) -> set[int]:
    table = tables.table(kind)
    with db.engine("app").connect() as conn:
        return set(conn.scalars(sa.select(table.c.num).where(visible(actor, table, kind))))


def _tiles(count: int) -> list[tuple[int, int, int]]:
    gen = random.Random(5)
    return [
        tile_of(
            gen.uniform(121.39, 121.51),
            gen.uniform(31.19, 31.25),
            gen.choice((8, 11, 13, 14, 15, 16, 18)),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "count", [12, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(1_500)])]
)
def test_no_tile_holds_a_forbidden_id(full: Api, count: int) -> None:
    known = _known()
    allowed = {(a, k): _allowed(known[k], who) for a, who in ACTORS.items() for k in KINDS}
    assert (
        any(len(allowed[a, "sign"]) < MANY for a in ACTORS) and len(allowed["city", "sign"]) >= MANY
    )

    async def look() -> None:
        try:
            for i, at in enumerate(_tiles(count)):
                for name, who in ACTORS.items():
                    for layer in ("sign", KINDS[1 + i % (len(KINDS) - 1)]):
                        await _check(name, who, layer, at, allowed[name, layer])
        finally:
            await pool.close()

    run_async(look())


async def _check(
    name: str, who: Actor, layer: str, at: tuple[int, int, int], may: set[int]
) -> None:
    try:
        made = await service.tile(layer, who, *at, Wish())
    except NotFound:
        assert not may, (name, layer)
        return
    if not made.raw:
        return
    said = mapbox_vector_tile.decode(service.isal_zlib.decompress(made.raw, 31))
    features = said.get(layer, {"features": []})["features"]
    single = {
        f["id"] for f in features if "n" not in f["properties"] and "share" not in f["properties"]
    }
    assert single <= may, (name, layer, at)
    stand_for = sum(f["properties"].get("n", 0) for f in features)
    assert stand_for <= len(may), (name, layer, at)
    if name == "thin" and layer == "sign":
        assert all("risk" not in f["properties"] for f in features)


@pytest.mark.parametrize("who", ["east", "street", "area", "city"])
@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("wish", [Wish(), Wish(filter="risk = '1'")])
def test_a_small_box_reads_an_index(full: Api, who: str, generic: bool, wish: Wish) -> None:
    kind, actor = _known()["sign"], ACTORS[who]
    z, x, y = tile_of(121.452, 31.22, 16)
    statement = repository.prepared(kind, actor, z, wish)
    said = {**statement.fixed, **repository.values(actor, z, x, y, wish)}
    plan = _plan(statement.sql, said, generic)
    scans = [node for node in plan if node["Node Type"] == "Seq Scan"]
    assert not scans and any("Index" in n.get("Node Type", "") for n in plan)
    assert any(n.get("Index Name") == "sign_geom" for n in plan)


def _plan(said: bytes, values: dict[str, Any], generic: bool) -> list[dict[str, Any]]:
    """Return the nodes of the plan that a prepared statement gets, made for these values or for any."""
    dsn = settings().dsn("tiles").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"set plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
        query = PostgresQuery(Transformer(conn))
        query.convert(said, {name: None for name in values})
        conn.execute(b"prepare p as " + query.query)  # type: ignore[call-overload]
        order = [values[name] for name in query._order or []]
        call = sql.SQL("explain (format json) execute p({})").format(
            sql.SQL(", ").join(
                sql.Literal(v) if not isinstance(v, list) else sql.SQL("{}").format(v)
                for v in order
            )
        )
        found = conn.execute(call).fetchone()
    assert found is not None
    top = found[0] if isinstance(found[0], list) else json.loads(found[0])
    return list(_nodes(top[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
