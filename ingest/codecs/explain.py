"""The debugger of codecs: every step from bytes to checked values, and golden vectors."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest.codecs import layout
from ingest.codecs.records import Undecodable, named, of_script
from ingest.codecs.sandbox import sandbox
from twin.products import TEXT, NotInModel, Product


@dataclass(kw_only=True)
class Explained:
    """What became of a payload, step by step."""

    payload: str
    bytes: int
    codec: str
    answer: Any = None  # what the codec itself said
    records: list[dict[str, Any]] = field(default_factory=list)
    ignored: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # property → why the model says no
    error: str | None = None
    us: float = 0.0

    def json(self) -> dict[str, Any]:
        """Return it as the door shows it."""
        return asdict(self)


def explain(product: Product, payload: bytes, port: int | None = None) -> Explained:
    """Decode one payload with everything that a person wants to know about it."""
    made = Explained(payload=payload.hex().upper(), bytes=len(payload), codec=product.codec.type)
    if product.codec.type == "javascript":
        # A process that has just been made takes a second to begin: that is none of the script's.
        sandbox().run(product.codec.script, [(payload, port)])
    began = time.perf_counter()
    if product.codec.type == "javascript":
        [made.answer] = sandbox().run(product.codec.script, [(payload, port)])
        found = of_script(product, made.answer)
        data = made.answer.get("data")
        made.ignored = named(product, data)[1] if isinstance(data, dict) else {}
        made.ignored.pop("history", None)
    elif product.codec.type == "layout":
        found = layout.read(product, payload, port)
    else:
        found = Undecodable("this product has no codec; its devices send JSON")
    made.us = round((time.perf_counter() - began) * 1e6, 1)
    if isinstance(found, Undecodable):
        made.error = str(found)
        return made
    made.records = found
    for record in found:
        made.refused.update(not_in_model(product, record["values"]))
    return made


def not_in_model(product: Product, values: dict[str, Any]) -> dict[str, str]:
    """Return why the model refuses values, by property."""
    refused: dict[str, str] = {}
    for name, value in values.items():
        prop = product.by_name.get(name)
        if prop is None:
            refused[name] = f"{name} is not declared by {product.key}"
            continue
        try:
            prop.text(value) if prop.type == TEXT else prop.number(value)
        except NotInModel as why:
            refused[name] = str(why)
    return refused


def wrong_vectors(product: Product) -> list[dict[str, Any]]:
    """Return the golden vectors that a codec does not meet: what was expected, what came out."""
    wrong = []
    for i, vector in enumerate(product.codec.vectors):
        made = explain(product, bytes.fromhex(vector.payload), vector.port)
        got = made.records[0]["values"] if made.records else {}
        if made.error or made.refused or not _equal(got, dict(vector.values)):
            wrong.append(
                {"vector": i, "payload": vector.payload, "expected": dict(vector.values),
                 "got": got, "error": made.error, "refused": made.refused}
            )  # fmt: skip
    return wrong


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[k] == other[k]
        or (
            isinstance(one[k], int | float)
            and isinstance(other[k], int | float)
            and abs(one[k] - other[k]) < 1e-6
        )
        for k in one
    )
