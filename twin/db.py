"""Engines per database role, and the numbered migrations."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from twin.beside import Beside
from twin.settings import settings

MIGRATIONS = Path(__file__).parent / "migrations"
# The serving role plans without parallel workers and JIT: each alone cost a factor of four on small boxes.
# A network may forget a connection that has been silent for long, without a word to either side.
_RESTED_S = 30.0
_CONNECT = {"connect_timeout": 5, "options": "-c timezone=UTC -c jit=off"}


@lru_cache(maxsize=8)
def engine(role: str = "app") -> Engine:
    """Return this process's engine for a role of `twin.settings.ROLES`."""
    made = create_engine(settings().dsn(role), pool_size=8, max_overflow=16, connect_args=_CONNECT)
    event.listen(made, "checkout", _living)
    return made


def _living(conn: Any, record: Any, _proxy: Any) -> None:
    """Ask a pooled connection whether it lives only where it may not: a question costs as much as a read.

    A server that goes away closes its sockets: nothing else makes an idle one readable.
    """
    now = time.monotonic()
    rested, record.info["lent"] = now - record.info.get("lent", now), now
    if rested < _RESTED_S and not conn.closed and not _readable(conn.fileno()):
        return
    try:
        before, conn.autocommit = conn.autocommit, True
        conn.execute("select 1")
        conn.autocommit = before
    except psycopg.Error as why:
        raise InvalidatePoolError("The database has closed this connection.") from why


def _readable(socket: int) -> bool:
    asked = select.poll()
    asked.register(socket, select.POLLIN)
    return bool(asked.poll(0))


def direct(conn: Connection, sql: str, values: dict[str, Any]) -> psycopg.Cursor[Any]:
    """Run a prepared statement (`%(name)s`) in the connection's transaction, past SQLAlchemy's layers.

    For the few statements that run a thousand times a second. Raises what SQLAlchemy raises.
    """
    raw: Any = conn.connection.driver_connection
    try:
        return raw.cursor(binary=True).execute(sql, values, prepare=True)  # type: ignore[no-any-return]
    except psycopg.Error as why:
        gone = conn.dialect.is_disconnect(why, raw, None)  # type: ignore[arg-type]
        if gone:
            conn.invalidate(why)
        raise DBAPIError.instance(
            sql, None, why, psycopg.Error, connection_invalidated=gone, dialect=conn.dialect
        ) from why


@lru_cache(maxsize=8)
def async_engine(role: str = "app") -> AsyncEngine:
    """Return this process's asynchronous engine for a role."""
    return create_async_engine(
        settings().dsn(role), pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args=_CONNECT
    )


_places: Beside[Engine, str] = Beside(64)


def place(conn: Connection) -> str:
    """Return which database a connection leads to: part of the name of whatever is kept in memory."""
    return _places.get(conn.engine, _place)


def _place(leads: Engine) -> str:
    at = leads.url
    return f"{at.host}:{at.port}/{at.database}"


@contextmanager
def alone(lock: int, name: str) -> Iterator[bool]:
    """Tell whether this process has a named piece of work of a kind (`lock`) to itself, until the block ends."""
    with engine("app").connect() as conn:
        asked = {"n": name, "k": lock}
        got = conn.execute(
            text("select pg_try_advisory_lock(:k, hashtext(:n))"), asked
        ).scalar_one()
        conn.commit()
        try:
            yield bool(got)
        finally:
            if got:
                conn.execute(text("select pg_advisory_unlock(:k, hashtext(:n))"), asked)
                conn.commit()


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
