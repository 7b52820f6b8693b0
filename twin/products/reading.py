"""Product declarations read: from a file or a request to a checked Product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twin import declarations
from twin.errors import DeclarationError
from twin.products.model import (
    ENUM,
    TEXT,
    Codec,
    Command,
    Event,
    Product,
    Property,
    Retention,
    Vector,
)

MAX_PROPERTIES = 64
# Columns that every product's tables have; a property of that name would hide them.
TAKEN = frozenset(
    "num at ts seq received received_at product device thing kind lon lat speed_kmh heading_deg "
    "rev x y geom tableoid xmin xmax cmin cmax ctid".split()
)
_FOLDER = declarations.DATA / "products"


def from_doc(doc: Mapping[str, Any]) -> Product:
    """Return the product of a document that the schema has accepted."""
    return Product(
        key=doc["key"],
        title=doc["title"],
        kind=doc["kind"],
        properties=_properties(doc["properties"]),
        events=tuple(Event(name=n, **said) for n, said in doc.get("events", {}).items()),
        commands=tuple(
            Command(name=n, **{**said, "args": _properties(said.get("args", {}))})
            for n, said in doc.get("commands", {}).items()
        ),
        settings=_properties(doc.get("settings", {})),
        codec=_codec(doc.get("codec", {})),
        retention=Retention(**doc.get("retention", {})),
        category=doc["category"],
        protocol=doc.get("protocol", "mqtt"),
        open=doc.get("open", False),
        moves=doc.get("moves", False),
        thing=doc.get("thing", {}),
        main=doc.get("main", ""),
        icon=doc.get("icon", "radio"),
        note=doc.get("note"),
        version=doc.get("_version", 1),
        doc={k: v for k, v in doc.items() if k != "_version"},
    )


def _properties(said: Mapping[str, Mapping[str, Any]]) -> tuple[Property, ...]:
    return tuple(
        Property(
            name=name,
            title=one["title"],
            type=one.get("type", "number"),
            unit=one.get("unit"),
            low=one.get("low"),
            high=one.get("high"),
            period_s=one.get("period_s"),
            codes=one.get("codes", {}),
            observed=one.get("observed"),
        )
        for name, one in said.items()
    )


def _codec(said: Mapping[str, Any]) -> Codec:
    return Codec(
        type=said.get("type", "json"),
        layout=tuple(said.get("layout", ())),
        byte_order=said.get("byte_order", "big"),
        script=said.get("script", ""),
        rename=said.get("rename", {}),
        vectors=tuple(Vector(**one) for one in said.get("vectors", ())),
    )


def faults(doc: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield what the schema cannot see: where it stands, and why it is wrong."""
    if len(doc["properties"]) > MAX_PROPERTIES:
        yield ("properties",), f"a product has at most {MAX_PROPERTIES} properties"
    for place in ("properties", "settings"):
        for name, said in doc.get(place, {}).items():
            yield from (((place, name), why) for why in _of_property(name, said))
    numeric = {n for n, p in doc["properties"].items() if p.get("type", "number") != TEXT}
    if doc.get("main") and doc["main"] not in numeric:
        yield ("main",), f"no property that is a number is called {doc['main']}"
    codec = doc.get("codec", {})
    yield from _of_codec(codec, set(doc["properties"]))
    retention = doc.get("retention", {})
    spans = [retention.get(k, d) for k, d in (("raw_days", 90), ("minute_days", 400))]
    if spans[0] > spans[1] or spans[1] > retention.get("hour_days", 3650):
        yield ("retention",), "what is coarser is kept at least as long: raw ≤ minute ≤ hour"


def _of_property(name: str, said: Mapping[str, Any]) -> Iterator[str]:
    if name in TAKEN:
        yield "this name is a column that every product has; choose another"
    if said.get("type") == ENUM and not said.get("codes"):
        yield "a property of type enum needs its codes"
    if said.get("codes") and said.get("type") != ENUM:
        yield "only a property of type enum has codes"
    low, high = said.get("low"), said.get("high")
    if low is not None and high is not None and low >= high:
        yield f"low {low:g} is not below high {high:g}"


def _of_codec(said: Mapping[str, Any], known: set[str]) -> Iterator[tuple[tuple[Any, ...], str]]:
    kind = said.get("type", "json")
    if kind == "layout" and not said.get("layout"):
        yield ("codec", "layout"), "a codec of type layout says where each value stands"
    if kind == "javascript" and not said.get("script"):
        yield ("codec", "script"), "a codec of type javascript has a script"
    for i, part in enumerate(said.get("layout", ())):
        if part["name"] not in known:
            yield ("codec", "layout", i), f"no property is called {part['name']}"
    for name, prop in said.get("rename", {}).items():
        if prop not in known:
            yield ("codec", "rename", name), f"no property is called {prop}"


def from_lines(doc: dict[str, Any], lines: declarations.Lines, file: str) -> Product:
    """Return the product of a document that the schema has accepted, checked across its keys."""
    for path, why in faults(doc):
        raise DeclarationError(
            file, declarations.line_of(lines, path), ".".join(map(str, path)), why
        )
    return from_doc(doc)


def read_source(source: str, name: str) -> Product:
    """Read a declaration (YAML or JSON) of a request or a file of somebody."""
    doc, lines = declarations.read_source(source, name)
    declarations.check("product", doc, lines, name)
    return from_lines(doc, lines, name)


def read_file(path: Path) -> Product:
    """Read and check one product file; a script named by `file` becomes part of the document."""
    doc, lines = declarations.read_yaml(path)
    codec = doc.get("codec")
    if isinstance(codec, dict) and isinstance(codec.get("file"), str):
        script = (path.parent / codec.pop("file")).resolve()
        if path.parent.resolve() not in script.parents or not script.is_file():
            line = declarations.line_of(lines, ("codec", "file"))
            raise DeclarationError(str(path), line, "codec.file", "there is no such script here")
        codec["script"] = script.read_text(encoding="utf-8")
    declarations.check("product", doc, lines, str(path))
    return from_lines(doc, lines, str(path))


def shipped() -> list[Product]:
    """Return the products shipped under data/products; one named twice is an error."""
    found: dict[str, Product] = {}
    for path in declarations.shipped_files(_FOLDER.name):
        product = read_file(path)
        if product.key in found:
            raise DeclarationError(str(path), 1, "key", f"{product.key} is declared twice")
        found[product.key] = product
    return list(found.values())
