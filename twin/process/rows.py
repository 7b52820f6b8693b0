"""Cases as rows and as the journal keeps them; steps of many cases are written by two statements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import db, declarations
from twin.errors import NotFound, VersionConflict
from twin.scope import SYSTEM, Actor, sees

LEVEL = 2
FIELDS = (
    "id", "num", "code", "process", "process_version", "state", "title", "category", "holder",
    "parent", "severity", "district", "street", "lon", "lat", "source", "source_id", "data",
    "version", "opened_at", "entered_at", "due_at", "warn_at", "remaining_s", "escalated",
    "provisional", "closed_at", "paused_state", "clock", "clock_from", "clock_s", "used_s", "next_at",
)  # fmt: skip
COLUMNS = ", ".join(
    {"lon": "st_x(point) as lon", "lat": "st_y(point) as lat"}.get(f, f) for f in FIELDS
)
# What a step may change, with the type that it has in the table.
CHANGED = {
    "state": "text", "holder": "text", "severity": "int2", "data": "jsonb", "version": "int",
    "entered_at": "timestamptz", "due_at": "timestamptz", "warn_at": "timestamptz",
    "remaining_s": "int", "escalated": "real", "provisional": "bool", "closed_at": "timestamptz",
    "parent": "uuid", "paused_state": "text", "clock": "text", "clock_from": "timestamptz",
    "clock_s": "int", "used_s": "int", "next_at": "timestamptz", "process_version": "int",
    "category": "text", "title": "text", "district": "text", "street": "text",
}  # fmt: skip
_ONE = f'select {COLUMNS} from twin."case" where id = %(id)s for update'
_MANY = f'select {COLUMNS} from twin."case" where id = any(%(ids)s) order by id for update'
Case = dict[str, Any]


@dataclass
class Step:
    """One action done in memory: the case after it, and what the journal keeps of it."""

    after: Case
    action: str
    actor: Actor
    before: bytes | None
    note: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def shot(self) -> bytes:
        """The case after it as the journal keeps it: written once, also for the step that follows."""
        return written(self.after)


_TIMES = tuple(f for f in FIELDS if f.endswith("_at") or f == "clock_from")
_IDS = ("id", "parent")


def snapshot(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the case as the journal keeps it: plain JSON values, times in RFC 3339."""
    made = dict(case)
    for name in _TIMES:
        at = made.get(name)
        if at.__class__ is datetime:
            made[name] = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()
    for name in _IDS:
        if made.get(name) is not None:
            made[name] = str(made[name])
    return made


def written(case: Mapping[str, Any]) -> bytes:
    """Return the case as the journal keeps it, as JSON."""
    made = dict(case)
    for name in _TIMES:
        at = made.get(name)
        if at.__class__ is datetime and at.tzinfo is not UTC:
            made[name] = at.astimezone(UTC)
    try:
        return orjson.dumps(made, default=str)
    except TypeError:  # a number beyond 64 bits
        return json.dumps(snapshot(case), ensure_ascii=False, default=str).encode()


class Named(Mapping[str, Any]):
    """What rules know as `c`: the fields of a case, and its data beside them; plain when asked for."""

    __slots__ = ("_case", "_data")

    def __init__(self, case: Mapping[str, Any]) -> None:
        """Look at a case as it is now."""
        self._case = case
        self._data: Mapping[str, Any] = case["data"]

    def __getitem__(self, key: str) -> Any:
        if key in self._case and key != "data":
            return plain(self._case[key])
        return self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._data or (key in self._case and key != "data")

    def __iter__(self) -> Iterator[str]:
        return iter({**self._data, **dict.fromkeys(k for k in self._case if k != "data")})

    def __len__(self) -> int:
        return len(list(iter(self)))


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value


def revived(said: Mapping[str, Any]) -> Case:
    """Return a case from its snapshot, times and ids as the table has them."""
    case: Case = dict.fromkeys(FIELDS) | {"used_s": 0} | dict(said)
    for name in _TIMES:
        if isinstance(case[name], str):
            case[name] = datetime.fromisoformat(case[name])
    for name in _IDS:
        if isinstance(case[name], str):
            case[name] = UUID(case[name])
    return case


_PLACE = text(
    "with p as (select st_setsrid(st_makepoint(:lon, :lat), 4326) as g) select "
    "(select code from base.district, p where geom && g and st_covers(geom, g) limit 1), "
    "(select code from base.street, p where geom && g and st_covers(geom, g) limit 1)"
)


def place_of(conn: Connection, lon: float, lat: float) -> tuple[str | None, str | None]:
    """Return the district and street codes that the map has at a point (EPSG:4326)."""
    row = conn.execute(_PLACE, {"lon": lon, "lat": lat}).one()
    return row[0], row[1]


