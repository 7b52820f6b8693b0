"""Changing a kind while the city runs: a plan that tells what would be lost, and its quick execution.

The tables change in one short transaction that waits for nobody longer than a second; past
versions are brought to the new names and types afterwards, batch by batch. Entries of the journal
stay as they were written: `pastnames.former` maps what they called things.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from twin import conversions, db, declarations, jobs, kinds, pastnames, rulebook, schema
from twin.errors import Conflict, DeclarationError, Unavailable
from twin.kinds import Field, Kind
from twin.revise import revise
from twin.tables import GEOMETRY

LOCK_TIMEOUT = "900ms"
TRIES = 30


class WouldLose(Conflict):
    """The change would lose data."""

    code = "would_lose_data"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: what is done to what, how many values it loses, how many rows it rewrites."""

    action: str
    what: str
    says: Mapping[str, str]
    loses: int = 0
    risky: bool = False
    rewrites: int = 0
    lacking: int = 0
    sql: tuple[str, ...] = ()
    before: tuple[str, str, tuple[str, ...]] | None = None

    def json(self) -> dict[str, Any]:
        """Return the step as plans show it."""
        hidden = ("sql", "before")
        return {k: v for k, v in asdict(self).items() if k not in hidden}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What changes from the running declaration to a new one."""

    old: Kind | None
    new: Kind
    steps: tuple[Step, ...]
    renames: Mapping[str, str] = field(default_factory=dict)
    casts: Mapping[str, str] = field(default_factory=dict)

    @property
    def loses(self) -> int:
        """How many values would be lost in all."""
        return sum(step.loses for step in self.steps)

    @property
    def risky(self) -> bool:
        """True when a step can lose data."""
        return any(step.risky for step in self.steps)

    def json(self) -> dict[str, Any]:
        """Return the plan as commands and the API show it."""
        return {
            "kind": self.new.kind,
            "new": self.old is None,
            "loses": self.loses,
            "needs_allow_loss": self.risky,
            "steps": [step.json() for step in self.steps],
        }


def read(source: str, name: str, running: Mapping[str, Kind]) -> Kind:
    """Read a declaration (YAML or JSON) against what runs; errors name file, line and key."""
    doc, lines = declarations.read_source(source, name)
    declarations.check("kind", doc, lines, name)
    kind = kinds.from_lines(doc, lines, name)
    for path, why in faults(kind, running):
        line = declarations.line_of(lines, path)
        raise DeclarationError(name, line, ".".join(map(str, path)), why)
    return kind


def faults(kind: Kind, running: Mapping[str, Kind]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield what is wrong with a kind among the others: the path of the key, and why."""
    for other in running.values():
        if other.code == kind.code and other.kind != kind.kind:
            yield ("code",), f"the class letters {kind.code} belong to {other.kind}; choose others"
    known = {*running, kind.kind}
    for name, of in kind.relations.items():
        for target in of:
            if target not in known:
                yield ("relations", name), f"no kind is called {target}"
    for one in kind.fields.values():
        yield from ((("fields", one.name), why) for why in _field_faults(one, kind, known))
    yield from rulebook.faults(kind)
    for i, rule in enumerate(kind.quality):
        if rule.get("of") and rule["of"] not in known:
            yield ("quality", i, "of"), f"no kind is called {rule['of']}"


def _field_faults(one: Field, kind: Kind, known: set[str]) -> Iterator[str]:
    if one.min is not None and one.max is not None and one.min > one.max:
        yield f"min {one.min:g} is above max {one.max:g}"
    if one.pattern:
        try:
            re.compile(one.pattern)
        except re.error as why:
            yield f"the pattern {one.pattern!r} is no regular expression ({why})"
    if one.name not in kind.relations:
        yield from (f"no kind is called {t}" for t in one.targets if t not in known)
    if one.renamed_from in kind.fields:
        yield f"renamed_from names {one.renamed_from}, which is a field still"
    if one.codes and one.type not in ("code", "list"):
        yield f"codes belong to a field of type code or list, not {one.type}"


def plan(conn: Connection, old: Kind | None, new: Kind) -> Plan:
    """Return what has to be done, with counts of what it would lose."""
    if old is None:
        where = f"{new.topic}.{new.kind}"
        said = {"zh": f"新建 {where}", "en": f"make {where}"}
        return Plan(old=None, new=new, steps=(Step(action="make", what=new.kind, says=said),))
    made = _Planner(conn, old, new)
    return Plan(old=old, new=new, steps=tuple(made.steps()), renames=made.renames, casts=made.casts)


