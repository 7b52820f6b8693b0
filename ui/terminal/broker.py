"""The private Mosquitto of one installation: what the twin publishes, others subscribe to.

Devices do not come here: their door is the twin's own, which acknowledges after the commit. Accounts
are a password file written here ($7$, PBKDF2-SHA512): the dynamic-security plug-in rewrites
everything for each account and blocks the broker meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from twin.settings import Settings
from ui.terminal.checks import known_user
from ui.terminal.cluster import as_user

ITERATIONS = 101  # Mosquitto's own figure; the secrets are random, not chosen by people
USER = "mosquitto"
READER = "ingest"
SIMULATOR = "gateway/demo"
PUBLISHER = "twin"
UP_TOPICS = ("position", "telemetry", "event")


def digest(password: str) -> str:
    """Return the broker's password digest of a secret."""
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, 64)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


class Broker:
    """Files and command of the Mosquitto of a home."""

    def __init__(self, home: Path, port: int, host: str = "127.0.0.1") -> None:
        self.home = home.resolve()
        self.port, self.host = port, host
        self.folder = self.home / "mqtt"

    def ensure(self, subscribers: Mapping[str, str]) -> None:
        """Write configuration and accounts; `subscribers` is user name -> digest."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._own(self.folder)
        self._write("mosquitto.conf", self._configuration())
        self._write("acl", _acl())
        self.write_accounts(subscribers)

    def write_accounts(self, subscribers: Mapping[str, str]) -> None:
        """Write the password file whole; a reader never sees half of it."""
        secrets = self.home / "secrets"
        own = {
            PUBLISHER: digest((secrets / "mqtt-north").read_text(encoding="utf-8").strip()),
            READER: digest((secrets / "mqtt-ingest").read_text(encoding="utf-8").strip()),
            SIMULATOR: digest((secrets / "mqtt-sim").read_text(encoding="utf-8").strip()),
        }
        lines = (f"{user}:{said}\n" for user, said in {**subscribers, **own}.items())
        self._write("passwords", "".join(lines))

    def command(self) -> list[str]:
        """Return the command that runs the broker in the foreground."""
        # Not left to its own change of user: that would clear the signal at the supervisor's death.
        user = USER if known_user(USER) else None
        return [*as_user(user), "/usr/sbin/mosquitto", "-c", str(self.folder / "mosquitto.conf")]

    def answers(self) -> bool:
        """Tell whether the broker accepts connections."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @staticmethod
    def reload(pid: int) -> None:
        """Make a running broker read its accounts again."""
        os.kill(pid, signal.SIGHUP)

    def _configuration(self) -> str:
        lines = [
            "# Written by ./up at every start; changes here are lost.",
            "per_listener_settings false",
            *(f"listener {self.port} {address}" for address in self._addresses()),
            "allow_anonymous false",
            f"password_file {self.folder / 'passwords'}",
            f"acl_file {self.folder / 'acl'}",
            # Without it QoS 1 crawls at a few hundred messages a second (Nagle).
            "set_tcp_nodelay true",
            # The default of 1000 drops silently what an ingest process that is down has not read.
            "max_queued_messages 0",
            "max_inflight_messages 1000",
            "persistence true",
            f"persistence_location {self.folder}/",
            # By time: by changes it writes the whole queue for every message while ingest is down.
            "autosave_interval 1",
            "persistent_client_expiration 30d",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "connection_messages false",
        ]
        if os.geteuid() == 0:
            lines.append(f"user {USER if known_user(USER) else 'root'}")
        return "\n".join(lines) + "\n"

    def _addresses(self) -> list[str]:
        """Return where to listen; our own ingest always comes by loopback."""
        if self.host in ("0.0.0.0", "::"):
            return [self.host]
        return list(dict.fromkeys(("127.0.0.1", self.host)))

    def _write(self, name: str, content: str) -> None:
        path = self.folder / name
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(content, encoding="utf-8")
        self._own(fresh)
        fresh.replace(path)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0 and known_user(USER):
            shutil.chown(path, USER, USER)


def broker_address(config: Settings) -> str:
    """Return where devices connect: unencrypted on the network only where that was asked for."""
    return config.host if config.insecure else "127.0.0.1"


def _acl() -> str:
    # Another installation's broker door may read here as from any external broker.
    writes = "".join(f"topic write twin/v1/+/+/{name}\n" for name in UP_TOPICS)
    return (
        "topic read twin/v1/out/#\n\n"
        f"user {PUBLISHER}\ntopic readwrite twin/v1/out/#\n\n"
        f"user {READER}\ntopic read twin/v1/#\n\n"
        f"user {SIMULATOR}\n{writes}\n"
        "pattern read twin/v1/out/#\n"
        "pattern readwrite twin/v1/%u/#\n"
    )
