"""Telemetry read by columns: many messages of one product become checked arrays, or reasons."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from ingest.codecs import Undecodable, decode_many
from ingest.messages import FUTURE, OLDEST
from twin.observations import Observation
from twin.products import BOOLEAN, ENUM, INTEGER, NUMBER, TEXT, NotInModel, Product, Property
from twin.telemetry.columns import Array, Columns

MAX_RECORDS = 10_000
_OLDEST = OLDEST.timestamp()
_FUTURE = FUTURE.total_seconds()
_NUMBERS = {int, float}
Shape = tuple[str, ...]


class Records:
    """Records of one product: read one by one, checked all at once."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.num: list[int] = []
        self.at: list[float] = []
        self.seq: list[int] = []  # -1: the record has no number of its own
        self.message: list[int] = []
        self.shapes: dict[Shape, tuple[list[int], list[Any]]] = {}
        self.refused: list[tuple[int, str]] = []  # message, reason; one for each record
        self.loose: list[Observation] = []

    def said(self, message: int, num: int, said: Any, received: float) -> None:
        """Take what a message says: a record or an array of these."""
        if said.__class__ is dict:
            self._record(message, num, said, received)
        elif said.__class__ is not list:
            self.refused.append((message, "not a JSON object"))
        elif not 0 < len(said) <= MAX_RECORDS:
            self.refused.append((message, f"not 1 to {MAX_RECORDS} records"))
        else:
            for one in said:
                if one.__class__ is dict:
                    self._record(message, num, one, received)
                else:
                    self.refused.append((message, "not a JSON object"))

    def _record(self, message: int, num: int, said: dict[str, Any], received: float) -> None:
        values = said.get("values")
        if values.__class__ is not dict or not values:
            self.refused.append((message, "there are no values in it"))
            return
        t = said.get("t")
        if t is None:
            at = received
        else:
            try:
                moment = datetime.fromisoformat(t)
                at = moment.timestamp()
            except (TypeError, ValueError, OverflowError):
                self.refused.append((message, "t is not an RFC 3339 time"))
                return
            if moment.tzinfo is None:
                self.refused.append((message, "t has no offset from UTC"))
                return
            if not _OLDEST <= at <= received + _FUTURE:
                late = (
                    "lies before 2020" if at < _OLDEST else "lies more than 5 minutes in the future"
                )
                self.refused.append((message, f"t {late}"))
                return
        seq = said.get("seq", -1)
        if seq.__class__ is not int or not -1 <= seq < 1 << 53:
            self.refused.append((message, "seq is not a whole number from 0"))
            return
        shape = tuple(values)
        found = self.shapes.get(shape)
        if found is None:
            found = self.shapes[shape] = ([], [])
        found[0].append(len(self.num))
        found[1].append(values.values())
        self.num.append(num)
        self.at.append(at)
        self.seq.append(seq)
        self.message.append(message)

    def columns(self, received: float) -> Columns | None:
        """Return what holds as columns; what does not is among `refused` afterwards."""
        count = len(self.num)
        values = {one.name: np.full(count, np.nan) for one in self.product.numeric}
        texts: dict[str, list[str | None]] = {}
        bad: dict[int, str] = {}
        used: set[str] = set()
        for shape, (rows, said) in self.shapes.items():
            why = self._unknown(shape)
            if why:
                bad.update(dict.fromkeys(rows, why))
                continue
            where = np.array(rows)
            for name, column in zip(shape, zip(*said, strict=True), strict=True):
                prop = self.product.by_name.get(name)
                if prop is None:
                    self._loose(name, rows, column, bad)
                elif prop.type == TEXT:
                    _texts(prop, rows, column, texts.setdefault(name, [None] * count), bad)
                else:
                    used.add(name)
                    _numbers(prop, where, column, values[name], bad)
        self.refused += [(self.message[row], why) for row, why in bad.items()]
        if bad:
            self.loose = [one for one in self.loose if one.seq not in bad]
        if len(bad) == count:
            return None
        made = Columns(
            product=self.product,
            num=np.array(self.num, dtype=np.int32),
            at=np.array(self.at),
            received=received,
            seq=np.array(self.seq, dtype=np.int64),
            values={name: column for name, column in values.items() if name in used},
            texts=texts,
        )
        if bad:
            made = made.take(np.setdiff1d(np.arange(count), list(bad)))
        made.seq = np.where(made.seq < 0, checksums(made), made.seq)
        return made

    def _unknown(self, shape: Shape) -> str | None:
        if self.product.open:
            return None
        for name in shape:
            if name not in self.product.by_name:
                return f"{name[:40]!r} is no property of {self.product.key}"
        return None

    def _loose(
        self, name: str, rows: Sequence[int], column: Sequence[Any], bad: dict[int, str]
    ) -> None:
        """Keep a number that an open product does not declare."""
        for row, value in zip(rows, column, strict=True):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and math.isfinite(value) and len(name) <= 64:
                at = datetime.fromtimestamp(self.at[row]).astimezone()
                self.loose.append(Observation(self.num[row], name, at, float(value), row))
            elif value is not None:
                bad[row] = f"{name[:40]} is not a number"


