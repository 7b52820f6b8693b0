"""The MQTT door: 3.1.1 and 5.0 spoken with devices; acknowledged means committed in the database."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import structlog

from ingest import heard
from ingest.devices import Source
from ingest.doors import packets
from ingest.doors.identity import Caller, Login
from ingest.doors.packets import Connect, Malformed
from ingest.doors.sessions import MOST_QUEUED, MOST_SUBSCRIPTIONS, NEVER, Sent, Session
from ingest.writer import Rejected, Uplink

if TYPE_CHECKING:
    from ingest.doors.gateway import Gateway

MOST_BYTES = 128 * 1024
STRANGER_BYTES = 4096
CONNECT_WITHIN_S = 10.0
ALIASES = 16
MOST_CONNECTIONS = 20_000
UP = ("telemetry", "position", "event", "shadow/reported", "command/reply", "ota/progress",
      "command/result", "ota/state")  # fmt: skip
log = structlog.get_logger("mqtt")


class Door(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, gateway: Gateway, door: str = "mqtt") -> None:
        self.gateway, self.inbox, self.door = gateway, gateway.inbox, door
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.caller: Caller | None = None
        self.session: Session | None = None
        self.version = packets.V311
        self.client = ""
        self.heard = time.monotonic()
        self.keepalive_s = CONNECT_WITHIN_S
        self.will: packets.Will | None = None
        self.gone = False
        self.paused = False
        self._checking = False
        self._name = 0  # a number for the client, by which its repetitions are known
        self._held = b""
        self._out = bytearray()
        self._routes: dict[bytes, tuple[Source, str] | None] = {}
        self._aliases: dict[int, bytes] = {}

    # -- what the loop calls

    def connection_made(self, transport: Any) -> None:
        """Wait for CONNECT."""
        self.transport = transport
        if len(self.gateway.connections) >= MOST_CONNECTIONS:
            transport.abort()
            return
        self.gateway.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say the will of a client that vanished."""
        self.gone = True
        self.gateway.connections.discard(self)
        self.gateway.forget(self)
        if self.session is not None and self.session.connection is self:
            self._say_will()
            self.gateway.left(self)

    def data_received(self, data: bytes) -> None:
        """Read the packets that are whole; keep the rest."""
        self.heard = time.monotonic()
        try:
            self._read(self._held + data if self._held else data)
        except Malformed as why:
            self.close(why.code, str(why))
        if self._out:
            self.flush()

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 2 and not self.gone:
            if self._checking:
                break
            length, start = data[at + 1], at + 2
            if length & 0x80:
                found = _length(data, at + 1)
                if found is None:
                    break
                length, start = found
            if length > (MOST_BYTES if self.caller else STRANGER_BYTES):
                raise Malformed("the packet is too large", packets.TOO_LARGE)
            end = start + length
            if end > size:
                break
            head = data[at]
            if head >> 4 == packets.PUBLISH:
                self._publish(head, data, start, end)
            else:
                self._packet(head >> 4, head & 15, data[start:end])
            at = end
        self._held = data[at:]
        if self.inbox.full and not self.paused and not self.gone:
            self.pause()

    def pause(self) -> None:
        """Stop reading until there is room: the client keeps what it has."""
        self.paused = True
        self.transport.pause_reading()
        self.inbox.when_room(self.resume)

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        if not self.gone:
            self.heard = time.monotonic()
            self.transport.resume_reading()

    # -- messages up

    def _publish(self, head: int, data: bytes, start: int, end: int) -> None:
        qos = head >> 1 & 3
        at = start + 2 + (data[start] << 8 | data[start + 1]) if end - start >= 2 else end + 1
        topic = data[start + 2 : at]
        number = 0
        if qos:
            at += 2
            number = data[at - 2] << 8 | data[at - 1] if at <= end else 0
        if (
            at > end
            or self.caller is None
            or (number == 0) != (qos == 0)
            or head & 0xE in (6, 14, 8)
        ):
            raise self._broken(head, at > end)
        if self.version == packets.V5:
            if at < end and not data[at]:
                at += 1
            else:
                at, topic = self._properties(data[at:end], at, topic)
        if qos == 2 and self._again(number):
            return
        try:
            route = self._routes[topic]
        except KeyError:
            route = self._route(topic)
        token = (qos, number)
        if route is None:
            self._not_theirs(topic, data[at:end], token)
            return
        source, channel = route
        payload = data[at:end]
        mark = None
        if qos and b'"t"' not in payload:
            mark = heard.Mark(self._name, number, heard.digest(payload), bool(head & 8))
        said = Uplink(source, channel, payload, time.time(), self.door, None, None, mark)
        self.inbox.put(said, self if qos else None, token)

    def _broken(self, head: int, short: bool) -> Malformed:
        """Return what is wrong with a PUBLISH."""
        if self.caller is None:
            return Malformed("PUBLISH before CONNECT", packets.PROTOCOL_ERROR)
        if short:
            return Malformed("PUBLISH ends too early")
        if head & 6 == 6 or head & 0xE == 8:
            return Malformed("PUBLISH with a QoS that does not exist, or DUP without one")
        return Malformed("a packet identifier of zero")

    def _properties(self, raw: bytes, at: int, topic: bytes) -> tuple[int, bytes]:
        """Read the properties of PUBLISH; an alias stands for a topic that was named before."""
        said = packets.Reader(raw)
        alias = said.properties(packets.PUBLISH).get(packets.ALIAS)
        if alias is not None:
            if not 0 < alias <= ALIASES:
                raise Malformed("no such topic alias", packets.BAD_ALIAS)
            if topic:
                self._aliases[alias] = topic
            elif alias not in self._aliases:
                raise Malformed("a topic alias of nothing", packets.PROTOCOL_ERROR)
            topic = self._aliases[alias]
        return at + said.at, topic

    def _again(self, number: int) -> bool:
        """Tell whether a QoS 2 message is under way already; it is answered, not stored again."""
        assert self.session is not None
        done = self.session.received.get(number)
        if done is None:
            if len(self.session.received) >= 65_535:
                raise Malformed("too many messages of QoS 2 under way", packets.PROTOCOL_ERROR)
            self.session.received[number] = False
            return False
        if done:
            self._out += packets.ack(self.version, packets.PUBREC, number)
        return True

    def _route(self, topic: bytes) -> tuple[Source, str] | None:
        """Find whose topic this is, once; None where this caller may not publish on it."""
        try:
            name = topic.decode()
        except UnicodeDecodeError as why:
            raise Malformed("a topic that is not UTF-8") from why
        if not name or any(sign in name for sign in "+#\0"):
            raise Malformed("a topic with wildcards", packets.BAD_TOPIC)
        assert self.caller is not None
        found = self.gateway.route(self.caller, name)
        if found is not None or self.caller.gateway is False:
            if len(self._routes) > 20_000:
                self._routes.clear()
            self._routes[topic] = found
        return found

    def _not_theirs(self, topic: bytes, payload: bytes, token: tuple[int, int]) -> None:
        """Count a message on a topic that is not the device's, and tell it so."""
        assert self.caller is not None
        name = topic.decode()
        if self.caller.registers is not None:
            self.gateway.registration(self, name, payload, token)
            return
        num = self.caller.source.num if self.caller.source else 0
        reason = "no such device, or it is disabled" if self.caller.gateway else "not its own topic"
        self.inbox.put(Rejected(num, self.door, name, reason, payload), self, token)

    def committed(self, token: tuple[int, int], reason: str | None) -> None:
        """Gather the acknowledgement of a message whose batch is committed."""
        qos, number = token
        if qos == 1:
            if reason is None or self.version != packets.V5:
                self._out += struct.pack(">BBH", 0x40, 2, number)
            else:
                self._out += packets.ack(packets.V5, packets.PUBACK, number, _code(reason))
        elif qos == 2 and self.session is not None:
            self.session.received[number] = True
            code = packets.OK if reason is None else _code(reason)
            if code:
                self.session.received.pop(number)  # a refused one is over: no PUBREL follows
            self._out += packets.ack(self.version, packets.PUBREC, number, code)
        if reason == "not its own topic" and self.version != packets.V5:
            self.flush()
            self.close(packets.NOT_AUTHORIZED, reason)

    def flush(self) -> None:
        """Send what was gathered."""
        if not self.gone and self._out:
            self.transport.write(bytes(self._out))
        self._out.clear()

    # -- the other packets

    def _packet(self, kind: int, flags: int, raw: bytes) -> None:
        if kind == packets.CONNECT:
            self._connect(flags, raw)
            return
        if self.caller is None:
            raise Malformed("the first packet is not CONNECT", packets.PROTOCOL_ERROR)
        wanted = 2 if kind in (packets.PUBREL, packets.SUBSCRIBE, packets.UNSUBSCRIBE) else 0
        if flags != wanted:
            raise Malformed("flags that this packet does not have")
        if kind == packets.PINGREQ and not raw:
            self._out += b"\xd0\x00"
        elif kind == packets.SUBSCRIBE:
            self._subscribe(raw)
        elif kind == packets.UNSUBSCRIBE:
            self._unsubscribe(raw)
        elif kind == packets.DISCONNECT:
            self._disconnect(raw)
        elif packets.PUBACK <= kind <= packets.PUBCOMP:
            self._acknowledged(kind, raw)
        else:
            raise Malformed("no packet that a client sends", packets.PROTOCOL_ERROR)

    def _acknowledged(self, kind: int, raw: bytes) -> None:
        number, reason = packets.read_ack(raw, self.version)
        assert self.session is not None
        if kind == packets.PUBREL:
            known = self.session.received.pop(number, None)
            code = packets.OK if known is not None else packets.NOT_FOUND
            self._out += packets.ack(self.version, packets.PUBCOMP, number, code)
        elif kind == packets.PUBACK:
            told = self.session.sent.pop(number, None)
            if told is not None:
                self.gateway.keep(self.session)
                if reason < 0x80:
                    self.gateway.delivered(told.downlink)
        else:
            raise Malformed("nothing of QoS 2 was sent", packets.PROTOCOL_ERROR)

    def _disconnect(self, raw: bytes) -> None:
        reason = packets.OK
        if self.version == packets.V5 and raw:
            said = packets.Reader(raw)
            reason = said.byte()
            found = said.properties(packets.DISCONNECT) if said.left else {}
            if self.session is not None and packets.SESSION_EXPIRY in found:
                if not self.session.expiry_s and found[packets.SESSION_EXPIRY]:
                    raise Malformed(
                        "a session that was to end is prolonged", packets.PROTOCOL_ERROR
                    )
                self.session.expiry_s = found[packets.SESSION_EXPIRY]
        elif raw:
            raise Malformed("DISCONNECT with a body")
        if reason != 0x04:  # "disconnect with will message"
            self.will = None
        self.flush()
        self._end()

    def _end(self) -> None:
        self.gone = True
        self.transport.close()

    def close(self, code: int, why: str) -> None:
        """End the connection; a client of 5.0 is told the reason."""
        if self.gone:
            return
        self.gateway.closed[code] = self.gateway.closed.get(code, 0) + 1
        log.info("closed", client=self.client or "stranger", code=f"{code:#x}", why=why)
        if self.version == packets.V5 and self.caller is not None:
            self._out += packets.disconnect(code)
        elif self.caller is None and not self._checking:
            self._out += packets.connack(self.version, code)
        self.flush()
        self._end()

    # -- CONNECT

    def _connect(self, flags: int, raw: bytes) -> None:
        if self.caller is not None:
            raise Malformed("a second CONNECT", packets.PROTOCOL_ERROR)
        if flags:
            raise Malformed("flags that this packet does not have")
        if len(raw) > 6 and raw[6] == packets.V5:
            self.version = packets.V5
        said = packets.read_connect(raw)
        if packets.AUTH_METHOD in said.properties:
            raise Malformed("no such way to authenticate", packets.BAD_AUTH)
        if not said.client and not said.clean and said.version == packets.V311:
            raise Malformed("a client without a name asks for a session", packets.BAD_CLIENT)
        if self.inbox.stopping:
            raise Malformed("the door closes", packets.SHUTTING_DOWN)
        self.client = said.client or secrets.token_hex(8)
        try:
            password = (said.password or b"").decode()
        except UnicodeDecodeError as why:
            raise Malformed("the password is not UTF-8", packets.BAD_LOGIN) from why
        login = Login(said.user or "", password, self.client, _certificate(self.transport))
        found = self.gateway.admit(login)
        if found is not None:
            self._admitted(said, found)
            return
        # Perhaps it was entered a moment ago: ask the database, and read nothing meanwhile.
        self._checking = True
        self.gateway.ask(self, login, said)

    def answered(self, said: Connect, caller: Caller | None) -> None:
        """Go on with a CONNECT about which the database was asked."""
        self._checking = False
        if self.gone:
            return
        if caller is None:
            self.gateway.refused += 1
            self.close(packets.BAD_LOGIN, "wrong name or secret")
            return
        held, self._held = self._held, b""
        try:
            self._admitted(said, caller)
            self._read(held)
        except Malformed as why:
            self.close(why.code, str(why))
        self.flush()

    def _admitted(self, said: Connect, caller: Caller) -> None:
        self.caller = caller
        self.keepalive_s = said.keepalive_s * 1.5 if said.keepalive_s else float("inf")
        self.will = said.will
        if said.will and self.gateway.route(caller, said.will.topic) is None:
            raise Malformed("a will on a topic that is not its own", packets.NOT_AUTHORIZED)
        self.session, present = self.gateway.connected(self, said)
        extra = b""
        if said.version == packets.V5:
            extra = struct.pack(">BIBH", 0x27, MOST_BYTES, 0x22, ALIASES) + b"\x29\x00\x2a\x00"
            if not said.client:
                extra += b"\x12" + packets.text(self.client)
            self.session.expiry_s = said.properties.get(packets.SESSION_EXPIRY, 0)
        else:
            self.session.expiry_s = 0 if said.clean else NEVER
        self._name = heard.digest(f"{caller.name}\n{self.client}".encode())
        self._out += packets.connack(said.version, packets.OK, present=present, properties=extra)
        for number, one in self.session.sent.items():
            self._out += packets.publish(said.version, one.topic, one.payload, 1, number, dup=True)
        if caller.claim is not None:
            self.gateway.hand_over(self, caller)

    def _say_will(self) -> None:
        if self.will is None or self.caller is None or self.session is None:
            return
        route = self.gateway.route(self.caller, self.will.topic)
        if route is None:
            return
        will = Uplink(route[0], route[1], self.will.payload, time.time(), self.door)
        delay = min(self.will.delay_s, self.session.expiry_s)
        loop = asyncio.get_running_loop()
        self.session.will = loop.call_later(delay, self.inbox.put, will, None, None)

    # -- messages down

    def _subscribe(self, raw: bytes) -> None:
        number, filters = packets.read_filters(raw, self.version, options=True)
        assert self.session is not None and self.caller is not None
        codes, fresh = [], []
        for name, wanted in filters:
            if not packets.valid_filter(name):
                codes.append(packets.BAD_FILTER)
            elif name.startswith("$share/"):
                codes.append(packets.NO_SHARED)
            elif not self.gateway.may_subscribe(self.caller, name):
                codes.append(packets.NOT_AUTHORIZED)
            elif len(self.session.subscriptions) >= MOST_SUBSCRIPTIONS:
                codes.append(0x97)
            else:
                known = name in self.session.subscriptions
                self.session.subscriptions[name] = min(1, wanted & 3)
                codes.append(min(1, wanted & 3))
                if wanted >> 4 == 0 or (wanted >> 4 == 1 and not known):
                    fresh.append(name)
        answer = packets.suback(self.version, packets.SUBACK, number, codes)
        self.gateway.keep(self.session, partial(self._subscribed, answer, fresh))

    def _subscribed(self, answer: bytes, fresh: list[str]) -> None:
        """Acknowledge subscriptions that will be there after a restart too."""
        self._out += answer
        self.flush()
        if not self.gone:
            self.gateway.subscribed(self, fresh)

    def _unsubscribe(self, raw: bytes) -> None:
        number, filters = packets.read_filters(raw, self.version, options=False)
        assert self.session is not None
        codes = []
        for name, _ in filters:
            known = self.session.subscriptions.pop(name, None)
            codes.append(packets.OK if known is not None else 0x11)
        answer = packets.suback(self.version, packets.UNSUBACK, number, codes)
        self.gateway.keep(self.session, partial(self._answer, answer))

    def _answer(self, answer: bytes) -> None:
        self._out += answer
        self.flush()

    def send(self, topic: str, payload: bytes, downlink: str, *, retain: bool = False) -> bool:
        """Send a message down where the client subscribed; True when it is on its way."""
        session = self.session
        if self.gone or session is None:
            return False
        qos = session.qos_for(topic)
        if qos is None or len(session.sent) >= MOST_QUEUED:
            return False
        if any(one.downlink == downlink for one in session.sent.values()):
            return False
        number = session.number() if qos else 0
        if qos:
            session.sent[number] = Sent(downlink, topic, payload)
            self.gateway.keep(session)
        said = packets.publish(self.version, topic, payload, qos, number, dup=False, retain=retain)
        self.transport.write(said)
        if not qos:
            self.gateway.delivered(downlink)  # it asked for no more
        return True


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the remaining length and where the body begins; None while it is not all there."""
    value = shift = 0
    for place in range(at, at + 4):
        if place >= len(data):
            return None
        part = data[place]
        value |= (part & 0x7F) << shift
        if not part & 0x80:
            return value, place + 1
        shift += 7
    raise Malformed("a length of more than four bytes")


def _code(reason: str) -> int:
    return packets.NOT_AUTHORIZED if reason == "not its own topic" else packets.BAD_PAYLOAD


def _certificate(transport: asyncio.Transport) -> bytes | None:
    secure = transport.get_extra_info("ssl_object")
    return secure.getpeercert(binary_form=True) if secure is not None else None
