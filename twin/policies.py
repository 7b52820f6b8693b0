"""Policies: declared documents that staff edit, check, try over the past, publish and roll back.

Each kind says how its documents are checked, what they would have changed (`simulate`), and what
must follow once one is published. The document that runs is the newest published version.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from twin import declarations, journal
from twin.errors import BadRequest, DeclarationError, NotFound
from twin.scope import Actor

Fault = tuple[tuple[Any, ...], str]
Doc = Mapping[str, Any]
MAX_DAYS = 366
# Modules that bring a kind of policy: each calls `register` when it is imported.
MODULES = (
    "twin.indicators.policy",
    "twin.process.policy",
    "twin.merging",
    "twin.duty",
    "twin.scheduling",
    "twin.filtering",
    "twin.mapped",
    "twin.outgoing",
    "twin.contacts",
    "twin.plans.model",
    "twin.scenes",
    "twin.boards",
    "twin.linkages.trial",
    "twin.styles",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of policy: where it is shipped, how it is checked and tried, what follows it."""

    kind: str
    folder: str
    title: Mapping[str, str]
    faults: Callable[[Doc], list[Fault]]
    known: Callable[[Connection, Doc], list[Fault]] | None = None
    warnings: Callable[[Connection, Doc], list[Fault]] | None = None
    simulate: Callable[[Connection, Actor, Doc, int], dict[str, Any]] | None = None
    published: Callable[[Connection, Doc, int, str], Mapping[str, Any]] | None = None


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a kind of policy."""
    _kinds[kind.kind] = kind
    return kind


def kinds() -> dict[str, Kind]:
    """Return every kind of policy, those of all modules."""
    for name in MODULES:
        importlib.import_module(name)
    return dict(sorted(_kinds.items()))


def kind(name: str) -> Kind:
    """Return a kind of policy by name."""
    found = kinds().get(name)
    if found is None:
        raise NotFound(f"No kind of policy is called {name}.", known=sorted(_kinds))
    return found


def publish_shipped(conn: Connection, actor: str) -> int:
    """Publish what is shipped and does not run yet; return how many."""
    done = 0
    for one in kinds().values():
        for path in declarations.shipped_files(one.folder):
            doc, lines = declarations.read(one.kind, path)
            for where, why in one.faults(doc):
                line = declarations.line_of(lines, where)
                raise DeclarationError(str(path), line, ".".join(map(str, where)), why)
            said = declarations.publish(
                conn, one.kind, doc["key"], doc, origin="shipped", actor=actor
            )
            done += said is not None
    return done


def read_file(kind_name: str) -> Callable[[Any], dict[str, Any]]:
    """Return a reader of the files of a kind, for `twin check`."""

    def read(path: Any) -> dict[str, Any]:
        doc, lines = declarations.read(kind_name, path)
        for where, why in kind(kind_name).faults(doc):
            line = declarations.line_of(lines, where)
            raise DeclarationError(str(path), line, ".".join(map(str, where)), why)
        return doc

    return read


_LIST = text(
    "select distinct on (kind_of, key) kind_of as kind, key, version, doc->'title' as title, origin, "
    "published_at, published_by as by from twin.declaration where kind_of = any(:kinds) "
    "order by kind_of, key, version desc"
)
_VERSIONS = text(
    "select d.version, d.published_at as at, d.published_by as by, d.origin, (select j.note->>'note' "
    "from twin.journal j where j.class = 'declaration' and j.kind = :jkind "
    "and (j.note->>'version')::int = d.version order by j.id desc limit 1) as note "
    "from twin.declaration d where d.kind_of = :k and d.key = :key order by d.version desc limit 200"
)
_RUNNING = text(
    'select process, process_version as version, count(*) as n from twin."case" '
    "where closed_at is null group by 1, 2"
)


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return every policy that runs, with how many open cases run on each process."""
    open_cases = {(r.process, r.version): r.n for r in conn.execute(_RUNNING)}
    found = conn.execute(_LIST, {"kinds": list(kinds())}).mappings()
    return [
        {**row, "running": sum(n for (key, _), n in open_cases.items() if key == row["key"])}
        for row in found
    ]


