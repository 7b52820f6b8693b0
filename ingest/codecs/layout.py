"""Declared layouts: where in the bytes each value stands, read without any script."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ingest.codecs.records import Undecodable
from twin.products import Product

_FORMS = {
    "u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q",
    "f32": "f", "f64": "d",
}  # fmt: skip
_SIZES = {"u24": 3, "bits": 1}
Reader = Callable[[bytes], float | int | None]


class Field(NamedTuple):
    """One value of a layout, ready to be read."""

    name: str
    read: Reader
    end: int
    codes: Mapping[str, Any]
    is_flag: bool


_made: dict[tuple[int, int | None], tuple[Product, tuple[Field, ...], int]] = {}
_MANY = 2_000


def read(product: Product, payload: bytes, port: int | None) -> list[dict[str, Any]] | Undecodable:
    """Return the one record of a payload, or why it has none."""
    fields, least = _fields(product, port)
    if not fields:
        return Undecodable(f"the layout has nothing for port {port}")
    if len(payload) < least:
        return Undecodable(f"{len(payload)} bytes; the layout needs {least}")
    values: dict[str, Any] = {}
    for field in fields:
        number = field.read(payload)
        if number is None:
            continue
        if field.codes:
            said = field.codes.get(str(number))
            if said is None:
                return Undecodable(f"{field.name}: {number} is none of the declared codes")
            values[field.name] = said
        else:
            values[field.name] = bool(number) if field.is_flag else number
    return [{"values": values}] if values else Undecodable("every value is marked absent")


def _fields(product: Product, port: int | None) -> tuple[tuple[Field, ...], int]:
    """Return the fields for a port, and how many bytes they need; made once a product version."""
    key = (id(product), port)
    known = _made.get(key)
    if known is None or known[0] is not product:
        if len(_made) > _MANY:
            _made.clear()
        fields = tuple(
            _field(product, said)
            for said in product.codec.layout
            if said.get("port") is None or said["port"] == port
        )
        known = (product, fields, max((field.end for field in fields), default=0))
        _made[key] = known
    return known[1], known[2]


def _field(product: Product, said: Mapping[str, Any]) -> Field:
    name, at, form = said["name"], said["at"], said["as"]
    if form == "bits":
        first = said.get("bit", 0)
        wide = said.get("bits", 1)
        size = (first + wide + 7) // 8
        raw = _bits(at, first, wide, size, product.codec.byte_order)
    elif form in _FORMS:
        size = struct.calcsize("=" + _FORMS[form])
        raw = _number(at, _FORMS[form], product.codec.byte_order)
    else:
        size = _SIZES[form]
        raw = _wide(at, size, product.codec.byte_order)
    is_flag = product.by_name[name].type == "boolean"
    return Field(name, _scaled(raw, said), at + size, said.get("codes", {}), is_flag)


def _number(at: int, form: str, order: str) -> Reader:
    unpack = struct.Struct((">" if order == "big" else "<") + form).unpack_from
    return lambda payload: unpack(payload, at)[0]


def _wide(at: int, size: int, order: str) -> Reader:
    side: Any = order
    return lambda payload: int.from_bytes(payload[at : at + size], side)


def _bits(at: int, first: int, wide: int, size: int, order: str) -> Reader:
    """Read bits counted from the lowest of the bytes at `at`."""
    side: Any = order
    mask = (1 << wide) - 1
    return lambda payload: int.from_bytes(payload[at : at + size], side) >> first & mask


def _scaled(raw: Reader, said: Mapping[str, Any]) -> Reader:
    scale, plus, absent = said.get("scale"), said.get("plus"), said.get("absent")
    if scale is None and plus is None and absent is None:
        return raw
    whole = round(1 / scale) if scale else 0
    if plus is None and absent is None and whole > 1 and abs(1 / scale - whole) < 1e-9:
        # Dividing by 10 gives 23.3 where multiplying by 0.1 gives 23.300000000000004.
        return lambda payload: raw(payload) / whole  # type: ignore[operator]

    def scaled(payload: bytes) -> float | int | None:
        number = raw(payload)
        if number is None or (absent is not None and number == absent):
            return None
        if scale is None and plus is None:
            return number
        # Nine decimals are more than any scale has: 0.1 × 233 reads 23.3, not 23.300000000000004.
        return round(number * (scale or 1) + (plus or 0), 9)

    return scaled
