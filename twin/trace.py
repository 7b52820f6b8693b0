"""Traces: what became of single messages of a device, hop by hop, while somebody watches it.

A device is followed only while its row in `iot.traced` stands: asking costs one set test a batch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from twin.errors import TooMany

HOPS = ("access", "auth", "codec", "model", "store", "rule", "alarm", "push")
WATCH = "10 minutes"
MOST = 50
KEPT = "1 day"
# A device that is followed from now on is known to every writer after this.
ASK_S = 0.5
_known: tuple[float, frozenset[int]] = (0.0, frozenset())


def wanted(conn: Any) -> frozenset[int]:
    """Return which things are followed now; `conn` is a connection of psycopg."""
    global _known
    if _known[0] < time.monotonic():
        rows = conn.execute("select num from iot.traced where until > now()").fetchall()
        _known = (time.monotonic() + ASK_S, frozenset(row[0] for row in rows))
    return _known[1]


def forget() -> None:
    """Ask again next time."""
    global _known
    _known = (0.0, frozenset())


def note(
    conn: Any, num: int, trace: str, hop: str, ms: float, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one hop of one message; `ms` since the message came in."""
    said = orjson.dumps(detail, default=str).decode() if detail else None
    conn.execute(
        "insert into iot.trace (num, trace, hop, ms, detail) values (%s, %s, %s, %s, %s)",
        (num, trace[:200], hop, ms, said),
    )


def begin(conn: Connection, num: int, actor: str) -> None:
    """Follow a device for ten minutes."""
    many = conn.execute(text("select count(*) from iot.traced where until > now()")).scalar_one()
    if many >= MOST:
        raise TooMany(f"{MOST} devices are followed already; wait until one of them ends.")
    conn.execute(
        text(
            f"insert into iot.traced (num, until, actor) values (:n, now() + interval '{WATCH}', :a) "
            "on conflict (num) do update set until = excluded.until, actor = excluded.actor"
        ),
        {"n": num, "a": actor},
    )
    conn.execute(text(f"delete from iot.trace where at < now() - interval '{KEPT}'"))


def of(conn: Connection, num: int, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest traces of a device, each with its hops in order."""
    rows = conn.execute(
        text(
            "select trace, hop, ms, detail, at from iot.trace where num = :n and trace in ("
            "select trace from iot.trace where num = :n group by trace order by max(at) desc "
            "limit :limit) order by at, id"
        ),
        {"n": num, "limit": limit},
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(row.trace, {"trace": row.trace, "at": row.at, "hops": []})
        one["hops"].append({"hop": row.hop, "ms": row.ms, "detail": row.detail})
    for one in found.values():
        one["hops"] += _after(conn, num, one)
        one["hops"].sort(key=lambda hop: HOPS.index(hop["hop"]))
    return _newest(list(found.values()))


def _after(conn: Connection, num: int, one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what followed the commit: the alarm that was raised."""
    hops: list[dict[str, Any]] = []
    stored = next((hop for hop in one["hops"] if hop["hop"] == "store"), None)
    if stored is None:
        return hops
    raised = conn.execute(
        text(
            "select rule, level, extract(epoch from raised_at - :at) * 1000 as ms from iot.alarm "
            "where num = :n and raised_at between :at and :at + interval '1 minute' limit 1"
        ),
        {"n": num, "at": one["at"]},
    ).first()
    if raised:
        detail = {"rule": raised.rule, "level": raised.level}
        hops.append({"hop": "alarm", "ms": float(raised.ms) + stored["ms"], "detail": detail})
    return hops


_PUSHED = text(
    "insert into iot.trace (num, trace, hop, ms, detail) "
    "select t.num, t.trace, 'push', t.ms + extract(epoch from clock_timestamp() - t.at) * 1000, "
    "jsonb_build_object('seq', s.seq) from iot.traced f join iot.trace t on t.num = f.num "
    "join twin.sealed s on s.entry = (t.detail->>'entry')::bigint "
    "where f.until > now() and t.hop = 'store' and t.at > now() - interval '1 minute' "
    "and not exists ("
    "select from iot.trace p where p.num = t.num and p.trace = t.trace and p.hop = 'push')"
)


def pushed(conn: Connection) -> None:
    """Note when the entries of followed messages got their number: with it they go out to everyone."""
    conn.execute(_PUSHED)


def _newest(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda one: one["at"], reverse=True)


def followed(conn: Connection, num: int) -> Any:
    """Return until when a device is followed; None where it is not."""
    return conn.execute(
        text("select until from iot.traced where num = :n and until > now()"), {"n": num}
    ).scalar()
