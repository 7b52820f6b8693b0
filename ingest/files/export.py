"""Export: the things of a kind into a file, as a person may see them, whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy import Connection

from gis import crs as reference
from ingest.files.writers.parquet import write_parquet
from ingest.files.writers.plan import Batch, Job, Plan
from ingest.files.writers.sheets import write_csv, write_xlsx
from ingest.files.writers.texts import write_geojson, write_kml
from ingest.files.writers.vector import write_fgb, write_gpkg, write_shapefile
from twin import filters, history, journal
from twin.catalogue import fields
from twin.errors import BadRequest, Forbidden, Unavailable
from twin.kinds import Kind
from twin.scope import Actor, visible

ROWS = 10_000
GENERATED = "demo"
HEAD = ("code", "name", "district", "street", "state")
TAIL = ("source", "source_key", "version", "valid_from", "updated_at")
_HEAD_TYPES = {
    "num": "integer",
    "version": "integer",
    "valid_from": "datetime",
    "updated_at": "datetime",
}
_CITY_TIME = timezone(timedelta(hours=8))
_WRITERS: dict[str, Callable[[Job], None]] = {
    ".gpkg": write_gpkg, ".geojson": write_geojson, ".json": write_geojson, ".csv": write_csv,
    ".xlsx": write_xlsx, ".zip": write_shapefile, ".fgb": write_fgb, ".parquet": write_parquet,
    ".kml": write_kml,
}  # fmt: skip
ENDINGS = tuple(_WRITERS)
# Of CSV and Shapefile; what a cell is encoded in is the reader's need, not a matter of taste.
ENCODINGS = ("utf-8", "gbk", "gb18030")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a door has chosen itself: a statement over the columns `names`, then `geom` if any."""

    query: sa.Select[Any]
    values: Mapping[str, Any]
    names: Sequence[str]
    geometry: bool
    crs: str
    moment: datetime | None = None
    filter: str | None = None


@dataclass
class Exported:
    """What an export wrote."""

    kind: str
    written: int
    file: str
    crs: str
    source: str
    notes: list[str] = field(default_factory=list)


def stream(
    conn: Connection,
    kind: Kind,
    actor: Actor,
    file: Path,
    *,
    filter: str | None = None,
    bbox: Sequence[float] | None = None,
    moment: datetime | None = None,
    crs: str = "EPSG:4326",
    encoding: str = "utf-8",
    note: bool = True,
    said: str | None = None,
) -> Exported:
    """Write what the actor may see of a kind; the file's ending names the format.

    The export is journalled in the transaction of `conn`. `said` is the name that people know the
    file by, where it is a temporary one.
    """
    wanted = _checked(kind, actor, file, crs, encoding)
    source = history.as_of(kind, moment)
    names = [*HEAD, *fields(kind, actor), *TAIL]
    where = _where(kind, actor, source, names, filter, bbox)
    plan = _plan(
        kind, names, kind.geometry, crs=wanted, encoding=encoding, with_note=note,
        source=_source(conn, kind, actor, filter=filter, bbox=bbox, moment=moment, crs=wanted),
    )  # fmt: skip
    if plan.crs_said is None:
        plan.notes.append(
            f"the coordinates are {wanted}, which the file itself cannot say: tell who reads it"
        )
    query = sa.select(*(source.c[n] for n in names)).where(*where).order_by(source.c.num)
    if kind.geometry != "none":
        query = query.add_columns(source.c.geom)
    written = _write(conn, query, {}, plan, file)
    shown = said or file.name
    about = {k: v for k, v in (("filter", filter), ("bbox", list(bbox) if bbox else None),
             ("datetime", moment.isoformat() if moment else None)) if v}  # fmt: skip
    journal.append(
        conn, cls="security", action="export", actor=actor.user, kind=kind.kind, level=kind.level,
        note={"count": written, "file": shown, "crs": wanted, **about},
    )  # fmt: skip
    return Exported(kind.kind, written, shown, wanted, plan.line, plan.notes)


def matched(
    conn: Connection, kind: Kind, actor: Actor, file: Path, rows: Rows, *, said: Mapping[str, str]
) -> Exported:
    """Write rows that a door has chosen in scope; `said` is what was asked for, for the journal."""
    plan = _plan(
        kind, rows.names, kind.geometry if rows.geometry else "none", crs=rows.crs, with_note=False,
        source=_source(
            conn, kind, actor, filter=rows.filter, bbox=None, moment=rows.moment, crs=rows.crs
        ),
    )  # fmt: skip
    written = _write(conn, rows.query, rows.values, plan, file)
    journal.append(
        conn, cls="security", action="export", actor=actor.user, kind=kind.kind, level=kind.level,
        note={"count": written, "file": file.name, "crs": rows.crs, "asked": dict(said)},
    )  # fmt: skip
    return Exported(kind.kind, written, file.name, rows.crs, plan.line, plan.notes)


