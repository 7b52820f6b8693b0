"""One connection's prepared statements, spoken to libpq directly.

A cursor for each small read costs more than half of what the database needs for it: objects that are
made anew, a timer, the socket given to the loop and taken away. Here the socket stays with the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer

# Beyond this many texts the database's memory for a connection is worth more than the texts.
MOST = 1000
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_LOST = "the connection was closed"


class Line:
    """A connection of the running loop: one statement at a time, prepared the first time."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """Take an autocommitting connection that nobody else uses."""
        self.conn = conn
        self._pg = conn.pgconn
        self._tx = Transformer.from_context(conn)
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._loop = asyncio.get_running_loop()
        self._socket = self._pg.socket
        self._told: asyncio.Future[None] | None = None
        self._loop.add_reader(self._socket, self._readable)

    @property
    def usable(self) -> bool:
        """True while the connection lives, is between statements, and does not know too many."""
        idle = self._pg.transaction_status == pq.TransactionStatus.IDLE
        return not self.conn.closed and idle and len(self._names) < MOST

    async def close(self) -> None:
        """Take the socket from the loop and end the connection."""
        self._forget()
        await self.conn.close()

    async def rows(self, sql: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement with `$1` places; binary results. Raises what psycopg raises."""
        said = self._tx.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types = self._tx.types or ()
        name = self._names.get((sql, types))
        if name is None:
            name = f"w{len(self._names)}".encode()
            self._pg.send_prepare(name, sql, types)
            await self._result()
            self._names[sql, types] = name
        self._pg.send_query_prepared(name, said, self._tx.formats, result_format=pq.Format.BINARY)
        result = await self._result()
        self._tx.set_pgresult(result, format=pq.Format.BINARY)
        return self._tx.load_rows(0, result.ntuples, tuple)

    async def _result(self) -> pq.abc.PGresult:
        while self._pg.flush():
            await self._writable()
        result = await self._next()
        if result is None:
            raise psycopg.OperationalError(_LOST)
        while await self._next() is not None:
            pass
        if result.status in _FAILED:
            raise psycopg.errors.error_from_result(result, "utf-8")
        return result

    async def _next(self) -> pq.abc.PGresult | None:
        while self._pg.is_busy():
            if self._socket < 0:
                raise psycopg.OperationalError(_LOST)
            self._told = self._loop.create_future()
            try:
                await self._told
            finally:
                self._told = None
        return self._pg.get_result()

    def _readable(self) -> None:
        """Take what came; a server that hangs up while nobody waits is noticed here as well."""
        try:
            self._pg.consume_input()
            if self._pg.is_busy():
                return
        except psycopg.OperationalError as why:
            self._forget()
            if self._told is not None and not self._told.done():
                self._told.set_exception(why)
            return
        if self._told is not None and not self._told.done():
            self._told.set_result(None)

    async def _writable(self) -> None:
        free = asyncio.Event()
        self._loop.add_writer(self._socket, free.set)
        try:
            await free.wait()
        finally:
            self._loop.remove_writer(self._socket)

    def _forget(self) -> None:
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._socket = -1
