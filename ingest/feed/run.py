"""Feeds at work: fetch a peer's changes, send ours, compare once a day. Each step may be killed.

What was fetched and how far are one transaction, so every change has one effect. What was sent is
noted after the peer has committed it; a page that is sent twice changes nothing there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from ingest.feed.incoming import Incoming, Item, refuse, remember
from ingest.feed.peer import Peer, PeerError
from twin import catalogue, db, journal
from twin.errors import NotFound
from twin.feed import digest
from twin.feed.outgoing import Cursor, Reader
from twin.scope import Actor

log = structlog.get_logger("feed")
PAGE = 500
# One look at a feed ends after so many pages, so that no feed keeps the others waiting.
PAGES = 40
COMPARE_EVERY = timedelta(days=1)
_LOCK = 22


def once() -> int:
    """Run every enabled feed once; return how many changes went either way."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text("select * from twin.feed where enabled and url is not null order by name")
        ).all()
    done = 0
    for feed in rows:
        try:
            done += run(feed)
            _say(feed.name, None)
            if feed.checked_at is None or datetime.now(UTC) - feed.checked_at > COMPARE_EVERY:
                compare(feed.name)
        except PeerError as why:
            log.warning("peer away", feed=feed.name, why=why.detail)
            _say(feed.name, why.detail)
    return done


def get(conn: Connection, name: str) -> Any:
    """Return the row of a feed; NotFound says how to list them."""
    row = conn.execute(text("select * from twin.feed where name = :n"), {"n": name}).first()
    if row is None:
        raise NotFound(f"There is no feed called {name}; `twin feed list` shows them.")
    return row


def run(feed: Any) -> int:
    """Fetch and send what is new of one feed; return how many changes went either way."""
    with db.alone(_LOCK, feed.name) as mine:
        if not mine:
            return 0
        with Peer(feed.name, feed.url) as peer:
            return _pull(feed, peer) + (_push(feed, peer) if feed.push else 0)


def _pull(feed: Any, peer: Peer) -> int:
    after, done = feed.pulled, 0
    actor = Actor(user=f"feed:{feed.name}", clearance=4)
    for _ in range(PAGES):
        page = peer.changes(after, feed.kinds, PAGE)
        # Events come by doors of their own; here they would be things of no kind.
        changes = [c for c in page["changes"] if c.get("kind") != "event"]
        if page["next"] == after:
            break
        with db.engine("app").begin() as conn:
            Incoming(conn, actor, peer=feed.name, side=feed.side).take(changes)
            conn.execute(
                text("update twin.feed set pulled = :c, at = now() where name = :n"),
                {"c": str(Cursor.parse(page["next"])), "n": feed.name},
            )
        after, done = page["next"], done + len(changes)
        if not page["more"]:
            break
    return done


def _push(feed: Any, peer: Peer) -> int:
    after, done = Cursor.parse(feed.pushed), 0
    for _ in range(PAGES):
        with db.engine("app").connect() as conn:
            page = Reader(conn, _outside(feed), peer=feed.name, kinds=feed.kinds).page(after, PAGE)
        if page.next == after:
            break
        results = peer.send(page.changes) if page.changes else []
        with db.engine("app").begin() as conn:
            _sent(conn, feed.name, page.changes, results)
            conn.execute(
                text("update twin.feed set pushed = :c, at = now() where name = :n"),
                {"c": str(page.next), "n": feed.name},
            )
        after, done = page.next, done + len(results)
        if not page.more:
            break
    return done


def _outside(feed: Any) -> Actor:
    """Return in whose scope we tell and compare: the peer's view of us."""
    districts = tuple(feed.districts) if feed.districts else None
    return Actor(user=f"feed:{feed.name}", clearance=feed.clearance, districts=districts)


