"""Statements compiled once: what is bound, what stays open, what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

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

    assert asyncio.run(ask()) == [[("found", 0)], [("found", 0)]]


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
            asyncio.run(ask())
    finally:
        monkeypatch.undo()
        settings.cache_clear()
