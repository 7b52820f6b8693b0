"""Running cases moved to another version of their process: told first, journalled, taken back whole."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from twin import declarations, ids
from twin.process import rows
from twin.process.rows import Step, written
from twin.scope import Actor

MIGRATE, UNDO = "migrate", "migrate_undo"
TOLD = 500
_RUNNING = text(
    f'select {rows.COLUMNS} from twin."case" where process = :key and closed_at is null '
    "and process_version <> :version order by id for update"
)
_MOVED = text(
    f"select {rows.COLUMNS.replace('id, num', 'c.id, c.num', 1)}, "
    "(select (j.note->>'was')::int from twin.journal j where j.subject = c.id "
    "and j.action = 'migrate' and j.note->>'batch' = :batch) as was_version "
    'from twin."case" c where c.process = :key and c.closed_at is null order by c.id for update of c'
)


def migrate(
    conn: Connection, key: str, version: int, *, actor: Actor, dry_run: bool
) -> dict[str, Any]:
    """Move the open cases of a process to a version; those it cannot hold stay and are listed."""
    said = declarations.kept(conn, "process", key, version)
    batch = str(ids.uuid7())
    steps: list[Step] = []
    refused: list[dict[str, Any]] = []
    for row in conn.execute(_RUNNING, {"key": key, "version": version}):
        case = dict(row._mapping)
        why = _unfit(said, case)
        if why:
            refused.append({"code": case["code"], "why": why, "error": "not_allowed_now"})
            continue
        note = {"batch": batch, "was": case["process_version"], "to_version": version}
        after = {**case, "process_version": version, "version": case["version"] + 1}
        steps.append(Step(after, MIGRATE, actor, written(case), note))
    if not dry_run:
        rows.store(conn, steps)
    return {
        "batch": None if dry_run else batch, "version": version, "dry_run": dry_run,
        "moved": len(steps), "stay": len(refused), "refused": refused[:TOLD],
    }  # fmt: skip


def _unfit(said: dict[str, Any], case: rows.Case) -> str | None:
    """Tell why a version cannot hold a case; None when it can, whatever loops the case has made."""
    if case["state"] not in said["states"]:
        return f"version {said['_version']} has no state {case['state']}"
    if case["paused_state"] and case["paused_state"] not in said["states"]:
        return f"version {said['_version']} has no state {case['paused_state']} to go back to"
    if case["category"] not in said.get("categories", {}):
        return f"version {said['_version']} has no category {case['category']}"
    return None


def undo(conn: Connection, key: str, batch: str, *, actor: Actor) -> dict[str, Any]:
    """Take a migration back: each case that is still open returns to the version it came from."""
    steps: list[Step] = []
    refused: list[dict[str, Any]] = []
    for row in conn.execute(_MOVED, {"key": key, "batch": batch}):
        case = dict(row._mapping)
        was = case.pop("was_version")
        if was is None:
            continue
        why = _unfit(declarations.kept(conn, "process", key, was), case)
        if why:
            refused.append({"code": case["code"], "why": why, "error": "not_allowed_now"})
            continue
        note = {"batch": batch, "was": case["process_version"], "to_version": was}
        after = {**case, "process_version": was, "version": case["version"] + 1}
        steps.append(Step(after, UNDO, actor, written(case), note))
    rows.store(conn, steps)
    return {"batch": batch, "moved": len(steps), "stay": len(refused), "refused": refused[:TOLD]}
