"""Updates for the device doors: the manifest that is due, and what devices say of their progress."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import dict_row

CITY = timezone(timedelta(hours=8))
RETRY_S, TRIES = 900, 5
# What follows what; an attempt never goes backwards.
RANK = {
    "assigned": 0, "notified": 1, "downloading": 2, "downloaded": 3, "verified": 4,
    "installing": 5, "rebooting": 6, "probation": 7, "committed": 8,
}  # fmt: skip
SAID = frozenset(RANK) - {"assigned", "notified"} | {"failed", "rolled_back"}
SILENT_S, OPEN_S = 900.0, 86400.0
_DUE = (
    "select a.id, a.num, a.number, a.bytes_done, r.note->>'manifest' as manifest, r.sha256, o.plan "
    "from iot.ota_attempt a join iot.ota_rollout o on o.id = a.rollout and o.state = 'running' "
    "join iot.ota_release r on r.id = o.release and r.revoked_at is null "
    "where a.num = any(%(nums)s) and a.stage <= o.stage and a.tries < %(tries)s "
    "and (a.state = 'assigned' or (a.state = 'notified' "
    f"and a.told_at < now() - interval '{RETRY_S} seconds')) "
    "order by a.num limit %(limit)s for update of a skip locked"
)


def due(
    conn: psycopg.Connection[Any], nums: Sequence[int], limit: int
) -> list[tuple[int, str, bytes, str]]:
    """Return the manifests that these devices should get now, within their maintenance window."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_DUE, {"nums": list(nums), "tries": TRIES, "limit": limit}).fetchall()
        rows = [row for row in rows if in_window(row["plan"], datetime.now(UTC))]
        for row in rows:
            cursor.execute(
                "update iot.ota_attempt set state = 'notified', told_at = now(), tries = tries + 1, "
                "changed_at = now(), deadline_at = now() + make_interval(secs => %s) where id = %s",
                (float(row["plan"].get("open_s", OPEN_S)), row["id"]),
            )
    return [(row["num"], "ota", _offer(row), f"o:{row['id']}") for row in rows]


def _offer(row: dict[str, Any]) -> bytes:
    said = {
        "attempt": str(row["id"]), "number": row["number"], "manifest": row["manifest"],
        "image": f"/api/v1/ota/images/{row['sha256']}",
    }  # fmt: skip
    if row["plan"].get("kbps"):
        said["kbps"] = row["plan"]["kbps"]
    return orjson.dumps(said)


def in_window(plan: dict[str, Any], now: datetime) -> bool:
    """Tell whether it is time: the window is minutes of the city's day, over midnight too."""
    window = plan.get("window")
    if not window:
        return True
    local = now.astimezone(CITY)
    minute = local.hour * 60 + local.minute
    start, end = window
    return bool(start <= minute < end if start <= end else minute >= start or minute < end)


def acknowledged(conn: psycopg.Connection[Any], attempt: UUID) -> None:
    """Note that a device has the manifest: it is not told again while it works on it."""
    conn.execute(
        "update iot.ota_attempt set told_at = now() + interval '1 day' "
        "where id = %s and state = 'notified'",
        (attempt,),
    )


def progress(conn: psycopg.Connection[Any], num: int, said: dict[str, Any]) -> None:
    """Take what a device says of its update; ValueError says why it cannot be used."""
    if "boot" in said:
        _booted(conn, num, said["boot"])
        return
    state = said.get("state")
    if state not in SAID:
        raise ValueError(f"state is none of {', '.join(sorted(SAID))}")
    try:
        attempt = UUID(str(said.get("attempt")))
    except ValueError as why:
        raise ValueError("attempt is not the id of an attempt") from why
    offset = said.get("offset", 0)
    if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset < 2**40:
        raise ValueError("offset is not a number of bytes")
    row = _open(conn, num)
    if row is None or row["id"] != attempt:
        # Something said late about an attempt that has ended changes nothing.
        return
    if state in ("failed", "rolled_back"):
        _move(conn, row, state, str(said.get("reason", ""))[:300] or "the device gave no reason")
    elif RANK[state] >= RANK[row["state"]]:
        _move(conn, row, state, None, offset)


def _open(conn: psycopg.Connection[Any], num: int) -> dict[str, Any] | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select a.*, r.version as wanted, r.counter as wanted_counter, o.plan "
            "from iot.ota_attempt a join iot.ota_rollout o on o.id = a.rollout "
            "join iot.ota_release r on r.id = o.release where a.num = %s and a.state not in "
            "('committed', 'rolled_back', 'failed', 'expired', 'cancelled') for update of a",
            (num,),
        ).fetchone()


def _move(
    conn: psycopg.Connection[Any], row: dict[str, Any], state: str, reason: str | None,
    offset: int = 0,
) -> None:  # fmt: skip
    quiet = state in ("rebooting", "probation")
    span = row["plan"].get("silent_s", SILENT_S) if quiet else row["plan"].get("open_s", OPEN_S)
    conn.execute(
        "update iot.ota_attempt set state = %s, reason = %s, changed_at = now(), "
        "bytes_done = greatest(bytes_done, %s), deadline_at = now() + make_interval(secs => %s) "
        "where id = %s",
        (state, reason, offset, float(span), row["id"]),
    )


def _booted(conn: psycopg.Connection[Any], num: int, said: Any) -> None:
    """Take the report of a start: what runs now, and what that means for an update under way."""
    if not isinstance(said, dict) or not isinstance(said.get("version"), str):
        raise ValueError("boot names no version")
    counter = said.get("counter")
    if counter is not None and (isinstance(counter, bool) or not isinstance(counter, int)):
        raise ValueError("counter is not a whole number")
    version, hardware = said["version"][:64], str(said.get("hardware", ""))[:64] or None
    conn.execute(
        "insert into iot.firmware (num, version, counter, hardware) values (%s, %s, %s, %s) "
        "on conflict (num) do update set version = excluded.version, counter = excluded.counter, "
        "hardware = coalesce(excluded.hardware, iot.firmware.hardware), at = now()",
        (num, version, counter, hardware),
    )
    row = _open(conn, num)
    if row is None:
        return
    if version == row["wanted"]:
        if RANK[row["state"]] < RANK["probation"]:
            _move(conn, row, "probation", None)
    elif row["state"] == "probation":
        _move(conn, row, "rolled_back", f"it runs {version} again")
    elif RANK[row["state"]] >= RANK["installing"]:
        _again(conn, row, version)


def _again(conn: psycopg.Connection[Any], row: dict[str, Any], version: str) -> None:
    """Offer the update once more to a device that came back with the old version; a few times only."""
    if row["tries"] >= TRIES:
        _move(conn, row, "failed", f"it came back with {version} too often")
        return
    conn.execute(
        "update iot.ota_attempt set state = 'assigned', told_at = null, changed_at = now(), "
        "deadline_at = null, reason = %s where id = %s",
        (f"came back with {version}", row["id"]),
    )
