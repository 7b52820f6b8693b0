"""The products that run, remembered per process until the journal says that one changed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import Connection

from twin import declarations
from twin.errors import Conflict, NotFound
from twin.products.model import ENUM, Product, Property
from twin.products.reading import from_doc

_KEEP_S = 5.0
_kept: tuple[float, dict[str, Product]] = (0.0, {})
# A column may take up values of the type on the right without losing any.
_WIDENS = {("integer", "number"), ("boolean", "integer"), ("boolean", "number")}


class WouldNarrow(Conflict):
    """The change would lose what devices have reported."""

    code = "would_narrow"


def running(conn: Connection, *, fresh: bool = False) -> dict[str, Product]:
    """Return the running products by key; `fresh` reads them again now."""
    global _kept
    if fresh or _kept[0] < time.monotonic():
        docs = declarations.current(conn, "product")
        _kept = (time.monotonic() + _KEEP_S, _same_objects(docs))
    return _kept[1]


def _same_objects(docs: dict[str, dict[str, object]]) -> dict[str, Product]:
    """Read only what is new: an unchanged product stays the same object, so others may keep it."""
    old = _kept[1]
    return {
        key: old[key] if key in old and old[key].version == doc["_version"] else from_doc(doc)
        for key, doc in docs.items()
    }


def forget() -> None:
    """Read the products anew next time; for readers of the journal."""
    global _kept
    _kept = (0.0, _kept[1])


def one(conn: Connection, key: str) -> Product:
    """Return a running product; NotFound otherwise."""
    found = running(conn).get(key) or running(conn, fresh=True).get(key)
    if found is None:
        raise NotFound(f"No product is called {key!r}; `twin product list` lists them.")
    return found


def publish(conn: Connection, product: Product, *, origin: str, actor: str) -> int | None:
    """Publish a product; None where it runs already. Only additions and widening are accepted."""
    old = declarations.current(conn, "product").get(product.key)
    if old is not None:
        for why in narrowed(from_doc(old), product):
            raise WouldNarrow(why)
    doc = dict(product.doc)
    number = declarations.publish(conn, "product", product.key, doc, origin=origin, actor=actor)
    forget()
    return number


def narrowed(old: Product, new: Product) -> Iterator[str]:
    """Yield what a new version would take away from stored values."""
    if old.kind != new.kind:
        yield f"Devices of {old.key} are of kind {old.kind}; a new kind is a new product."
    for prop in old.properties:
        here = new.by_name.get(prop.name)
        if here is None:
            yield f"Property {prop.name} is gone; keep it, or make a new product."
        elif here.type != prop.type and (prop.type, here.type) not in _WIDENS:
            yield f"Property {prop.name} would turn from {prop.type} to {here.type}."
        elif prop.type == ENUM and not _extends(prop, here):
            yield f"Codes of {prop.name} are only added at the end, never moved or removed."


def _extends(old: Property, new: Property) -> bool:
    return list(new.codes)[: len(old.codes)] == list(old.codes)
