"""The device doors in one process with the batch writer inside: `python -m ingest.doors`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys

import structlog
import uvloop

from ingest.doors.coap import CoapDoor
from ingest.doors.frames import Receiver, Station, Terminal, stations
from ingest.doors.gateway import Gateway
from ingest.doors.mqtt import Door
from twin import db, memory
from twin.errors import TwinError
from twin.log import start_logging
from twin.settings import Settings, settings

BACKLOG = 4096
RECEIVE_BYTES = 8 * 1024 * 1024
SO_RCVBUFFORCE = 33  # Linux; the module does not name it
SWITCH_S = 0.002
log = structlog.get_logger("doors")


def tls(config: Settings) -> ssl.SSLContext | None:
    """Return what encrypted connections need; a device may show a certificate of its own."""
    cert, key = os.environ.get("TWIN_TLS_CERT"), os.environ.get("TWIN_TLS_KEY")
    if not cert or not key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    authority = config.home / "tls" / "authority.pem"
    if authority.exists():
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def address(config: Settings) -> str:
    """Return where devices connect: unencrypted on the network only where that was asked for."""
    return config.host if config.insecure else "127.0.0.1"


def bound(host: str, port: int) -> socket.socket:
    """Return a listening socket with room for a storm of reconnects."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def datagrams(config: Settings) -> socket.socket:
    """Return the UDP socket of CoAP: signed messages may come from anywhere."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    except PermissionError:  # without the right the system's own limit holds
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    made.bind((config.host, config.coap_port))
    made.setblocking(False)
    return made


async def frame_doors(gateway: Gateway, config: Settings) -> list[asyncio.AbstractServer]:
    """Open the doors of frames that were asked for by their ports."""
    loop = asyncio.get_running_loop()
    servers: list[asyncio.AbstractServer] = []
    for port, made in ((config.jt808_port, Terminal), (config.hj212_port, Station)):
        if port:
            sock = bound(config.host, port)
            servers.append(await loop.create_server(lambda made=made: made(gateway), sock=sock))  # type: ignore[misc]
    if config.hj212_port:
        gateway.hj212 = stations()
    if config.ais_port:
        where = (config.host, config.ais_port)
        await loop.create_datagram_endpoint(lambda: Receiver(gateway), local_addr=where)
    return servers


async def serve() -> None:
    """Open the doors and serve until told to stop."""
    config = settings()
    gateway = Gateway()
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    with db.engine("ingest").connect() as conn:
        gateway.registry.refresh(conn)
    gateway.restore()
    writing = loop.create_task(gateway.inbox.run())
    beside = [loop.create_task(gateway.listen()), loop.create_task(gateway.sweep())]
    plain = bound(address(config), config.mqtt_port)
    servers: list[asyncio.AbstractServer] = [
        await loop.create_server(lambda: Door(gateway), sock=plain, backlog=BACKLOG)
    ]
    secure = tls(config)
    if secure is not None and config.mqtts_port:
        sock = bound(config.host, config.mqtts_port)
        servers.append(
            await loop.create_server(
                lambda: Door(gateway, "mqtts"), sock=sock, ssl=secure, backlog=BACKLOG
            )
        )
    coap = CoapDoor(gateway)
    coap.load()
    await coap.open()
    udp, _ = await loop.create_datagram_endpoint(lambda: coap, sock=datagrams(config))
    servers += await frame_doors(gateway, config)
    memory.settle()
    log.info("ready", pid=os.getpid(), mqtt=config.mqtt_port, tls=secure is not None)
    told = loop.create_task(over.wait())
    await asyncio.wait([told, writing], return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.close()
    for door in list(gateway.connections):
        door.pause() if not door.paused else None
    gateway.inbox.stop()
    await asyncio.wait([writing], timeout=8)
    for task in beside:
        task.cancel()
    for door in list(gateway.connections):
        door.close(0x8B, "the door closes")
    udp.close()
    await asyncio.sleep(0.05)
    if writing.done():
        writing.result()  # a writer that failed is the end of this process, loudly


def main() -> int:
    """Run until SIGTERM."""
    start_logging()
    sys.setswitchinterval(SWITCH_S)
    try:
        uvloop.run(serve())
    except TwinError as why:
        log.error("cannot start", why=why.detail)
        return 2
    except Exception:  # whatever it was, the supervisor starts the doors anew
        log.exception("the writer failed")
        os._exit(1)
    os._exit(0)  # side tasks that wait for a database that is away are not waited for


if __name__ == "__main__":
    sys.exit(main())
