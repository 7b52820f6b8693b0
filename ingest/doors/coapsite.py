"""What is slow of CoAP and seldom: observe, transfer by blocks, discovery, OSCORE; on the door's own port.

aiocoap does the protocol. Whoever asks shows who it is by OSCORE, or by the signature of the fast
path in the query, made over what is sent as a whole (nothing, for GET).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import aiocoap
import orjson
from aiocoap import error, interfaces, resource
from aiocoap.numbers import codes, constants, contentformat
from aiocoap.optiontypes import BlockOption
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.transports.generic_udp import GenericMessageInterface
from aiocoap.transports.oscore import OSCOREAddress
from aiocoap.util import hostportjoin

from ingest.devices import Source
from ingest.doors.http import Waiting
from ingest.doors.mqtt import UP
from ingest.doors.oscore import Contexts
from ingest.writer import Uplink
from twin import db, shadow
from twin.settings import settings

if TYPE_CHECKING:
    from ingest.doors.coap import CoapDoor

MOST_OBSERVERS, MOST_OF_ONE = 10_000, 4
MOST_BYTES = 64 * 1024
DOWN = ("shadow/desired", "command")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_JSON = contentformat.ContentFormat.JSON


class Remote(namedtuple("_Remote", ["door", "address"]), interfaces.EndpointAddress):  # type: ignore[misc]
    """Where a datagram of the door came from."""

    scheme = "coap"
    is_multicast = is_multicast_locally = False
    maximum_block_size_exp = constants.MAX_REGULAR_BLOCK_SIZE_EXP

    def send(self, data: bytes) -> None:
        """Send through the door's socket."""
        self.door.transport.sendto(data, self.address)

    @property
    def hostinfo(self) -> str:
        """Return the other side."""
        return str(hostportjoin(*self.address[:2]))

    @property
    def hostinfo_local(self) -> str:
        """Return this side."""
        return str(hostportjoin(*self.door.transport.get_extra_info("sockname")[:2]))

    @property
    def uri_base(self) -> str:
        """Return the address of the other side."""
        return f"coap://{self.hostinfo}"

    @property
    def uri_base_local(self) -> str:
        """Return the address of this side."""
        return f"coap://{self.hostinfo_local}"

    @property
    def blockwise_key(self) -> Any:
        """Return by what blocks of one transfer belong together."""
        return self.address


class _Interface(GenericMessageInterface):  # type: ignore[misc]
    """aiocoap's side of the door's socket."""

    async def recognize_remote(self, remote: Any) -> bool:
        return isinstance(remote, Remote)

    async def determine_remote(self, request: Any) -> None:
        return None  # this side asks nobody

    async def shutdown(self) -> None:
        self._mman = None


