"""The loss ledger: accepted = stored + rejected + duplicate, per device and hour, to the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import psycopg

from twin.telemetry import packing
from twin.telemetry.columns import Array
from twin.telemetry.packing import Packed

NOBODY = 0
RAW_BYTES = 4096


class Rejected(NamedTuple):
    """One message that was refused, with its reason and what it was."""

    num: int
    door: str
    topic: str
    reason: str
    raw: bytes
    records: int = 1


class Tally:
    """What became of the records of one batch."""

    def __init__(self) -> None:
        self.stored: list[Array] = []
        self.duplicate: list[Array] = []
        self.rejected: list[Rejected] = []

    def keep(self, num: Array, new: Array) -> None:
        """Count the rows of a batch: new ones are stored, the others were known."""
        self.stored.append(num[new])
        self.duplicate.append(num[~new])

    def counts(self) -> tuple[int, int, int]:
        """Return how many records were stored, rejected, known."""
        return (
            sum(map(len, self.stored)),
            sum(one.records for one in self.rejected),
            sum(map(len, self.duplicate)),
        )

    def write(self, conn: psycopg.Connection[Any], received: float) -> None:
        """Add to the ledger and keep what was refused, in the batch's transaction."""
        if self.rejected:
            _keep(conn, self.rejected)
        refused = np.array(
            [one.num for one in self.rejected for _ in range(one.records)], dtype=np.int64
        )
        parts = [_joined(self.stored), refused, _joined(self.duplicate)]
        nums = np.unique(np.concatenate(parts))
        if not nums.size:
            return
        stored, rejected, duplicate = (
            np.bincount(np.searchsorted(nums, part), minlength=len(nums)) for part in parts
        )
        conn.adapters.register_dumper(Packed, packing._PackedDumper)
        hour = datetime.fromtimestamp(received, UTC).replace(minute=0, second=0, microsecond=0)
        conn.execute(
            "insert into iot.ledger as l (num, hour, accepted, stored, rejected, duplicate) "
            "select n, %s, s + r + d, s, r, d from unnest(%s, %s, %s, %s) as u(n, s, r, d) "
            "on conflict (num, hour) do update set accepted = l.accepted + excluded.accepted, "
            "stored = l.stored + excluded.stored, rejected = l.rejected + excluded.rejected, "
            "duplicate = l.duplicate + excluded.duplicate",
            (
                hour,
                Packed(">i4", nums),
                *(Packed(">i8", part) for part in (stored, rejected, duplicate)),
            ),
        )


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _keep(conn: psycopg.Connection[Any], rejected: Sequence[Rejected]) -> None:
    with (
        conn.cursor() as cursor,
        cursor.copy("copy iot.reject (num, door, topic, reason, records, raw) from stdin") as out,
    ):
        for one in rejected:
            topic, reason = (said.replace("\0", "?")[:400] for said in (one.topic, one.reason))
            raw = one.raw[:RAW_BYTES]
            out.write_row((one.num, one.door, topic, reason, one.records, raw))
