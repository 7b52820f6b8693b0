"""Rollouts: a release to chosen devices in stages; a stage that goes wrong halts what comes after it.

Silence after a reboot is failure. What a device says moves its attempt forwards only; a boot with the
old version never counts as updated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import ids, journal
from twin.errors import BadRequest, Conflict, NotAllowedNow, NotFound
from twin.ota.repository import Repository
from twin.scope import Actor

STAGES = (0.01, 0.1, 1.0)
ENDED = ("committed", "rolled_back", "failed", "expired", "cancelled")
BAD = ("rolled_back", "failed", "expired")
MANIFEST_LIVES = timedelta(days=30)
SILENT_S, OPEN_S = 900.0, 86400.0
NEWS = "twin_downlink"


def release(
    conn: Connection, repository: Repository, image: Path, *, product: str, version: str,
    counter: int, hardware: Sequence[str], min_from: int, note: Mapping[str, Any], actor: str,
) -> UUID:  # fmt: skip
    """Sign an image into the repository and note it as a release of its product."""
    raw = image.read_bytes()
    if not raw:
        raise BadRequest("The image is empty.")
    known = conn.execute(
        text("select max(counter) from iot.ota_release where product = :p"), {"p": product}
    ).scalar()
    if known is not None and counter <= known:
        raise BadRequest(f"counter must be above {known}: releases only go upwards.", counter=known)
    new, sha256 = ids.uuid7(), hashlib.sha256(raw).hexdigest()
    sm3 = hashlib.new("sm3", raw).hexdigest()
    said = {
        "product": product, "version": version, "counter": counter, "hardware": list(hardware),
        "min_from": min_from, "bytes": len(raw), "sha256": sha256, "sm3": sm3,
        "expires": (datetime.now(UTC) + MANIFEST_LIVES).isoformat(timespec="seconds"),
    }  # fmt: skip
    conn.execute(
        text(
            "insert into iot.ota_release (id, product, version, counter, hardware, min_from, bytes, "
            "sha256, sm3, note, created_by) values (:id, :product, :version, :counter, :hardware, "
            ":min_from, :bytes, :sha256, :sm3, :note, :by)"
        ).bindparams(bindparam("note", type_=JSONB)),
        {**said, "id": new, "by": actor, "note": {**note, "manifest": repository.manifest(said)}},
    )
    custom = {key: said[key] for key in ("product", "version", "counter", "hardware", "min_from")}
    repository.add(product, f"{product}/{version}.bin", image, custom)
    _note(conn, actor, "release", {"release": str(new), **custom, "sha256": sha256})
    return new


def start(
    conn: Connection, which: UUID, nums: Sequence[int], *, stages: Sequence[float],
    halt_above: float, plan: Mapping[str, Any], actor: str,
) -> UUID:  # fmt: skip
    """Start a rollout to devices; which of them go first is settled by a digest, not by chance."""
    row = conn.execute(text("select * from iot.ota_release where id = :id"), {"id": which}).first()
    if row is None:
        raise NotFound("There is no such release.")
    if row.revoked_at is not None:
        raise NotAllowedNow("This release was withdrawn.")
    if list(stages) != sorted(set(stages)) or not stages or not 0 < stages[0] or stages[-1] != 1:
        raise BadRequest("stages are growing shares that end with 1, such as 0.01, 0.1, 1.")
    busy = conn.execute(
        text("select count(*) from iot.ota_attempt where num = any(:n) and state <> all(:ended)"),
        {"n": list(nums), "ended": list(ENDED)},
    ).scalar()
    if busy:
        raise Conflict(f"{busy} of these devices are in another rollout.")
    new = ids.uuid7()
    conn.execute(
        text(
            "insert into iot.ota_rollout (id, release, state, stages, halt_above, plan, created_by) "
            "values (:id, :release, 'running', :stages, :halt, :plan, :by)"
        ).bindparams(bindparam("plan", type_=JSONB)),
        {"id": new, "release": which, "stages": [float(s) for s in stages], "halt": halt_above,
         "plan": dict(plan), "by": actor},
    )  # fmt: skip
    order = sorted(nums, key=lambda n: hashlib.sha256(f"{new} {n}".encode()).digest())
    conn.execute(
        text(
            "insert into iot.ota_attempt (id, rollout, num, stage, state, number, from_version, "
            "deadline_at) select a.id, :r, a.num, a.stage, 'assigned', coalesce((select max(number) "
            "from iot.ota_attempt o where o.num = a.num), 0) + 1, (select version from iot.firmware f "
            "where f.num = a.num), null from unnest(cast(:ids as uuid[]), cast(:nums as int[]), "
            "cast(:stages as int[])) as a (id, num, stage)"
        ),
        {"r": new, "ids": ids.uuid7_many(len(order)), "nums": order,
         "stages": stage_of(len(order), stages)},
    )  # fmt: skip
    _note(
        conn, actor, "rollout", {"rollout": str(new), "release": str(which), "devices": len(order)}
    )
    _ring(conn, new, 0)
    return new


def stage_of(count: int, stages: Sequence[float]) -> list[int]:
    """Return the stage of each device in order; every stage has one device at least while there are any."""
    ends: list[int] = []
    for i, share in enumerate(stages):
        least = ends[-1] + 1 if ends else 1
        ends.append(count if i == len(stages) - 1 else min(count, max(least, round(count * share))))
    return [next(i for i, end in enumerate(ends) if place < end) for place in range(count)]


def _ring(conn: Connection, rollout: UUID, stage: int) -> None:
    conn.execute(
        text(
            "select pg_notify('twin_downlink', num::text) from iot.ota_attempt "
            "where rollout = :r and stage = :s and state = 'assigned'"
        ),
        {"r": rollout, "s": stage},
    )


def advance(conn: Connection, now: datetime) -> int:
    """End what is overdue, halt what goes wrong, open the next stage; return how much changed."""
    done = conn.execute(
        text(
            "update iot.ota_attempt set state = case when state in ('rebooting', 'probation') "
            "then 'failed' else 'expired' end, reason = case when state in ('rebooting', 'probation') "
            "then 'silent after reboot' else 'not done in time' end, changed_at = :now "
            "where deadline_at <= :now and state <> all(:ended)"
        ),
        {"now": now, "ended": list(ENDED)},
    ).rowcount
    rows = conn.execute(
        text("select * from iot.ota_rollout where state = 'running' order by id for update")
    ).all()
    return done + sum(_advance(conn, row) for row in rows)


_TALLY = text(
    "select stage, state, count(*) as n from iot.ota_attempt where rollout = :r group by 1, 2"
)


def tally(conn: Connection, rollout: UUID) -> list[dict[str, int]]:
    """Return how many attempts of each stage stand in which state."""
    made: list[dict[str, int]] = []
    for row in conn.execute(_TALLY, {"r": rollout}):
        while len(made) <= row.stage:
            made.append({})
        made[row.stage][row.state] = row.n
    return made


def _advance(conn: Connection, row: Any) -> int:
    stages = tally(conn, row.id)
    mine = stages[row.stage] if row.stage < len(stages) else {}
    total = sum(mine.values())
    ended = sum(mine.get(state, 0) for state in ENDED)
    bad = sum(mine.get(state, 0) for state in BAD)
    # Judged against the whole stage, so that the last good one need not be waited for.
    if total and bad / total > row.halt_above:
        halt(conn, row.id, f"{bad} of {total} failed in stage {row.stage + 1}", "system")
        return 1
    if ended < total:
        return 0
    if row.stage + 1 >= len(row.stages):
        _end(conn, row.id, "done", "system", None)
        return 1
    conn.execute(
        text("update iot.ota_rollout set stage = stage + 1 where id = :id"), {"id": row.id}
    )
    _ring(conn, row.id, row.stage + 1)
    _note(conn, "system", "stage", {"rollout": str(row.id), "stage": row.stage + 2})
    return 1


def halt(conn: Connection, rollout: UUID, why: str, actor: str) -> None:
    """Stop a rollout: what has not begun to install is taken back, what has goes on to its end."""
    conn.execute(
        text(
            "update iot.ota_attempt set state = 'cancelled', reason = 'halted', changed_at = now() "
            "where rollout = :r and state in ('assigned', 'notified', 'downloading', 'downloaded', "
            "'verified')"
        ),
        {"r": rollout},
    )
    _end(conn, rollout, "halted", actor, why)


def _end(conn: Connection, rollout: UUID, state: str, actor: str, why: str | None) -> None:
    conn.execute(
        text("update iot.ota_rollout set state = :s, why = :why, ended_at = now() where id = :id"),
        {"s": state, "why": why, "id": rollout},
    )
    _note(conn, actor, state, {"rollout": str(rollout), "why": why})


def pause(conn: Connection, rollout: UUID, paused: bool, actor: str) -> None:
    """Pause a rollout or let it go on."""
    done = conn.execute(
        text("update iot.ota_rollout set state = :to where id = :id and state = :from"),
        {"id": rollout, "to": "paused" if paused else "running",
         "from": "running" if paused else "paused"},
    ).rowcount  # fmt: skip
    if not done:
        raise NotAllowedNow("This rollout does not stand where that is possible.")
    _note(conn, actor, "pause" if paused else "resume", {"rollout": str(rollout)})


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return the rollouts, the newest first, with how each stage stands."""
    rows = conn.execute(
        text(
            "select o.*, r.product, r.version from iot.ota_rollout o join iot.ota_release r "
            "on r.id = o.release order by o.created_at desc limit 100"
        )
    )
    return [{**row._mapping, "tally": tally(conn, row.id)} for row in rows.all()]


