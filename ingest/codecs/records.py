"""What a codec's answer comes to: records of declared properties, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from twin.products import Product

MAX_RECORDS = 512


class Undecodable(ValueError):
    """A payload that its codec cannot read; the text says why."""


def named(product: Product, said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the product declares, by its own names, and what else the codec said."""
    values: dict[str, Any] = {}
    ignored: dict[str, Any] = {}
    for name, value in said.items():
        known = product.codec.rename.get(name, name)
        if known in product.by_name and known not in values and value is not None:
            values[known] = value
        elif product.open and known not in values and isinstance(value, int | float):
            values[known] = value
        else:
            ignored[name] = value
    return values, ignored


def of_script(product: Product, answer: Mapping[str, Any]) -> list[dict[str, Any]] | Undecodable:
    """Return the records of what a script answered: its `data`, and a `history` inside it."""
    if answer.get("errors"):
        errors = answer["errors"]
        first = errors[0] if isinstance(errors, list) else errors
        return Undecodable(str(first)[:300])
    data = answer.get("data")
    if not isinstance(data, dict):
        return Undecodable("the script returned no data")
    records = [one for one in map(lambda part: _record(product, part), _parts(data)) if one]
    if not records:
        return Undecodable("none of what the script returned is declared by the product")
    return records


def _parts(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    history = data.get("history")
    parts: list[Mapping[str, Any]] = [{k: v for k, v in data.items() if k != "history"}]
    if isinstance(history, list):
        parts += [one for one in history[:MAX_RECORDS] if isinstance(one, dict)]
    return parts


def _record(product: Product, part: Mapping[str, Any]) -> dict[str, Any] | None:
    values, _ = named(product, part)
    if not values:
        return None
    seconds = part.get("timestamp")
    if isinstance(seconds, int | float) and 0 < seconds < 4e9:
        return {"t": datetime.fromtimestamp(seconds, UTC).isoformat(), "values": values}
    return {"values": values}
