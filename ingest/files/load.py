"""`twin load`: one file into one kind, all or nothing, with a reason for every row left out."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
from sqlalchemy import Connection

from gis import crs as reference
from ingest.files import columns as naming
from ingest.files import place
from ingest.files import source as reading
from ingest.files.fit import Batch, fit, taken_codes
from twin import db, journal, kinds, things
from twin.errors import BadRequest, Unavailable
from twin.kinds import Kind
from twin.settings import settings

Progress = Callable[[str, float], None]


@dataclass
class LoadResult:
    """What a load did, in rows; `quarantine_path` names the GeoPackage of rows left out."""

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
    mapping: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return the result as the command line prints it."""
        return asdict(self)


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
    actor: str = "cli",
    source: str | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Load a file; running it twice changes nothing. `mapping` is column → field."""
    start, path = time.perf_counter(), Path(path)
    say = progress or (lambda _what, _share: None)
    try:
        wanted = reference.name_of(crs)
    except ValueError as why:
        raise BadRequest(str(why)) from why
    with db.engine("app").begin() as conn:
        declared = kinds.one(conn, kind)
        say("reading", 0.05)
        read = reading.read(path, encoding=encoding, layer=layer)
        result = LoadResult(kind=kind, read=read.rows, dry_run=dry_run, notes=list(read.notes))
        named = naming.find(declared, read.columns, mapping or {}, key=key, x=x, y=y)
        result.mapping = {column: target for target, column in named.fields.items()}
        if named.unused:
            result.notes.append(f"columns not used: {', '.join(named.unused[:40])}")
        say("placing", 0.2)
        shapes, result.crs = place.shapes(conn, declared, read, named, wanted, result.notes)
        say("checking", 0.4)
        taken = taken_codes(conn, declared, read, named, source or path.stem)
        batch = fit(declared, read, named, shapes, taken)
        result.repaired, result.quarantined = batch.repaired, len(batch.refused)
        for *_, reason in batch.refused:
            short = re.sub(r"'[^']*'|[-\d.]+", "…", reason)[:80]
            result.reasons[short] = result.reasons.get(short, 0) + 1
        say("writing", 0.6)
        _store(conn, declared, batch, result, path, actor, source or path.stem)
        if dry_run:
            conn.rollback()
    say("done", 1.0)
    result.seconds = round(time.perf_counter() - start, 3)
    return result


def _store(
    conn: Connection,
    kind: Kind,
    batch: Batch,
    result: LoadResult,
    path: Path,
    actor: str,
    source: str,
) -> None:
    if batch.columns["source_key"]:
        counts = things.write(conn, kind, batch.columns, actor=actor, source=source)
        result.inserted, result.updated = counts.inserted, counts.updated
        result.unchanged = counts.unchanged
    if batch.refused and not result.dry_run:
        # Written before the commit: when the disk is full, nothing is loaded half-told.
        result.quarantine_path = str(quarantine(kind, batch.refused, path))
    if result.dry_run:
        return
    note = {k: v for k, v in result.json().items() if k not in ("seconds", "notes", "mapping")}
    journal.append(
        conn, cls="load", action="load", actor=actor, kind=kind.kind,
        note=note | {"file": path.name, "source": source},
    )  # fmt: skip


def quarantine(
    kind: Kind, refused: Sequence[tuple[int, dict[str, Any], Any, str]], path: Path
) -> Path:
    """Write the rows left out, with their reasons, to a GeoPackage and return its path."""
    folder = settings().home / "quarantine"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = folder / f"{kind.kind}-{path.stem}-{stamp}.gpkg"
    rows = [
        {"row_number": n, "reason": why, "given": json.dumps(row, ensure_ascii=False, default=str)}
        for n, row, _, why in refused
    ]
    shapes = [s if s is not None and not s.is_empty else None for _, _, s, _ in refused]
    frame = geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_file(target, driver="GPKG", layer="quarantine", engine="pyogrio")
    except (OSError, RuntimeError) as why:
        raise Unavailable(
            f"The quarantine file {target} cannot be written ({why}); nothing was loaded."
        ) from why
    return target
