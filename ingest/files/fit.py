"""Sorting the rows of a file, batch by batch: what fits the kind, and what does not, with reasons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from gis import geometry
from ingest.files import columns as naming
from ingest.files import columnwise
from ingest.files import source as reading
from twin.kinds import Field, Kind

Row = dict[str, Any]
_TEXT = Field(name="", type="text", title={})


@dataclass
class Batch:
    """Rows that fit, column-wise, and rows that do not: number, cells, shape, reason."""

    columns: dict[str, list[Any]]
    shapes: np.ndarray | None
    refused: list[tuple[int, Row, Any, str]] = field(default_factory=list)
    repaired: list[tuple[int, str]] = field(default_factory=list)
    # Of each row that fits: its number in the file, and the cells as they were given.
    numbers: Sequence[int] = ()
    given: Callable[[int], Row] = lambda _: {}

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Take rows (by position) out of the batch, with their reasons."""
        if not reasons:
            return
        for i, why in sorted(reasons.items()):
            shape = self.shapes[i] if self.shapes is not None else None
            self.refused.append((self.numbers[i], self.given(i), shape, why))
        kept = [i for i in range(len(self.numbers)) if i not in reasons]
        given = self.given
        self.given = lambda i: given(kept[i])
        self.numbers = [self.numbers[i] for i in kept]
        self.columns = {n: [cells[i] for i in kept] for n, cells in self.columns.items()}
        self.shapes = self.shapes[kept] if self.shapes is not None else None


class Seen:
    """Keys that came before, kept as 64-bit digests: eight bytes a row, whatever the size."""

    def __init__(self) -> None:
        self._known = np.empty(0, dtype=np.uint64)

    def again(self, keys: Sequence[str | None]) -> np.ndarray:
        """Tell which keys came before, in this batch or an earlier one, and remember the rest."""
        raw = b"".join(hashlib.blake2b((k or "").encode(), digest_size=8).digest() for k in keys)
        digests = np.frombuffer(raw, dtype=np.uint64)
        _, first = np.unique(digests, return_index=True)
        twice = np.ones(len(keys), dtype=bool)
        twice[first] = False
        at = np.searchsorted(self._known, digests)
        inside = at < len(self._known)
        twice[inside] |= self._known[at[inside]] == digests[inside]
        empty = np.array([k is None for k in keys], dtype=bool)
        new = np.sort(digests[~twice & ~empty])
        self._known = np.insert(self._known, np.searchsorted(self._known, new), new)
        return np.asarray(twice & ~empty)


