"""Undoing: one change of a thing, or a whole load. What changed since is left alone and named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from twin import journal, pastnames, things
from twin.errors import Conflict, NotFound
from twin.kinds import Kind
from twin.kinds import one as kind_of
from twin.revise import revise
from twin.tables import table
from twin.versions import renamed

NAMED = 200
_CHUNK = 10_000


class ChangedSince(Conflict):
    """It changed since; undo the later changes first."""

    code = "changed_since"


@dataclass
class Undone:
    """What an undo did, in things; `changed_since` names (at most 200 of) those left alone."""

    removed: int = 0
    restored: int = 0
    left_alone: int = 0
    changed_since: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Return it as commands and the API show it."""
        return asdict(self)


def change(conn: Connection, thing_id: UUID, version: int, actor: str) -> Undone:
    """Undo the change that made a version: the thing says again what it said before.

    The undo is itself a change, with its version and entry; undoing it undoes the undo.
    """
    entry = conn.execute(
        text("select action from twin.journal where subject = :id and version = :v"),
        {"id": thing_id, "v": version},
    ).first()
    thing = conn.execute(
        text("select kind, code, gone_at from twin.thing where id = :id for update"),
        {"id": thing_id},
    ).first()
    if thing is None or (entry is None and version != 1):
        raise NotFound("There is no such change.")
    kind = kind_of(conn, thing.kind)
    if entry is not None and entry.action == "remove":
        return _restore(conn, kind, thing_id, version, actor)
    now = conn.scalar(
        text(f"select version from {kind.topic}.{kind.kind} where id = :id"), {"id": thing_id}
    )
    if now != version:
        raise ChangedSince(
            f"{thing.code} is at version {now} now; undo that one first."
            if now
            else f"{thing.code} is out of service; undo that first.",
            version=now,
        )
    if version == 1 or (entry is not None and entry.action == "insert"):
        things.remove(conn, kind, [thing_id], actor=actor, note={"undo": version})
        return Undone(removed=1)
    _back(conn, kind, [(thing_id, version - 1)], actor, {"undo": version})
    return Undone(restored=1)


def _back(
    conn: Connection,
    kind: Kind,
    wanted: Sequence[tuple[UUID, int]],
    actor: str,
    note: dict[str, Any],
) -> int:
    """Bring things back to what an earlier version said, as a new version."""
    shape = "encode(st_asewkb(h.geom), 'hex')" if kind.geometry != "none" else "null"
    rows = conn.execute(
        text(
            f"select h.id, h.attributes, {shape} as geom from {kind.topic}.history h "
            "join unnest(cast(:ids as uuid[]), cast(:vs as int4[])) w(id, v) "
            "on h.id = w.id and h.version = w.v"
        ),
        {"ids": [w[0] for w in wanted], "vs": [w[1] for w in wanted]},
    ).all()
    names = pastnames.former(conn, kind.kind)
    said = [renamed(row.attributes, names) for row in rows]
    columns = {name: [_plain(kind, name, one.get(name)) for one in said]
               for name in ("name", "state", *kind.fields)}  # fmt: skip
    if kind.geometry != "none":
        columns["geom"] = [row.geom for row in rows]
    else:
        columns |= {place: [one.get(place) for one in said] for place in things.PLACES}
    return revise(conn, kind, [row.id for row in rows], columns, actor=actor, note=note)


def _plain(kind: Kind, name: str, value: Any) -> Any:
    field_ = kind.fields.get(name)
    return json.dumps(value) if field_ and field_.type == "json" and value is not None else value


def _restore(conn: Connection, kind: Kind, thing_id: UUID, version: int, actor: str) -> Undone:
    """Put a removed thing back into service under its id, number and code."""
    last = version - 1
    where = f"{kind.topic}.{kind.kind}"
    standing = conn.scalar(
        text(
            f"select t.code from {where} t, {kind.topic}.history h where h.id = :id and h.version = :v "
            "and (t.id = h.id or (t.source = h.attributes->>'source' "
            "and t.source_key = h.attributes->>'source_key'))"
        ),
        {"id": thing_id, "v": last},
    )
    if standing:
        raise ChangedSince(f"{standing} stands in its place now.", code_now=standing)
    own = [
        c.name
        for c in table(kind).columns
        if c.name not in ("version", "valid_from", "updated_at", "geom")
    ]
    listed = ", ".join(f'"{c}"' for c in own)
    shape, drawn = (", geom", ", h.geom") if kind.geometry != "none" else ("", "")
    done = conn.execute(
        text(
            f"insert into {where} ({listed}, version, valid_from, updated_at{shape}) select "
            + ", ".join(f'r."{c}"' for c in own)
            + f", :v + 2, now(), now(){drawn} from {kind.topic}.history h, "
            f"lateral jsonb_populate_record(null\\:\\:{where}, h.attributes) r "
            "where h.id = :id and h.version = :v and h.kind = :kind"
        ),
        {"id": thing_id, "v": last, "kind": kind.kind},
    ).rowcount
    if not done:
        raise NotFound("What it last said is not kept; it cannot be put back.")
    conn.execute(text("update twin.thing set gone_at = null where id = :id"), {"id": thing_id})
    things.journal_rows(conn, kind, "restore", [thing_id], actor=actor, note={"undo": version})
    return Undone(restored=1)


