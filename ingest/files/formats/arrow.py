"""Arrow columns become lists of plain Python values, a whole column at a time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa


def listed(array: Any) -> list[Any]:
    """Return the values of an Arrow array; nulls, NaN and NaT are None."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    for fits, read in _READ:
        if fits(array.type):
            return read(array)
    found: list[Any] = array.to_pylist()
    return found


def _integers(array: Any) -> list[Any]:
    if not array.null_count:
        plain: list[Any] = array.to_numpy().tolist()
        return plain
    return _without(array, array.fill_null(0).to_numpy().tolist())


def _without(array: Any, values: list[Any]) -> list[Any]:
    for i in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
        values[i] = None
    return values


def _floats(array: Any) -> list[Any]:
    raw = array.to_numpy(zero_copy_only=False)
    values: list[Any] = raw.tolist()
    for i in np.flatnonzero(np.isnan(raw)).tolist():
        values[i] = None
    return values


def _objects(array: Any) -> list[Any]:
    values: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
    return values


def _texts(array: Any) -> list[Any]:
    try:
        return _objects(array)
    except pa.ArrowException:
        # A table of fixed widths cuts characters in two: what is left of them is dropped.
        large = pa.types.is_large_string(array.type)
        raw = array.view(pa.large_binary() if large else pa.binary()).to_pylist()
        return [None if r is None else r.decode("utf-8", "ignore") for r in raw]


def _dates(array: Any) -> list[Any]:
    values: list[Any] = (
        array.to_numpy(zero_copy_only=False).astype("datetime64[D]").astype(object).tolist()
    )
    return values


def _moments(array: Any) -> list[Any]:
    raw = array.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    values: list[Any] = raw.astype(object).tolist()
    if array.type.tz is None:
        return values
    return [v and v.replace(tzinfo=dt.UTC) for v in values]


def _bytes(array: Any) -> list[Any]:
    return [None if v is None else v.hex() for v in array.to_pylist()]


_READ = (
    (pa.types.is_integer, _integers),
    (pa.types.is_floating, _floats),
    (pa.types.is_string, _texts),
    (pa.types.is_large_string, _texts),
    (pa.types.is_date, _dates),
    (pa.types.is_timestamp, _moments),
    (pa.types.is_boolean, _objects),
    (pa.types.is_binary, _bytes),
    (pa.types.is_large_binary, _bytes),
    (pa.types.is_fixed_size_binary, _bytes),
)