def one(conn: Connection, name: str, key: str, version: int | None) -> dict[str, Any]:
    """Return a document and the list of its versions."""
    kind(name)
    number = version or declarations.newest(conn, name, key)[2]
    doc = declarations.version(conn, name, key, number)
    said = {"k": name, "key": key, "jkind": f"{name}:{key}"}
    running = {r.version: r.n for r in conn.execute(_RUNNING) if r.process == key}
    versions = [
        {**row, "running": running.get(row["version"], 0) if name == "process" else None}
        for row in conn.execute(_VERSIONS, said).mappings()
    ]
    return {"kind": name, "key": key, "version": number, "document": clean(doc),
            "versions": versions}  # fmt: skip


def clean(doc: Doc) -> dict[str, Any]:
    """Return a document without what reading has added to it."""
    return {k: v for k, v in doc.items() if k != "_version"}


def check(conn: Connection, name: str, doc: Doc) -> dict[str, list[dict[str, Any]]]:
    """Return what keeps a document from being published, and what somebody should look at."""
    of = kind(name)
    found = _schema_faults(name, doc)
    if not found:
        found = of.faults(doc)
    if not found and of.known is not None:
        found = of.known(conn, doc)
    warned = of.warnings(conn, doc) if of.warnings is not None and not found else []
    return {"faults": _said(found), "warnings": _said(warned)}


def _said(found: list[Fault]) -> list[dict[str, Any]]:
    return [{"path": list(path), "why": why} for path, why in found]


def _schema_faults(name: str, doc: Doc) -> list[Fault]:
    errors = sorted(
        declarations.schema(name).iter_errors(doc), key=lambda e: list(map(str, e.path))
    )
    return [(tuple(e.path), e.message[:300]) for e in errors[:50]]


def hold(conn: Connection, name: str, doc: Doc) -> None:
    """Refuse a document that has faults, with the first of them."""
    faults = check(conn, name, doc)["faults"]
    if faults:
        first = faults[0]
        raise DeclarationError(
            str(doc.get("key", name))[:64],
            None,
            ".".join(map(str, first["path"])) or "-",
            first["why"],
        )


def simulate(conn: Connection, name: str, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Return what a document would have changed over the last days; nothing is written."""
    of = kind(name)
    if of.simulate is None:
        raise BadRequest(f"Policies of the kind {name} cannot be tried over the past.")
    hold(conn, name, doc)
    return of.simulate(conn, actor, doc, min(max(days, 1), MAX_DAYS))


def publish(
    conn: Connection, name: str, key: str, doc: Doc, *, actor: str, note: str = ""
) -> dict[str, Any]:
    """Publish a document as what runs from now on; running cases keep what they were opened with."""
    said = clean(doc)
    if said.get("key") != key:
        raise BadRequest(f"The document calls itself {said.get('key')!r}, not {key!r}.")
    hold(conn, name, said)
    number = declarations.publish(conn, name, key, said, origin="local", actor=actor)
    if number is None:
        return {"version": declarations.newest(conn, name, key)[2], "changed": False}
    if note:
        journal.append(
            conn, cls="declaration", action="note", actor=actor, kind=f"{name}:{key}",
            note={"version": number, "note": note[:1000]},
        )  # fmt: skip
    of = kind(name)
    after = of.published(conn, said, number, actor) if of.published is not None else {}
    return {"version": number, "changed": True, **after}


def rollback(conn: Connection, name: str, key: str, version: int, *, actor: str) -> dict[str, Any]:
    """Publish an earlier version anew: history goes on, nothing is taken away."""
    doc = clean(declarations.version(conn, name, key, version))
    return publish(conn, name, key, doc, actor=actor, note=f"back to version {version}")
