"""The device's part of an update: the reference client that gateways and the simulator use.

All that it must remember over a power cut is in its store; two slots, so that what runs is never
written over. It installs nothing whose manifest is not signed, not for it, not newer, or expired.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

CHUNK = 256
Fetch = Callable[[int, int], bytes]


class Refuses(Exception):
    """The device does not take this update; the text says why."""


@dataclass
class Store:
    """What survives a power cut: two slots, which one runs, and where an update has got to."""

    slots: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    running: int = 0
    version: str = "1.0.0"
    counter: int = 1
    trying: int | None = None  # the slot that is tried once and left again unless it proves good
    manifest: dict[str, Any] | None = None
    attempt: str | None = None
    verified: bool = False
    previous: tuple[str, int] | None = None


@dataclass
class Device:
    """A device of one product and hardware that trusts one key."""

    product: str
    hardware: str
    key: SSlibKey
    store: Store = field(default_factory=Store)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def offered(self, attempt: str, envelope: str) -> None:
        """Take on an update; Refuses says why it is none for this device."""
        said = self._checked(envelope)
        if self.store.attempt == attempt and self.store.manifest == said:
            return
        spare = 1 - self.store.running
        self.store.slots[spare] = bytearray()
        self.store.manifest, self.store.attempt, self.store.verified = said, attempt, False

    def _checked(self, envelope: str) -> dict[str, Any]:
        try:
            wrapped = json.loads(envelope)
            signature = Signature(wrapped["keyid"], wrapped["sig"])
            body = wrapped["signed"].encode()
            self.key.verify_signature(signature, body)
            said: dict[str, Any] = json.loads(body)
        except (UnverifiedSignatureError, ValueError, KeyError, TypeError, AttributeError) as why:
            raise Refuses("the manifest is not signed by whom this device trusts") from why
        if said["product"] != self.product or self.hardware not in said["hardware"]:
            raise Refuses("the update is for other hardware")
        if said["counter"] <= self.store.counter:
            raise Refuses("the update is older than what runs, or the same")
        if self.store.counter < said["min_from"]:
            raise Refuses("an update between this one and what runs is needed first")
        if datetime.fromisoformat(said["expires"]) <= self.now():
            raise Refuses("the manifest has expired")
        return said

    @property
    def offset(self) -> int:
        """How much of the image is there."""
        return len(self.store.slots[1 - self.store.running])

    def download(self, fetch: Fetch) -> None:
        """Fetch what is still missing, piece by piece; each piece stays when the power goes."""
        said = self._current()
        spare = self.store.slots[1 - self.store.running]
        while len(spare) < said["bytes"]:
            piece = fetch(len(spare), min(CHUNK, said["bytes"] - len(spare)))
            if not piece:
                raise OSError("the server closed the connection")
            spare += piece

    def verify(self) -> None:
        """Compare the image with the manifest; what differs is thrown away."""
        said = self._current()
        image = bytes(self.store.slots[1 - self.store.running])
        right = (
            len(image) == said["bytes"]
            and hashlib.sha256(image).hexdigest() == said["sha256"]
            and hashlib.new("sm3", image).hexdigest() == said["sm3"]
        )
        if not right:
            self.store.slots[1 - self.store.running] = bytearray()
            raise Refuses("the image is not the one that was signed")
        self.store.verified = True

    def install(self) -> None:
        """Let the next boot try the other slot, once."""
        if not self.store.verified:
            raise Refuses("the image has not been verified")
        self.store.trying = 1 - self.store.running

    def boot(self, good: Callable[[bytes], bool]) -> bool:
        """Start: the slot to be tried if there is one; back to the old one unless it is good."""
        if self.store.trying is None:
            return False
        slot, self.store.trying = self.store.trying, None
        if not good(bytes(self.store.slots[slot])):
            self.store.manifest, self.store.verified = None, False
            return False
        said = self._current()
        self.store.previous = (self.store.version, self.store.counter)
        self.store.running = slot
        self.store.version, self.store.counter = said["version"], said["counter"]
        self.store.manifest, self.store.verified = None, False
        return True

    def _current(self) -> dict[str, Any]:
        if self.store.manifest is None:
            raise Refuses("there is no update under way")
        return self.store.manifest
