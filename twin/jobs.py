"""Work done later or apart: one queue in the database, taken by workers, each job at most once at a time.

A task is a function of this process, registered by name; it gets a `Job` to tell its progress
and returns what the job's reader wants to know. A job that fails is tried again, later each time;
what cannot succeed (a TwinError) is dead at once and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import db
from twin.errors import NotFound, TwinError

MAX_ATTEMPTS = 5
# A worker that was killed leaves its job started: after this it is taken again.
LOST_AFTER = "15 minutes"
Task = Callable[["Job"], Mapping[str, Any] | None]
_tasks: dict[str, Task] = {}


@dataclass(frozen=True)
class Job:
    """One job that runs now."""

    id: int
    task: str
    args: Mapping[str, Any]
    actor: str
    attempts: int
    result: Mapping[str, Any] | None = None

    def say(self, share: float) -> None:
        """Tell how much is done, 0 to 1, outside the transaction of the work."""
        with db.engine("app").begin() as conn:
            conn.execute(
                text("update twin.job set progress = :p, started_at = now() where id = :id"),
                {"p": min(max(share, 0.0), 1.0), "id": self.id},
            )


def task(name: str) -> Callable[[Task], Task]:
    """Register a function as the task of this name."""

    def keep(made: Task) -> Task:
        _tasks[name] = made
        return made

    return keep


_ENQUEUE = text(
    "insert into twin.job (task, args, actor, due_at, idempotency_key) "
    "values (:task, :args, :actor, coalesce(:due, now()), :key) "
    "on conflict (idempotency_key) do nothing returning id"
).bindparams(bindparam("args", type_=JSONB))


def enqueue(
    conn: Connection,
    name: str,
    args: Mapping[str, Any],
    *,
    actor: str = "system",
    due: datetime | None = None,
    key: str | None = None,
) -> int | None:
    """Put a job into the queue with the caller's transaction; None when its key stands already."""
    said = {"task": name, "args": dict(args), "actor": actor, "due": due, "key": key}
    found = conn.execute(_ENQUEUE, said).scalar()
    return int(found) if found is not None else None


_TAKE = text(
    "update twin.job set started_at = now(), attempts = attempts + 1 where id = ("
    "select id from twin.job where done_at is null and not dead and due_at <= now() "
    "and task = any(:tasks) and (cast(:only as bigint) is null or id = :only) "
    f"and (started_at is null or started_at < now() - interval '{LOST_AFTER}') "
    "order by due_at, id limit 1 for update skip locked) "
    "returning id, task, args, actor, attempts"
)


def run_next(*, only: int | None = None, task: str | None = None) -> Job | None:
    """Run the next due job (or this one, or one of this task); None when there is none."""
    wanted = [task] if task else list(_tasks)
    with db.engine("app").begin() as conn:
        row = conn.execute(_TAKE, {"tasks": wanted, "only": only}).first()
    if row is None:
        return None
    job = Job(row.id, row.task, row.args, row.actor, row.attempts)
    try:
        result = _tasks[job.task](job)
    except TwinError as why:
        _end(job, dead=True, error=why.detail)
    # Whatever a task did wrong must not end the worker: the others still run, and the job says why.
    except Exception as why:  # noqa: BLE001
        _end(
            job,
            dead=job.attempts >= MAX_ATTEMPTS,
            error=(str(why) or type(why).__name__).splitlines()[0],
        )
    else:
        _done(job, result)
        return replace(job, result=result or {})
    return job


def _done(job: Job, result: Mapping[str, Any] | None) -> None:
    said = text(
        "update twin.job set done_at = now(), progress = 1, result = :r, last_error = null "
        "where id = :id"
    ).bindparams(bindparam("r", type_=JSONB))
    with db.engine("app").begin() as conn:
        conn.execute(said, {"r": dict(result or {}), "id": job.id})


def _end(job: Job, *, dead: bool, error: str) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update twin.job set dead = :dead, last_error = :e, started_at = null, "
                "due_at = now() + (interval '10 seconds' * power(4, attempts - 1)) where id = :id"
            ),
            {"dead": dead, "e": error[:2000], "id": job.id},
        )


def state(conn: Connection, job_id: int) -> dict[str, Any]:
    """Return how a job stands: waiting, running, done or failed."""
    row = conn.execute(text("select * from twin.job where id = :id"), {"id": job_id}).first()
    if row is None:
        raise NotFound("There is no such job.")
    stands = "waiting"
    if row.dead:
        stands = "failed"
    elif row.done_at:
        stands = "done"
    elif row.started_at:
        stands = "running"
    return {
        "job": row.id, "task": row.task, "state": stands, "progress": row.progress,
        "result": row.result, "error": row.last_error, "actor": row.actor,
        "created_at": row.created_at, "done_at": row.done_at,
    }  # fmt: skip
