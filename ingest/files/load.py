"""`twin load`: one file into one kind, all or nothing, with a reason for every row left out."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import crs as reference
from gis import geometry
from ingest.files import columns as naming
from ingest.files import source as reading
from ingest.files import values
from twin import db, journal, kinds, things
from twin.errors import BadRequest, Unavailable, Unreadable
from twin.kinds import Kind
from twin.settings import settings

Progress = Callable[[str, float], None]
_DEGREES = 360.0


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


@dataclass
class Batch:
    """Rows that fit, column-wise, and rows that do not, with reasons."""

    columns: dict[str, list[Any]]
    refused: list[tuple[int, dict[str, Any], Any, str]]
    repaired: int = 0


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
        shapes = _shapes(declared, read, named, wanted, result)
        say("checking", 0.4)
        taken = _taken(conn, declared, read, named, source or path.stem)
        batch = fit(declared, read, named, shapes, taken)
        result.repaired, result.quarantined = batch.repaired, len(batch.refused)
        for _, _, _, reason in batch.refused:
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


def _shapes(
    kind: Kind,
    read: reading.Source,
    named: naming.Mapping_,
    wanted: str,
    result: LoadResult,
) -> np.ndarray | None:
    """Return the shapes in EPSG:4326, None where a row has none."""
    if kind.geometry == "none":
        return None
    shapes = read.shapes
    if shapes is None:
        shapes = _from_columns(read, named)
    used = wanted if wanted != "auto" else _found_crs(read, shapes, result)
    result.crs = used
    try:
        # GDAL strings for systems without an EPSG number are taken as they are.
        return _moved(shapes, used.removeprefix("wkt:"))
    except ValueError as why:
        raise Unreadable(str(why)) from why


def _moved(shapes: np.ndarray, crs: str) -> np.ndarray:
    moved = shapes.copy()
    there = np.array([s is not None and not s.is_empty for s in shapes], dtype=bool)
    if there.any():
        moved[there] = reference.shapes_to_wgs84(shapes[there], crs)
    return moved


def _from_columns(read: reading.Source, named: naming.Mapping_) -> np.ndarray:
    """Return points of the x and y columns, or the shapes of a WKT column."""
    if named.x and named.y:
        xs = [_float(v) for v in read.columns[named.x]]
        ys = [_float(v) for v in read.columns[named.y]]
        made = np.empty(len(xs), dtype=object)
        good = [
            i
            for i, (a, b) in enumerate(zip(xs, ys, strict=True))
            if a is not None and b is not None
        ]
        if good:
            pairs = [(xs[i], ys[i]) for i in good]
            made[good] = shapely.points(np.array(pairs, dtype=float))
        return made
    if named.wkt:
        said = [str(v or "") for v in read.columns[named.wkt]]
        # A NaN among the numbers is refused later, with its row and reason.
        with np.errstate(invalid="ignore"):
            return np.asarray(shapely.from_wkt(said, on_invalid="ignore"))
    listed = ", ".join(list(read.columns)[:20])
    raise Unreadable(f"No coordinates were found in the columns {listed}; give --x COL --y COL.")


def _float(cell: Any) -> float | None:
    try:
        return float(str(cell).strip())
    except ValueError:
        return None


def _found_crs(read: reading.Source, shapes: np.ndarray, result: LoadResult) -> str:
    """Return the CRS of a file that the user has not named, and note how it was found."""
    if read.crs not in (None, "EPSG:4326", "EPSG:4490"):
        return str(read.crs)
    if {"adcode", "acroutes"} <= set(read.columns):
        result.notes.append("columns adcode and acroutes: a DataV file, taken as GCJ-02")
        return "gcj02"
    there = [s for s in shapes if s is not None and not s.is_empty]
    bounds = shapely.total_bounds(np.array(there, dtype=object)) if there else np.zeros(4)
    if np.isfinite(bounds).all() and np.abs(bounds).max() > _DEGREES:
        raise Unreadable("The coordinates are no degrees and the file names no CRS; give --crs.")
    if read.crs is None:
        result.notes.append("no CRS named: taken as WGS-84; for a Chinese web map give --crs gcj02")
    return "EPSG:4326"


def _taken(
    conn: Connection, kind: Kind, read: reading.Source, named: naming.Mapping_, source: str
) -> dict[str, str | None]:
    """Return the official codes of the file that stand already, with this source's key of each."""
    column = named.fields.get("code")
    if kind.kind not in naming.CODED or column is None:
        return {}
    codes = [str(c) for c in read.columns[column] if c is not None]
    rows = conn.execute(
        text(
            f"select g.code, case when t.source = :s then t.source_key end as key from twin.thing g "
            f"left join {kind.topic}.{kind.kind} t on t.id = g.id where g.code = any(:codes)"
        ),
        {"s": source, "codes": codes},
    )
    return {r.code: r.key for r in rows}


