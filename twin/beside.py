"""What is made from a thing in memory is made once and kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")


class Beside(Generic[T, V]):
    """Remembers what was made from things by their identity; bounded, emptied when it is full.

    The thing itself is kept beside what was made, so its identity is never given to another.
    """

    def __init__(self, most: int) -> None:
        """Remember for at most so many things."""
        self._most = most
        self._made: dict[Hashable, tuple[T, V]] = {}

    def get(self, thing: T, make: Callable[[T], V], *more: Hashable) -> V:
        """Return what was made from a thing (and from what else names it), or make it now."""
        key = (id(thing), *more)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= self._most:
                self._made.clear()
            found = self._made[key] = (thing, make(thing))
        return found[1]
