"""Use cases of loads: what a file is, what it would do, doing it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ingest.files import columns as naming
from ingest.files import corrections, remembered, suggest, uploads
from ingest.files.formats.opened import Opened, Source
from ingest.files.source import open_source
from ingest.files.uploads import Upload
from layers.databases import databases
from services.loads import repository
from services.loads.schemas import Check, Layer, Suggest
from twin import catalogue, db, jobs
from twin.errors import Forbidden
from twin.kinds import Kind
from twin.scope import Actor

SAMPLE, SHOWN = 2000, 8
# Files up to here are checked while the caller waits, larger ones by a job.
AT_ONCE_BYTES, AT_ONCE_ROWS = 16 * 1024**2, 30_000
_HEADER = frozenset(("name", "code", "state", "geom", "district", "street"))


def allowed(person: Actor) -> Actor:
    """Return the person if they may load data; a load is not held to single districts."""
    person.need("data.write")
    if person.districts is not None:
        raise Forbidden("Loading is for accounts of the whole city; ask the data centre.")
    return person


def kinds(person: Actor) -> dict[str, Any]:
    """Return the kinds that a person may load, and the topic databases."""
    with db.engine("app").connect() as conn:
        found = catalogue.readable(conn, person)
    return {
        "kinds": [
            {"kind": k.kind, "title": k.title, "topic": k.topic, "geometry": k.geometry,
             "databases": k.databases, "icon": k.symbol.get("icon")}
            for k in found.values()
        ],
        "databases": {key: {"title": d.title, "topic": d.topic} for key, d in databases().items()},
    }  # fmt: skip


def first_rows(path: Path, said: Layer, prefer: str | None = None) -> tuple[Opened, Source]:
    """Return a file and its first rows."""
    opened = open_source(path, encoding=said.encoding, layer=said.layer, prefer=prefer)
    batch = next(opened.batches(SAMPLE), None)
    return opened, batch or Source({c: [] for c in opened.columns})


def describe(person: Actor, upload: Upload, said: Layer) -> dict[str, Any]:
    """Return what a file is: format, layers, columns, first rows, and kinds that fit its columns."""
    opened, rows = first_rows(uploads.whole(upload), said)
    with db.engine("app").connect() as conn:
        kinds = catalogue.readable(conn, person)
        known = remembered.kinds_of(conn, Path(upload.name).stem)
    geometry = _geometry(rows)
    return {
        "upload": upload.id, "file": upload.name, "bytes": upload.bytes, "format": opened.format,
        "encoding": opened.encoding, "layers": opened.layers, "layer": opened.layer,
        "crs": opened.crs if opened.crs is None or opened.crs.startswith("EPSG") else "WKT",
        "total": opened.total, "notes": opened.notes, "geometry": geometry,
        "columns": opened.columns, "sample": _shown(rows),
        "kinds": _fitting(kinds, opened.columns, geometry, known),
    }  # fmt: skip


def _geometry(rows: Source) -> str | None:
    """Return the family of the first shape: point, line or polygon."""
    for shape in rows.shapes if rows.shapes is not None else ():
        if shape is not None:
            return {0: "point", 1: "line", 2: "polygon"}.get(_dimension(shape))
    return None


def _dimension(shape: Any) -> int:
    name = shape.geom_type
    return 0 if name.endswith("Point") else 1 if "Line" in name else 2


def _shown(rows: Source) -> list[dict[str, Any]]:
    names = list(rows.columns)
    cells = zip(*(rows.columns[n][:SHOWN] for n in names), strict=True)
    return [
        {n: None if v is None else str(v)[:120] for n, v in zip(names, row, strict=True)}
        for row in cells
    ]


def _fitting(
    kinds: dict[str, Kind], columns: list[str], geometry: str | None, known: list[str]
) -> list[dict[str, Any]]:
    """Return the kinds that the source went into before, then those that its columns name best."""
    found = []
    for kind in kinds.values():
        if geometry and kind.geometry not in (geometry, "none"):
            continue
        named = naming.find(kind, columns, {}, key=None, x=None, y=None)
        hits = len([t for t in named.fields if t not in ("code", "state")])
        if kind.kind in known:
            hits += 1000 - known.index(kind.kind)
        if hits:
            share = hits / max(len(columns), 1)
            found.append(
                {"kind": kind.kind, "title": kind.title, "hits": hits, "share": round(share, 2)}
            )
    return sorted(found, key=lambda f: int(str(f["hits"])), reverse=True)[:5]


def suggestions(person: Actor, upload: Upload, said: Suggest) -> dict[str, Any]:
    """Return which column is which field of a kind: remembered, named, or told by the cells."""
    source = said.source or Path(upload.name).stem
    with db.engine("app").connect() as conn:
        kind = catalogue.one(conn, person, said.kind)
        opened, rows = first_rows(uploads.whole(upload), said, kind.geometry)
        known, options = remembered.recall(conn, source, kind.kind, opened.columns)
    made = suggest.suggest(kind, rows.columns, known)
    answer = made.json() | {
        "shapes": rows.shapes is not None, "crs": opened.crs or "auto", "fields": targets(kind, person),
        "remembered": bool(known), "geometry": kind.geometry, "layer": opened.layer,
    }  # fmt: skip
    for name in ("key", "x", "y", "crs"):
        if options.get(name):
            answer[name] = options[name]
    return answer | {"source": made.source or source}


def targets(kind: Kind, person: Actor) -> list[dict[str, Any]]:
    """Return what a column may become, in the order of the declaration."""
    head: list[dict[str, Any]] = [
        {"name": "name", "title": {"zh": "名称", "en": "Name"}, "type": "text"},
        {"name": "code", "title": {"zh": "编码", "en": "Code"}, "type": "text"},
        {"name": "state", "title": naming.STATE, "type": "text"},
    ]
    own = [
        {"name": f.name, "title": f.title, "type": "ref" if f.is_ref else f.type, "unit": f.unit,
         "required": f.required, "codes": f.codes, "note": f.note, "min": f.min, "max": f.max}
        for f in kind.fields.values() if f.level <= person.clearance
    ]  # fmt: skip
    return head + own


def check(person: Actor, upload: Upload, said: Check) -> dict[str, Any]:
    """Return what a load would do, or the job that finds it out for a large file."""
    with db.engine("app").connect() as conn:
        kind = catalogue.one(conn, person, said.kind)
    path = uploads.whole(upload)
    if upload.bytes <= AT_ONCE_BYTES:
        opened = open_source(path, encoding=said.encoding, layer=said.layer)
        if opened.total is not None and opened.total <= AT_ONCE_ROWS:
            done = uploads.run(upload, said.kind, said.options(), preview=True)
            return {"result": seen(done.json(), kind, person)}
    return {"job": _enqueue(person, upload, said, preview=True)}


def commit(person: Actor, upload: Upload, said: Check) -> dict[str, Any]:
    """Ask for the load and remember its mapping; the same words twice are one job."""
    with db.engine("app").begin() as conn:
        catalogue.one(conn, person, said.kind)
        source = said.source or Path(upload.name).stem
        options = {
            "key": said.key,
            "x": said.x,
            "y": said.y,
            "crs": said.crs if said.crs != "auto" else None,
        }
        remembered.keep(conn, source, said.kind, said.mapping, options, person.user)
    return {"job": _enqueue(person, upload, said, preview=False)}


def _enqueue(person: Actor, upload: Upload, said: Check, *, preview: bool) -> int:
    path = uploads.whole(upload)
    from_hand = corrections.beside(path)
    corrected = from_hand.read_bytes() if from_hand.is_file() else b""
    words = json.dumps([upload.id, preview, said.model_dump()], sort_keys=True).encode()
    key = f"load:{hashlib.blake2s(words + corrected, digest_size=16).hexdigest()}"
    args = {"upload": upload.id, "kind": said.kind, "options": said.options(), "preview": preview}
    with db.engine("app").begin() as conn:
        # A check is asked for anew each time: what stands may have changed.
        job = jobs.enqueue(
            conn, uploads.TASK, args, actor=person.user, key=None if preview else key
        )
        found = job if job is not None else repository.job_of_key(conn, key)
    assert found is not None
    return found


def state(conn: Connection, person: Actor, job: int) -> dict[str, Any]:
    """Return how a job of a person stands, without what they may not see."""
    found = jobs.state(conn, job)
    if found["actor"] != person.user:
        raise Forbidden("This load was asked for by somebody else.")
    result = found["result"]
    if result and result.get("kind"):
        kind = catalogue.one(conn, person, result["kind"])
        found["result"] = seen(result, kind, person)
    return found


def seen(result: dict[str, Any], kind: Kind, person: Actor) -> dict[str, Any]:
    """Return a result without changes of fields above the person's clearance, and without paths."""
    own = {*catalogue.fields(kind, person), *_HEADER}
    diff = [
        row | {"changes": {k: v for k, v in row["changes"].items() if k in own}}
        for row in result["diff"]
    ]
    kept = {k: v for k, v in result.items() if k != "quarantine_path"}
    return kept | {"diff": diff, "has_quarantine": bool(result.get("quarantine_path"))}