def _numbers(
    prop: Property, rows: Array, column: Sequence[Any], into: Array, bad: dict[int, str]
) -> None:
    """Check a column at once where its values are of the plain type, else one by one."""
    types = set(map(type, column))
    if prop.type in (NUMBER, INTEGER) and types <= _NUMBERS:
        made = np.array(column, dtype=np.float64)
        wrong = ~np.isfinite(made)
        if prop.low is not None:
            wrong |= made < prop.low
        if prop.high is not None:
            wrong |= made > prop.high
        if prop.type == INTEGER:
            wrong |= made != np.floor(made)
        into[rows] = made
        for i in np.flatnonzero(wrong).tolist():
            bad[int(rows[i])] = _reason(prop, column[i])
    elif prop.type == BOOLEAN and types == {bool}:
        into[rows] = np.array(column, dtype=np.float64)
    elif prop.type == ENUM and types == {str}:
        places = {code: float(i) for i, code in enumerate(prop.codes)}
        _one_by_one(prop, rows, column, into, bad, places)
    else:
        _one_by_one(prop, rows, column, into, bad, {})


def _one_by_one(
    prop: Property,
    rows: Array,
    column: Sequence[Any],
    into: Array,
    bad: dict[int, str],
    places: dict[str, float],
) -> None:
    for row, value in zip(rows.tolist(), column, strict=True):
        if value is None:
            continue
        found = places.get(value) if places else None
        try:
            into[row] = prop.number(value) if found is None else found
        except NotInModel as why:
            bad[row] = str(why)


def _reason(prop: Property, value: Any) -> str:
    try:
        prop.number(value)
    except NotInModel as why:
        return str(why)
    return f"{prop.name} is not admitted"


def _texts(
    prop: Property,
    rows: Sequence[int],
    column: Sequence[Any],
    into: list[str | None],
    bad: dict[int, str],
) -> None:
    for row, value in zip(rows, column, strict=True):
        if value is None:
            continue
        try:
            into[row] = prop.text(value)
        except NotInModel as why:
            bad[row] = str(why)


def checksums(columns: Columns) -> Array:
    """Return a number for what each row says, the same however it was written.

    It takes the place of a device's own number: the same values of the same moment are a repetition.
    """
    total = np.zeros(len(columns), dtype=np.uint64)
    for name, column in columns.values.items():
        bits = np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)
        mixed = _mixed(bits ^ _salt(name))
        total += np.where(np.isnan(column), np.uint64(0), mixed)
    for name, texts in columns.texts.items():
        sums = [zlib.crc32(one.encode()) if one is not None else 0 for one in texts]
        total += _mixed(np.array(sums, dtype=np.uint64) ^ _salt(name))
    # Above what a device may say itself, so that the two never meet.
    return ((_mixed(total) >> np.uint64(2)) | np.uint64(1 << 62)).astype(np.int64)


@lru_cache(maxsize=4096)
def _salt(name: str) -> np.uint64:
    raw = name.encode()
    return np.uint64(zlib.crc32(raw) << 32 | zlib.crc32(raw[::-1] + b"#"))


def _mixed(x: Array) -> Array:
    """Spread every bit over all (the finish of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    made: Array = x ^ (x >> np.uint64(31))
    return made


def read(
    product: Product, messages: Iterable[tuple[int, int, bytes, float, int | None]]
) -> Records:
    """Read messages (index, thing, payload, received, port) of a product by its codec.

    Whatever codec it names, a device may also send the product's own JSON; that is read here.
    """
    found = Records(product)
    raw: list[tuple[int, int, bytes, float, int | None]] = []
    plain = product.codec.type == "json"
    for one in messages:
        message, num, payload, received, _ = one
        if plain or payload[:1] in (b"{", b"["):
            try:
                said = orjson.loads(payload)
            except orjson.JSONDecodeError as why:
                if plain:
                    found.refused.append((message, f"not JSON: {why}"))
                else:
                    raw.append(one)
            else:
                found.said(message, num, said, received)
        else:
            raw.append(one)
    if raw:
        _decoded(found, raw)
    return found


def _decoded(found: Records, raw: list[tuple[int, int, bytes, float, int | None]]) -> None:
    decoded = decode_many(found.product, [(payload, port) for _, _, payload, _, port in raw])
    for (message, num, payload, received, _), said in zip(raw, decoded, strict=True):
        if isinstance(said, Undecodable):
            found.refused.append((message, str(said) or f"not decodable ({len(payload)} bytes)"))
        else:
            found.said(message, num, said, received)
