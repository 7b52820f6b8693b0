"""`twin check`: every declaration under data/ and every added one; errors name file, line, key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from ingest.codecs.explain import wrong_vectors
from twin import alter, db, declarations, kinds, policies, products
from twin.alarms import rule
from twin.errors import DeclarationError, TwinError
from twin.feed import owners
from ui.terminal.output import finish

READERS: dict[str, Callable[[Path], Any]] = {
    "kinds": kinds.read_file,
    "products": products.read_file,
    "alarms": rule.read_file,
    "maintenance": partial(declarations.read, "maintenance"),
    **{one.folder: policies.read_file(one.kind) for one in policies.kinds().values()},
}


def check() -> None:
    """Check every shipped and every published declaration."""
    faults = [*_shipped(), *_published()]
    count = sum(1 for folder in READERS for _ in declarations.shipped_files(folder))
    text = "\n".join(faults) or f"{count} shipped declarations hold, and so does what is published."
    finish({"shipped": count, "faults": faults}, text, partly=bool(faults))


def _shipped() -> Iterator[str]:
    for folder, read in READERS.items():
        for path in declarations.shipped_files(folder):
            try:
                read(path)
            except TwinError as why:
                yield why.detail
    try:
        # Also what only shows across files: a kind or code letters used twice, kinds that point nowhere.
        known = {kind.kind: kind for kind in kinds.shipped()}
    except TwinError as why:
        yield why.detail
        return
    try:
        owners.check(known)
    except TwinError as why:
        yield why.detail
    yield from _products(set(known))
    for declared in known.values():
        for where, fault in alter.faults(declared, known):
            yield f"kind {declared.kind}: {'.'.join(map(str, where))}: {fault}"


def _products(kinds_there: set[str]) -> Iterator[str]:
    """Yield what only shows across products: a key used twice, a kind that is not there."""
    try:
        shipped = products.shipped()
    except TwinError as why:
        yield why.detail
        return
    for product in shipped:
        if product.kind not in kinds_there:
            yield f"product {product.key}: kind: no kind is called {product.kind}"
        for wrong in wrong_vectors(product):
            said = wrong["error"] or wrong["got"]
            yield f"product {product.key}: codec.vectors.{wrong['vector']}: reads {said}"
    yield from _rules({product.key: product for product in shipped})


def _rules(there: dict[str, products.Product]) -> Iterator[str]:
    """Yield where a rule does not fit the product that it is about, with file, line and key."""
    for path in declarations.shipped_files("alarms"):
        try:
            doc, lines = declarations.read(rule.KIND_OF, path)
        except TwinError:
            continue  # said already
        for where, why in rule.faults(doc, there):
            line = declarations.line_of(lines, where)
            key = ".".join(map(str, where))
            yield DeclarationError(f"data/alarms/{path.name}", line, key, why).detail


def _published() -> Iterator[str]:
    try:
        with db.engine("app").connect() as conn:
            running = declarations.current(conn, "kind")
    except (SQLAlchemyError, TwinError):
        return  # without a running installation there is nothing published to check
    for name, doc in running.items():
        said = {key: value for key, value in doc.items() if key != "_version"}
        try:
            declarations.check("kind", said, {}, f"published kind {name}")
        except TwinError as why:
            yield why.detail


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)