def locked(conn: Connection, case_id: UUID, actor: Actor) -> Case:
    """Return a case that the actor sees, held until the transaction ends."""
    row = db.direct(conn, _ONE, {"id": case_id}).fetchone()
    case = None if row is None else dict(zip(FIELDS, row, strict=True))
    if case is None or not (actor is SYSTEM or seen(actor, case)):
        raise NotFound("There is no such event, or it is outside your districts.")
    return case


def locked_many(conn: Connection, ids: Sequence[UUID]) -> list[Case]:
    """Return cases held until the transaction ends, in one order for everybody."""
    found = db.direct(conn, _MANY, {"ids": list(ids)}).fetchall()
    return [dict(zip(FIELDS, row, strict=True)) for row in found]


def seen(actor: Actor, case: Mapping[str, Any]) -> bool:
    """Tell whether the actor may see a case."""
    at = (case["lon"], case["lat"])
    return sees(actor, None, case["district"], case["street"], at, level=LEVEL)


def definition(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition that a case runs on: the version it was opened with."""
    return declarations.kept(conn, "process", case["process"], case["process_version"])


_JOURNAL = (
    "insert into twin.journal (class, action, actor, subject, kind, version, district, level, lon, "
    "lat, before, after, note) "
)
_POINT = "st_setsrid(st_makepoint({lon}, {lat}), 4326)"
_SET = ", ".join(
    [f"{name} = %({name})s" for name in CHANGED if name != "data"]
    # The data stand in the snapshot: sent once, read once.
    + ["data = said.snapshot->'data'", "point = " + _POINT.format(lon="%(lon)s", lat="%(lat)s")]
)
# A step is one statement: no crash can leave a move without its entry or an entry without its move.
_STEP = (
    "with said as (select cast(%(snapshot)s as jsonb) as snapshot), "
    f'moved as (update twin."case" set {_SET} from said where id = %(id)s and version = %(was)s '
    f"returning id) {_JOURNAL} select 'case', %(action)s, %(actor)s, moved.id, 'event', %(version)s, "
    f"%(district)s, {LEVEL}, %(lon)s, %(lat)s, cast(%(before)s as jsonb), said.snapshot, "
    "cast(%(note)s as jsonb) from moved, said"
)
_BOUND = ("id", "version", "district", "lon", "lat", *(n for n in CHANGED if n != "data"))
_RECORD = ", ".join(f"{name} {kind}" for name, kind in CHANGED.items())
# Many steps are read once: each becomes an entry, the last one of a case (`was` is where it began) moves it.
_STEPS = (
    "with e as materialized (select * from jsonb_to_recordset(cast(%(rows)s as jsonb)) as r "
    "(action text, actor text, id uuid, was int, version int, district text, lon float8, lat float8, "
    "before jsonb, after jsonb, note jsonb)), "
    f'moved as (update twin."case" c set {", ".join(f"{n} = r.{n}" for n in CHANGED)}, '
    f"point = {_POINT.format(lon='e.lon', lat='e.lat')} "
    f"from e, jsonb_to_record(e.after) as r ({_RECORD}) "
    "where c.id = e.id and c.version = e.was returning 1) "
    f"{_JOURNAL} select 'case', e.action, e.actor, e.id, 'event', e.version, e.district, {LEVEL}, "
    "e.lon, e.lat, e.before, e.after, e.note from e where (select count(*) from moved) = %(cases)s"
)
CHUNK = 500


class Writer:
    """Writes steps in chunks while the next are still being made: the database works beside us.

    The driver lets one statement at a time through, so others may use the connection meanwhile.
    """

    def __init__(self, conn: Connection) -> None:
        """Write over a connection, within its transaction."""
        self._conn = conn
        self._steps: list[Step] = []
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._send()
                self._wait()
        finally:
            self._thread.shutdown()

    def put(self, steps: Sequence[Step]) -> None:
        """Take the steps of one case; what went wrong with earlier ones is raised here or at the end."""
        self._steps += steps
        if len(self._steps) >= CHUNK:
            self._send()

    def _send(self) -> None:
        # Put together here, while the database still has the chunk before: the thread only waits.
        said = _said(self._steps) if self._steps else None
        self._steps = []
        self._wait()
        if said is not None:
            self._last = self._thread.submit(_write, self._conn, said)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None


def store(conn: Connection, steps: Sequence[Step]) -> None:
    """Write steps, those of one case in order; VersionConflict when somebody was faster."""
    if len(steps) == 1:
        _store_one(conn, steps[0])
        return
    for i in range(0, len(steps), CHUNK):
        _write(conn, _said(steps[i : i + CHUNK]))


def _store_one(conn: Connection, step: Step) -> None:
    after = step.after
    said = {name: after[name] for name in _BOUND} | {
        "was": after["version"] - 1, "action": step.action, "actor": step.actor.user,
        "before": None if step.before is None else step.before.decode(),
        "snapshot": step.shot.decode(), "note": _json(step.note),
    }  # fmt: skip
    if db.direct(conn, _STEP, said).rowcount != 1:
        raise VersionConflict()


def _said(steps: Sequence[Step]) -> dict[str, Any]:
    """Return what one statement is told of many steps."""
    entries: list[dict[str, Any]] = []
    last: dict[UUID, dict[str, Any]] = {}
    for step in steps:
        after = step.after
        entry = {
            "action": step.action, "actor": step.actor.user, "id": after["id"],
            "version": after["version"], "district": after["district"], "lon": after["lon"],
            "lat": after["lat"], "before": _raw(step.before), "after": _raw(step.shot),
            "note": _raw(_json(step.note)),
        }  # fmt: skip
        earlier = last.get(after["id"])
        entry["was"] = after["version"] - 1 if earlier is None else earlier.pop("was")
        last[after["id"]] = entry
        entries.append(entry)
    return {"rows": _json(entries), "cases": len(last), "entries": len(entries)}


def _write(conn: Connection, said: dict[str, Any]) -> None:
    """Write many steps, all or none."""
    if db.direct(conn, _STEPS, said).rowcount != said["entries"]:
        raise VersionConflict()


def _raw(said: bytes | str | None) -> orjson.Fragment | None:
    return None if said is None else orjson.Fragment(said)


_MOVE_THING = text(
    "update twin.thing set point = st_setsrid(st_makepoint(:lon, :lat), 4326), district = :district, "
    "street = :street where id = :id"
)


def move_thing(conn: Connection, case: Case) -> None:
    """Bring the registry to the place that a case was given."""
    conn.execute(_MOVE_THING, {k: case[k] for k in ("id", "lon", "lat", "district", "street")})


def _json(said: Any) -> str | None:
    if said is None:
        return None
    try:
        return orjson.dumps(said, default=str).decode()
    except TypeError:  # a number beyond 64 bits
        return json.dumps(said, ensure_ascii=False, default=str)


_INSERT = text(
    'insert into twin."case" (id, num, code, process, process_version, state, title, category, '
    "holder, parent, severity, district, street, point, source, source_id, data, version, "
    "opened_at, entered_at, due_at, warn_at, remaining_s, escalated, provisional, closed_at, "
    "paused_state, clock, clock_from, clock_s, used_s, next_at) "
    "values (:id, :num, :code, :process, :process_version, :state, :title, :category, :holder, "
    ":parent, :severity, :district, :street, st_setsrid(st_makepoint(:lon, :lat), 4326), :source, "
    ":source_id, :data, :version, :opened_at, :entered_at, :due_at, :warn_at, :remaining_s, "
    ":escalated, :provisional, :closed_at, :paused_state, :clock, :clock_from, :clock_s, :used_s, "
    ":next_at)"
).bindparams(bindparam("data", type_=JSONB))
_OPENED = text(
    f"{_JOURNAL} values ('case', :action, :actor, :id, 'event', :version, :district, {LEVEL}, "
    ":lon, :lat, null, cast(:snapshot as jsonb), cast(:note as jsonb))"
)


def insert(conn: Connection, case: Case, actor: Actor, note: Mapping[str, Any]) -> None:
    """Write a new case and its first entry."""
    conn.execute(_INSERT, case)
    said = {**case, "action": "open", "actor": actor.user, "note": _json(note)}
    conn.execute(_OPENED, said | {"snapshot": written(case).decode()})


def by_source(conn: Connection, source: str, source_id: str) -> Case | None:
    """Return the case that a source has already reported under this id."""
    row = conn.execute(
        text(f'select {COLUMNS} from twin."case" where source = :s and source_id = :i'),
        {"s": source, "i": source_id},
    ).first()
    return dict(row._mapping) if row else None


def ids_of(conn: Connection, keys: Iterable[str]) -> dict[str, UUID]:
    """Return the ids of cases named by code or id; what names none is left out."""
    asked = list(dict.fromkeys(str(k) for k in keys))
    uuids = [key for key in asked if _is_uuid(key)]
    rows = conn.execute(
        text('select id, code from twin."case" where code = any(:codes) or id = any(:ids)'),
        {"codes": asked, "ids": uuids},
    ).all()
    found = {row.code: row.id for row in rows} | {str(row.id): row.id for row in rows}
    return {key: found[key] for key in asked if key in found}


def _is_uuid(said: str) -> bool:
    try:
        UUID(said)
    except ValueError:
        return False
    return True
