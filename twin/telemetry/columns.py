"""A batch of one product as columns: what the writer stores and what alarm rules test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twin.products import Product

Array = np.ndarray[Any, Any]


@dataclass(kw_only=True)
class Columns:
    """Rows of one product; a value that a row lacks is nan, a text that it lacks is None."""

    product: Product
    num: Array  # int32: the thing
    at: Array  # float64: seconds since 1970
    received: float
    seq: Array  # int64: the device's number of the record, or a checksum of what it said
    values: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, list[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.num)

    def micros(self) -> Array:
        """Return the moments in whole microseconds, as the database keeps them."""
        return np.rint(self.at * 1e6).astype(np.int64)

    def take(self, rows: Array) -> Columns:
        """Return some of the rows, in this order."""
        return Columns(
            product=self.product,
            num=self.num[rows],
            at=self.at[rows],
            received=self.received,
            seq=self.seq[rows],
            values={name: column[rows] for name, column in self.values.items()},
            texts={name: [column[i] for i in rows.tolist()] for name, column in self.texts.items()},
        )
