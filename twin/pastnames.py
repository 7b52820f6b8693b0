"""Past versions after a change of their kind: new names and types, batch by batch, apart from it.

The journal keeps what it said; only the copies that reads of the past use are rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from twin import db, jobs, journal
from twin.kinds import Kind

BATCH = 5_000
TASK = "kind.history"
_FIRST = ["00000000-0000-0000-0000-000000000000", 0]


def former(conn: Connection, kind: str) -> dict[str, str]:
    """Return what fields were called before → what they are called now."""
    rows = conn.execute(
        text("select former, name from twin.former_name where kind = :k"), {"k": kind}
    )
    return {row.former: row.name for row in rows}


def remember(
    conn: Connection, kind: Kind, renames: Mapping[str, str], casts: Mapping[str, str]
) -> None:
    """Keep the former names and have the past versions follow, with the caller's transaction."""
    for old, name in renames.items():
        names = {"k": kind.kind, "former": old, "name": name}
        conn.execute(
            text("update twin.former_name set name = :name where kind = :k and name = :former"),
            names,
        )
        conn.execute(
            text(
                "insert into twin.former_name (kind, former, name) values (:k, :former, :name) "
                "on conflict (kind, former) do update set name = excluded.name, at = now()"
            ),
            names,
        )
    if renames or casts:
        now = str(conn.execute(text("select clock_timestamp()")).scalar_one())
        args = {"kind": kind.kind, "topic": kind.topic, "renames": dict(renames),
                "casts": dict(casts), "before": now, "after": _FIRST}  # fmt: skip
        jobs.enqueue(conn, TASK, args, actor="system:alter")


@jobs.task(TASK)
def follow(job: jobs.Job) -> dict[str, Any]:
    """Give past versions the new names and types of their fields."""
    said, done = job.args, 0
    after = list(said["after"])
    statement = text(_statement(said).replace("::", "\\:\\:"))
    while True:
        names = {"kind": said["kind"], "id": after[0], "v": after[1], "n": BATCH,
                 "before": said["before"]}  # fmt: skip
        with db.engine("owner").begin() as conn:
            row = conn.execute(statement, names).one()
            if row.seen:
                after = [str(row.id), row.v]
                # With the batch: a job taken up again must not convert a value twice.
                conn.execute(
                    text("update twin.job set args = args || cast(:a as jsonb) where id = :id"),
                    {"a": journal.dumped({"after": after}), "id": job.id},
                )
        done += row.changed
        if row.seen < BATCH:
            return {"versions": done}


def _statement(said: Mapping[str, Any]) -> str:
    """Return the update of one batch; names come from checked declarations."""
    sets, pick = "attributes", []
    for old, name in said["renames"].items():
        sets = f"({sets} - '{old}') || jsonb_build_object('{name}', attributes->'{old}')"
        pick.append(f"attributes ? '{old}'")
    # Only versions of before the change hold values of the old type.
    past = "valid_to <= cast(:before as timestamptz)"
    back = {name: old for old, name in said["renames"].items()}
    for name, sql in said["casts"].items():
        was = back.get(name, name)
        value = sql.replace(f">'{name}'", f">'{was}'")
        sets = (
            f"({sets}) || jsonb_build_object('{name}', "
            f"case when {past} then {value} else attributes->'{name}' end)"
        )
        pick.append(f"({past} and attributes->>'{was}' is not null)")
    return (
        f"with batch as (select id, version from {said['topic']}.history where kind = :kind "
        "and (id, version) > (cast(:id as uuid), :v) order by id, version limit :n), "
        f"done as (update {said['topic']}.history h set attributes = {sets} from batch s "
        f"where h.id = s.id and h.version = s.version and ({' or '.join(pick)}) returning 1) "
        "select (select count(*) from done) as changed, count(*) as seen, "
        "(array_agg(id order by id desc, version desc))[1] as id, "
        "(array_agg(version order by id desc, version desc))[1] as v from batch"
    )
