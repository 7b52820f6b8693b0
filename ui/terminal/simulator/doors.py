"""The public doors as the simulator uses them: HTTP with a log-in, MQTT as the gateway."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from twin.errors import Unavailable
from twin.settings import settings
from ui.terminal.broker import SIMULATOR

PAGE = 5000


class Api:
    """The HTTP door of an installation."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._open = urllib.request.build_opener(jar)

    def log_in(self, user: str, password: str) -> None:
        """Open a session; later requests carry its cookie."""
        self.post("/api/v1/session", {"user": user, "password": password})

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        return self._ask(urllib.request.Request(self.url + path))  # noqa: S310 - our own door

    def post(self, path: str, said: dict[str, Any]) -> Any:
        """POST a JSON document."""
        raw = json.dumps(said).encode()
        headers = {"Content-Type": "application/json", "Origin": self.url}
        return self._ask(urllib.request.Request(self.url + path, raw, headers))  # noqa: S310

    def features(self, kind: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the features of a kind by OGC API Features, page by page."""
        found: list[dict[str, Any]] = []
        after = ""
        while most is None or len(found) < most:
            limit = PAGE if most is None else min(PAGE, most - len(found))
            page = self.get(f"/ogc/collections/{kind}/items?limit={limit}{after}&f=json")
            found += page["features"]
            links = [link["href"] for link in page["links"] if link["rel"] == "next"]
            if not links:
                break
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(links[0]).query)
            after = f"&after={query['after'][0]}"
        return found

    def _ask(self, request: urllib.request.Request) -> Any:
        try:
            with self._open.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as why:
            detail = why.read(2000).decode("utf-8", "replace")
            raise Unavailable(
                f"{request.selector} answered {why.code}: {detail[:300]}", status=why.code
            ) from why
        except OSError as why:
            raise Unavailable(
                f"{self.url} does not answer; start the installation with ./up first."
            ) from why


def demo_password(user: str) -> str:
    """Return the password of a demo account of this home."""
    for line in settings().secret("demo-logins").splitlines():
        name, _, password = line.partition(" ")
        if name == user:
            return password
    raise Unavailable(f"There is no demo account {user} here; give --user and --password.")


def open_broker(host: str, port: int) -> paho.Client:
    """Connect as the gateway that may speak for every device."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="")
    client.username_pw_set(SIMULATOR, settings().secret("mqtt-sim"))
    client.max_inflight_messages_set(1000)
    try:
        client.connect(host, port)
    except OSError as why:
        raise Unavailable(
            f"The broker at {host}:{port} does not answer; start the installation with ./up first."
        ) from why
    client.loop_start()
    return client
