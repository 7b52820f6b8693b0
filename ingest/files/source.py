"""Opening a file of things, whatever its format, to read it batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.files import corrections, sniff
from ingest.files.formats import unpack
from ingest.files.formats.delimited import open_delimited
from ingest.files.formats.opened import ROWS, Opened, Source
from ingest.files.formats.parquet import open_parquet
from ingest.files.formats.vector import open_vector
from ingest.files.formats.workbook import open_html, open_workbook
from twin.errors import Unreadable

__all__ = ["ROWS", "Opened", "Source", "open_source", "read"]


def open_source(
    path: Path, *, encoding: str = "auto", layer: str | None = None, prefer: str | None = None
) -> Opened:
    """Open a file; Unreadable tells in one sentence why it cannot be read.

    `prefer` is the geometry (point, line, polygon, none) that decides between layers.
    """
    made = _open(path, path.name, encoding, layer, prefer)
    cells = corrections.read(path)
    if cells:
        stream = made.stream
        made.stream = lambda size: corrections.apply(stream(size), cells)
        made.notes.append(f"{len(cells)} rows were corrected by hand")
    return made


def _open(path: Path, shown: str, encoding: str, layer: str | None, prefer: str | None) -> Opened:
    kind = sniff.kind_of(path)
    if kind == "zip":
        kind = unpack.looks_inside(path)
    if kind in ("zip", "gzip"):
        return _packed(path, kind, encoding, layer, prefer)
    if kind == "parquet":
        return open_parquet(path, shown)
    if kind == "csv":
        return open_delimited(path, encoding, shown)
    if kind == "xlsx":
        return open_workbook(path, layer, shown)
    if kind == "html":
        return open_html(path, encoding, shown)
    return open_vector(path, kind, encoding, layer, shown, prefer)


def _packed(path: Path, kind: str, encoding: str, layer: str | None, prefer: str | None) -> Opened:
    """Open the data set in an archive; what it was unpacked to stays while the file is open."""
    found: list[str] = []
    if kind == "gzip":
        inner, folder = unpack.gunzip(path)
    else:
        inner, folder, found, named = unpack.unzip(path, layer)
        layer = None if named else layer
    shown = f"{path.name}/{inner.name}"
    if inner.is_dir():
        made = open_vector(inner, "filegdb", encoding, layer, shown, prefer)
    elif sniff.kind_of(inner) in ("zip", "gzip") and inner.suffix.lower() != ".xlsx":
        raise Unreadable(f"{shown} is an archive in an archive; unpack it first.")
    else:
        made = _open(inner, shown, encoding, layer, prefer)
    stream = made.stream
    # Referring to the folder keeps it until the stream is forgotten.
    made.stream = lambda size: (batch for held in (folder,) for batch in stream(size) if held)
    if len(found) > 1:
        listed = ", ".join(found[:12])
        made.notes.append(
            f"the archive holds {listed}: {inner.name} is read; --layer picks another"
        )
        made.layers = [Path(n).stem for n in found]
    return made


def read(path: Path, *, encoding: str = "auto", layer: str | None = None) -> Source:
    """Read a whole file at once: for small ones."""
    opened = open_source(path, encoding=encoding, layer=layer)
    batches = list(opened.batches())
    if not batches:
        return Source({c: [] for c in opened.columns}, notes=opened.notes)
    made = Source(
        {c: [v for b in batches for v in b.columns[c]] for c in opened.columns},
        crs=batches[0].crs,
        notes=opened.notes,
        refused=[r for b in batches for r in b.refused],
        rows=sum(b.rows for b in batches),
    )
    if batches[0].shapes is not None:
        made.shapes = np.concatenate([b.shapes for b in batches if b.shapes is not None])
    return made
