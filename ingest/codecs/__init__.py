"""Codecs: raw bytes of a device become values of its product.

`decode(product, payload, port)` returns records `{"t": RFC 3339 or absent, "values": {...}}`.
Whatever codec a product names, its devices may also send the product's own JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from ingest.codecs import layout
from ingest.codecs.explain import Explained, explain
from ingest.codecs.records import Undecodable, of_script
from ingest.codecs.sandbox import sandbox
from twin.products import Product

__all__ = ["Explained", "Undecodable", "decode", "decode_many", "explain"]
Record = dict[str, Any]
Raw = tuple[bytes, int | None]


def decode(product: Product, payload: bytes, port: int | None = None) -> list[Record]:
    """Return the records of one payload; Undecodable says why there are none."""
    [found] = decode_many(product, [(payload, port)])
    if isinstance(found, Undecodable):
        raise found
    return found


def decode_many(product: Product, raws: Sequence[Raw]) -> list[list[Record] | Undecodable]:
    """Decode a batch; what cannot be decoded stands in the answer as its reason.

    Scripts run in a process of their own: a batch costs them one question.
    """
    found: list[list[Record] | Undecodable | None] = [_own(product, raw) for raw in raws]
    left = [i for i, one in enumerate(found) if one is None]
    if left and product.codec.type == "javascript":
        said = sandbox().run(product.codec.script, [raws[i] for i in left])
        for i, answer in zip(left, said, strict=True):
            found[i] = of_script(product, answer)
    elif left:
        for i in left:
            found[i] = layout.read(product, *raws[i])
    return [one for one in found if one is not None]


def _own(product: Product, raw: Raw) -> list[Record] | Undecodable | None:
    """Read the product's own JSON; None where the payload is none of it and a codec is named."""
    payload = raw[0]
    if payload[:1] in (b"{", b"["):
        try:
            said = orjson.loads(payload)
        except orjson.JSONDecodeError:
            said = None
        records = said if isinstance(said, list) else [said]
        if records and all(isinstance(one, dict) and "values" in one for one in records):
            return records
    if product.codec.type == "json":
        return Undecodable('not JSON of the form {"t": …, "values": {…}}')
    return None