class Sorter:
    """Sorts one file into a kind; keys are checked over all batches."""

    def __init__(self, kind: Kind, named: naming.Mapping_) -> None:
        self.kind, self.named = kind, named
        self.fields = {t: c for t, c in named.fields.items() if t in kind.fields}
        head = ("name", "state", *(("code",) if kind.kind in naming.CODED else ()))
        self.head = {t: named.fields[t] for t in head if t in named.fields}
        self.lacks = next(
            (f.name for f in kind.fields.values() if f.required and f.name not in self.fields), None
        )
        self.seen = Seen()
        self.row = 0

    def take(
        self, read: reading.Source, shapes: np.ndarray | None, taken: Mapping[str, str | None]
    ) -> Batch:
        """Sort the next batch.

        `taken` holds official codes that stand already: each may only come again under its own key.
        """
        rows, start = read.rows - len(read.refused), self.row
        self.row += read.rows
        numbers = _numbers(read, start)
        reasons: columnwise.Reasons = {}
        if self.lacks:
            why = f"{self.lacks} is required and the file has no column for it"
            reasons = dict.fromkeys(range(rows), why)
        made = self._mended(shapes, reasons)
        out = {t: columnwise.parse(read.columns[c], self.kind.fields[t], reasons)
               for t, c in self.fields.items()}  # fmt: skip
        out |= {t: columnwise.parse(read.columns[c], self._field(t), reasons)
                for t, c in self.head.items()}  # fmt: skip
        out["source_key"] = self._keys(read, made.shapes if made else None, rows, reasons)
        self._check_codes(out, taken, reasons)
        return self._batch(read, numbers, shapes, made, out, reasons)

    def _field(self, head: str) -> Field:
        """Return how a cell of the header is read: a state by its key or its title."""
        if head != "state":
            return _TEXT
        return Field(name="state", type="code", title=naming.STATE, codes=self.kind.states)

    def _mended(
        self, shapes: np.ndarray | None, reasons: columnwise.Reasons
    ) -> geometry.ManyMended | None:
        if shapes is None:
            return None
        made = geometry.mend_many(shapes, self.kind.geometry)
        for i, why in made.reasons.items():
            # A flow without a shape is drawn between its two things later.
            if not (self.kind.flow and shapes[i] is None):
                reasons.setdefault(i, why)
        return made

    def _keys(
        self,
        read: reading.Source,
        shapes: np.ndarray | None,
        rows: int,
        reasons: columnwise.Reasons,
    ) -> list[str | None]:
        """Return what names each row for ever: its key column, or a digest of all it says."""
        keys: list[str | None]
        if self.named.key:
            keys = [None if c is None else str(c).strip() for c in read.columns[self.named.key]]
            for i, key in enumerate(keys):
                if not key:
                    reasons.setdefault(i, f"the key {self.named.key} is empty")
        else:
            keys = _digests(read, shapes, rows)
        # A row refused for another reason does not take its key away from a later one.
        asked = [None if i in reasons else key for i, key in enumerate(keys)]
        for i in np.flatnonzero(self.seen.again(asked)).tolist():
            said = f"the key {keys[i]!r}" if self.named.key else "the same row"
            reasons.setdefault(i, f"{said} stands here twice")
        return keys

    def _check_codes(
        self,
        out: Mapping[str, list[Any]],
        taken: Mapping[str, str | None],
        reasons: columnwise.Reasons,
    ) -> None:
        for i, code in enumerate(out.get("code", ())):
            if code in taken and taken[code] != out["source_key"][i]:
                why = f"the code {code!r} belongs to another {self.kind.kind}"
                reasons.setdefault(i, why)

    def _batch(
        self,
        read: reading.Source,
        numbers: Sequence[int],
        shapes: np.ndarray | None,
        made: geometry.ManyMended | None,
        out: dict[str, list[Any]],
        reasons: columnwise.Reasons,
    ) -> Batch:
        def given(i: int) -> Row:
            return {name: cells[i] for name, cells in read.columns.items()}

        mended = made.shapes if made is not None else None
        repairs = made.repairs if made is not None else {}
        batch = Batch(out, mended, numbers=numbers, given=given)
        batch.repaired = [(numbers[i], why) for i, why in repairs.items() if i not in reasons]
        batch.leave_out(reasons)
        # What is shown of a refused row is the shape as it was given.
        batch.refused = [
            (numbers[i], given(i), shapes[i] if shapes is not None else None, why)
            for i, why in sorted(reasons.items())
        ]
        batch.refused += [(n, row, None, why) for n, row, why in read.refused]
        return batch


def _numbers(read: reading.Source, start: int) -> list[int]:
    """Return the row numbers of a batch in the file; rows refused while reading stand between."""
    left_out = {n for n, _, _ in read.refused}
    if not left_out:
        return list(range(start + 1, start + read.rows + 1))
    return [n for n in range(start + 1, start + read.rows + 1) if n not in left_out]


def _digests(read: reading.Source, shapes: np.ndarray | None, rows: int) -> list[str | None]:
    names = list(read.columns)
    cells: Any = zip(*read.columns.values(), strict=True) if names else [()] * rows
    blobs = shapely.to_wkb(shapes) if shapes is not None else [None] * rows
    keys: list[str | None] = []
    for row, blob in zip(cells, blobs, strict=True):
        said = dict(zip(names, row, strict=True))
        raw = json.dumps(said, ensure_ascii=False, sort_keys=True, default=str).encode()
        # Hexadecimal, so that keys made before stay the same.
        raw += blob.hex().encode() if blob is not None else b""
        keys.append(hashlib.blake2s(raw, digest_size=12).hexdigest())
    return keys
