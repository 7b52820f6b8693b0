"""What came in and is not committed yet: bounded, given to the writer batch by batch, then answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from ingest.devices import Registry
from ingest.writer import Rejected, Said, Written, write_all
from twin import db
from twin.errors import Unavailable

BATCH = 10_000
# A commit costs as much as a thousand messages: where more than a few come at once, some are awaited.
FEW, GATHER, GATHER_S = 20, 1000, 0.002
MOST_MESSAGES, MOST_BYTES = 100_000, 64 * 1024 * 1024
AWAY = (SQLAlchemyError, psycopg.Error, Unavailable, OSError)
log = structlog.get_logger("doors")


class Answered(Protocol):
    """Who waits for the commit of a message."""

    def committed(self, token: Any, reason: str | None) -> None:
        """The message is stored, known already, or refused for a reason; all of it committed."""

    def flush(self) -> None:
        """Send the answers that were gathered."""

    @property
    def gone(self) -> bool:
        """True when nobody waits any more."""


class Inbox:
    """One for each process: every door puts in, one thread writes, answers follow the commit."""

    def __init__(self, registry: Registry, *, write: Callable[..., Written] = write_all) -> None:
        self.registry, self._write = registry, write
        self._said: list[Said] = []
        self._who: list[tuple[Answered | None, Any]] = []
        self.bytes = 0
        self.away = False
        self.stopping = False
        self.counts = {"stored": 0, "rejected": 0, "duplicate": 0, "batches": 0}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._bell = asyncio.Event()
        self._room: list[Callable[[], None]] = []
        self._busy = 0

    def put(self, said: Said, who: Answered | None, token: Any) -> None:
        """Take a message; its answer comes after its commit."""
        if not self._said:
            self._bell.set()
        self._said.append(said)
        self._who.append((who, token))
        self.bytes += _size(said)

    @property
    def full(self) -> bool:
        """True when doors must stop reading until `when_room` calls them."""
        return len(self._said) + self._busy >= MOST_MESSAGES or self.bytes >= MOST_BYTES

    @property
    def waiting(self) -> int:
        """How many messages are not committed yet."""
        return len(self._said) + self._busy

    def when_room(self, call: Callable[[], None]) -> None:
        """Call once when there is room again."""
        self._room.append(call)

    async def run(self) -> None:
        """Write batch after batch until told to stop."""
        loop = asyncio.get_running_loop()
        while not self.stopping or self._said:
            await self._bell.wait()
            self._bell.clear()
            while self._said:
                if FEW < len(self._said) < GATHER:
                    await asyncio.sleep(GATHER_S)
                said, self._said = self._said[:BATCH], self._said[BATCH:]
                who, self._who = self._who[:BATCH], self._who[BATCH:]
                self._busy = len(said)
                written = await loop.run_in_executor(self._thread, self._persist, said)
                self._busy = 0
                if written is None:
                    return
                self._answer(said, who, written)

    def stop(self) -> None:
        """End when what is in hand is written, or at once while the database is away."""
        self.stopping = True
        self._bell.set()

    def _persist(self, said: Sequence[Said]) -> Written | None:
        """Commit a batch; without the database keep it and try again."""
        delay = 0.1
        while True:
            try:
                written = self._write(self.registry, said)
            except AWAY as why:
                self.away = True
                log.warning("not stored, trying again", why=str(why).splitlines()[0], n=len(said))
                db.engine("ingest").dispose()
                if self.stopping:
                    return None  # not acknowledged: the devices keep it
                time.sleep(delay)
                delay = min(delay * 2, 2.0)
            else:
                self.away = False
                return written

    def _answer(
        self, said: Sequence[Said], who: Sequence[tuple[Answered | None, Any]], written: Written
    ) -> None:
        touched: set[Answered] = set()
        reasons = written.reasons
        for place, (one, token) in enumerate(who):
            if one is not None:
                one.committed(token, reasons.get(place) if reasons else None)
                touched.add(one)
        for one in touched:
            one.flush()
        self.bytes -= sum(map(_size, said))
        self.counts["stored"] += written.stored
        self.counts["rejected"] += written.rejected
        self.counts["duplicate"] += written.duplicate
        self.counts["batches"] += 1
        if self._room and not self.full:
            calls, self._room = self._room, []
            for call in calls:
                call()


def _size(said: Said) -> int:
    return len(said.raw if isinstance(said, Rejected) else said.payload)
