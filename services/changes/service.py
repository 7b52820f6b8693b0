"""Use cases of the feed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile, islice
from typing import Any

import orjson
from sqlalchemy import Connection, text

from ingest.feed.incoming import Incoming, Item
from twin import catalogue, db
from twin.errors import NotFound
from twin.feed import digest as both
from twin.feed import owners
from twin.feed.outgoing import Cursor, Page, Reader
from twin.scope import Actor


def page(actor: Actor, after: Cursor, kinds: Sequence[str], limit: int) -> Page:
    """Return a page of changes for an account; its own are left out."""
    with db.engine("app").connect() as conn:
        return Reader(conn, actor, peer=actor.user, kinds=kinds).page(after, limit)


def dumped(found: Page) -> bytes:
    """Return a page as JSON."""
    return orjson.dumps(
        {"changes": found.changes, "next": str(found.next), "more": found.more}, default=str
    )


def take(actor: Actor, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Take over what a district sends, in one transaction."""
    with db.engine("app").begin() as conn:
        items = Incoming(conn, actor, peer=actor.user, side="district").take(changes)
    return {
        "results": [_said(one) for one in items],
        "applied": sum(one.result == "applied" for one in items),
        "refused": sum(one.result == "refused" for one in items),
    }


def _said(one: Item) -> dict[str, Any]:
    said: dict[str, Any] = {"key": one.key, "result": one.result, "version": one.version,
                            "thing": str(one.thing) if one.thing else None}  # fmt: skip
    if one.result == "refused":
        said |= {"code": one.code, "why": one.why}
    if one.kept:
        # The city's own fields: what stands here comes back with the next changes.
        said["kept"] = one.kept
    return said


def digest(conn: Connection, actor: Actor, kinds: list[str]) -> dict[str, Any]:
    """Return what the account should hold, by kind and district."""
    found = both.groups(conn, actor, both.kinds_of(conn, actor, kinds))
    seq = conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one()
    return {"seq": seq, "kinds": found}


def digest_of(
    conn: Connection, actor: Actor, name: str, district: str, after: str, limit: int
) -> dict[str, Any]:
    """Return a page of (id, sm3) in the order of the ids."""
    kind = catalogue.one(conn, actor, name)
    if not owners.exchanged(kind):
        raise NotFound(f"{name} is not exchanged.")
    if actor.districts is not None and district not in actor.districts:
        actor = replace(actor, districts=())
    found = dropwhile(lambda row: row[0] <= after, both.things(conn, actor, kind, district))
    rows = list(islice(found, limit))
    return {"things": rows, "next": rows[-1][0] if len(rows) == limit else None}


def feeds(conn: Connection) -> dict[str, Any]:
    """Return how the feeds stand."""
    asked = {
        "feeds": "select name, side, url, kinds, push, enabled, pulled, pushed, at, error, checked_at "
        "from twin.feed order by name",
        "refused": "select peer, direction, kind, key, version, code, why, at from twin.feed_refused "
        "order by at desc limit 200",
        "reconciliation": "select distinct on (peer, kind, district) peer, kind, district, at, ours, theirs, "
        "equal, differences from twin.reconciliation order by peer, kind, district, at desc",
        "items": "select peer, kind, count(*) as things from twin.feed_item group by 1, 2 order by 1, 2",
    }
    return {key: [dict(r._mapping) for r in conn.execute(text(sql))] for key, sql in asked.items()}
