"""The fast way to read: statements compiled once, prepared in the database, run without the ORM.

Building and compiling a SQLAlchemy statement costs more than the database needs for a small tile.
Doors that answer thousands of reads a second compile theirs once, keep the text, and bind values.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.sql.elements import ClauseElement

from twin.errors import Unavailable
from twin.settings import settings
from twin.wire import Line

SIZE = 8
WAIT_S = 10.0
# A read that takes longer than this is a mistake in what was asked; it must not hold a connection.
STATEMENT_TIMEOUT_MS = 30_000
_DIALECT = psycopg_dialect()  # type: ignore[no-untyped-call]
_OPTIONS = f"-c timezone=UTC -c jit=off -c statement_timeout={STATEMENT_TIMEOUT_MS}"
Connection = Line
_PLACE = re.compile(rb"%(?:%|\((\w+)\)s)")
_AWAY = "The database is away or overloaded; try again in a moment."
_stacks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Stack]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Prepared:
    """SQL text with `%(name)s` places, the values that never change, and the names still to bind.

    `numbered` is the same text with the places `$1` of the database itself, `places` their names.
    """

    sql: bytes
    fixed: Mapping[str, Any]
    open: frozenset[str] = field(default=frozenset())
    numbered: bytes = field(init=False)
    places: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names: dict[bytes, int] = {}

        def number(found: re.Match[bytes]) -> bytes:
            name = found[1]
            return b"%" if name is None else b"$%d" % names.setdefault(name, len(names) + 1)

        object.__setattr__(self, "numbered", _PLACE.sub(number, self.sql))
        object.__setattr__(self, "places", tuple(name.decode() for name in names))


def statement(said: Executable) -> Prepared:
    """Compile a SQLAlchemy statement once; a `bindparam(name)` without a value stays open.

    Lists are bound whole (`= any(:names)`), never spread into the text: the text must not depend
    on values, or the database would plan it anew each time.
    """
    assert isinstance(said, ClauseElement)
    made = said.compile(dialect=_DIALECT)
    fixed, unbound = {}, set()
    for bind, name in made.bind_names.items():  # type: ignore[attr-defined]
        if bind.required:
            unbound.add(name)
        else:
            process = made._bind_processors.get(name)  # type: ignore[attr-defined]
            value = bind.effective_value
            fixed[name] = process(value) if process else value
    return Prepared(str(made).encode(), fixed, frozenset(unbound))


class Statements:
    """Compiled statements by their shape; of too many shapes the oldest half goes."""

    def __init__(self, limit: int = 4096) -> None:
        """Keep up to `limit` statements."""
        self._limit = limit
        self._kept: dict[Hashable, Prepared] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Executable]) -> Prepared:
        """Return the statement of a key; `make` builds it the first time."""
        found = self._kept.get(key)
        if found is None:
            found = statement(make())
            with self._lock:
                if len(self._kept) >= self._limit:
                    for old in list(self._kept)[: self._limit // 2]:
                        del self._kept[old]
                self._kept[key] = found
        return found


class _Stack:
    """Connections of a role: the one that came back last goes out first, at most `SIZE` at once.

    A pool that watches its connections from tasks of its own costs a quarter of what the database
    needs for a small tile; here a connection that broke is noticed when it is handed back or out.
    """

    def __init__(self, role: str) -> None:
        self.dsn = settings().dsn(role).replace("postgresql+psycopg://", "postgresql://")
        self._idle: list[Line] = []
        self._free = asyncio.Semaphore(SIZE)

    async def take(self) -> Line:
        """Return a living connection; Unavailable when there is none within `WAIT_S`."""
        if self._free.locked():
            try:
                await asyncio.wait_for(self._free.acquire(), WAIT_S)
            except TimeoutError as why:
                raise Unavailable(_AWAY) from why
        else:
            await self._free.acquire()
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
            await line.close()
        try:
            return await self._connect()
        except BaseException as why:
            self._free.release()
            if isinstance(why, psycopg.Error):
                raise Unavailable(_AWAY) from why
            raise

    async def _connect(self) -> Line:
        return Line(
            await psycopg.AsyncConnection.connect(
                self.dsn, autocommit=True, options=_OPTIONS, connect_timeout=5
            )
        )

    async def give(self, line: Line) -> None:
        """Take a connection back; one that is broken or in the middle of something is closed."""
        if line.usable:
            self._idle.append(line)
        else:
            lost = line.conn.closed
            await line.close()
            if lost:
                # The database went away: what lies idle broke with it.
                await self.close()
        self._free.release()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            await self._idle.pop().close()


class connection:
    """Lend an autocommitting connection of a role; Unavailable when the database is away."""

    __slots__ = ("_line", "_stack")

    def __init__(self, role: str = "app") -> None:
        """Name the role; nothing is lent before `async with`."""
        self._stack = _stack(role)

    async def __aenter__(self) -> Connection:
        """Take a connection."""
        self._line = await self._stack.take()
        return self._line

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        await self._stack.give(self._line)


def _stack(role: str) -> _Stack:
    mine = _stacks.setdefault(asyncio.get_running_loop(), {})
    found = mine.get(role)
    if found is None:
        found = mine[role] = _Stack(role)
    return found


async def fetch(
    conn: Connection, prepared: Prepared, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return all rows of a prepared statement; every open name must be among the values."""
    fixed = prepared.fixed
    said = [values[name] if name in values else fixed[name] for name in prepared.places]
    return await conn.rows(prepared.numbered, said)


async def close() -> None:
    """Close the connections of the running loop (the application stops)."""
    for stack in _stacks.pop(asyncio.get_running_loop(), {}).values():
        await stack.close()
