"""Products: the declared types of devices (`data/products/*.yaml`)."""

from __future__ import annotations

from twin.products.model import (
    BOOLEAN,
    ENUM,
    INTEGER,
    NUMBER,
    TEXT,
    Codec,
    Command,
    Event,
    NotInModel,
    Product,
    Property,
    Retention,
    Vector,
)
from twin.products.published import WouldNarrow, forget, narrowed, one, publish, running
from twin.products.reading import faults, from_doc, from_lines, read_file, read_source, shipped

__all__ = [
    "BOOLEAN",
    "ENUM",
    "INTEGER",
    "NUMBER",
    "TEXT",
    "Codec",
    "Command",
    "Event",
    "NotInModel",
    "Product",
    "Property",
    "Retention",
    "Vector",
    "WouldNarrow",
    "faults",
    "forget",
    "from_doc",
    "from_lines",
    "narrowed",
    "one",
    "publish",
    "read_file",
    "read_source",
    "running",
    "shipped",
]
