"""Statements compiled once: what is bound, what stays open, what comes back."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.support import Servers, run_async
from twin import pool
from twin.errors import Unavailable
from twin.settings import settings


def _named() -> sa.Select[Any]:
    names = sa.bindparam("names", type_=sa.ARRAY(sa.Text))
    thing = sa.table("thing", sa.column("kind"), schema="twin")
    return sa.select(sa.literal("found"), sa.func.count()).where(thing.c.kind == sa.any_(names))


def test_fixed_values_are_kept_and_open_names_are_told() -> None:
    made = pool.statement(_named())
    assert made.open == {"names"}
    assert list(made.fixed.values()) == ["found"]


def test_a_statement_is_made_once_and_the_oldest_go_first() -> None:
    kept, made = pool.Statements(limit=4), []

    def make() -> sa.Select[Any]:
        made.append(1)
        return _named()

    for key in (1, 1, 2, 3, 4, 5, 5):
        kept.get(key, make)
    assert len(made) == 5
    kept.get(1, make)
    assert len(made) == 6


def test_rows_come_back_and_values_are_never_text(database: str) -> None:
    async def ask() -> list[Any]:
        made = pool.statement(_named())
        async with pool.connection("app") as conn:
            found = [
                await pool.fetch(conn, made, {"names": [said]}) for said in ("park", "x' or 1=1 --")
            ]
        await pool.close()
        return found

    assert run_async(ask()) == [[("found", 0)], [("found", 0)]]


def test_a_database_that_is_away_is_said_in_one_sentence(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT_S", 0.3)
    monkeypatch.setenv("TWIN_DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    settings.cache_clear()

    async def ask() -> None:
        try:
            async with pool.connection("app"):
                pass
        finally:
            await pool.close()

    try:
        with pytest.raises(Unavailable, match="try again"):
            run_async(ask())
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_connections_that_broke_are_replaced(servers: Servers, database: str) -> None:
    made = pool.statement(_named())

    async def ask() -> int:
        async with pool.connection("app") as one, pool.connection("app") as two:
            await pool.fetch(one, made, {"names": []})
            await pool.fetch(two, made, {"names": []})
        with servers.admin() as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'twin_app' "
                "and datname = %s",
                (database.rpartition("/")[2],),
            )
        failed = 0
        for _ in range(4):
            try:
                async with pool.connection("app") as conn_:
                    assert await pool.fetch(conn_, made, {"names": []}) == [("found", 0)]
            except psycopg.OperationalError:
                failed += 1
        await pool.close()
        return failed

    # None when the loop hears of the hang-up before the next reader comes.
    assert run_async(ask()) <= 1


def test_one_more_than_there_are_waits_and_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SIZE", 1)
    monkeypatch.setattr(pool, "WAIT_S", 0.2)

    async def ask() -> None:
        async with pool.connection("app"):
            with pytest.raises(Unavailable):
                async with pool.connection("app"):
                    pass
        async with pool.connection("app"):
            pass
        await pool.close()

    run_async(ask())
