"""Tiles in memory: keyed by layer generation and scope, dropped when the journal names the kind."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

LIMIT_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Tile:
    """The bytes as they go out, and their ETag."""

    raw: bytes
    etag: str


class Cache:
    """Least recently used tiles up to a size; a bumped layer forgets its own."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self._tiles: OrderedDict[tuple[object, ...], Tile] = OrderedDict()
        self._generation: dict[str, int] = {}

    def generation(self, layers: tuple[str, ...]) -> tuple[int, ...]:
        """Return the generations of layers: part of the key."""
        return tuple(self._generation.get(name, 0) for name in layers)

    def bump(self, layer: str) -> None:
        """A thing of this kind changed: tiles made before are no longer asked for."""
        self._generation[layer] = self._generation.get(layer, 0) + 1

    def get(self, key: tuple[object, ...]) -> Tile | None:
        """Return a kept tile."""
        found = self._tiles.get(key)
        if found is not None:
            self._tiles.move_to_end(key)
        return found

    def put(self, key: tuple[object, ...], raw: bytes) -> Tile:
        """Keep a tile and return it with its ETag."""
        made = Tile(raw, f'"{hashlib.blake2s(raw, digest_size=12).hexdigest()}"')
        self._tiles[key] = made
        self.size += len(raw) + 200
        while self.size > self.limit and self._tiles:
            _, old = self._tiles.popitem(last=False)
            self.size -= len(old.raw) + 200
        return made


tiles = Cache()
