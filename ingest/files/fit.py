"""Sorting the rows of a file: what fits the kind, and what does not, with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import geometry
from ingest.files import columns as naming
from ingest.files import source as reading
from ingest.files import values
from twin.kinds import Kind

Row = dict[str, Any]


@dataclass
class Batch:
    """Rows that fit, column-wise, and rows that do not: number, cells, shape, reason."""

    columns: dict[str, list[Any]]
    refused: list[tuple[int, Row, Any, str]] = field(default_factory=list)
    repaired: int = 0


def taken_codes(
    conn: Connection, kind: Kind, read: reading.Source, named: naming.Mapping_, source: str
) -> dict[str, str | None]:
    """Return the official codes of the file that stand already, with this source's key of each."""
    column = named.fields.get("code")
    if kind.kind not in naming.CODED or column is None:
        return {}
    rows = conn.execute(
        text(
            "select g.code, case when t.source = :s then t.source_key end as key "
            f"from twin.thing g left join {kind.topic}.{kind.kind} t on t.id = g.id "
            "where g.code = any(:codes)"
        ),
        {"s": source, "codes": [str(c) for c in read.columns[column] if c is not None]},
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
    sorter = _Sorter(kind, named, taken, with_shapes=shapes is not None)
    sorter.batch.refused += [(n, row, None, why) for n, row, why in read.refused]
    names = list(read.columns)
    cells: Any = zip(*read.columns.values(), strict=True) if names else [()] * read.rows
    for i, given in enumerate(cells):
        row = dict(zip(names, given, strict=True))
        shape = shapes[i] if shapes is not None else None
        try:
            sorter.take(row, shape)
        except values.Unfit as why:
            sorter.batch.refused.append((i + 1, row, shape, str(why)))
    return sorter.batch


class _Sorter:
    """Takes rows one by one; Unfit says why one is left out."""

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
        head = ("name", "state", *(("code",) if kind.kind in naming.CODED else ()))
        self.head = [t for t in head if t in named.fields]
        wanted = ["source_key", *self.head, *self.fields, *(["geom"] if with_shapes else [])]
        self.batch = Batch({n: [] for n in wanted})
        missing = [f.name for f in kind.fields.values() if f.required and f.name not in self.fields]
        self.lacks = missing[0] if missing else None
        self.seen: set[str] = set()

    def take(self, row: Row, shape: Any) -> None:
        """Add a row to the batch."""
        if self.lacks:
            raise values.Unfit(f"{self.lacks} is required and the file has no column for it")
        typed = {t: values.parse(row[c], self.kind.fields[t]) for t, c in self.fields.items()}
        made = self._mended(shape)
        key = self._key(row, made.shape if made else None)
        self._check_code(row, key)
        self.seen.add(key)
        said = {t: row.get(self.named.fields[t]) for t in self.head}
        out = {"source_key": key, **{t: None if v is None else str(v) for t, v in said.items()}}
        out |= typed
        if made is not None:
            self.batch.repaired += made.repair is not None
            flat = shapely.set_srid(made.shape, 4326)
            out["geom"] = shapely.to_wkb(flat, hex=True, include_srid=True)
        for name, value in out.items():
            self.batch.columns[name].append(value)

    def _mended(self, shape: Any) -> geometry.Mended | None:
        if "geom" not in self.batch.columns:
            return None
        made = geometry.mend(shape, self.kind.geometry)
        if made.shape is None:
            raise values.Unfit(made.reason or "no geometry")
        return made

    def _key(self, row: Row, shape: Any) -> str:
        """Return what names the row for ever: its key column, or a digest of all it says."""
        said = row.get(self.named.key) if self.named.key else None
        if self.named.key and said is None:
            raise values.Unfit(f"the key {self.named.key} is empty")
        key = str(said) if said is not None else _digest(row, shape)
        if key in self.seen:
            again = f"the key {key!r}" if self.named.key else "the same row"
            raise values.Unfit(f"{again} stands here twice")
        return key

    def _check_code(self, row: Row, key: str) -> None:
        if "code" not in self.head:
            return
        code = str(row.get(self.named.fields["code"]))
        if code in self.taken and self.taken[code] != key:
            raise values.Unfit(f"the code {code!r} belongs to another {self.kind.kind}")


def _digest(row: Mapping[str, Any], shape: Any) -> str:
    said = json.dumps(row, ensure_ascii=False, sort_keys=True, default=str)
    where = shapely.to_wkb(shape).hex() if shape is not None else ""
    return hashlib.blake2s(f"{said}{where}".encode(), digest_size=12).hexdigest()