def load(conn: Connection, load_id: int, actor: str) -> Undone:
    """Undo a load: what it brought goes, what it changed says again what it said before."""
    row = conn.execute(
        text("select * from twin.load where id = :id for update"), {"id": load_id}
    ).first()
    if row is None:
        raise NotFound(f"There is no load {load_id}.")
    if row.undone_at:
        raise Conflict(f"The load {load_id} was undone at {row.undone_at:%Y-%m-%d %H:%M}.")
    kind = kind_of(conn, row.kind)
    done = Undone()
    _revert(conn, kind, load_id, actor, done)
    _take_out(conn, kind, load_id, actor, done)
    conn.execute(
        text("update twin.load set undone_at = now(), undone_by = :a where id = :id"),
        {"a": actor, "id": load_id},
    )
    return done


def _revert(conn: Connection, kind: Kind, load_id: int, actor: str, done: Undone) -> None:
    """Take back the changes of things that stood before the load."""
    rows = conn.execute(
        text(
            "select j.subject as id, j.version, g.code, j.action, t.version as now "
            "from twin.journal j join twin.thing g on g.id = j.subject "
            f"left join {kind.topic}.{kind.kind} t on t.id = j.subject "
            "where j.class = 'thing' and j.note is not null and (j.note->>'load')::bigint = :l "
            "order by g.num, j.version"
        ),
        {"l": load_id},
    ).all()
    fit = [r for r in rows if r.now == r.version]
    _leave(done, [r.code for r in rows if r.now is not None and r.now != r.version])
    back = [(r.id, r.version - 1) for r in fit if r.action == "update"]
    for i in range(0, len(back), _CHUNK):
        note = {"undo_load": load_id}
        done.restored += _back(conn, kind, back[i : i + _CHUNK], actor, note)
    new = [r.id for r in fit if r.action == "insert"]
    if new:
        note = {"undo_load": load_id}
        done.removed += things.remove(conn, kind, new, actor=actor, note=note)


def _leave(done: Undone, codes: list[str]) -> None:
    done.left_alone += len(codes)
    done.changed_since += codes[: NAMED - len(done.changed_since)]


# Rows of a small load have entries of their own.
_BY_LOAD = "not exists (select 1 from twin.journal o where o.subject = t.id and o.version = 1)"


def _take_out(conn: Connection, kind: Kind, load_id: int, actor: str, done: Undone) -> None:
    """Take the rows of a bulk load out of service: they came by one entry and go by one entry."""
    where = f"{kind.topic}.{kind.kind}"
    names = {"l": load_id, "kind": kind.kind, "level": kind.level}
    mine = f"from {where} t join twin.load l on l.id = :l and l.nums @> t.num"
    changed = conn.scalars(
        text(f"select t.code {mine} where t.version > 1 and {_BY_LOAD} order by t.num"), names
    ).all()
    _leave(done, list(changed))
    geom = "t.geom" if kind.geometry != "none" else "null"
    conn.execute(
        text(
            f"insert into {kind.topic}.history (id, version, kind, num, valid_from, valid_to, geom, "
            "district, level, attributes) select t.id, t.version, :kind, t.num, t.valid_from, "
            f"greatest(now(), t.valid_from + interval '1 microsecond'), {geom}, t.district, :level, "
            f"to_jsonb(t) - 'geom' {mine} where t.version = 1"
        ),
        names,
    )
    conn.execute(
        text(
            "update twin.thing g set gone_at = now() from twin.load l where l.id = :l "
            f"and l.nums @> g.num and exists (select 1 from {where} t where t.num = g.num "
            "and t.version = 1)"
        ),
        names,
    )
    gone = conn.execute(
        text(
            f"delete from {where} t using twin.load l where l.id = :l and l.nums @> t.num "
            "and t.version = 1"
        ),
        names,
    ).rowcount
    done.removed += gone
    nums = conn.scalar(text("select nums::text from twin.load where id = :l"), names)
    journal.append(
        conn, cls="load", action="undo", actor=actor, kind=kind.kind, level=kind.level,
        note={"load": load_id, "nums": nums, **{k: v for k, v in done.json().items()}},
    )  # fmt: skip


def preview(conn: Connection, row: Any) -> dict[str, int]:
    """Return what undoing a load would do now, in things."""
    kind = kind_of(conn, row.kind)
    where = f"{kind.topic}.{kind.kind}"
    brought = conn.execute(
        text(
            "select count(*) filter (where t.version = 1) as fit, "
            f"count(*) filter (where t.version > 1) as later from {where} t "
            f"join twin.load l on l.id = :l and l.nums @> t.num where {_BY_LOAD}"
        ),
        {"l": row.id},
    ).one()
    own = conn.execute(
        text(
            "select count(*) filter (where t.version = j.version and j.action = 'insert') as new, "
            "count(*) filter (where t.version = j.version and j.action = 'update') as fit, "
            "count(*) filter (where t.version > j.version) as later from twin.journal j "
            f"join {where} t on t.id = j.subject where j.class = 'thing' and j.note is not null "
            "and (j.note->>'load')::bigint = :l"
        ),
        {"l": row.id},
    ).one()
    return {"would_remove": brought.fit + own.new, "would_restore": own.fit,
            "changed_since": brought.later + own.later}  # fmt: skip
