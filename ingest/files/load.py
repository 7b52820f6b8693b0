"""`twin load`: one file into one kind, all or nothing, with a reason for every row left out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import crs as reference
from ingest.files import columns as naming
from ingest.files import identity, place, refs, remembered
from ingest.files import source as reading
from ingest.files.fit import Batch, Sorter
from ingest.files.quarantine import Quarantine
from twin import bulk, db, door, kinds
from twin.errors import BadRequest
from twin.kinds import Kind
from twin.rulebook import rules

Progress = Callable[[str, float], None]
_SHOWN = 200
_SHOWN_REFUSED = 2_000


@dataclass
class LoadResult:
    """What a load did, in rows; `quarantine_path` names the GeoPackage of rows left out.

    `loads` are the ids in twin.load (one for each source whose things the file names). With
    `preview`, `diff` holds changed rows before and after, `refused` and `mended` rows with reasons
    and places (EPSG:4326 GeoJSON), at most 200 and 2,000.
    """

    kind: str = ""
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    repaired: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    crs: str = ""
    dry_run: bool = False
    quarantine_path: str | None = None
    loads: list[int] = field(default_factory=list)
    mapping: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    diff: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    mended: list[dict[str, Any]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Return the result as the command line prints it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the caller said about a file."""

    path: Path
    crs: str
    actor: str
    source: str
    file: str
    dry_run: bool
    preview: bool
    say: Progress


