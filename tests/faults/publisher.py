"""A device fleet for tests: QoS 1 publishers that remember what the broker acknowledged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class Fleet:
    """Publishes positions with a time of their own each, and keeps those that were acknowledged."""

    def __init__(self, port: int, login: tuple[str, str], devices: Sequence[str]) -> None:
        self.devices = devices
        self.count = 0
        self._waiting: dict[int, tuple[str, datetime]] = {}
        self.acknowledged: set[tuple[str, datetime]] = set()
        self._early: set[int] = set()
        self._lock = threading.Lock()
        self._began = datetime.now(UTC) - timedelta(hours=2)
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="fleet")
        self.client.max_inflight_messages_set(500)
        self.client.username_pw_set(*login)
        self.client.on_publish = self._acknowledged
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def publish(self, count: int, per_second: float) -> None:
        """Send positions at a rate, round the fleet."""
        begin = time.monotonic()
        for i in range(count):
            self._one()
            ahead = i / per_second - (time.monotonic() - begin)
            if ahead > 0:
                time.sleep(ahead)

    def finish(self, seconds: float) -> None:
        """Wait for the acknowledgements of what was sent."""
        end = time.monotonic() + seconds
        while len(self.acknowledged) < self.count and time.monotonic() < end:
            time.sleep(0.05)
        self.client.disconnect()
        self.client.loop_stop()

    def _one(self) -> None:
        serial = self.count
        device = self.devices[serial % len(self.devices)]
        at = self._began + timedelta(milliseconds=serial)
        said = {
            "t": at.isoformat(),
            "lon": 121.4 + (serial % 1000) / 10_000,
            "lat": 31.2,
            "speed_kmh": 20,
            "heading_deg": 90,
        }
        done = self.client.publish(f"twin/v1/vehicle/{device}/position", json.dumps(said), qos=1)
        with self._lock:
            self.count += 1
            if done.mid in self._early:
                self._early.remove(done.mid)
                self.acknowledged.add((device, at))
            else:
                self._waiting[done.mid] = (device, at)

    def _acknowledged(self, _client: object, _data: object, mid: int, *_rest: object) -> None:
        with self._lock:
            if mid in self._waiting:  # numbers are used again once they are acknowledged
                self.acknowledged.add(self._waiting.pop(mid))
            else:
                self._early.add(mid)
