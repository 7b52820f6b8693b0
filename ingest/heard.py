"""Messages without a time of their own that come again: known by client, packet identifier and content.

A message with a time is known by it, whoever sends it again. One without has only what MQTT gives it.
The row is written in the transaction of the message, so that no kill falls between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

KEPT_DAYS = 1
_KNOWN = (
    "select h.num, h.client, h.number, h.said from iot.heard h join unnest(%s::int[], %s::bigint[], "
    "%s::int[]) as u(num, client, number) using (num, client, number)"
)
_KEEP = (
    "insert into iot.heard as h (num, client, number, said) select * from unnest(%s::int[], "
    "%s::bigint[], %s::int[], %s::bigint[]) on conflict (num, client, number) "
    "do update set said = excluded.said, at = now()"
)


class Mark(NamedTuple):
    """How a message without a time is known when it comes again."""

    client: int
    number: int
    said: int
    dup: bool


def digest(said: bytes) -> int:
    """Return a number for what was said, as the database keeps it."""
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big", signed=True)


def sift(raw: psycopg.Connection[Any], said: Sequence[Any]) -> set[int]:
    """Return the places of messages that are stored already, and remember all the others."""
    marked = [
        (place, (one.source.num, one.mark.client, one.mark.number), one.mark)
        for place, one in enumerate(said)
        if getattr(one, "mark", None) is not None
    ]
    if not marked:
        return set()
    asked = {key for _, key, mark in marked if mark.dup}
    held: dict[tuple[int, int, int], int] = {}
    if asked:
        rows = raw.cursor(row_factory=psycopg.rows.tuple_row).execute(_KNOWN, _columns(asked))
        held = {(num, client, number): what for num, client, number, what in rows}
    again: set[int] = set()
    fresh: dict[tuple[int, int, int], int] = {}
    for place, key, mark in marked:
        if mark.dup and held.get(key) == mark.said:
            again.add(place)
        else:
            held[key] = fresh[key] = mark.said
    if fresh:
        raw.execute(_KEEP, (*_columns(fresh), list(fresh.values())))
    return again


def forget(raw: psycopg.Connection[Any]) -> None:
    """Forget what no client sends again any more."""
    raw.execute("delete from iot.heard where at < now() - make_interval(days => %s)", (KEPT_DAYS,))


def _columns(keys: Any) -> tuple[list[int], list[int], list[int]]:
    listed = list(keys)
    return [k[0] for k in listed], [k[1] for k in listed], [k[2] for k in listed]
