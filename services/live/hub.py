"""The live hub: tails the sealed journal once a process and fans it out, latest wins per client.

Messages carry the sealed sequence; a client that comes back gives its last one and misses
nothing. Position frames are made once for each scope and shared.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from twin import catalogue, db, journal, names, positions, products
from twin.alarms import view as alarm_view
from twin.errors import Unavailable
from twin.eventview import PROCESS, View
from twin.scope import Actor, sees, sees_many
from twin.settings import settings

log = structlog.get_logger("live")
TAIL_EVERY_S = 0.1
FRAME_EVERY_S = 0.5
TICK_EVERY_S = 1.0
# A storm writes ten thousand entries about a few cases: each case is told once in this span.
ALARMS_EVERY_S = 0.25
# A batch is stamped when it is received and seen when it is committed: look back over that gap.
LOOK_BACK_S = 1.5
# Things come into view before the client has asked anew.
VIEW_DEG = 0.02
MAX_CATCH_UP = 5000
SHOWN = ("case", "thing", "load", "declaration", "plot")
QUEUE = 4000


@dataclass(eq=False)
class Client:
    """One socket: what it wants, the messages waiting, and the newest frame."""

    actor: Actor
    layers: frozenset[str] = frozenset()
    bbox: tuple[float, float, float, float] | None = None
    messages: deque[str] = field(default_factory=deque)
    frame: bytes | None = None
    wants_full: bool = True
    lost: bool = False
    seen: int = 0
    catching_up: bool = False
    started: bool = False
    token: str = ""
    doubted: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scope(self) -> str:
        """Return what decides what this client may see."""
        return self.actor.digest()

    def push(self, message: str) -> None:
        """Queue a message; a client too slow for the queue is told to come back."""
        if len(self.messages) >= QUEUE:
            self.lost = True
        else:
            self.messages.append(message)
        self.wake.set()

    def doubt(self) -> None:
        """Ask anew whether the session still stands: a grant or a session has changed."""
        self.doubted = True
        self.wake.set()

    def tell(self, entry: dict[str, Any]) -> None:
        """Queue an entry if it is for this client, and remember how far it has been told."""
        self.seen = entry["seq"]
        message = for_client(entry, self)
        if message is not None:
            self.push(message)

    def show(self, frame: bytes) -> None:
        """Replace the waiting frame: only the newest counts."""
        self.frame = frame
        self.wake.set()


class Hub:
    """All sockets of this process, and the tasks that feed them."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.seq = 0
        self.listeners: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._since: datetime | None = None
        self._told = positions.Told()
        self._moved = asyncio.Event()
        self._hearing = False
        self._alarms: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        """Begin to tail at the end of the journal; called when the application starts."""
        self.seq = 0
        self.clients.clear()
        self._moved = asyncio.Event()
        for run in (self._tail, self._frames, self._ticks, self._hear, self._alarm_news):
            self._tasks.append(asyncio.create_task(self._forever(run)))

    async def stop(self) -> None:
        """End the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _forever(self, run: Any) -> None:
        while True:
            try:
                await run()
            except (SQLAlchemyError, psycopg.Error, OSError, Unavailable) as why:
                # The database may restart under us: clients stay, the tail goes on.
                log.warning("live source away", why=str(why).splitlines()[0])
                await asyncio.sleep(1.0)

    async def _tail(self) -> None:
        if self.seq == 0:
            self.seq = await asyncio.to_thread(_last_seq)
        while True:
            batch = await asyncio.to_thread(self._read, self.seq)
            for entry in batch:
                self.seq = entry["seq"]
                self._deliver(entry)
            if not batch:
                await asyncio.sleep(TAIL_EVERY_S)

    def _read(self, after: int) -> list[dict[str, Any]]:
        with db.engine("app").connect() as conn:
            return describe(conn, after, 500)

    def _deliver(self, entry: dict[str, Any]) -> None:
        for listener in self.listeners:
            listener(entry)
        if "alarm" in entry:
            self._alarms[entry["alarm"]["code"]] = entry
            return
        for client in list(self.clients):
            # Who catches up reads the journal itself; nobody gets an entry twice.
            if not client.catching_up and entry["seq"] > client.seen:
                client.tell(entry)

    async def _hear(self) -> None:
        """Hear at once that something moved: a frame follows the commit, not the clock."""
        address = settings().dsn("app").replace("postgresql+psycopg", "postgresql")
        try:
            async with await psycopg.AsyncConnection.connect(
                address, autocommit=True, connect_timeout=5
            ) as conn:
                await conn.execute("listen twin_positions")
                self._hearing = True
                self._moved.set()
                async for _ in conn.notifies():
                    self._moved.set()
        finally:
            self._hearing = False

    async def _frames(self) -> None:
        while True:
            await self._until_moved()
            watching = self._watching()
            if not watching:
                self._since = None
                continue
            full = any(c.wants_full for c in watching)
            since = self._since
            self._since = datetime.now(UTC) - timedelta(seconds=LOOK_BACK_S)
            rows = await asyncio.to_thread(_moving, None if full else since)
            self._show(watching, rows, datetime.now(UTC))
            await asyncio.sleep(FRAME_EVERY_S)

    def _watching(self) -> list[Client]:
        return [c for c in self.clients if "positions" in c.layers]

    async def _until_moved(self) -> None:
        """Wait for news or for somebody who has just come; when nothing is heard, for the clock."""
        while not any(c.wants_full for c in self._watching()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), FRAME_EVERY_S)
            if self._moved.is_set() or not self._hearing:
                break
        self._moved.clear()

    def _show(self, watching: list[Client], rows: np.ndarray, moment: datetime) -> None:
        """Hand each client its frame: all it may see when it has just come, else what moved."""
        made, origin = positions.records(rows, moment)
        fresh = self._told.fresh(rows)
        seen: dict[str, np.ndarray] = {}
        frames: dict[tuple[Any, ...], bytes | None] = {}
        for client in watching:
            whose = client.actor.digest()
            key = (whose, client.wants_full, client.bbox)
            if key not in frames:
                if whose not in seen:
                    seen[whose] = _in_scope(client.actor, rows)
                mine = (
                    seen[whose]
                    if client.wants_full
                    else seen[whose] & fresh & _in_view(client.bbox, rows)
                )
                some = client.wants_full or mine.any()
                frames[key] = positions.framed(made[mine], origin, moment) if some else None
            raw = frames[key]
            if raw is not None:
                client.show(raw)
            client.wants_full = False

    async def _alarm_news(self) -> None:
        while True:
            await asyncio.sleep(ALARMS_EVERY_S)
            if self._alarms:
                news, self._alarms = list(self._alarms.values()), {}
                self._tell_alarms(news)

    def _tell_alarms(self, news: list[dict[str, Any]]) -> None:
        """Tell each client what changed of the alarms that it may see; those who see alike share."""
        made: dict[str, str | None] = {}
        for client in list(self.clients):
            if "alarms" not in client.layers or not client.actor.may("alarm.read"):
                continue
            if client.scope not in made:
                mine = [e["alarm"] for e in news if _seen_by(e, client.actor)]
                said = {"type": "alarms", "seq": self.seq, "alarms": mine}
                made[client.scope] = (
                    json.dumps(said, ensure_ascii=False, default=str) if mine else None
                )
            message = made[client.scope]
            if message is not None:
                client.push(message)

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_EVERY_S)
            if not self.clients:
                continue
            now = datetime.now(UTC).isoformat()
            message = json.dumps({"type": "tick", "time": now, "seq": self.seq})
            for client in list(self.clients):
                # A tick says "all up to here has been told": not to who still catches up or has not asked.
                if client.started and not client.catching_up and len(client.messages) < QUEUE // 2:
                    client.push(message)


def _last_seq() -> int:
    with db.engine("app").connect() as conn:
        return int(conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one())


def _moving(since: datetime | None) -> np.ndarray:
    with db.engine("app").connect() as conn:
        return positions.fixes(conn, since)


def _in_scope(actor: Actor, rows: np.ndarray) -> np.ndarray:
    places = (rows["district"], rows["street"], rows["lon"], rows["lat"])
    return np.asarray(sees_many(actor, *places, rows["level"]))


def _in_view(bbox: tuple[float, float, float, float] | None, rows: np.ndarray) -> Any:
    """Tell what moves in the view or near it; a client that looks elsewhere asks anew."""
    if bbox is None:
        return True
    west, south, east, north = bbox
    return (
        (rows["lon"] >= west - VIEW_DEG) & (rows["lon"] <= east + VIEW_DEG)
        & (rows["lat"] >= south - VIEW_DEG) & (rows["lat"] <= north + VIEW_DEG)
    )  # fmt: skip


def describe(conn: Connection, after: int, limit: int) -> list[dict[str, Any]]:
    """Return sealed entries with all that is needed to show them, whoever looks."""
    found = journal.entries(conn, after=after, limit=limit)
    view = View(conn) if any(row[3] == "case" for row in found) else None
    ringing = alarm_view.View(conn) if any(_is_alarm(row) for row in found) else None
    result = []
    for row in found:
        said = row._mapping
        entry: dict[str, Any] = {
            "seq": said["seq"],
            "at": said["at"].isoformat(),
            "class": said["class"],
            "action": said["action"],
            "actor": said["actor"],
            "subject": str(said["subject"]) if said["subject"] else None,
            "kind": said["kind"],
            "district": said["district"],
            "street": (said["after"] or said["before"] or {}).get("street"),
            "level": said["level"],
            "point": [said["lon"], said["lat"]] if said["lon"] is not None else None,
        }
        if said["class"] == "case" and said["after"]["process"] != PROCESS:
            # Cases of other processes have screens of their own.
            entry["class"] = "process"
            if ringing is not None and _is_alarm(row):
                entry["alarm"] = ringing.brief(said["after"])
        elif said["class"] == "case" and view is not None:
            view.definition(said["after"])  # now, while the connection is open; shown after it
            entry["case"] = said["after"]
            entry["view"] = view
        if said["class"] == "plot":
            entry["about"] = said["actor"]
            entry["shared"] = (said["note"] or {}).get("shared", False)
        if said["class"] == "security":
            entry["about"] = journal.whom(said)
        if said["class"] == "thing":
            entry["box"] = _box(said["before"], said["after"], entry["point"])
            after_ = said["after"] or said["before"] or {}
            keys = ("num", "code", "name", "state")
            entry["thing"] = {k: after_.get(k) for k in keys} | {
                "kind": said["kind"],
                "point": entry["point"],
            }
        result.append(entry)
    return result


def _is_alarm(row: Any) -> bool:
    said = row._mapping
    return bool(said["class"] == "case" and said["after"]["process"] == alarm_view.PROCESS)


def _box(
    before: dict[str, Any] | None, after: dict[str, Any] | None, point: list[float] | None
) -> tuple[float, float, float, float] | None:
    """Return what a change covers on the map: where the thing was and where it is, in degrees."""
    found = [p for said in (before, after) for p in _positions((said or {}).get("geom"))]
    if point:
        found.append((point[0], point[1]))
    if not found:
        return None
    lons, lats = zip(*found, strict=True)
    return min(lons), min(lats), max(lons), max(lats)


def _positions(shape: dict[str, Any] | None) -> list[tuple[float, float]]:
    stack: list[Any] = [(shape or {}).get("coordinates") or []]
    found = []
    while stack:
        one = stack.pop()
        if one and isinstance(one[0], int | float):
            found.append((one[0], one[1]))
        else:
            stack.extend(one)
    return found


_INNER = frozenset({"case", "view", "level", "box", "street", "about", "alarm"})


def _seen_by(entry: dict[str, Any], actor: Actor) -> bool:
    kind = (catalogue.running() or {}).get(entry["kind"] or "")
    if kind is None and entry["class"] == "thing" and actor.kinds is not None:
        return False
    return sees(
        actor, kind, entry["district"], entry["street"], entry["point"], level=entry["level"]
    )


def for_client(entry: dict[str, Any], client: Client) -> str | None:
    """Return the message of an entry for one client, or None when it is not for it."""
    if entry["class"] not in SHOWN or not _seen_by(entry, client.actor):
        open_kind = entry["class"] in ("declaration", "load") and not client.actor.anonymous
        if not open_kind:
            return None
    if entry["class"] == "plot" and not entry["shared"] and entry["about"] != client.actor.user:
        return None
    layer = "events" if entry["class"] == "case" else "things"
    if layer not in client.layers or not _inside(entry["point"], client.bbox, layer):
        return None
    said = {k: v for k, v in entry.items() if k not in _INNER} | {"type": "entry"}
    if "case" in entry:
        if not client.actor.may("event.read"):
            return None
        said["event"] = entry["view"].show(entry["case"], client.actor)
    return json.dumps(said, ensure_ascii=False, default=str)


def _inside(
    point: list[float] | None, bbox: tuple[float, float, float, float] | None, layer: str
) -> bool:
    # Events outside the view still belong in the list: only things are thinned by the view.
    if layer == "events" or bbox is None or point is None:
        return True
    return bbox[0] <= point[0] <= bbox[2] and bbox[1] <= point[1] <= bbox[3]


def doubt_on(entry: dict[str, Any]) -> None:
    """Let the sockets of somebody whose session or grants changed be looked at anew."""
    if entry["class"] == "security" and entry["action"] not in journal.HARMLESS:
        for client in hub.clients:
            if entry["about"] in (None, client.actor.user):
                client.doubt()


def forget_on(entry: dict[str, Any]) -> None:
    """Drop remembered names and kinds when the journal says that they changed."""
    if entry["class"] == "declaration":
        catalogue.forget()
        products.forget()
    if entry["class"] in ("load", "thing") and entry["kind"] in ("district", "street", "crew"):
        names.forget()


hub = Hub()
hub.listeners += [forget_on, doubt_on]
