"""Hops of the messages of devices that somebody follows, written in the transaction of the batch."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from twin import trace
from twin.telemetry.ledger import Rejected


class Clock:
    """When a batch came to which hop, in seconds since 1970."""

    def __init__(self) -> None:
        self.sorted = self.stored = time.time()

    def sort(self) -> None:
        """Note that every message was read."""
        self.sorted = time.time()

    def store(self) -> None:
        """Note that every row was written."""
        self.stored = time.time()


def keep(
    raw: psycopg.Connection[Any], said: Sequence[Any], reasons: Mapping[int, str], told: Mapping[str, int],
    clock: Clock,
) -> None:  # fmt: skip
    """Write the hops of messages whose device is followed; costs one set test where none is."""
    wanted = trace.wanted(raw)
    if not wanted:
        return
    for place, one in enumerate(said):
        if not isinstance(one, Rejected) and one.source.num in wanted:
            _message(raw, one, reasons.get(place), len(said), told, clock)


def _message(
    raw: psycopg.Connection[Any], one: Any, refused: str | None, batch: int, told: Mapping[str, int],
    clock: Clock,
) -> None:  # fmt: skip
    source, num = one.source, one.source.num
    mark = hashlib.blake2s(one.payload, digest_size=4).hexdigest()
    name = f"{source.product}/{source.device} {one.received:.3f} {mark}"
    read_ms, stored_ms = (max(at - one.received, 0.0) * 1000 for at in (clock.sorted, clock.stored))
    hops: list[tuple[str, float, dict[str, Any]]] = [
        ("access", 0.0, {"door": one.door, "channel": one.channel, "bytes": len(one.payload)}),
        ("auth", 0.0, {"as": f"{source.product}/{source.device}", "district": source.district}),
        (
            "codec",
            read_ms,
            {"port": one.port} if one.port is not None else {"payload": _shown(one.payload)},
        ),
    ]
    if refused is not None:
        hops.append(("model", read_ms, {"refused": refused}))
    else:
        hops.append(("model", read_ms, {"ok": True}))
        entry = told.get(source.product)
        hops.append(("store", stored_ms, {"batch": batch, **({"entry": entry} if entry else {})}))
        found = raw.execute(
            "select count(*), array_agg(distinct rule) from iot.candidate where num = %s", (num,)
        ).fetchone()
        if found:
            hops.append(("rule", stored_ms, {"candidates": found[0], "rules": found[1] or []}))
    for hop, ms, detail in hops:
        trace.note(raw, num, name, hop, ms, detail)


def _shown(payload: bytes) -> str:
    """Return the beginning of a payload as text, or as hexadecimal where it is none."""
    head = payload[:120]
    return head.decode() if head.isascii() and head.decode().isprintable() else head.hex()
