"""What a reader gives: an open file, and the batches of columns it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ROWS = 20_000
Refused = tuple[int, dict[str, Any], str]


@dataclass
class Source:
    """Rows as columns of equal length; `shapes` where the format has geometry.

    `refused` are rows that could not be read: number in the file (1 = the first row of data),
    cells, reason; `rows` counts them too.
    """

    columns: dict[str, list[Any]]
    shapes: np.ndarray | None = None
    crs: str | None = None
    notes: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    rows: int = 0


@dataclass
class Opened:
    """A file that is open for reading: what is known before its rows are read.

    `total` is None where only reading to the end would tell; `notes` may grow while reading.
    """

    format: str
    columns: list[str]
    stream: Callable[[int], Iterator[Source]]
    crs: str | None = None
    notes: list[str] = field(default_factory=list)
    total: int | None = None
    layers: list[str] = field(default_factory=list)
    layer: str | None = None
    encoding: str | None = None

    def batches(self, size: int = ROWS) -> Iterator[Source]:
        """Yield the rows in order, at most `size` at a time."""
        return self.stream(size)
