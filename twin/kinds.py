"""Kinds: the declared types of things (`data/kinds/<topic>/<kind>.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from twin import declarations
from twin.errors import DeclarationError, NotFound

HEADER = frozenset(
    "id num code name district street state geom source source_key version valid_from updated_at".split()
)
_REF = re.compile(r"^ref\(([a-z][a-z0-9_]*)\)$")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One declared field; `unit` is a UCUM-like short form (m2, m, t, %)."""

    name: str
    type: str
    title: Mapping[str, str]
    unit: str | None = None
    required: bool = False
    codes: Mapping[str, Any] | None = None
    of: str | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    level: int = 1

    @property
    def ref(self) -> str | None:
        """The kind that a `ref(kind)` field points to."""
        found = _REF.match(self.type)
        return found.group(1) if found else None

    def text(self, value: Any, lang: str = "zh") -> str | None:
        """Return how a person reads the value: the title of a code, the value itself otherwise."""
        if value is None:
            return None
        if self.codes and str(value) in self.codes:
            said = self.codes[str(value)]
            return str(said.get(lang) or said["zh"]) if isinstance(said, Mapping) else str(said)
        if isinstance(value, list | tuple):
            return ("、" if lang == "zh" else ", ").join(map(str, value))
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of thing: its table, its fields, who may see it and how it looks."""

    kind: str
    topic: str
    title: Mapping[str, str]
    geometry: str
    code: str
    level: int
    public: bool
    scope: str
    maintained_by: str
    fields: Mapping[str, Field]
    relations: Mapping[str, str]
    search: tuple[str, ...]
    card: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    quality: tuple[Mapping[str, Any], ...]
    symbol: Mapping[str, Any]
    version: int = 1
    doc: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def open(self) -> bool:
        """Base-map kinds: every actor sees all of them, whatever the district."""
        return self.scope == "open"


def _level(said: str | None, default: int) -> int:
    return int(said[1]) if said else default


def from_doc(doc: Mapping[str, Any]) -> Kind:
    """Return the kind of a document that the schema has accepted."""
    level = _level(doc.get("sensitivity"), 1)
    fields = {
        name: Field(
            name=name,
            type=f["type"],
            title=f.get("title") or {"zh": name, "en": name},
            unit=f.get("unit"),
            required=f.get("required", False),
            codes=f.get("codes"),
            of=f.get("of"),
            min=f.get("min"),
            max=f.get("max"),
            pattern=f.get("pattern"),
            level=_level(f.get("sensitivity"), level),
        )
        for name, f in doc["fields"].items()
    }
    return Kind(
        kind=doc["kind"],
        topic=doc["topic"],
        title=doc["title"],
        geometry=doc["geometry"],
        code=doc["code"],
        level=level,
        public=doc.get("public", level == 1),
        scope=doc.get("scope", "district"),
        maintained_by=doc.get("maintained_by", ""),
        fields=fields,
        relations=doc.get("relations", {}),
        search=tuple(doc.get("search", ("name", "code"))),
        card=tuple(doc.get("card", ())),
        synonyms={k: tuple(v) for k, v in doc.get("synonyms", {}).items()},
        quality=tuple(doc.get("quality", ())),
        symbol=doc.get("symbol", {}),
        version=doc.get("_version", 1),
        doc={k: v for k, v in doc.items() if k != "_version"},
    )


def _cross_check(doc: Mapping[str, Any], lines: declarations.Lines, file: str) -> None:
    known = set(doc["fields"]) | HEADER

    def fail(path: tuple[Any, ...], why: str) -> None:
        line = declarations.line_of(lines, path)
        raise DeclarationError(file, line, ".".join(map(str, path)), why)

    for name, said in doc["fields"].items():
        if name in HEADER:
            fail(("fields", name), "this name belongs to the header that every kind has")
        if said["type"] == "code" and "codes" not in said:
            fail(("fields", name), "a field of type code needs its codes")
    for path, name in _named(doc):
        if name not in known:
            fail(path, f"no field is called {name}")


def _named(doc: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield every place of a declaration that names a field, and the name."""
    for place in ("card", "list", "search"):
        yield from (((place, i), name) for i, name in enumerate(doc.get(place, ())))
    yield from ((("synonyms", name), name) for name in doc.get("synonyms", {}))
    symbol = doc.get("symbol", {})
    yield from ((("symbol", key), symbol[key]) for key in ("color_by", "label") if symbol.get(key))


def read_file(path: Path) -> Kind:
    """Read and check one kind file; DeclarationError names file, line and key."""
    doc, lines = declarations.read("kind", path)
    file = str(path)
    _cross_check(doc, lines, file)
    return from_doc(doc)


def shipped() -> list[Kind]:
    """Return the kinds that are shipped under data/kinds; a kind named twice is an error."""
    kinds: dict[str, Kind] = {}
    letters: dict[str, str] = {}
    for path in declarations.shipped_files("kinds"):
        kind = read_file(path)
        if kind.kind in kinds:
            raise DeclarationError(str(path), 1, "kind", f"{kind.kind} is declared twice")
        if kind.code in letters:
            raise DeclarationError(
                str(path), 1, "code", f"{kind.code} is the code of {letters[kind.code]}"
            )
        letters[kind.code] = kind.kind
        kinds[kind.kind] = kind
    return list(kinds.values())


def catalogue(conn: Connection) -> dict[str, Kind]:
    """Return the kinds that run: what is published."""
    docs = declarations.current(conn, "kind")
    return {key: from_doc(doc) for key, doc in docs.items()}


def one(conn: Connection, name: str) -> Kind:
    """Return one running kind; NotFound says how to list them."""
    found = catalogue(conn).get(name)
    if found is None:
        raise NotFound(f"No kind is called {name!r}; `twin kinds` lists them.")
    return found
