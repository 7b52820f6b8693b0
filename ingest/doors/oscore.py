"""OSCORE (RFC 8613) for devices: security contexts made from the secret that a device has anyway.

Master secret: the first 16 bytes of HMAC-SHA256 of the device's secret over `oscore`. The device's
sender identifier: the first 7 bytes of SHA-256 of `{product}/{device}`; the server's is empty.
AES-CCM-16-64-128, HKDF with SHA-256, no salt. After a restart the first request of a device is
challenged by Echo (RFC 9175), so that nothing heard before is heard again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from typing import Any

import psycopg
from aiocoap import oscore

from ingest.devices import ASK_AGAIN_S, Registry, Source
from ingest.doors.identity import opened

MOST_CONTEXTS = 20_000
WINDOW = 32
SINCE_MS = 1_704_067_200_000  # 2024: what 40 bits hold from there lasts until 2058
AHEAD_MS = 3_600_000


def master(secret: str) -> bytes:
    """Return the master secret of a device."""
    return hmac.digest(secret.encode(), b"oscore", "sha256")[:16]


def identifier(name: str) -> bytes:
    """Return the sender identifier of the device `product/device`."""
    return hashlib.sha256(name.encode()).digest()[:7]


def reserve(conn: psycopg.Connection[Any]) -> int:
    """Return the first number that may be used now, and keep an hour of numbers for this door."""
    now = time.time_ns() // 1_000_000 - SINCE_MS
    row = conn.execute("select floor from iot.oscore for update").fetchone()
    floor = max(now, row[0] if row else 0)
    conn.execute(
        "insert into iot.oscore (floor) values (%s) on conflict (one) do update "
        "set floor = excluded.floor",
        (floor + AHEAD_MS,),
    )
    return floor


class Context(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):  # type: ignore[misc]
    """What the server holds of one device."""

    is_signing = False
    id_context = None
    responses_send_kid = False

    def __init__(self, source: Source, number: int) -> None:
        assert source.sealed is not None
        self.source = source
        self.alg_aead = oscore.algorithms["AES-CCM-16-64-128"]
        self.hashfun = oscore.hashfunctions["sha256"]
        self.sender_id = b""
        self.recipient_id = identifier(f"{source.product}/{source.device}")
        secret = opened(source.product, source.device, source.sealed)
        self.derive_keys(b"", master(secret))
        self.sender_sequence_number = number
        self.recipient_replay_window = oscore.ReplayWindow(WINDOW, lambda: None)
        self.echo_recovery = secrets.token_bytes(8)

    def post_seqnoincrease(self) -> None:
        """Nothing to write: `reserve` keeps an hour of numbers ahead."""


class Contexts:
    """The security contexts of all devices, found by what a message names."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.first = registry, 0
        self._names: dict[bytes, tuple[str, str]] = {}
        self._looked_at = float("-inf")
        self._held: OrderedDict[bytes, Context] = OrderedDict()

    def find_oscore(self, unprotected: dict[Any, Any]) -> Context:
        """Return the context of a message; KeyError for a stranger, or one that was revoked."""
        kid = unprotected.get(oscore.COSE_KID, b"")
        source = self._source(kid)
        if source is None or source.sealed is None:
            self._held.pop(kid, None)
            raise KeyError(kid)
        held = self._held.get(kid)
        if held is None or held.source.sealed != source.sealed:
            now = time.time_ns() // 1_000_000 - SINCE_MS
            held = self._held[kid] = Context(source, max(now, self.first))
            while len(self._held) > MOST_CONTEXTS:
                self._held.popitem(last=False)
        self._held.move_to_end(kid)
        return held

    def _source(self, kid: bytes) -> Source | None:
        name = self._names.get(kid)
        if name is None and time.monotonic() - self._looked_at > ASK_AGAIN_S:
            self._looked_at = time.monotonic()
            self._names = {identifier("/".join(who)): who for who in self.registry.everyone()}
            name = self._names.get(kid)
        return self.registry.find(*name) if name else None

    def find_all_used_contextless_oscore_kid(self) -> set[bytes]:
        """Return no identifiers: keys are not agreed on here (EDHOC is not offered)."""
        return set()

    def values(self) -> list[Any]:
        """Return no other credentials."""
        return []

    def items(self) -> list[Any]:
        """Return no other credentials."""
        return []