class _Planner:
    def __init__(self, conn: Connection, old: Kind, new: Kind) -> None:
        self.conn, self.old, self.new = conn, old, new
        self.table = f"{new.topic}.{new.kind}"
        self.source = f"{old.topic}.{old.kind}"
        self.renames = {
            f.renamed_from: f.name
            for f in new.fields.values()
            if f.renamed_from
            and f.renamed_from in old.fields
            and f.renamed_from not in new.fields
            and f.name not in old.fields
        }
        self.casts: dict[str, str] = {}
        self.rows = self._count("true")

    def _count(self, where: str) -> int:
        asked = text(f"select count(*) from {self.source} where {where}")
        return int(self.conn.execute(asked).scalar_one())

    def steps(self) -> Iterator[Step]:
        """Yield the steps in the order in which they run."""
        yield from self._place()
        for former, name in self.renames.items():
            yield Step(
                action="rename", what=name,
                says={"zh": f"{former} 改名为 {name}", "en": f"rename {former} to {name}"},
                sql=(f'alter table {self.table} rename column "{former}" to "{name}"',),
            )  # fmt: skip
        back = {name: former for former, name in self.renames.items()}
        for one in self.new.fields.values():
            before = self.old.fields.get(back.get(one.name, one.name))
            if before is None:
                yield self._add(one)
            else:
                yield from self._change(before, one)
        for gone in self.old.fields:
            if gone not in self.new.fields and gone not in self.renames:
                yield self._remove(gone)
        if (self.old.level, self.old.scope) != (self.new.level, self.new.scope):
            yield Step(
                action="scope", what=self.new.kind, rewrites=self.rows,
                says={"zh": "密级或范围改变，登记随之更新", "en": "level or scope changes; the registry follows"},
                sql=(f"update twin.thing set level = {self.new.level}, open = {str(self.new.open).lower()} "
                     f"where kind = '{self.new.kind}'",),
            )  # fmt: skip

    def _place(self) -> Iterator[Step]:
        if self.old.topic != self.new.topic:
            yield Step(
                action="move", what=self.new.topic, risky=True, rewrites=0,
                says={"zh": f"移到专题 {self.new.topic}（旧路径不再可用）",
                      "en": f"move to topic {self.new.topic} (the old table name ends)"},
                sql=(f"alter table {self.source} set schema {self.new.topic}",
                     f"insert into {self.new.topic}.history select * from {self.old.topic}.history "
                     f"where kind = '{self.new.kind}'",
                     f"delete from {self.old.topic}.history where kind = '{self.new.kind}'"),
            )  # fmt: skip
        if self.old.geometry != self.new.geometry:
            yield self._reshape()

    def _reshape(self) -> Step:
        a, b = self.old.geometry, self.new.geometry
        lost = 0 if a == "none" else self._count("geom is not null")
        if a == "none":
            sql = f"alter table {self.table} add column geom geometry({GEOMETRY[b]}, 4326)"
        elif b == "none":
            sql = f"alter table {self.table} drop column geom"
        else:
            kept = "st_pointonsurface(geom)" if b == "point" else "null"
            sql = (
                f"alter table {self.table} alter column geom type geometry({GEOMETRY[b]}, 4326) "
                f"using {kept}::geometry({GEOMETRY[b]}, 4326)"
            )
        index = f"create index if not exists {self.new.kind}_geom on {self.table} using gist (geom)"
        return Step(
            action="reshape", what="geom", loses=lost, risky=a != "none", rewrites=self.rows,
            says={"zh": f"图形由 {a} 改为 {b}", "en": f"shape changes from {a} to {b}"},
            sql=(sql, *((index,) if b != "none" else ())),
        )  # fmt: skip

    def _add(self, one: Field) -> Step:
        return Step(
            action="add", what=one.name, lacking=self.rows if one.required else 0,
            says={"zh": f"新增字段 {one.name}", "en": f"add {one.name}"},
            sql=(f'alter table {self.table} add column "{one.name}" {conversions.sql_type(one)}',),
        )  # fmt: skip

    def _remove(self, name: str) -> Step:
        return Step(
            action="remove", what=name, risky=True, loses=self._count(f'"{name}" is not null'),
            says={"zh": f"删除字段 {name}", "en": f"remove {name}"},
            sql=(f'alter table {self.table} drop column "{name}"',),
        )  # fmt: skip

    def _change(self, old: Field, new: Field) -> Iterator[Step]:
        found = conversions.between(old, new)
        if found is not None:
            loses = self._count(conversions.lossy(old, new, f'"{old.name}"'))
            past = conversions.of_history(old, new, new.name)
            if past:
                self.casts[new.name] = past
            using = conversions.using(old, new, f'"{new.name}"')
            yield Step(
                action="widen" if found.exact else "narrow", what=new.name, loses=loses,
                risky=not found.exact, rewrites=self.rows,
                says={"zh": f"{new.name} 由 {old.type} 改为 {new.type}，重写 {self.rows} 行",
                      "en": f"{new.name} from {old.type} to {new.type}: {self.rows} rows are rewritten"},
                sql=(f'alter table {self.table} alter column "{new.name}" '
                     f"type {conversions.sql_type(new)} using {using}",),
            )  # fmt: skip
        else:
            yield from self._codes(old, new)
        if new.required and not old.required:
            lacking = self._count(f'"{old.name}" is null')
            yield Step(
                action="require", what=new.name, lacking=lacking,
                says={"zh": f"{new.name} 改为必填", "en": f"{new.name} becomes required"},
            )  # fmt: skip

    def _codes(self, old: Field, new: Field) -> Iterator[Step]:
        grown = [c for c in new.codes or () if c not in (old.codes or ())]
        if grown and old.codes:
            listed = ", ".join(grown)
            yield Step(action="codes", what=new.name,
                       says={"zh": f"{new.name} 增加代码 {listed}", "en": f"{new.name} gains {listed}"})  # fmt: skip
        gone = tuple(c for c in old.codes or () if new.codes and c not in new.codes)
        if not gone:
            return
        column, many = f'"{old.name}"', new.type == "list"
        test = f"{column} && cast(:gone as text[])" if many else f"{column} = any(:gone)"
        asked = text(f"select count(*) from {self.source} where {test}")
        loses = int(self.conn.execute(asked, {"gone": list(gone)}).scalar_one())
        listed = ", ".join(gone)
        yield Step(
            action="uncode", what=new.name, risky=True, loses=loses,
            says={"zh": f"{new.name} 去掉代码 {listed}，其值清空",
                  "en": f"{new.name} loses {listed}; their values are emptied"},
            before=(old.name, "list" if many else "code", gone),
        )  # fmt: skip