def load(
    path: Path | str,
    kind: str,
    *,
    crs: str = "auto",
    encoding: str = "auto",
    mapping: Mapping[str, str] | None = None,
    key: str | None = None,
    x: str | None = None,
    y: str | None = None,
    layer: str | None = None,
    dry_run: bool = False,
    preview: bool = False,
    actor: str = "cli",
    source: str | None = None,
    file: str | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Load a file; running it twice changes nothing. `mapping` is column → field.

    Rows are read, fitted and written batch by batch in one transaction: memory stays bounded and a
    load that is killed leaves nothing. `preview` is a dry run that also tells what would change.
    """
    start, path = time.perf_counter(), Path(path)
    try:
        wanted = reference.name_of(crs)
    except ValueError as why:
        raise BadRequest(str(why)) from why
    asked = Asked(
        path=path, crs=wanted, actor=actor, source=source or path.stem, file=file or path.name,
        dry_run=dry_run or preview, preview=preview, say=progress or (lambda _what, _share: None),
    )  # fmt: skip
    with db.engine("app").begin() as conn:
        declared = kinds.one(conn, kind)
        asked.say("reading", 0.02)
        opened = reading.open_source(path, encoding=encoding, layer=layer, prefer=declared.geometry)
        if mapping is None:
            # What a person confirmed for this source stands until somebody says otherwise.
            mapping, kept = remembered.recall(conn, asked.source, kind, opened.columns)
            key, x, y = key or kept.get("key"), x or kept.get("x"), y or kept.get("y")
        named = naming.find(declared, opened.columns, mapping, key=key, x=x, y=y)
        run = _Run(conn, declared, asked, named)
        run.through(opened)
        if asked.dry_run:
            conn.rollback()
    if not asked.dry_run:
        _settle(declared, run.result)
    asked.say("done", 1.0)
    run.result.seconds = round(time.perf_counter() - start, 3)
    return run.result


class _Run:
    """One load on its way: its counters, its bulk loads by source, its quarantine."""

    def __init__(self, conn: Connection, kind: Kind, asked: Asked, named: naming.Mapping_) -> None:
        self.conn, self.kind, self.asked, self.named = conn, kind, asked, named
        self.result = LoadResult(kind=kind.kind, dry_run=asked.dry_run)
        self.result.mapping = {column: target for target, column in named.fields.items()}
        self.sorter = Sorter(kind, named)
        self.quarantine = Quarantine(kind.kind, asked.path.stem)
        self.crs = asked.crs
        self.open_refs: dict[str, int] = {}
        self.warned: dict[str, int] = {}
        self._loads: dict[str, bulk.Load] = {}
        self._stack = ExitStack()

    def through(self, opened: reading.Opened) -> None:
        """Take every batch; all or nothing."""
        if self.named.unused:
            listed = ", ".join(self.named.unused[:40])
            self.result.notes.append(f"columns not used: {listed}")
        try:
            with self._stack:
                for batch, last in _with_last(opened.batches()):
                    self._take(batch)
                    share = 1.0 if last else self._share(opened)
                    self.asked.say("loading", 0.02 + 0.93 * share)
        except BaseException:
            self.quarantine.drop()
            raise
        self._sum_up(opened)

    def _share(self, opened: reading.Opened) -> float:
        return min(1.0, self.result.read / opened.total) if opened.total else 0.5

    def _take(self, read: reading.Source) -> None:
        self.result.read += read.rows
        shapes, self.crs = place.shapes(
            self.conn, self.kind, read, self.named, self.crs, self.result.notes
        )
        taken = identity.taken_codes(self.conn, self.kind, read, self.named, self.asked.source)
        batch = self.sorter.take(read, shapes, taken)
        for name, left in refs.resolve(
            self.conn, self.kind, batch.columns, self.asked.source
        ).items():
            self.open_refs[name] = self.open_refs.get(name, 0) + left
        self._draw(batch)
        self._judge(batch)
        self._leave_out(batch)
        known = identity.by_code(self.conn, self.kind, self.named, batch.columns["source_key"])
        for source, (columns, rows) in identity.split(
            batch.columns, known, self.asked.source
        ).items():
            if rows:
                chosen = batch.shapes[rows] if batch.shapes is not None else None
                self._into(source).add(columns, chosen)

    def _draw(self, batch: Batch) -> None:
        """Draw flows between their things; what cannot be drawn is left out with the reason."""
        if batch.shapes is None or not self.kind.flow:
            return
        left = refs.draw_flows(self.conn, self.kind, batch.columns, batch.shapes)
        flow = self.kind.flow
        why = f"no line is given, and {flow['from']} and {flow['to']} name no two places"
        batch.leave_out(dict.fromkeys(left, why))

    def _judge(self, batch: Batch) -> None:
        """Hold the batch against the quality rules of its kind: errors stay outside, the rest is told."""
        errors: dict[int, str] = {}
        for row, rule, reason, severity in door.at_door(self.kind, batch.columns, batch.shapes):
            if severity == "error":
                errors.setdefault(row, reason)
            else:
                self.warned[rule] = self.warned.get(rule, 0) + 1
        batch.leave_out(errors)

    def _leave_out(self, batch: Batch) -> None:
        result = self.result
        result.repaired += len(batch.repaired)
        result.quarantined += len(batch.refused)
        for *_, reason in batch.refused:
            short = re.sub(r"'[^']*'|[-\d.]+", "…", reason)[:80]
            result.reasons[short] = result.reasons.get(short, 0) + 1
        if self.asked.preview:
            room = _SHOWN_REFUSED - len(result.refused)
            result.refused += [_shown(n, why, row, s) for n, row, s, why in batch.refused[:room]]
            room = _SHOWN_REFUSED - len(result.mended)
            result.mended += [_shown(n, why, None, None) for n, why in batch.repaired[:room]]
        if not self.asked.dry_run:
            self.quarantine.add(batch.refused)

    def _into(self, source: str) -> bulk.Load:
        if source not in self._loads:
            self._loads[source] = self._stack.enter_context(
                bulk.Load(
                    self.conn,
                    self.kind,
                    actor=self.asked.actor,
                    source=source,
                    file=self.asked.file,
                    dry=self.asked.dry_run,
                )  # fmt: skip
            )
        return self._loads[source]

    def _sum_up(self, opened: reading.Opened) -> None:
        result = self.result
        result.notes = list(dict.fromkeys([*opened.notes, *result.notes]))
        for name, left in self.open_refs.items():
            result.notes.append(
                f"{left} values of {name} name no thing that is known; kept as given"
            )
        for rule in rules(self.kind):
            if rule.id in self.warned:
                said = f"{self.warned[rule.id]} rows break {rule.id} ({rule.title['zh']}); loaded"
                result.notes.append(said)
        result.crs = self.crs if self.kind.geometry != "none" else ""
        for one in self._loads.values():
            result.inserted += one.counts.inserted
            result.updated += one.counts.updated
            result.unchanged += one.counts.unchanged
            result.loads.append(one.load)
        if result.loads:
            # What was left out belongs to the story of the load: lineage shows it.
            self.conn.execute(
                text(
                    "update twin.load set counts = counts || jsonb_build_object("
                    "'read', cast(:r as bigint), 'quarantined', cast(:q as bigint)) where id = :id"
                ),
                {"r": result.read, "q": result.quarantined, "id": result.loads[0]},
            )
        if self.quarantine.path:
            result.quarantine_path = str(self.quarantine.path)
        if self.asked.preview:
            result.diff = [row for one in result.loads for row in _changes(self.conn, one)][:_SHOWN]
        if self.asked.dry_run:
            result.loads = []


def _with_last(batches: Iterator[reading.Source]) -> Iterator[tuple[reading.Source, bool]]:
    """Yield each batch, and whether it is the last."""
    waiting: reading.Source | None = None
    for batch in batches:
        if waiting is not None:
            yield waiting, False
        waiting = batch
    if waiting is not None:
        yield waiting, True


def _shown(number: int, why: str, row: dict[str, Any] | None, shape: Any) -> dict[str, Any]:
    there = shape is not None and not shape.is_empty
    finite = there and bool(np.isfinite(shapely.get_coordinates(shape)).all())
    return {
        "row": number,
        "reason": why,
        "given": {k: v if v is None else str(v)[:200] for k, v in (row or {}).items()},
        "geometry": shapely.geometry.mapping(shape) if finite else None,
    }


def _changes(conn: Connection, load: int) -> list[dict[str, Any]]:
    """Return what a load changes in things that stood: code, and field → before and after."""
    rows = conn.execute(
        text(
            "select before, after from twin.journal where class = 'thing' and action = 'update' "
            "and (note->>'load')::bigint = :l order by id limit :n"
        ),
        {"l": load, "n": _SHOWN},
    )
    own = ("version", "updated_at", "valid_from")
    return [
        {
            "code": r.after["code"],
            "name": r.after["name"],
            "changes": {
                k: [r.before.get(k), v]
                for k, v in r.after.items()
                if k not in own and r.before.get(k) != v
            },
        }
        for r in rows
    ]


def _settle(kind: Kind, result: LoadResult) -> None:
    """Tell the planner about many new rows at once; autovacuum comes too late for the next map."""
    if result.inserted + result.updated < 10_000:
        return
    with db.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"analyze {kind.topic}.{kind.kind}"))
        conn.execute(text("analyze twin.thing"))
