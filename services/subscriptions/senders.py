"""How a batch reaches its receiver: a signed webhook, or MQTT with acknowledgement of every message."""

from __future__ import annotations

import base64
import hmac
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from services.subscriptions.events import TYPE, Event
from twin.errors import Unavailable
from twin.settings import settings

TIMEOUT_S = 30.0
WINDOW = 1000
OWN_BROKER = "north"
ROOT = "twin/v1/out"


class NotSent(Unavailable):
    """The receiver did not take the batch; it is sent again."""

    code = "not_sent"


class Sender(Protocol):
    """What carries batches to one receiver."""

    def send(self, key: str, events: Sequence[Event]) -> None:
        """Return when the receiver has taken all; NotSent otherwise."""

    def close(self) -> None:
        """Let go of the connection."""


def signature(secret: str, digest: str, key: str, moment: int, body: bytes) -> str:
    """Return the signature header of a webhook (Standard Webhooks; `v1sm3` with SM3)."""
    signed = f"{key}.{moment}.".encode() + body
    made = hmac.new(secret.encode(), signed, digest).digest()
    return f"{'v1' if digest == 'sha256' else 'v1sm3'},{base64.b64encode(made).decode()}"


class Webhook:
    """Posts batches of CloudEvents, signed; the same batch carries the same key for ever."""

    def __init__(self, target: str, secret: str, digest: str) -> None:
        self.target, self.secret, self.digest = target, secret, digest
        self.client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def send(self, key: str, events: Sequence[Event]) -> None:
        """Post one batch; anything but 2xx means that it was not taken."""
        body = b"[" + ",".join(one.body for one in events).encode() + b"]"
        moment = int(time.time())
        headers = {
            "Content-Type": TYPE,
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(self.secret, self.digest, key, moment, body),
        }
        try:
            answer = self.client.post(self.target, content=body, headers=headers)
        except httpx.HTTPError as why:
            raise NotSent(f"{type(why).__name__}: {why}"[:300]) from why
        if not answer.is_success:
            raise NotSent(f"The receiver answered {answer.status_code}: {answer.text[:200]}")

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class Mqtt:
    """Publishes each event on `twin/v1/out/{kind}/{district}/{code}` and waits for every PUBACK."""

    def __init__(self, target: str, password: str | None, name: str) -> None:
        host, port, user, secret, tls = _address(target, password)
        self._sent: set[int] = set()
        self._done = threading.Condition()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"lvrong-north-{name}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        if user:
            self.client.username_pw_set(user, secret)
        if tls:
            self.client.tls_set()
        self.client.max_inflight_messages_set(WINDOW)
        self.client.max_queued_messages_set(0)
        self.client.on_publish = self._published
        try:
            self.client.connect(host, port, keepalive=30)
        except OSError as why:
            raise NotSent(f"The broker {host}:{port} does not answer ({why}).") from why
        self.client.loop_start()
        end = time.monotonic() + TIMEOUT_S
        while not self.client.is_connected():
            if time.monotonic() > end:
                self.close()
                raise NotSent(f"The broker {host}:{port} does not let us in.")
            time.sleep(0.01)

    def _published(
        self, _client: paho.Client, _data: Any, mid: int, code: Any, _props: Any
    ) -> None:
        with self._done:
            if not code.is_failure:
                self._sent.add(mid)
            self._done.notify()

    def send(self, key: str, events: Sequence[Event]) -> None:
        """Publish one batch with its key and number; what comes again carries the same ones."""
        wanted: set[int] = set()
        for number, one in enumerate(events):
            props = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            props.UserProperty = [("batch", key), ("number", str(number))]
            topic = f"{ROOT}/{_level(one.kind)}/{_level(one.district)}/{_level(one.code)}"
            info = self.client.publish(topic, one.body, qos=1, properties=props)
            if info.rc != paho.MQTT_ERR_SUCCESS:
                raise NotSent(f"The broker is away: {paho.error_string(info.rc)}")
            wanted.add(info.mid)
        end = time.monotonic() + TIMEOUT_S
        with self._done:
            while not wanted <= self._sent:
                if not self._done.wait(max(0.0, end - time.monotonic())):
                    raise NotSent(f"{len(wanted - self._sent)} messages were not acknowledged.")
            self._sent -= wanted

    def close(self) -> None:
        """Leave the broker."""
        self.client.disconnect()
        self.client.loop_stop()


def _level(said: str) -> str:
    """Return one level of a topic: nothing in it may look like another level or a wildcard."""
    return "".join("_" if sign in "/+#\0" else sign for sign in said) or "-"


def _address(target: str, password: str | None) -> tuple[str, int, str | None, str | None, bool]:
    config = settings()
    if target == OWN_BROKER:
        return "127.0.0.1", north_port(), "twin", config.secret("mqtt-north"), False
    parts = urlsplit(target)
    tls = parts.scheme == "mqtts"
    user = unquote(parts.username) if parts.username else None
    return parts.hostname or "", parts.port or (8883 if tls else 1883), user, password, tls


def north_port() -> int:
    """Return the port of the installation's own broker for third parties."""
    return settings().north_mqtt_port


def sender(row: Any, secret: str) -> Sender:
    """Return what carries batches to the receiver of a subscription."""
    if row.kind == "webhook":
        return Webhook(row.target, secret, row.digest)
    return Mqtt(row.target, secret or None, row.id.hex[:12])
