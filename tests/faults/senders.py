"""Devices for fault tests: each sends records of its own until they are acknowledged, and remembers."""

from __future__ import annotations

import base64
import http.client
import json
import random
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.doors.identity import mac


class Sender:
    """What all senders share: records with a moment of their own, and those that are acknowledged."""

    pause_s = 0.002

    def __init__(self, product: str, device: str, secret: str, port: int) -> None:
        self.product, self.device, self.secret, self.port = product, device, secret, port
        self.acknowledged: set[datetime] = set()
        self.sent = 0
        self.repeated = 0
        self.over = threading.Event()
        self.began = datetime.now(UTC) - timedelta(hours=2)
        self.thread = threading.Thread(target=self.work, daemon=True)

    def record(self) -> tuple[datetime, bytes]:
        """Return the next record and its moment."""
        self.sent += 1
        at = self.began + timedelta(milliseconds=self.sent)
        level = (self.sent % 1000) / 100
        return at, json.dumps({"t": at.isoformat(), "values": {"level_m": level}}).encode()

    def work(self) -> None:
        """Send until the end, one after the other."""
        while not self.over.is_set():
            at, body = self.record()
            while not self.once(body):
                self.repeated += 1
                time.sleep(0.1)
            self.acknowledged.add(at)
            time.sleep(self.pause_s)

    def once(self, body: bytes) -> bool:
        """Send a record once; True when it is acknowledged."""
        raise NotImplementedError

    def finish(self, seconds: float) -> None:
        """Wait until everything that was sent is acknowledged."""
        self.over.set()
        self.thread.join(seconds)


class HttpSender(Sender):
    """POST until 204."""

    connection: http.client.HTTPConnection | None = None

    def once(self, body: bytes) -> bool:
        """Send by HTTP."""
        login = base64.b64encode(f"{self.product}/{self.device}:{self.secret}".encode()).decode()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            self.connection.request(
                "POST", f"/iot/v1/{self.product}/{self.device}/telemetry", body,
                {"Authorization": f"Basic {login}"},
            )  # fmt: skip
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return False
        return answer.status == 204


class CoapSender(Sender):
    """Confirmable POST until 2.04; a repetition has a new number and the same count."""

    number = random.randrange(65_536)

    def once(self, body: bytes) -> bool:
        """Send by CoAP."""
        name = f"{self.product}/{self.device}"
        own = mac(self.secret, name, "telemetry", self.sent, body, "hmacsha256")
        self.number = self.number + 1 & 0xFFFF
        raw, option = struct.pack(">BBH", 0x40, 2, self.number), 0
        parts = [(11, p) for p in ("v1", self.product, self.device, "telemetry")]
        for key, value in [*parts, (15, f"c={self.sent}"), (15, f"s={own}")]:
            said = value.encode()
            head = bytes([(key - option) << 4 | min(len(said), 13)])
            raw += head + (bytes([len(said) - 13]) if len(said) >= 13 else b"") + said
            option = key
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            try:
                sock.connect(("127.0.0.1", self.port))
                sock.send(raw + b"\xff" + body)
                answer = sock.recv(2000)
            except OSError:
                return False
        return answer[1] == 0x44


class MqttSender(Sender):
    """QoS 1 by paho with a window; paho itself sends again what was not acknowledged."""

    pause_s = 0.001
    most = 2000  # under way at most

    def work(self) -> None:
        """Publish until the end; acknowledgements come on paho's thread."""
        waiting: dict[int, datetime] = {}
        early: set[int] = set()
        lock = threading.Lock()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{self.device}-c", clean_session=False
        )
        client.username_pw_set(f"{self.product}/{self.device}", self.secret)
        client.max_inflight_messages_set(100)
        client.reconnect_delay_set(1, 1)

        def published(_client: object, _data: object, mid: int, *_rest: object) -> None:
            with lock:
                if mid in waiting:
                    self.acknowledged.add(waiting.pop(mid))
                else:
                    early.add(mid)

        client.on_publish = published
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        while not self.over.is_set() or waiting:
            if not self.over.is_set() and len(waiting) < self.most:
                at, body = self.record()
                done = client.publish(
                    f"twin/v1/{self.product}/{self.device}/telemetry", body, qos=1
                )
                with lock:
                    if done.mid in early:
                        early.remove(done.mid)
                        self.acknowledged.add(at)
                    else:
                        waiting[done.mid] = at
            time.sleep(self.pause_s)
        client.disconnect()
        client.loop_stop()
