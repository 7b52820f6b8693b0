"""Tiles in memory: a change throws away exactly the tiles that it touches.

A tile is kept under its address, its scope and its moment. The journal tells what changed and where;
a tile that was being drawn while something in it changed is handed out once and not kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

LIMIT_BYTES = 128 * 1024 * 1024
_REMEMBERED = 4_096
Box = tuple[float, float, float, float]
Address = tuple[int, int, int]


Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Tile:
    """The bytes as they go out (gzip), their ETag, and the header lines of the answer, made once."""

    raw: bytes
    etag: str
    headers: Headers
    note: str = ""


def _headers(raw: bytes, etag: str, note: str) -> Headers:
    made = [
        (b"etag", etag.encode()),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Cookie, Authorization, Accept-Encoding"),
    ]
    if note:
        made.append((b"twin-left-out", note.encode()))
    if raw:
        made += [
            (b"content-type", b"application/vnd.mapbox-vector-tile"),
            (b"content-encoding", b"gzip"),
            (b"content-length", str(len(raw)).encode()),
        ]
    return made


@dataclass(frozen=True)
class _Kept:
    tile: Tile
    kinds: frozenset[str]
    box: Box | None  # None: a moment of the past, which no change can touch
    at: Address | None


class Cache:
    """Least recently used tiles up to a size; boxes are west, south, east, north in degrees."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self._tiles: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._by_kind: dict[str, set[Hashable]] = {}
        self._changes: deque[tuple[int, str, Box | None, Address | None]] = deque(
            maxlen=_REMEMBERED
        )
        self._clock = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many tiles are kept."""
        return len(self._tiles)

    def now(self) -> int:
        """Return the cache's clock: read it before the rows of a tile."""
        return self._clock

    def touch(self, kind: str, box: Box | None, at: Address | None = None) -> int:
        """Something of a kind changed within a box (None: anywhere); return how many tiles went.

        With `at` it is one tile (zoom, column, row) that changed, of whatever scope.
        """
        with self._lock:
            self._clock += 1
            self._changes.append((self._clock, kind, box, at))
            known = ((k, self._tiles[k]) for k in self._by_kind.get(kind, ()))
            gone = [k for k, kept in known if _touches(box, at, kept.box, kept.at)]
            for key in gone:
                self._drop(key)
            return len(gone)

    def get(self, key: Hashable) -> Tile | None:
        """Return a kept tile."""
        with self._lock:
            found = self._tiles.get(key)
            if found is None:
                return None
            self._tiles.move_to_end(key)
            return found.tile

    def put(
        self, key: Hashable, raw: bytes, *, kinds: tuple[str, ...], box: Box | None, since: int,
        at: Address | None = None, note: str = "",
    ) -> Tile:  # fmt: skip
        """Return the tile of these bytes; keep it unless something in it changed `since`."""
        # Processors hash SHA-256 themselves: a third of the time of any other good digest.
        etag = f'"{hashlib.sha256(raw, usedforsecurity=False).hexdigest()[:24]}"'
        made = Tile(raw, etag, _headers(raw, etag, note), note)
        with self._lock:
            if box is not None and self._changed(frozenset(kinds), box, at, since):
                return made
            if key in self._tiles:
                self._drop(key)
            self._tiles[key] = _Kept(made, frozenset(kinds), box, at)
            for kind in kinds:
                self._by_kind.setdefault(kind, set()).add(key)
            self.size += len(raw) + 400
            while self.size > self.limit and self._tiles:
                self._drop(next(iter(self._tiles)))
        return made

    def _changed(self, kinds: frozenset[str], box: Box, at: Address | None, since: int) -> bool:
        if self._clock - since > _REMEMBERED:
            return True
        return any(
            then > since and kind in kinds and _touches(where, only, box, at)
            for then, kind, where, only in reversed(self._changes)
        )

    def _drop(self, key: Hashable) -> None:
        old = self._tiles.pop(key)
        self.size -= len(old.tile.raw) + 400
        for kind in old.kinds:
            self._by_kind[kind].discard(key)


def _touches(
    change: Box | None, only: Address | None, tile: Box | None, at: Address | None
) -> bool:
    if tile is None:
        return False
    if only is not None:
        return only == at
    if change is None:
        return True
    return (
        change[0] <= tile[2] and change[2] >= tile[0]
        and change[1] <= tile[3] and change[3] >= tile[1]
    )  # fmt: skip


tiles = Cache()