def _sent(
    conn: Connection, name: str, changes: list[dict[str, Any]], results: list[dict[str, Any]]
) -> None:
    """Note under which id the peer keeps each thing, and what it refused."""
    known, refused, settled = [], [], []
    for change, result in zip(changes, results, strict=True):
        one = Item(0, change["kind"], change["key"], change["version"], change["action"], {})
        if result["result"] == "refused":
            one.refuse(str(result.get("code", "refused")), str(result.get("why", "")))
            refused.append(one)
            continue
        settled.append(UUID(change["key"]))
        if result.get("thing"):
            # Under the peer's id, with no version of the peer's taken over yet.
            known.append(
                Item(
                    0,
                    change["kind"],
                    str(UUID(result["thing"])),
                    0,
                    "",
                    {},
                    thing=UUID(change["key"]),
                )
            )
    remember(conn, name, known)
    conn.execute(
        text(
            "delete from twin.feed_refused where peer = :p and direction = 'out' and key = any(:k)"
        ),
        {"p": name, "k": settled},
    )
    refuse(conn, name, "out", refused)


def compare(name: str) -> list[dict[str, Any]]:
    """Compare both sides by kind and district, name what differs, and keep the result."""
    with db.engine("app").connect() as conn:
        feed = get(conn, name)
        actor = _outside(feed)
        kinds = digest.kinds_of(conn, actor, feed.kinds)
        ours = digest.groups(conn, actor, kinds, upstream=name)
    with Peer(feed.name, feed.url) as peer:
        theirs = peer.digest(feed.kinds)
        rows = []
        for kind, district in sorted(
            {(k, d) for side in (ours, theirs) for k in side for d in side[k]}
        ):
            a, b = (s.get(kind, {}).get(district, {"count": 0, "sm3": ""}) for s in (ours, theirs))
            row = {"kind": kind, "district": district, "ours": a["count"], "theirs": b["count"],
                   "equal": a == b, "differences": []}  # fmt: skip
            if a != b and kind in kinds:
                with db.engine("app").connect() as conn:
                    mine = digest.things(conn, actor, kinds[kind], district, upstream=name)
                    row["differences"] = digest.compare(mine, peer.things(kind, district))
            rows.append(row)
    with db.engine("app").begin() as conn:
        digest.keep(conn, name, rows)
        conn.execute(text("update twin.feed set checked_at = now() where name = :n"), {"n": name})
        unequal = [f"{r['kind']} {r['district']}" for r in rows if not r["equal"]]
        note = {"peer": name, "groups": len(rows), "unequal": unequal[:100]}
        journal.append(conn, cls="feed", action="reconcile", actor="system", note=note)
    log.info("compared", feed=name, groups=len(rows), unequal=len(unequal))
    return rows


def _say(name: str, error: str | None) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.feed set error = :e where name = :n and error is distinct from :e"),
            {"e": error, "n": name},
        )


def join(name: str, url: str, *, side: str, kinds: list[str] | None, push: bool) -> Any:
    """Write a feed down after the peer has told who we are there."""
    with Peer(name, url) as peer:
        me = peer.me()
    with db.engine("app").begin() as conn:
        for kind in kinds or ():
            catalogue.one(conn, Actor(user="system", clearance=4), kind)
        conn.execute(
            text(
                "insert into twin.feed (name, side, url, kinds, push, districts, clearance) "
                "values (:n, :s, :u, :k, :p, :d, :c) on conflict (name) do update set side = excluded.side, "
                "url = excluded.url, kinds = excluded.kinds, push = excluded.push, enabled = true, "
                "districts = excluded.districts, clearance = excluded.clearance"
            ),
            {"n": name, "s": side, "u": url, "k": kinds or None, "p": push,
             "d": me["districts"], "c": me["clearance"]},
        )  # fmt: skip
        note = {"peer": name, "url": url, "side": side, "kinds": kinds, "push": push}
        journal.append(conn, cls="security", action="feed.add", actor="cli", note=note, level=3)
        return get(conn, name)
