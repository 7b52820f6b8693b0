"""What the MQTT door remembers of a client beyond its connection: subscriptions, QoS 2, downlinks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.doors import packets

if TYPE_CHECKING:
    from ingest.doors.mqtt import Door

NEVER = 0xFFFFFFFF
LONGEST_S = 7 * 86_400
MOST_QUEUED = 100
MOST_SUBSCRIPTIONS = 50


@dataclass(eq=False)
class Session:
    """The state of one client of one device."""

    key: tuple[str, str]  # device's name, client identifier
    subscriptions: dict[str, int] = field(default_factory=dict)
    received: dict[int, bool] = field(default_factory=dict)  # QoS 2: identifier → is committed
    sent: dict[int, str] = field(default_factory=dict)  # identifier → downlink
    connection: Door | None = None
    expiry_s: int = 0
    ends: asyncio.TimerHandle | None = None
    will: asyncio.TimerHandle | None = None
    _next: int = 0

    def number(self) -> int:
        """Return a packet identifier that is free."""
        for _ in range(65_535):
            self._next = self._next % 65_535 + 1
            if self._next not in self.sent:
                return self._next
        raise RuntimeError("all packet identifiers are in use")

    def qos_for(self, topic: str) -> int | None:
        """Return the QoS at which the client wants a topic; None where it does not."""
        wanted = [q for name, q in self.subscriptions.items() if packets.matches(name, topic)]
        return min(1, max(wanted)) if wanted else None


class Sessions:
    """All sessions of this process; a client that comes back finds its own."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Session] = {}
        self.by_num: dict[int, set[Session]] = {}

    def open(self, key: tuple[str, str], *, clean: bool) -> tuple[Session, bool]:
        """Return the client's session, and whether it was there before."""
        old = self._all.get(key)
        if old is not None:
            for timer in (old.ends, old.will):
                if timer:
                    timer.cancel()
            old.ends = old.will = None
            if not clean:
                return old, True
        made = self._all[key] = Session(key)
        return made, False

    def connected(self, num: int, session: Session) -> None:
        """Note that a device can be reached."""
        self.by_num.setdefault(num, set()).add(session)

    def left(self, num: int, session: Session) -> None:
        """Note that a connection ended; the session ends when its time is over."""
        there = self.by_num.get(num)
        if there is not None:
            there.discard(session)
            if not there:
                del self.by_num[num]
        session.connection = None
        if not session.expiry_s:
            self.end(session)
        elif session.expiry_s:
            loop = asyncio.get_running_loop()
            session.ends = loop.call_later(min(session.expiry_s, LONGEST_S), self.end, session)

    def end(self, session: Session) -> None:
        """Forget a session."""
        if self._all.get(session.key) is session:
            del self._all[session.key]