class Site(resource.ObservableResource, resource.PathCapable):  # type: ignore[misc]
    """All paths of all devices."""

    def __init__(self, door: CoapDoor) -> None:
        super().__init__()
        self.door, self.gateway = door, door.gateway
        self._observers: dict[int, set[Any]] = {}
        self._count = 0
        self._asked: dict[int, tuple[int, Any]] = {}
        self._waiting = Waiting()

    def get_resources_as_linkheader(self) -> str:
        """Return what `.well-known/core` says: the paths of a device, for who knows its own name."""
        up = ",".join(f'</v1/{{product}}/{{device}}/{one}>;rt="twin.up"' for one in UP)
        down = ",".join(f'</v1/{{product}}/{{device}}/{one}>;rt="twin.down";obs' for one in DOWN)
        return f'{up},{down},</v1/{{product}}/{{device}}/ota/{{sha256}}>;rt="twin.image";ct=42'

    async def needs_blockwise_assembly(self, request: Any) -> bool:
        """Blocks of an image are read from its file, never held."""
        return "ota" not in request.opt.uri_path[3:4]

    async def render(self, request: Any) -> Any:
        """Answer one request."""
        path = request.opt.uri_path
        if tuple(path) == (".well-known", "core"):
            return self._core(request)
        if len(path) < 4 or path[0] != "v1":
            raise error.NotFound
        product, device, channel = path[1], path[2], "/".join(path[3:])
        if request.code not in (codes.GET, codes.POST):
            raise error.MethodNotAllowed
        known = UP if request.code == codes.POST else DOWN
        if channel not in known and not (request.code == codes.GET and path[3] == "ota"):
            raise error.MethodNotAllowed if channel in UP + DOWN else error.NotFound
        source, counter = self._who(request, product, device, channel)
        if request.code == codes.POST:
            return await self._up(source, channel, request.payload, counter)
        if path[3] == "ota":
            return await asyncio.to_thread(_image, path[-1], request.opt.block2)
        said = await asyncio.to_thread(_desired if channel == DOWN[0] else _commands, source.num)
        return aiocoap.Message(code=codes.CONTENT, payload=said, content_format=_JSON)

    def _core(self, request: Any) -> Any:
        if request.code != codes.GET:
            raise error.MethodNotAllowed
        said = self.get_resources_as_linkheader().encode()
        form = contentformat.ContentFormat.LINKFORMAT
        return aiocoap.Message(code=codes.CONTENT, payload=said, content_format=form)

    def _who(
        self, request: Any, product: str, device: str, channel: str
    ) -> tuple[Source, int | None]:
        """Return the device that asks, and the count of a signed message."""
        source = self.gateway.registry.find(product, device)
        remote = request.remote
        if isinstance(remote, OSCOREAddress):
            own = remote.security_context.source
            if source is None or (own.product, own.device) != (product, device):
                raise error.Forbidden("not its own path")
            return source, None
        query = dict(part.partition("=")[::2] for part in request.opt.uri_query)
        counter = self.door.signed(source, channel, query, request.payload)
        if source is None or counter is None:
            self.gateway.refused += 1
            raise error.Unauthorized("not signed")
        if request.code == codes.GET:
            self._newer(source.num, counter, remote)
        elif not self.door.moved_on(source.num, counter) and b'"t"' not in request.payload:
            raise error.Conflict("its counter was used before")
        return source, counter

    def _newer(self, num: int, counter: int, remote: Any) -> None:
        """Refuse a copied question; the blocks and renewals of one carry its own count again."""
        if self._asked.get(num) == (counter, remote):
            return
        if not self.door.moved_on(num, counter):
            raise error.Unauthorized("its counter was used before")
        if len(self._asked) > MOST_OBSERVERS:
            self._asked.clear()
        self._asked[num] = (counter, remote)

    async def _up(self, source: Source, channel: str, payload: bytes, counter: int | None) -> Any:
        inbox = self.gateway.inbox
        if len(payload) > MOST_BYTES:
            raise error.RequestEntityTooLarge
        if inbox.full or inbox.away:
            raise error.ServiceUnavailable
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        said = Uplink(source, channel, bytes(payload), time.time(), "coap", None, counter)
        inbox.put(said, self._waiting, done)
        reason = await done
        if reason is None:
            return aiocoap.Message(code=codes.CHANGED)
        return aiocoap.Message(code=codes.UNPROCESSABLE_ENTITY, payload=reason.encode()[:200])

    # -- observe

    async def add_observation(self, request: Any, serverobservation: Any) -> None:
        """Follow what goes down to the device that asks; whoever it is, `render` finds out."""
        path = request.opt.uri_path
        if len(path) < 4 or "/".join(path[3:]) not in DOWN:
            return
        source = self.gateway.registry.find(path[1], path[2])
        mine = self._observers.setdefault(source.num, set()) if source else set()
        if source is None or self._count >= MOST_OBSERVERS or len(mine) >= MOST_OF_ONE:
            return
        mine.add(serverobservation)
        self._count += 1
        serverobservation.accept(lambda: self._gone(source.num, serverobservation))

    def _gone(self, num: int, one: Any) -> None:
        mine = self._observers.get(num, set())
        if one in mine:
            mine.discard(one)
            self._count -= 1
        if not mine:
            self._observers.pop(num, None)

    def changed(self, num: int) -> None:
        """Tell who observes a device that something goes down to it."""
        for one in list(self._observers.get(num, ())):
            one.trigger()


def _desired(num: int) -> bytes:
    with db.engine("ingest").begin() as conn:
        raw: Any = conn.connection.driver_connection
        return shadow.desired(raw, num)


def _commands(num: int) -> bytes:
    """Return every command that waits for its answer; a device tells repeats by their ids."""
    with db.engine("ingest").begin() as conn:
        raw: Any = conn.connection.driver_connection
        return orjson.dumps(shadow.waiting(raw, num))


def _image(digest: str, asked: Any) -> Any:
    """Return one block of an image."""
    path = settings().home / "ota" / "images" / digest
    if not _DIGEST.fullmatch(digest) or not path.is_file():
        raise error.NotFound
    number, size_exp = (asked.block_number, asked.size_exponent) if asked else (0, 6)
    step = 1 << (min(size_exp, 6) + 4)
    total = path.stat().st_size
    if number * step >= max(total, 1):
        raise error.BadOption("no such block")
    with path.open("rb") as file:
        file.seek(number * step)
        said = file.read(step)
    more = (number + 1) * step < total
    made = aiocoap.Message(code=codes.CONTENT, payload=said, content_format=42)
    made.opt.block2 = BlockOption.BlockwiseTuple(number, more, min(size_exp, 6))
    made.opt.etag = bytes.fromhex(digest[:16])
    made.opt.size2 = total
    return made


class Slow:
    """aiocoap behind the fast path."""

    def __init__(self, door: CoapDoor) -> None:
        self.door, self.site = door, Site(door)
        self.contexts = Contexts(door.gateway.registry)
        self._interface: Any = None

    async def open(self) -> None:
        """Make the protocol's state; it has no socket of its own."""

        async def made(manager: Any) -> Any:
            self._interface = _Interface(manager, context.log, asyncio.get_running_loop())
            return self._interface

        wrapped = OscoreSiteWrapper(self.site, self.contexts)
        context = aiocoap.Context(loop=asyncio.get_running_loop(), serversite=wrapped)
        await context._append_tokenmanaged_messagemanaged_transport(made)

    def take(self, data: bytes, address: Any) -> None:
        """Take a datagram that is not of the fast path."""
        if self._interface is None:
            return
        try:
            self._interface._received_datagram(Remote(self.door, address), data)
        except ValueError:  # options that the fast path does not read: text that is none
            self.door.gateway.refused += 1
