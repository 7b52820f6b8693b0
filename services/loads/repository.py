"""Loads that were done, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text


def loads(conn: Connection, kinds: Iterable[str], *, before: int | None, limit: int) -> list[Any]:
    """Return loads of these kinds, each with its counts and who undid it."""
    return list(
        conn.execute(
            text(
                "select id, at, kind, source, file, actor, counts, undone_at, undone_by from twin.load "
                "where kind = any(:kinds) and (cast(:before as bigint) is null or id < :before) "
                "order by id desc limit :limit"
            ),
            {"kinds": list(kinds), "before": before, "limit": limit},
        ).all()
    )


def job_of_key(conn: Connection, key: str) -> int | None:
    """Return the job that was asked for under a key."""
    return conn.execute(
        text("select id from twin.job where idempotency_key = :k"), {"k": key}
    ).scalar()


def quarantine_of(conn: Connection, job: int, actor: str) -> str | None:
    """Return where the rows left out by a person's job lie."""
    return conn.execute(
        text(
            "select result->>'quarantine_path' from twin.job where id = :j and actor = :a "
            "and task = 'file.load'"
        ),
        {"j": job, "a": actor},
    ).scalar()
