"""PostgreSQL's binary formats straight from arrays: rows of COPY, and array parameters."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format

from twin.telemetry.columns import Array

HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TAIL = struct.pack(">h", -1)
EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which the database counts
LONG_AGO = np.iinfo(np.int64).min  # what it calls -infinity
# By the type of a property: how its number stands in a row.
STORED = {"number": ">f8", "integer": ">i8", "boolean": "i1", "enum": ">i2"}
_OIDS = {">i4": (23, 1007), ">i8": (20, 1016), ">f8": (701, 1022), "time": (1184, 1185)}


class Packed:
    """An array parameter in binary; `kind` is >i4, >i8, >f8 or `time` (microseconds since 1970)."""

    def __init__(self, kind: str, said: Array) -> None:
        self.kind = kind
        form = ">i8" if kind == "time" else kind
        rows = np.empty(len(said), [("length", ">i4"), ("value", form)])
        rows["length"], rows["value"] = np.dtype(form).itemsize, said
        element = _OIDS[kind][0]
        self.raw = struct.pack(">iiiii", 1, 0, element, len(said), 1) + rows.tobytes()


class _PackedDumper(Dumper):
    """Hands the bytes on as they are."""

    format = Format.BINARY

    def __init__(self, cls: type, context: Any = None, oid: int = 0) -> None:
        super().__init__(cls, context)
        self.oid = oid

    def get_key(self, obj: Packed, format: Any) -> Any:
        return (self.cls, obj.kind)

    def upgrade(self, obj: Packed, format: Any) -> Dumper:
        return _PackedDumper(self.cls, None, _OIDS[obj.kind][1])

    def dump(self, obj: Packed) -> bytes:
        return obj.raw


def since_2000(micros: Array) -> Array:
    """Return moments as the database counts them; those of long ago stay so."""
    return np.where(micros == LONG_AGO, LONG_AGO, micros - EPOCH_US)


def rows(
    fixed: Sequence[tuple[str, Array]],
    numbers: Sequence[tuple[str, Array]],
    texts: Sequence[Sequence[str | None]] = (),
) -> Iterator[bytes]:
    """Yield COPY's binary rows: columns without gaps, numbers where nan is null, then texts.

    Rows are packed together by which numbers they have: a row without gaps has a fixed width.
    """
    count = len(fixed[0][1])
    fields = len(fixed) + len(numbers) + len(texts)
    present = np.stack([~np.isnan(column) for _, column in numbers]) if numbers else None
    if present is None or present.all():
        yield from _group(np.arange(count), fields, fixed, numbers, None, texts)
        return
    weights = (np.uint64(1) << np.arange(len(numbers), dtype=np.uint64))[:, None]
    patterns = (present * weights).sum(axis=0, dtype=np.uint64)
    for pattern in np.unique(patterns):
        mine = np.flatnonzero(patterns == pattern)
        yield from _group(mine, fields, fixed, numbers, present[:, mine[0]], texts)


def _group(
    mine: Array,
    fields: int,
    fixed: Sequence[tuple[str, Array]],
    numbers: Sequence[tuple[str, Array]],
    present: Array | None,
    texts: Sequence[Sequence[str | None]],
) -> Iterator[bytes]:
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    filled: list[tuple[str, str, Array | None]] = []
    for place, (form, given) in enumerate([*fixed, *numbers]):
        at = place - len(fixed)
        if present is not None and at >= 0 and not present[at]:
            layout.append((f"l{place}", ">i4"))
            filled.append((f"l{place}", "", None))
        else:
            layout += [(f"l{place}", ">i4"), (f"v{place}", form)]
            filled.append((f"l{place}", f"v{place}", given))
    made = np.empty(len(mine), layout)
    made["fields"] = fields
    for length, value, column in filled:
        made[length] = -1 if column is None else made.dtype[value].itemsize
        if column is not None:
            made[value] = column[mine]
    if not texts:
        yield made.tobytes()
        return
    for row, i in zip(made, mine.tolist(), strict=True):
        yield row.tobytes() + b"".join(_text(column[i]) for column in texts)


def _text(said: str | None) -> bytes:
    if said is None:
        return struct.pack(">i", -1)
    raw = said.encode()
    return struct.pack(">i", len(raw)) + raw
