"""The online simulator: sends by the devices' own door, as the gateway that may speak for each."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from twin.errors import Unavailable
from twin.settings import settings

GATEWAY = "gateway/demo"
WITHIN_S = 10.0


def send(product: str, device: str, channel: str, body: dict[str, Any]) -> dict[str, Any]:
    """Publish with QoS 1 and wait for the acknowledgement: what a device would do, nothing else."""
    config = settings()
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="")
    client.username_pw_set(GATEWAY, config.secret("mqtt-sim"))
    refused: list[str] = []

    def connected(_client: Any, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            refused.append(str(code))
        ready.set()

    client.on_connect = connected
    began = time.perf_counter()
    try:
        client.connect("127.0.0.1", config.mqtt_port)
        client.loop_start()
        if not ready.wait(WITHIN_S) or refused:
            raise Unavailable(
                f"The devices' door does not let the simulator in ({refused or 'silent'})."
            )
        open_ms = (time.perf_counter() - began) * 1000
        topic = f"twin/v1/{product}/{device}/{channel}"
        said = client.publish(topic, json.dumps(body, ensure_ascii=False).encode(), qos=1)
        said.wait_for_publish(WITHIN_S)
        if not said.is_published():
            raise Unavailable("The devices' door did not acknowledge; the message may come again.")
    except OSError as why:
        raise Unavailable(
            "The devices' door does not answer; is the installation running?"
        ) from why
    finally:
        client.disconnect()
        client.loop_stop()
    ms = (time.perf_counter() - began) * 1000
    return {
        "topic": topic,
        "acknowledged": True,
        "connected_ms": round(open_ms, 1),
        "ms": round(ms - open_ms, 1),
    }