def fit(
    kind: Kind,
    read: reading.Source,
    named: naming.Mapping_,
    shapes: np.ndarray | None,
    taken: Mapping[str, str | None],
) -> Batch:
    """Sort rows into those that fit the kind and those that do not.

    `taken` holds official codes that stand already: each may only come again under its own key.
    """
    sorter = Sorter(kind, named, taken, with_shapes=shapes is not None)
    sorter.batch.refused += [(n, row, None, why) for n, row, why in read.refused]
    names = list(read.columns)
    count = len(read.columns[names[0]]) if names else len(shapes) if shapes is not None else 0
    for i in range(count):
        row = {name: read.columns[name][i] for name in names}
        shape = shapes[i] if shapes is not None else None
        try:
            sorter.take(row, shape)
        except values.Unfit as why:
            sorter.batch.refused.append((i + 1, row, shape, str(why)))
    return sorter.batch


class Sorter:
    """Takes rows one by one into a batch; values.Unfit carries the reason of a refusal."""

    def __init__(
        self,
        kind: Kind,
        named: naming.Mapping_,
        taken: Mapping[str, str | None],
        *,
        with_shapes: bool,
    ) -> None:
        self.kind, self.named, self.taken = kind, named, taken
        self.fields = {t: c for t, c in named.fields.items() if t in kind.fields}
        coded = ("code",) if kind.kind in naming.CODED else ()
        self.head = [t for t in ("name", "state", *coded) if t in named.fields]
        shape = ("geom",) if with_shapes else ()
        self.batch = Batch({n: [] for n in ("source_key", *self.head, *self.fields, *shape)}, [])
        lacking = (f.name for f in kind.fields.values() if f.required and f.name not in self.fields)
        self.lacks = next(lacking, None)
        self.seen: set[str] = set()

    def take(self, row: dict[str, Any], shape: Any) -> None:
        """Add a row to the batch, whole or not at all."""
        if self.lacks:
            raise values.Unfit(f"{self.lacks} is required and the file has no column for it")
        fields = self.kind.fields
        typed = {t: values.parse(row[c], fields[t]) for t, c in self.fields.items()}
        made = None
        if "geom" in self.batch.columns:
            made = geometry.mend(shape, self.kind.geometry)
            if made.shape is None:
                raise values.Unfit(made.reason or "no geometry")
        key = self._key(row, made.shape if made else None)
        head = {t: row.get(self.named.fields[t]) for t in self.head}
        texts = {t: str(cell) if cell is not None else None for t, cell in head.items()}
        self._check_code(texts.get("code"), key)
        self.seen.add(key)
        for target, value in {"source_key": key, **texts, **typed}.items():
            self.batch.columns[target].append(value)
        if made is not None:
            self.batch.repaired += made.repair is not None
            flat = shapely.set_srid(made.shape, 4326)
            self.batch.columns["geom"].append(shapely.to_wkb(flat, hex=True, include_srid=True))

    def _key(self, row: Mapping[str, Any], shape: Any) -> str:
        if self.named.key is None:
            key, what = _digest(row, shape), "the same row"
        else:
            said = row.get(self.named.key)
            if said is None:
                raise values.Unfit(f"the key {self.named.key} is empty")
            key, what = str(said), f"the key {str(said)!r}"
        if key in self.seen:
            raise values.Unfit(f"{what} stands here twice")
        return key

    def _check_code(self, code: str | None, key: str) -> None:
        if code is not None and code in self.taken and self.taken[code] != key:
            raise values.Unfit(f"the code {code!r} belongs to another {self.kind.kind}")


def _digest(row: Mapping[str, Any], shape: Any) -> str:
    said = json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)
    where = shapely.to_wkb(shape).hex() if shape is not None else ""
    return hashlib.blake2s(f"{said}{where}".encode(), digest_size=12).hexdigest()


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
