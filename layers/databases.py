"""The topic databases (专题库) and the departments that keep them, as data/ declares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from twin import declarations
from twin.kinds import Kind

Title = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Database:
    """One topic database: a module of the requirements and a branch of the layer tree."""

    key: str
    module: int
    topic: str
    title: Title
    description: Title


@lru_cache(maxsize=1)
def databases() -> dict[str, Database]:
    """Return the topic databases in the order of the requirements."""
    doc, _ = declarations.read_yaml(declarations.DATA / "databases.yaml")
    return {key: Database(key=key, **said) for key, said in doc["databases"].items()}


@lru_cache(maxsize=1)
def departments() -> dict[str, Title]:
    """Return the title of each department that a kind names in `maintained_by`."""
    doc, _ = declarations.read_yaml(declarations.DATA / "departments.yaml")
    return dict(doc["departments"])


def members(kinds: Iterable[Kind]) -> dict[str, list[Kind]]:
    """Return the kinds of each database, what has a place first."""
    found: dict[str, list[Kind]] = {key: [] for key in databases()}
    for kind in sorted(kinds, key=lambda k: (k.geometry == "none", k.kind)):
        for key in kind.databases:
            found.setdefault(key, []).append(kind)
    return found


def handbook(kinds: Iterable[Kind]) -> str:
    """Return docs/databases.md: module → database → kinds → where each is seen."""
    kinds = list(kinds)
    titles = {k.kind: k.title["zh"] for k in kinds}
    lines = [
        "# The 37 topic databases",
        "",
        "Made from `data/databases.yaml` and `data/kinds/` by `layers/databases.py`; a test fails when it is stale.",
        "Every kind also has `/ogc/collections/{kind}`, an import template, an export, a history and a quality score;",
        "a kind with a place has tiles at `/tiles/{kind}` and a layer on `/wall`, off at the start unless ●.",
        "",
        "| module | database | kind | fields | where seen |",
        "| --- | --- | --- | --- | --- |",
    ]
    grouped = members(kinds)
    for key, database in databases().items():
        head = f"| {database.module} | {database.title['zh']} `{key}` "
        for kind in grouped[key]:
            lines.append(
                f"{head}| {kind.title['zh']} `{kind.kind}` | {len(kind.fields)} | {_seen(kind, titles)} |"
            )
            head = "| | "
    lone = [k for k in kinds if not k.databases]
    head = "| – | 底图与通用 "
    for kind in lone:
        lines.append(
            f"{head}| {kind.title['zh']} `{kind.kind}` | {len(kind.fields)} | {_seen(kind, titles)} |"
        )
        head = "| | "
    return "\n".join([*lines, "", f"{len(kinds)} kinds in {len(databases())} databases.", ""])


def _seen(kind: Kind, titles: Mapping[str, str]) -> str:
    if kind.geometry == "none":
        hosts = "、".join(titles.get(h, h) for h in kind.relations.get("about", ()))
        return f"card of {hosts}"
    shape = {"point": "points", "line": "lines", "polygon": "areas"}[kind.geometry]
    drawn = "flow lines" if kind.flow else shape
    return f"/wall {drawn}{' ●' if kind.symbol.get('shown') else ''}"
