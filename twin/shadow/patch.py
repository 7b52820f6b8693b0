"""JSON merge patch (RFC 7396) and its inverse: what one document lacks to become another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_BYTES = 16_384
MAX_DEPTH = 8


def merged(old: Any, patch: Any) -> Any:
    """Return the document after a merge patch; null takes a key away."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


def lacking(desired: Any, reported: Any) -> dict[str, Any]:
    """Return the part of what is desired that is not reported so."""
    found: dict[str, Any] = {}
    for key, want in desired.items():
        have = reported.get(key) if isinstance(reported, Mapping) else None
        if isinstance(want, Mapping) and isinstance(have, Mapping):
            below = lacking(want, have)
            if below:
                found[key] = below
        elif want != have:
            found[key] = want
    return found


def deep(said: Any, depth: int = 0) -> bool:
    """Tell whether a document nests deeper than is taken."""
    if depth > MAX_DEPTH:
        return True
    if isinstance(said, Mapping):
        return any(deep(one, depth + 1) for one in said.values())
    return isinstance(said, list) and any(deep(one, depth + 1) for one in said)
