"""Kinds: the declared types of things (`data/kinds/<topic>/<kind>.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
    targets: tuple[str, ...] = ()
    renamed_from: str | None = None
    example: Any = None
    note: Mapping[str, str] | str | None = None

    @property
    def is_ref(self) -> bool:
        """True for a field that holds the code of another thing (of one of `targets`)."""
        return bool(self.targets) or self.type.startswith("ref")

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
    relations: Mapping[str, tuple[str, ...]]
    search: tuple[str, ...]
    card: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    quality: tuple[Mapping[str, Any], ...]
    symbol: Mapping[str, Any]
    states: Mapping[str, Mapping[str, str]]
    databases: tuple[str, ...] = ()
    happened: str | None = None
    story: str | None = None
    pictures: str | None = None
    flow: Mapping[str, str] | None = None
    tiles: Mapping[str, Any] = field(default_factory=dict)
    share: str = "conditional"
    source_system: str = ""
    update_every: str | None = None
    version: int = 1
    doc: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def open(self) -> bool:
        """Base-map kinds: every actor sees all of them, whatever the district."""
        return self.scope == "open"

    @property
    def is_record(self) -> bool:
        """True for what has no place of its own and hangs on a thing."""
        return self.geometry == "none" and "about" in self.relations


def _level(said: str | None, default: int) -> int:
    return int(said[1]) if said else default


# What a relation is called when its kind does not say it differently.
RELATIONS = {
    "about": {"zh": "所属对象", "en": "About"},
    "along": {"zh": "沿线", "en": "Along"},
    "belongs_to": {"zh": "隶属", "en": "Belongs to"},
    "destination": {"zh": "去向", "en": "Destination"},
    "drives": {"zh": "驾驶", "en": "Drives"},
    "follows": {"zh": "依据", "en": "Follows"},
    "located_in": {"zh": "位于", "en": "Located in"},
    "maintained_by": {"zh": "养护单位", "en": "Maintained by"},
    "origin": {"zh": "来源", "en": "Origin"},
    "part_of": {"zh": "属于", "en": "Part of"},
    "serves": {"zh": "服务对象", "en": "Serves"},
    "watches": {"zh": "监控对象", "en": "Watches"},
}
ACTIVE = {"active": {"zh": "正常", "en": "Active"}}


def _field(name: str, said: Mapping[str, Any], level: int) -> Field:
    found = _REF.match(said["type"])
    return Field(
        name=name,
        type=said["type"],
        title=said.get("title") or {"zh": name, "en": name},
        unit=said.get("unit"),
        required=said.get("required", False),
        codes=said.get("codes"),
        of=said.get("of"),
        min=said.get("min"),
        max=said.get("max"),
        pattern=said.get("pattern"),
        level=_level(said.get("sensitivity"), level),
        targets=(found.group(1),) if found else (),
        renamed_from=said.get("renamed_from"),
        example=said.get("example"),
        note=said.get("note"),
    )


def _fields(
    doc: Mapping[str, Any], level: int, relations: Mapping[str, tuple[str, ...]]
) -> dict[str, Field]:
    """Return the declared fields, then one of type ref for each relation that is no field itself."""
    fields = {name: _field(name, said, level) for name, said in doc["fields"].items()}
    for name, targets in relations.items():
        if name in fields:
            fields[name] = replace(fields[name], targets=targets)
        else:
            title = RELATIONS.get(name) or {"zh": name, "en": name.replace("_", " ").capitalize()}
            fields[name] = Field(name=name, type="ref", title=title, level=level, targets=targets)
    return fields


def from_doc(doc: Mapping[str, Any]) -> Kind:
    """Return the kind of a document that the schema has accepted."""
    level = _level(doc.get("sensitivity"), 1)
    relations = {
        name: (said,) if isinstance(said, str) else tuple(said)
        for name, said in doc.get("relations", {}).items()
    }
    fields = _fields(doc, level, relations)
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
        relations=relations,
        search=tuple(doc.get("search", ("name", "code"))),
        card=tuple(doc.get("card", ())),
        synonyms={k: tuple(v) for k, v in doc.get("synonyms", {}).items()},
        quality=tuple(doc.get("quality", ())),
        symbol=doc.get("symbol", {}),
        states=doc.get("states", ACTIVE),
        databases=tuple(doc.get("databases", ())),
        happened=doc.get("happened"),
        story=doc.get("story"),
        pictures=doc.get("pictures"),
        flow=doc.get("flow"),
        tiles=doc.get("tiles", {}),
        share=doc.get("share", "open" if level == 1 else "conditional"),
        source_system=doc.get("source_system", ""),
        update_every=doc.get("update_every"),
        version=doc.get("_version", 1),
        doc={k: v for k, v in doc.items() if k != "_version"},
    )


def _cross_check(doc: Mapping[str, Any], lines: declarations.Lines, file: str) -> None:
    for path, why in _wrong(doc):
        line = declarations.line_of(lines, path)
        raise DeclarationError(file, line, ".".join(map(str, path)), why)


def _wrong(doc: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield what the schema cannot see: where it stands, and why it is wrong."""
    relations = doc.get("relations", {})
    for place in ("fields", "relations"):
        taken = (name for name in doc.get(place, {}) if name in HEADER)
        yield from (
            ((place, n), "this name belongs to the header that every kind has") for n in taken
        )
    for name, said in doc["fields"].items():
        if said["type"] == "code" and "codes" not in said:
            yield ("fields", name), "a field of type code needs its codes"
    if doc.get("flow") and doc["geometry"] != "line":
        yield ("flow",), "a flow is drawn as a line: geometry must be line"
    seen: set[str] = set()
    for i, rule in enumerate(doc.get("quality", ())):
        if rule["id"] in seen:
            yield ("quality", i, "id"), f"the rule {rule['id']} stands here twice"
        seen.add(rule["id"])
    known = {*doc["fields"], *relations, *HEADER}
    yield from (
        (path, f"no field is called {name}") for path, name in _named(doc) if name not in known
    )


def _named(doc: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield every place of a declaration that names a field, and the name."""
    for place in ("card", "list", "search"):
        yield from (((place, i), name) for i, name in enumerate(doc.get(place, ())))
    yield from ((("synonyms", name), name) for name in doc.get("synonyms", {}))
    symbol = doc.get("symbol", {})
    for key in ("color_by", "label", "width_by"):
        if symbol.get(key):
            yield ("symbol", key), symbol[key]
    for key in ("happened", "story", "pictures"):
        if doc.get(key):
            yield (key,), doc[key]
    tiles = doc.get("tiles", {})
    if tiles.get("order"):
        yield ("tiles", "order"), tiles["order"]
    yield from ((("tiles", "fields", i), name) for i, name in enumerate(tiles.get("fields", ())))
    yield from ((("flow", key), name) for key, name in doc.get("flow", {}).items())
    for i, rule in enumerate(doc.get("quality", ())):
        yield from ((("quality", i, "field"), name) for name in [rule.get("field")] if name)
        yield from (
            (("quality", i, "fields", n), name) for n, name in enumerate(rule.get("fields", ()))
        )


def read_file(path: Path) -> Kind:
    """Read and check one kind file; DeclarationError names file, line and key."""
    doc, lines = declarations.read("kind", path)
    return from_lines(doc, lines, str(path))


def from_lines(doc: dict[str, Any], lines: declarations.Lines, file: str) -> Kind:
    """Return the kind of a document that the schema has accepted, checked across its keys."""
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
