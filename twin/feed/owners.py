"""Who has the last word (一数一源): `data/feeds.yaml`, by kind and by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from twin import declarations
from twin.errors import DeclarationError
from twin.kinds import Kind

Side = Literal["city", "district"]
SIDES: tuple[Side, ...] = ("city", "district")
PATH = declarations.DATA / "feeds.yaml"
HEAD = ("name", "state", "geom")


@dataclass(frozen=True, kw_only=True)
class Owners:
    """Whose the things of a kind are, and whose each of their fields."""

    thing: Side
    fields: Mapping[str, Side] = field(default_factory=dict)

    def of(self, name: str) -> Side:
        """Return the owner of a field, or of `name`, `state`, `geom`."""
        return self.fields.get(name, self.thing)


def owners(kind: Kind) -> Owners:
    """Return the owners of a kind as declared."""
    default, known = read(PATH)
    return known.get(kind.kind, Owners(thing=default))


def exchanged(kind: Kind) -> bool:
    """True for what is exchanged: not the base map, which both sides have from its own source."""
    return kind.topic != "base" or kind.kind in read(PATH)[1]


@lru_cache(maxsize=4)
def read(path: Path) -> tuple[Side, dict[str, Owners]]:
    """Return the default owner and the owners by kind; DeclarationError names line and key."""
    doc, lines = declarations.read_yaml(path)
    declarations.check("feeds", doc, lines, str(path))
    return doc["default"], {
        name: Owners(thing=said["owner"], fields=said.get("fields", {}))
        for name, said in doc["kinds"].items()
    }


def check(kinds: Mapping[str, Kind], path: Path = PATH) -> None:
    """Raise DeclarationError for a kind or a field that does not exist."""
    doc, lines = declarations.read_yaml(path)
    for name, said in doc["kinds"].items():
        kind = kinds.get(name)
        if kind is None:
            raise DeclarationError(
                str(path), lines.get(("kinds", name)), f"kinds.{name}", "no kind is called so"
            )
        for one in said.get("fields", {}):
            if one not in kind.fields and one not in HEAD:
                where = ("kinds", name, "fields", one)
                raise DeclarationError(
                    str(path), lines.get(where), ".".join(where), f"{name} has no such field"
                )