TASK = "kind.change"


@jobs.task(TASK)
def change(job: jobs.Job) -> dict[str, Any]:
    """Carry out a change that was asked for through the API, which has no right to alter tables."""
    with db.engine("owner").connect() as conn:
        running = kinds.catalogue(conn)
    new = read(job.args["declaration"], "declaration", running)
    done = apply(new, actor=job.actor, allow_loss=bool(job.args.get("allow_loss")))
    return done.json()


def apply(new: Kind, *, actor: str, allow_loss: bool = False, origin: str = "local") -> Plan:
    """Change the running kind, or make it; the plan that was carried out.

    Works as the owner of the tables in one transaction that gives way to who writes: a lock that
    is not there within a second is tried again.
    """
    for attempt in range(TRIES):
        try:
            with db.engine("owner").begin() as conn:
                conn.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
                return carry_out(conn, new, actor, allow_loss=allow_loss, origin=origin)
        except OperationalError as why:
            if "lock timeout" not in str(why) and "deadlock" not in str(why):
                raise
            time.sleep(min(0.1 * (attempt + 1), 1.0))
    raise Unavailable(f"Somebody keeps writing to {new.kind}; try again when the load has ended.")


def _running(conn: Connection, name: str) -> Kind | None:
    doc = conn.execute(
        text(
            "select doc, version from twin.declaration where kind_of = 'kind' and key = :k "
            "order by version desc limit 1"
        ),
        {"k": name},
    ).first()
    return kinds.from_doc(doc.doc | {"_version": doc.version}) if doc else None


def carry_out(conn: Connection, new: Kind, actor: str, *, allow_loss: bool, origin: str) -> Plan:
    """Change or make a kind in the caller's transaction, which is the owner's."""
    conn.execute(text("select pg_advisory_xact_lock(7003)"))
    old = _running(conn, new.kind)
    made = plan(conn, old, new)
    if made.risky and not allow_loss:
        listed = "; ".join(s.says["en"] for s in made.steps if s.risky)
        raise WouldLose(
            f"This would lose {made.loses} values of {new.kind}: {listed}. Say --allow-loss to do it.",
            plan=made.json(),
        )
    if old is None:
        schema.ensure_table(conn, new)
    else:
        _before(conn, made, actor)
        for step in made.steps:
            for sql in step.sql:
                conn.execute(text(sql.replace(":", "\\:")))
        pastnames.remember(conn, new, made.renames, made.casts)
        _retyped(conn, made)
    declarations.publish(conn, "kind", new.kind, dict(new.doc), origin=origin, actor=actor)
    return made


def _retyped(conn: Connection, made: Plan) -> None:
    """Remember whose values are written differently now: digests of older loads cannot hold."""
    names = [s.what for s in made.steps if s.action in ("widen", "narrow", "reshape")]
    conn.execute(
        text(
            "insert into twin.retyped (kind, field) select :k, unnest(cast(:f as text[])) "
            "on conflict (kind, field) do update set at = now()"
        ),
        {"k": made.new.kind, "f": names},
    )


def _before(conn: Connection, made: Plan, actor: str) -> None:
    """Empty values whose code goes, as changes of their things: versions and journal entries."""
    assert made.old is not None
    for step in made.steps:
        if step.before is None:
            continue
        name, how, gone = step.before
        kept = (
            f'array(select x from unnest("{name}") x where x <> all(:gone))'
            if how == "list"
            else "null"
        )
        test = f'"{name}" && cast(:gone as text[])' if how == "list" else f'"{name}" = any(:gone)'
        where = f"{made.old.topic}.{made.old.kind}"
        rows = conn.execute(
            text(f"select id, {kept} as kept from {where} where {test} order by num"),
            {"gone": list(gone)},
        ).all()
        values = {name: [r.kept for r in rows]}
        revise(conn, made.old, [r.id for r in rows], values, actor=actor, note={"uncode": name})
