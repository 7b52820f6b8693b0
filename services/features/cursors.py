"""Where a page ended: an opaque text that holds the last row's sort values and number.

Pages continue after a row, never after a count of rows: what is written meanwhile neither repeats
nor hides a feature. A cursor belongs to one collection and one order, and says so.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import date, datetime
from hashlib import blake2s
from typing import Any

from twin.errors import BadRequest

MAX_CHARS = 2000
_MARK = 8
_Row = tuple[int, list[Any]]


def made(belongs: str, num: int, values: Sequence[Any] = ()) -> str:
    """Return the cursor after a row; `belongs` names what it is a place in."""
    said = json.dumps([num, *map(_plain, values)], ensure_ascii=False, separators=(",", ":"))
    raw = said.encode()
    return base64.urlsafe_b64encode(_mark(belongs, raw) + raw).rstrip(b"=").decode()


def read(belongs: str, said: str) -> _Row:
    """Return the number and the sort values of a cursor; BadRequest when it belongs elsewhere."""
    try:
        if len(said) > MAX_CHARS:
            raise ValueError
        raw = base64.b64decode(said.encode() + b"=" * (-len(said) % 4), b"-_", validate=True)
        if _mark(belongs, raw[_MARK:]) != raw[:_MARK]:
            raise ValueError
        num, *values = json.loads(raw[_MARK:])
    except (ValueError, binascii.Error, TypeError) as why:
        raise BadRequest(
            "after is no cursor of this list; follow the `next` link of a page as it is.",
            parameter="after",
        ) from why
    return int(num), values


def _mark(belongs: str, raw: bytes) -> bytes:
    return blake2s(raw, digest_size=_MARK, key=blake2s(belongs.encode()).digest()).digest()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value
