"""What the MQTT door remembers of a client beyond its connection: subscriptions, QoS 2, downlinks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ingest.doors import packets

if TYPE_CHECKING:
    from ingest.doors.mqtt import Door

NEVER = 0xFFFFFFFF
LONGEST_S = 7 * 86_400
MOST_QUEUED = 100
MOST_SUBSCRIPTIONS = 50
MOST_CLIENTS = 20  # sessions of one device


class Sent(NamedTuple):
    """What was sent down and is not acknowledged yet."""

    downlink: str
    topic: str
    payload: bytes


@dataclass(eq=False)
class Session:
    """The state of one client of one device."""

    key: tuple[str, str]  # device's name, client identifier
    subscriptions: dict[str, int] = field(default_factory=dict)
    received: dict[int, bool] = field(default_factory=dict)  # QoS 2: identifier → is committed
    sent: dict[int, Sent] = field(default_factory=dict)  # by packet identifier
    connection: Door | None = None
    expiry_s: int = 0
    ends: asyncio.TimerHandle | None = None
    will: asyncio.TimerHandle | None = None
    last: int = 0  # the packet identifier given last

    @property
    def keeps(self) -> bool:
        """True when there is something that must outlive the door."""
        return self.expiry_s > 0 and bool(self.subscriptions or self.sent)

    def number(self) -> int:
        """Return a packet identifier that is free."""
        for _ in range(65_535):
            self.last = self.last % 65_535 + 1
            if self.last not in self.sent:
                return self.last
        raise RuntimeError("all packet identifiers are in use")

    def qos_for(self, topic: str) -> int | None:
        """Return the QoS at which the client wants a topic; None where it does not."""
        wanted = [q for name, q in self.subscriptions.items() if packets.matches(name, topic)]
        return min(1, max(wanted)) if wanted else None


class Sessions:
    """All sessions of this process; a client that comes back finds its own."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Session] = {}
        self._clients: dict[str, dict[str, None]] = {}  # of a device, the longest known first
        self.by_num: dict[int, set[Session]] = {}
        self.changed: dict[
            tuple[str, str], Session | None
        ] = {}  # to be written; None: to be dropped

    def restore(self, found: Iterable[tuple[Session, float]]) -> None:
        """Take up the sessions that the database kept; those whose time is over end."""
        loop = asyncio.get_running_loop()
        for one, left_s in found:
            self._enter(one)
            if left_s <= 0:
                self.end(one)
            else:
                one.ends = loop.call_later(min(left_s, LONGEST_S), self.end, one)

    def touch(self, session: Session) -> bool:
        """Note that a session changed; True where it must be written."""
        if self._all.get(session.key) is session and session.expiry_s:
            self.changed[session.key] = session
            return True
        return False

    def _enter(self, session: Session) -> None:
        name, client = session.key
        mine = self._clients.setdefault(name, {})
        mine[client] = None
        self._all[session.key] = session
        if len(mine) > MOST_CLIENTS:
            there = (self._all[(name, one)] for one in mine)
            absent = next((one for one in there if one.connection is None), None)
            if absent is not None and absent is not session:
                self.end(absent)

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
            self.end(old)
        made = Session(key)
        self._enter(made)
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
        else:
            self.touch(session)
            loop = asyncio.get_running_loop()
            session.ends = loop.call_later(min(session.expiry_s, LONGEST_S), self.end, session)

    def end(self, session: Session) -> None:
        """Forget a session."""
        if self._all.get(session.key) is not session:
            return
        del self._all[session.key]
        name, client = session.key
        mine = self._clients[name]
        del mine[client]
        if not mine:
            del self._clients[name]
        self.changed[session.key] = None