def _plan(kind: Kind, names: Sequence[str], geometry: str, **more: Any) -> Plan:
    types = {
        n: _HEAD_TYPES.get(n) or (kind.fields[n].type if n in kind.fields else "text")
        for n in names
    }
    title = f"{kind.title['zh']} {kind.title['en']}"
    return Plan(kind=kind.kind, title=title, geometry=geometry, types=types, **more)


def _write(
    conn: Connection, query: sa.Select[Any], values: Mapping[str, Any], plan: Plan, file: Path
) -> int:
    """Write the rows of a statement by the writer of the file's ending; return how many."""
    counted = [0]
    try:
        batches = _batches(conn, query, values, plan, counted)
        _WRITERS[file.suffix.lower()](Job(plan, batches, file))
    except OSError as why:
        raise Unavailable(f"{file.name} cannot be written ({why}).") from why
    return counted[0]


def _checked(kind: Kind, actor: Actor, file: Path, crs: str, encoding: str) -> str:
    """Return the canonical CRS; errors say what cannot be."""
    if file.suffix.lower() not in _WRITERS:
        raise BadRequest(
            f"{file.name}: the ending names no format; use {', '.join(ENDINGS)} (.zip is a Shapefile)."
        )
    if kind.level > actor.clearance:
        raise Forbidden(f"{actor.user} is not cleared for {kind.kind}.")
    if encoding.lower() not in ENCODINGS:
        raise BadRequest(f"{encoding} is not written; use {', '.join(ENCODINGS)}.")
    try:
        wanted = reference.name_of(crs)
    except ValueError as why:
        raise BadRequest(str(why)) from why
    if wanted == "auto":
        raise BadRequest("--crs auto fits only reading; name the CRS to write.")
    return wanted


def _where(
    kind: Kind,
    actor: Actor,
    source: Any,
    names: list[str],
    said: str | None,
    bbox: Sequence[float] | None,
) -> list[Any]:
    where: list[Any] = [visible(actor, source.c, kind)]
    if said:
        own = fields(kind, actor)
        where.append(filters.compile_filter(said, source.c, kind, names=own))
    if bbox and kind.geometry != "none":
        box = sa.func.st_makeenvelope(*bbox, 4326)
        where += [source.c.geom.op("&&")(box), sa.func.st_intersects(source.c.geom, box)]
    return where


def _source(conn: Connection, kind: Kind, actor: Actor, **said: Any) -> dict[str, str]:
    """Return the source line: product, kind, time, who, what was asked for, and whether invented."""
    made = conn.execute(
        sa.text(f"select 1 from {kind.topic}.{kind.kind} where source = :s limit 1"),
        {"s": GENERATED},
    ).first()
    bbox, moment = said["bbox"], said["moment"]
    return {
        "product": "绿容孪生 Lvrong Twin",
        "kind": f"{kind.kind} {kind.title['zh']} {kind.title['en']}",
        "exported": datetime.now(_CITY_TIME).isoformat(timespec="seconds"),
        "by": actor.user,
        "filter": said["filter"] or "",
        "bbox": ",".join(f"{v:g}" for v in bbox) if bbox else "",
        "as of": moment.isoformat() if moment else "",
        "crs": said["crs"],
        "note": "含程序生成的演示数据 contains generated demo data" if made else "",
    }


def _batches(
    conn: Connection, query: Any, values: Mapping[str, Any], plan: Plan, counted: list[int]
) -> Iterator[Batch]:
    placed = plan.geometry != "none"
    if placed:
        *columns, geom = query.selected_columns
        query = query.with_only_columns(*columns, sa.func.st_asbinary(geom).label("shape"))
    options = {"stream_results": True, "max_row_buffer": ROWS}
    found = conn.execute(query, values, execution_options=options)
    names = list(plan.types)
    for rows in found.partitions(ROWS):
        cells: dict[str, Sequence[Any]] = dict(
            zip([*names, "shape"], zip(*rows, strict=True), strict=False)
        )
        shapes = None
        if placed:
            blobs = np.array(
                [None if b is None else bytes(b) for b in cells["shape"]], dtype=object
            )
            shapes = np.asarray(shapely.from_wkb(blobs))
            if plan.crs != "EPSG:4326":
                shapes = reference.shapes_from_wgs84(shapes, plan.crs)
        cells = {n: _json(cells[n]) if plan.types[n] == "json" else cells[n] for n in names}
        counted[0] += len(rows)
        yield Batch(cells, shapes, len(rows))


def _json(cells: Sequence[Any]) -> list[Any]:
    return [None if c is None else journal.dumped(c) for c in cells]
