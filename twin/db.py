"""Engines per database role, and the numbered migrations."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from twin.settings import settings

MIGRATIONS = Path(__file__).parent / "migrations"
# The serving role plans without parallel workers and JIT: each alone cost a factor of four on small boxes.
_CONNECT = {"connect_timeout": 5, "options": "-c timezone=UTC -c jit=off"}


@lru_cache(maxsize=8)
def engine(role: str = "app") -> Engine:
    """Return this process's engine for a role of `twin.settings.ROLES`."""
    return create_engine(
        settings().dsn(role),
        pool_size=8,
        max_overflow=16,
        pool_pre_ping=True,
        connect_args=_CONNECT,
    )


@lru_cache(maxsize=8)
def async_engine(role: str = "app") -> AsyncEngine:
    """Return this process's asynchronous engine for a role."""
    return create_async_engine(
        settings().dsn(role), pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args=_CONNECT
    )


def forget_engines() -> None:
    """Drop cached engines and settings (tests and set-up change homes)."""
    for made in (engine, async_engine):
        made.cache_clear()
    settings.cache_clear()


def migrate() -> list[str]:
    """Apply what is missing of `twin/migrations/*.sql` as owner, each in one transaction."""
    applied = []
    with engine("owner").connect() as conn:
        conn.execute(text("create schema if not exists twin"))
        conn.execute(
            text(
                "create table if not exists twin.migration ("
                "name text primary key, applied_at timestamptz not null default now())"
            )
        )
        conn.commit()
        # One set-up at a time: a second ./up waits here instead of racing.
        conn.execute(text("select pg_advisory_lock(7001)"))
        done = set(conn.scalars(text("select name from twin.migration")))
        conn.commit()
        for path in sorted(MIGRATIONS.glob("[0-9]*.sql")):
            if path.name in done:
                continue
            raw = conn.connection.driver_connection
            assert raw is not None
            raw.execute(path.read_text(encoding="utf-8"))
            conn.execute(text("insert into twin.migration(name) values (:n)"), {"n": path.name})
            conn.commit()
            applied.append(path.name)
        conn.execute(text("select pg_advisory_unlock(7001)"))
        conn.commit()
    return applied
