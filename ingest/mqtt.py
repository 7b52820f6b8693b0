"""The broker door: reads what devices publish to an external broker, commits it, then acknowledges.

Run as `python -m ingest.mqtt` where TWIN_MQTT_URL names a broker (EMQX, RabbitMQ, Mosquitto, …).
Acknowledged means committed: a message is acknowledged to the broker only after its batch is in the
database, and the session is persistent, so a killed process, a restarted database or a lost
connection only means that messages come again; a repeated record is known and counted as such.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
import psycopg
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy.exc import SQLAlchemyError

from ingest.devices import Registry
from ingest.messages import Refused, read_topic
from ingest.writer import Rejected, Said, Uplink, write_all
from twin import db
from twin.errors import TwinError, Unavailable
from twin.log import start_logging
from twin.settings import settings

TOPICS = tuple(f"twin/v1/+/+/{channel}" for channel in ("position", "telemetry", "event"))
BATCH = 1000
BATCH_S = 0.1
WAITING = 20_000
SUMMARY_EVERY_S = 60.0
log = structlog.get_logger("ingest")


class Arrived(NamedTuple):
    """A message with what is needed to acknowledge it on the connection it came by."""

    topic: str
    payload: bytes
    received: float
    door: Door
    connection: int
    mid: int
    qos: int


class Door:
    """One broker: a persistent session that is acknowledged by hand."""

    def __init__(self, url: str, waiting: queue.Queue[Arrived], name: str) -> None:
        parts = urlsplit(url)
        self.name = name
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 1883
        self.waiting = waiting
        self.connection = 0
        self.dropped = 0
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, manual_ack=True
        )
        if parts.username:
            self.client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self.client.tls_set()
        self.client.reconnect_delay_set(1, 15)
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_message = self._arrived

    def open(self) -> None:
        """Connect in the background and keep trying."""
        self.client.connect_async(self.host, self.port, keepalive=30)
        self.client.loop_start()

    def close(self) -> None:
        """Leave; the session and what is not acknowledged stay with the broker."""
        self.client.disconnect()
        self.client.loop_stop()

    def acknowledge(self, arrived: Arrived) -> None:
        """Tell the broker that a message is stored; on a newer connection it comes again anyway."""
        if arrived.qos and arrived.connection == self.connection:
            self.client.ack(arrived.mid, arrived.qos)

    def _connected(
        self, client: paho.Client, _data: Any, _flags: Any, code: Any, _props: Any
    ) -> None:
        if code.is_failure:
            log.warning("broker refuses", broker=self.name, why=str(code))
            return
        self.connection += 1
        raw = client.socket()
        if isinstance(raw, socket.socket):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.subscribe([(topic, 1) for topic in TOPICS])
        log.info("connected", broker=self.name, host=self.host, port=self.port)

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        log.info("disconnected", broker=self.name, why=str(code))

    def _arrived(self, _client: paho.Client, _data: Any, said: paho.MQTTMessage) -> None:
        arrived = Arrived(
            said.topic, bytes(said.payload), time.time(), self, self.connection, said.mid, said.qos
        )
        if said.qos:
            # Bounded: the broker sends no more than its window before it is acknowledged.
            self.waiting.put(arrived)
        elif self.waiting.qsize() < WAITING:
            self.waiting.put(arrived)
        else:
            self.dropped += 1  # QoS 0 promises nothing; memory must stay bounded


class Ingest:
    """Takes batches from the doors and writes them until told to stop."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[Arrived] = queue.Queue()
        self.stopping = threading.Event()
        self.registry = Registry()
        self.counts = {"stored": 0, "rejected": 0, "duplicate": 0, "batches": 0}
        self.doors = [Door(url, self.waiting, name) for name, url in broker_urls().items()]
        self._told_at = time.monotonic()

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """End after the batch in hand; the rest stays with the broker."""
        self.stopping.set()

    def run(self) -> None:
        """Work until told to stop."""
        for door in self.doors:
            door.open()
        while not self.stopping.is_set():
            batch = self._take()
            if batch:
                self._store(batch)
            self._housekeeping()
        for door in self.doors:
            door.close()

    def _take(self) -> list[Arrived]:
        """Wait for a message, then take what else comes within the window."""
        try:
            batch = [self.waiting.get(timeout=0.5)]
        except queue.Empty:
            return []
        end = time.monotonic() + BATCH_S
        while len(batch) < BATCH:
            try:
                batch.append(self.waiting.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _store(self, batch: Sequence[Arrived]) -> None:
        """Commit and acknowledge; without the database keep the batch and try again."""
        delay = 0.2
        while not self.stopping.is_set():
            try:
                written = write_all(self.registry, self._said(batch))
            except (SQLAlchemyError, psycopg.Error, Unavailable) as why:
                log.warning(
                    "not stored, trying again", why=str(why).splitlines()[0], count=len(batch)
                )
                db.engine("ingest").dispose()
                self.stopping.wait(delay)
                delay = min(delay * 2, 5.0)
                continue
            for arrived in batch:
                arrived.door.acknowledge(arrived)
            for key, count in zip(self.counts, written[:3], strict=False):
                self.counts[key] += count
            self.counts["batches"] += 1
            return

    def _said(self, batch: Sequence[Arrived]) -> list[Said]:
        """Find who speaks; a name that is not known may have been entered a moment ago."""
        found: list[Said] = []
        for one in batch:
            try:
                topic = read_topic(one.topic)
                source = self.registry.find(topic.product, topic.device)
                if source is None:
                    with db.engine("ingest").connect() as conn:
                        self.registry.refresh(conn, unknown=True)
                    source = self.registry.find(topic.product, topic.device)
                if source is None:
                    raise Refused("no such device, or it is disabled")
                found.append(Uplink(source, topic.channel, one.payload, one.received, "broker"))
            except Refused as why:
                found.append(Rejected(0, "broker", one.topic, str(why), one.payload))
        return found

    def _housekeeping(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= SUMMARY_EVERY_S:
            dropped = sum(door.dropped for door in self.doors)
            log.info("so far", **self.counts, waiting=self.waiting.qsize(), dropped=dropped)
            self._told_at = now


def broker_urls() -> dict[str, str]:
    """Return the brokers to read from."""
    config = settings()
    return {"lvrong-ingest-extra": config.mqtt_url} if config.mqtt_url else {}


def main() -> int:
    """Run until SIGTERM."""
    start_logging()
    try:
        ingest = Ingest()
    except TwinError as why:
        log.error("cannot start", why=why.detail)
        return 2
    signal.signal(signal.SIGTERM, ingest.stop)
    signal.signal(signal.SIGINT, ingest.stop)
    log.info("ready", pid=os.getpid())
    ingest.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
