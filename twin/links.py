"""Links that prove whoever holds them reported something: a seal over what it is for and the number of the case."""

from __future__ import annotations

import hmac

from twin import sealing

REPORTER = "reporter"
_LONG = 24


def proof(use: str, code: str) -> str:
    """Return what a link carries beside the number, which others can guess."""
    return sealing.mac("link", use, code).hex()[:_LONG]


def holds(use: str, code: str, given: str) -> bool:
    """Tell whether a link was made here for this number."""
    return hmac.compare_digest(proof(use, code).encode(), given.encode("utf-8", "replace"))
