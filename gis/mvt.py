"""Vector tiles (MVT 2) written by hand where no database makes them: dots, merged areas, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

EXTENT = 4096
_POINT, _POLYGON = 1, 3


def varint(n: int) -> bytes:
    """Return an unsigned number as protobuf writes it."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def varints(numbers: np.ndarray) -> bytes:
    """Return many unsigned numbers below 2³⁵, one after the other."""
    n = np.asarray(numbers, dtype=np.uint64)
    if not len(n):
        return b""
    lengths = np.ones(len(n), np.int64)
    for shift in (7, 14, 21, 28):
        lengths += n >= np.uint64(1 << shift)
    ends = np.cumsum(lengths)
    out = np.zeros(int(ends[-1]), np.uint8)
    starts = ends - lengths
    for i in range(int(lengths.max())):
        has = lengths > i
        low = (n[has] >> np.uint64(7 * i)) & np.uint64(0x7F)
        more = (lengths[has] > i + 1).astype(np.uint64) << np.uint64(7)
        out[starts[has] + i] = (low | more).astype(np.uint8)
    return out.tobytes()


def field(number: int, body: bytes) -> bytes:
    """Return a length-delimited field of a message."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def _zigzag(numbers: np.ndarray) -> np.ndarray:
    n = np.asarray(numbers, dtype=np.int64)
    return ((n << 1) ^ (n >> 63)).astype(np.uint64)


def _value(said: Any) -> bytes:
    if isinstance(said, str):
        return field(1, said.encode())
    if isinstance(said, float):
        return b"\x19" + np.float64(said).tobytes()
    return b"\x28" + varint(int(said))


def layer(
    name: str, keys: Sequence[str], known: Iterable[Any], features: bytes, extent: int = EXTENT
) -> bytes:
    """Return a tile of one layer: its features as `dots` or `areas` wrote them."""
    body = b"\x78\x02" + field(1, name.encode()) + features
    body += b"".join(field(3, k.encode()) for k in keys)
    body += b"".join(field(4, _value(v)) for v in known)
    return field(3, body + b"\x28" + varint(extent))


def dots(x: np.ndarray, y: np.ndarray, tags: np.ndarray) -> bytes:
    """Return point features at tile units (0 … 8,191) with rows of tags (key, value, …)."""
    count, width = tags.shape if len(x) else (0, 0)
    if not count:
        return b""
    # Numbers in two or three bytes each, whatever their size, make every feature equally long.
    said = np.concatenate([_fixed(tags[:, i], 3) for i in range(width)], axis=1)
    place = np.concatenate([_fixed(_zigzag(x), 3), _fixed(_zigzag(y), 3)], axis=1)
    head = bytes([0x12, said.shape[1]])
    tail = bytes([0x18, _POINT, 0x22, 1 + place.shape[1], 9])
    size = len(head) + said.shape[1] + len(tail) + place.shape[1]
    parts = [_same(bytes([0x12, size]), count), _same(head, count), said, _same(tail, count), place]
    return np.concatenate(parts, axis=1).tobytes()


def _same(raw: bytes, count: int) -> np.ndarray:
    return np.tile(np.frombuffer(raw, np.uint8), (count, 1))


def _fixed(numbers: np.ndarray, width: int) -> np.ndarray:
    """Return each number in exactly so many bytes: a varint may carry empty ones at its end."""
    n = np.asarray(numbers, dtype=np.uint64)
    made = [
        ((n >> np.uint64(7 * i)) & np.uint64(0x7F)) | np.uint64(0x80 if i < width - 1 else 0)
        for i in range(width)
    ]
    return np.stack(made, axis=1).astype(np.uint8)


def rings(shapes: Sequence[np.ndarray]) -> bytes:
    """Return the geometry of one area of many rings (tile units, closed, outer ones clockwise in y down)."""
    commands: list[np.ndarray] = []
    at = np.zeros(2, np.int64)
    for shape in shapes:
        points = np.asarray(shape, np.int64)[:-1]
        if len(points) < 3:
            continue
        steps = _zigzag(np.diff(points, axis=0, prepend=at[None, :]))
        made = np.empty(2 * len(points) + 3, np.uint64)
        made[0], made[1:3] = 9, steps[0]
        made[3], made[4:-1] = (len(points) - 1) << 3 | 2, steps[1:].ravel()
        made[-1] = 15
        commands.append(made)
        at = points[-1]
    return varints(np.concatenate(commands)) if commands else b""


def area(geometry: bytes, tags: Sequence[int]) -> bytes:
    """Return one area feature of a geometry by `rings` and its tags (key, value, …)."""
    said = field(2, b"".join(varint(t) for t in tags)) if tags else b""
    return field(2, said + bytes([0x18, _POLYGON]) + field(4, geometry))


def note(name: str, said: Mapping[str, str | int]) -> bytes:
    """Return a layer of one point that carries what a tile has to say about itself."""
    tags = np.array([[i for pair in enumerate(range(len(said))) for i in pair]])
    middle = np.array([EXTENT // 2])
    return layer(name, list(said), said.values(), dots(middle, middle, tags))
