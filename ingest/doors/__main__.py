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

from ingest.doors.gateway import Gateway
from ingest.doors.mqtt import Door
from twin import db
from twin.errors import TwinError
from twin.log import start_logging
from twin.settings import Settings, settings

BACKLOG = 4096
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
    authority = config.home / "tls" / "devices.pem"
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
    log.info("ready", pid=os.getpid(), mqtt=config.mqtt_port, tls=secure is not None)
    await over.wait()
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
    await asyncio.sleep(0.05)


def main() -> int:
    """Run until SIGTERM."""
    start_logging()
    sys.setswitchinterval(SWITCH_S)
    try:
        uvloop.run(serve())
    except TwinError as why:
        log.error("cannot start", why=why.detail)
        return 2
    os._exit(0)  # side tasks that wait for a database that is away are not waited for


if __name__ == "__main__":
    sys.exit(main())
