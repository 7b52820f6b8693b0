"""What all doors share: the inbox, who may come in, sessions, what goes down to devices, presence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
import structlog
from sqlalchemy import text

from ingest import heard, sta
from ingest.devices import ASK_AGAIN_S, Registry, Source
from ingest.doors import kept, packets
from ingest.doors.identity import REGISTER, Caller, Login, admit, names
from ingest.doors.inbox import AWAY, Inbox
from ingest.doors.mqtt import UP, Door
from ingest.doors.packets import Connect
from ingest.doors.sessions import Session, Sessions
from twin import db, devices, positions, shadow
from twin.errors import TwinError
from twin.products import Product
from twin.settings import settings

KEYFRAME_EVERY_S = 600.0
SWEEP_EVERY_S = 2.0
DUE_EVERY_S = 15.0
SUMMARY_EVERY_S = 60.0
log = structlog.get_logger("doors")


class Gateway:
    """One for each process."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.inbox = Inbox(self.registry)
        self.sessions = Sessions()
        self.connections: set[Door] = set()
        self.closed: dict[int, int] = {}
        self.refused = 0
        self.hj212: dict[str, Product] = {}  # products that stations can be
        self._side = ThreadPoolExecutor(2, thread_name_prefix="side")
        self._presence: dict[tuple[str, str], tuple[bool, str]] = {}
        self._by_key: dict[tuple[str, str], Door] = {}
        self._doors: dict[tuple[str, str], set[Door]] = {}
        self._changed: set[tuple[str, str]] = set()
        self._reading = False
        self._asked: dict[tuple[str, str], float] = {}
        self._wanted: set[int] = set()
        self.on_downlink: list[
            Callable[[int], None]
        ] = []  # heard that something goes down to a thing
        self.on_minute: list[Callable[[], None]] = [_forget_heard]  # done beside, every minute
        self._kept: list[Callable[[], None]] = []
        self._keeping = False
        self._framed_at = 0.0
        self._due_at = 0.0
        self._told_at = time.monotonic()

    # -- who comes in

    def admit(self, login: Login) -> Caller | None:
        """Return who this is, as far as memory knows."""
        return admit(self.registry, login)

    def ask(self, door: Door, login: Login, said: Connect) -> None:
        """Ask the database, which may know of a change that memory has not heard of yet."""
        who = names(login.user)
        if who is None or not self.may_ask(who):
            asyncio.get_running_loop().call_soon(door.answered, said, None)
            return

        def read() -> Caller | None:
            self.reread(*who)
            return admit(self.registry, login)

        def then(caller: Caller | None) -> None:
            door.answered(said, caller)

        self.aside(read, then, lambda: door.answered(said, None))

    def may_ask(self, who: tuple[str, str]) -> bool:
        """Tell whether the database is to be asked about a name; not again and again."""
        if time.monotonic() - self._asked.get(who, -ASK_AGAIN_S) < ASK_AGAIN_S:
            return False
        if len(self._asked) > 10_000:
            self._asked.clear()
        self._asked[who] = time.monotonic()
        return True

    def reread(self, product: str, device: str) -> None:
        """Read one device from the database."""
        with db.engine("ingest").connect() as conn:
            self.registry.reload(conn, {(product, device)})

    def reread_all(self) -> None:
        """Read all devices from the database."""
        with db.engine("ingest").connect() as conn:
            self.registry.refresh(conn, unknown=True)

    def route(self, caller: Caller, topic: str) -> tuple[Source, str] | None:
        """Return whose topic this is and which of its channels; None where the caller may not."""
        if topic.startswith(sta.TOPIC) and caller.source is not None:
            channel = sta.channel(topic, caller.source.num)
            return (caller.source, channel) if channel else None
        parts = topic.split("/", 4)
        if len(parts) != 5 or parts[:2] != ["twin", "v1"] or parts[4] not in UP:
            return None
        if caller.gateway:
            source = self.registry.find(parts[2], parts[3])
            return (source, parts[4]) if source else None
        own = caller.source
        if own is None or (own.product, own.device) != (parts[2], parts[3]):
            return None
        return own, parts[4]

    def may_subscribe(self, caller: Caller, name: str) -> bool:
        """Tell whether a filter stays within the caller's own topics."""
        if caller.source is not None:
            own = f"twin/v1/{caller.source.product}/{caller.source.device}/"
            return name.startswith((own, "/ext/register"))
        if caller.registers is not None:
            return name in (f"twin/v1/{REGISTER}{caller.registers}/reply", "/ext/register")
        return False

    def connected(self, door: Door, said: Connect) -> tuple[Session, bool]:
        """Open the client's session; a connection under the same name ends."""
        assert door.caller is not None
        key = (door.caller.name, door.client)
        session, present = self.sessions.open(key, clean=said.clean)
        before = self._by_key.get(key)
        if before is not None and before is not door and not before.gone:
            before.close(packets.TAKEN_OVER, "the same client connected again")
            if before.caller and before.caller.source and before.session:
                self.sessions.by_num.get(before.caller.source.num, set()).discard(before.session)
        session.connection = door
        self.sessions.touch(session)
        self._by_key[key] = door
        source = door.caller.source
        if source is not None:
            self.sessions.connected(source.num, session)
            self._doors.setdefault((source.product, source.device), set()).add(door)
            self._note(source, True, door)
            self._wanted.add(source.num)
        return session, present

    def left(self, door: Door) -> None:
        """Note that a client went."""
        assert door.session is not None
        if self._by_key.get(door.session.key) is door:
            del self._by_key[door.session.key]
        source = door.caller.source if door.caller else None
        self.forget(door)
        self.sessions.left(source.num if source else 0, door.session)
        if source is not None and source.num not in self.sessions.by_num:
            self._note(source, False, door)

    def forget(self, door: Door) -> None:
        """A connection ended, whoever took its place."""
        source = door.caller.source if door.caller else None
        if source is None:
            return
        mine = self._doors.get((source.product, source.device))
        if mine is not None:
            mine.discard(door)
            if not mine:
                del self._doors[(source.product, source.device)]

    def _note(self, source: Source, online: bool, door: Door) -> None:
        address = (door.transport.get_extra_info("peername") or ("",))[0]
        self._presence[(source.product, source.device)] = (online, str(address))

    # -- dynamic registration

    def hand_over(self, door: Door, caller: Caller) -> None:
        """Give a device its own secret on /ext/register, as the usual clouds do, and hang up."""
        claim = caller.claim
        assert claim is not None
        self.aside(
            lambda: _register(claim, token=caller.token),
            lambda answer: self._handed(door, "/ext/register", answer),
            lambda: door.close(packets.BUSY, "the database is away"),
        )

    def _handed(self, door: Door, topic: str, answer: dict[str, str]) -> None:
        if door.gone:
            return
        if "error" in answer and topic == "/ext/register":
            door.close(packets.NOT_AUTHORIZED, answer["error"])
            return
        said = packets.publish(door.version, topic, orjson.dumps(answer), 0, 0, dup=False)
        door.transport.write(said)

    def registration(self, door: Door, topic: str, payload: bytes, token: tuple[int, int]) -> None:
        """Answer `twin/v1/_register/{product}`: a name, and the product's secret or a signature."""
        caller = door.caller
        assert caller is not None and caller.registers is not None
        product = caller.registers
        if topic != f"twin/v1/{REGISTER}{product}":
            door.close(packets.NOT_AUTHORIZED, "not its own topic")
            return
        try:
            claim = _claim(product, caller.secret, orjson.loads(payload))
        except (ValueError, KeyError, TypeError, AttributeError, TwinError):
            door.close(packets.BAD_PAYLOAD, 'give {"device", "random", "signMethod", "sign"}')
            return

        def then(answer: dict[str, str]) -> None:
            door.committed(token, None)
            door.flush()
            self._handed(door, topic + "/reply", answer)

        self.aside(
            lambda: _register(claim, token=False),
            then,
            lambda: door.close(packets.BUSY, "the database is away"),
        )

    # -- down to devices

    def subscribed(self, door: Door, fresh: list[str]) -> None:
        """Look for what waits for a device that can hear it now, and for what stands."""
        source = door.caller.source if door.caller else None
        if source is None:
            return
        self._wanted.add(source.num)
        topic = f"twin/v1/{source.product}/{source.device}/shadow/desired"
        if not any(packets.matches(name, topic) for name in fresh):
            return

        def read() -> shadow.Downlink | None:
            with db.engine("ingest").begin() as conn:
                return shadow.standing(_raw(conn), source.num)

        def then(found: shadow.Downlink | None) -> None:
            if found is not None:
                door.send(topic, found.payload, found.id, retain=True)

        self.aside(read, then, None)

    # -- sessions that outlive the door

    def restore(self) -> None:
        """Take up the sessions of clients as the door left them, however it ended."""
        with db.engine("ingest").connect() as conn:
            self.sessions.restore(kept.load(_raw(conn)))

    def keep(self, session: Session, then: Callable[[], None] | None = None) -> None:
        """Write a session that changed, and then go on; one that ends with its connection is not."""
        if not self.sessions.touch(session):
            if then is not None:
                then()
            return
        if then is not None:
            self._kept.append(then)
        if not self._keeping:
            self._keep()

    def _keep(self) -> None:
        """Write what changed; what changes meanwhile is written together."""
        changed, self.sessions.changed = self.sessions.changed, {}
        then, self._kept = self._kept, []
        self._keeping = bool(changed)
        if not changed:
            return
        rows = [kept.as_row(one) for one in changed.values() if one is not None and one.keeps]
        gone = [key for key, one in changed.items() if one is None or not one.keeps]

        def write() -> bool:
            with db.engine("ingest").begin() as conn:
                kept.drop(_raw(conn), gone)
                kept.save(_raw(conn), rows)
            return True

        def done(_: bool) -> None:
            for call in then:
                call()
            self._keep()

        def failed() -> None:
            self._keeping = False
            self._kept = then + self._kept
            self.sessions.changed = {**changed, **self.sessions.changed}

        self.aside(write, done, failed)

    def delivered(self, downlink: str) -> None:
        """Note that a device has acknowledged what it was sent."""

        def note() -> None:
            with db.engine("ingest").begin() as conn:
                shadow.acknowledged(_raw(conn), downlink)

        self.aside(note, None, None)

    def _send(self, found: list[shadow.Downlink]) -> None:
        for one in found:
            for session in list(self.sessions.by_num.get(one.num, ())):
                door = session.connection
                source = door.caller.source if door and door.caller else None
                if door is None or source is None:
                    continue
                topic = f"twin/v1/{source.product}/{source.device}/{one.topic_suffix}"
                if door.send(topic, one.payload, one.id):
                    break

    def _look(self) -> None:
        nums = [num for num in self._wanted if self._hears(num)]
        self._wanted.clear()
        if not nums:
            return

        def read() -> list[shadow.Downlink]:
            with db.engine("ingest").begin() as conn:
                return list(shadow.due(_raw(conn), nums))

        self.aside(read, self._send, None)

    def _hears(self, num: int) -> bool:
        return any(s.subscriptions for s in self.sessions.by_num.get(num, ()))

    # -- work beside

    def aside(
        self,
        what: Callable[[], Any],
        then: Callable[[Any], None] | None,
        failed: Callable[[], None] | None,
    ) -> None:
        """Do something with the database off the loop; then go on, or say that it failed."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                found = what()
            except AWAY as why:
                log.warning("a side task failed", why=str(why).splitlines()[0])
                if failed is not None:
                    loop.call_soon_threadsafe(failed)
                return
            if then is not None:
                loop.call_soon_threadsafe(then, found)

        self._side.submit(work)

    def changed(self, who: tuple[str, str]) -> None:
        """Somebody changed a device: read it again now; what changes meanwhile is read together."""
        self._changed.add(who)
        if not self._reading:
            self._read_changed()

    def _read_changed(self) -> None:
        """Read what changed, and end connections that a device may not have any more."""
        changed, self._changed = self._changed, set()
        self._reading = bool(changed)
        if not changed:
            return

        def read() -> set[tuple[str, str]]:
            with db.engine("ingest").connect() as conn:
                self.registry.reload(conn, changed)
            return changed

        def then(found: set[tuple[str, str]]) -> None:
            for who in found:
                source = self.registry.find(*who)
                for door in list(self._doors.get(who, ())):
                    held = door.caller.source if door.caller else None
                    if held is not None and (source is None or _proof(source) != _proof(held)):
                        door.close(packets.ADMINISTRATIVE, "its account was closed or changed")
            self._read_changed()

        def failed() -> None:
            self._reading = False
            self._reread()

        self.aside(read, then, failed)

    async def listen(self) -> None:
        """Hear of changed devices and of what is to go down; again after the database was away."""
        while not self.inbox.stopping:
            try:
                address = settings().dsn("ingest").replace("postgresql+psycopg", "postgresql")
                async with await psycopg.AsyncConnection.connect(
                    address, autocommit=True, connect_timeout=5
                ) as conn:
                    await conn.execute("listen twin_device")
                    await conn.execute("listen twin_downlink")
                    self._reread()
                    async for note in conn.notifies():
                        self._heard(note.channel, note.payload)
            except (psycopg.Error, OSError) as why:
                log.warning("does not hear the database", why=str(why).splitlines()[0])
                await asyncio.sleep(1)

    def _heard(self, channel: str, payload: str) -> None:
        if channel == "twin_device":
            product, _, device = payload.partition("/")
            self.changed((product, device))
        elif payload.isdigit():
            self._wanted.add(int(payload))
            self._look()
            for call in self.on_downlink:
                call(int(payload))

    def _reread(self) -> None:
        """Read all devices: what was said while nobody listened is not said again."""

        self.aside(self.reread_all, None, None)

    async def sweep(self) -> None:
        """Presence, silent clients, what waits to go down, keyframes, a summary; until the end."""
        self.aside(_nobody_online, None, None)
        while not self.inbox.stopping:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = time.monotonic()
            for door in [d for d in self.connections if now - d.heard > d.keepalive_s]:
                if not door.paused:
                    door.close(packets.KEEPALIVE_OVER, "silent for longer than it said")
            presence, self._presence = self._presence, {}
            if presence:
                self.aside(lambda p=presence: _note_presence(p), None, None)  # type: ignore[misc]
            if now - self._due_at >= DUE_EVERY_S:
                self._due_at = now
                self._wanted.update(self.sessions.by_num)
            self._look()
            self._frame()
            if self.sessions.changed and not self._keeping:
                self._keep()
            if now - self._told_at >= SUMMARY_EVERY_S:
                self._told_at = now
                for call in self.on_minute:
                    self.aside(call, None, None)
                log.info("so far", **self.inbox.counts, connected=len(self.connections))

    def _frame(self) -> None:
        frame = time.time() // KEYFRAME_EVERY_S
        if frame != self._framed_at:
            self._framed_at = frame
            self.aside(_keep_frame, None, self._frame_again)

    def _frame_again(self) -> None:
        self._framed_at = 0.0


def _raw(conn: Any) -> psycopg.Connection[Any]:
    return conn.connection.driver_connection  # type: ignore[no-any-return]


def _proof(source: Source) -> tuple[Any, ...]:
    return source.sealed, source.certificate, source.token, source.num


def _keep_frame() -> None:
    with db.engine("ingest").begin() as conn:
        positions.keep_frame(conn)


def _forget_heard() -> None:
    with db.engine("ingest").begin() as conn:
        heard.forget(_raw(conn))


def _nobody_online() -> None:
    with db.engine("ingest").begin() as conn:
        conn.execute(text("update twin.device set online = false where online"))


def _note_presence(presence: dict[tuple[str, str], tuple[bool, str]]) -> None:
    listed = sorted(presence.items())
    with db.engine("ingest").begin() as conn:
        conn.execute(
            text(
                "update twin.device d set online = u.o, seen_at = now(), address = u.a from "
                "unnest(cast(:p as text[]), cast(:d as text[]), cast(:o as bool[]), "
                "cast(:a as text[])) as u(p, d, o, a) where d.product = u.p and d.device = u.d"
            ),
            {
                "p": [key[0] for key, _ in listed],
                "d": [key[1] for key, _ in listed],
                "o": [said[0] for _, said in listed],
                "a": [said[1] for _, said in listed],
            },
        )


def _claim(product: str, secret: str, said: dict[str, Any]) -> devices.Claim:
    device, random = str(said["device"]), str(said.get("random", ""))
    if "sign" in said:
        method = str(said.get("signMethod", "hmacsha256"))
        return devices.Claim(product, device, random, method, str(said["sign"]))
    own = {"deviceName": device, "productKey": product, "random": random}
    return devices.Claim(product, device, random, "hmacsha256", devices.sign(secret, own))


def _register(claim: devices.Claim, *, token: bool) -> dict[str, str]:
    try:
        with db.engine("ingest").begin() as conn:
            return devices.register(_raw(conn), claim, token=token)
    except TwinError as why:
        return {"error": why.code, "detail": why.detail}