def releases(conn: Connection) -> list[dict[str, Any]]:
    """Return the releases, the newest first."""
    rows = conn.execute(
        text(
            "select id, product, version, counter, hardware, min_from, bytes, sha256, sm3, "
            "created_by, created_at, revoked_at, note - 'manifest' as note from iot.ota_release "
            "order by created_at desc limit 200"
        )
    )
    return [dict(row._mapping) for row in rows]


def attempts(conn: Connection, actor: Actor, rollout: UUID, limit: int) -> list[dict[str, Any]]:
    """Return the attempts of a rollout on devices that the actor may see, trouble first."""
    rows = conn.execute(
        text(
            "select a.*, t.code, t.name, t.district from iot.ota_attempt a join twin.thing t "
            "on t.num = a.num where a.rollout = :r and (cast(:d as text[]) is null "
            "or t.district = any(:d)) order by (a.state = any(:bad)) desc, a.stage, a.num limit :n"
        ),
        {"r": rollout, "bad": list(BAD), "n": limit,
         "d": list(actor.districts) if actor.districts is not None else None},
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def _note(conn: Connection, actor: str, what: str, note: Mapping[str, Any]) -> None:
    journal.append(conn, cls="device", action=f"ota.{what}", actor=actor, level=2, note=dict(note))
