"""Names of districts, streets, crews and people for codes, remembered for half a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

_KEEP_S = 30.0
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


def _remember(key: str, conn: Connection, sql: str) -> dict[str, Any]:
    known = _kept.get(key)
    if known and known[0] > time.monotonic():
        return known[1]
    made = {row[0]: row[1] for row in conn.execute(text(sql))}
    _kept[key] = (time.monotonic() + _KEEP_S, made)
    return made


def things(conn: Connection) -> Mapping[str, str]:
    """Return the name of each district, street, crew and organisation by code."""
    return _remember(
        "things",
        conn,
        "select code, name from twin.thing where kind in ('district', 'street', 'crew') "
        "and gone_at is null union all select code, name->>'zh' from twin.organisation",
    )


def people(conn: Connection) -> Mapping[str, dict[str, str]]:
    """Return the name {zh, en} of each account."""
    return _remember("people", conn, 'select "user", name from twin.account')


def forget() -> None:
    """Drop what is remembered (a load has changed things)."""
    _kept.clear()
