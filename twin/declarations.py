"""Declared business: YAML files checked against JSON Schema, published into twin.declaration.

A published declaration is what runs. Shipped files are published by set-up; a shipped newer
version of something edited locally is offered, never applied over it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from sqlalchemy import JSON, Connection, bindparam, text

from twin import db, journal
from twin.errors import DeclarationError, NotFound

DATA = Path(__file__).resolve().parent.parent / "data"
MAX_DEPTH = 60
SCHEMAS = Path(__file__).parent / "schemas"
Lines = dict[tuple[Any, ...], int]


class _NoDates(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe loader that keeps dates as text: JSON Schema and jsonb know no dates.

    Written in C where PyYAML brings it: two hundred files are read at every start.
    """


_NoDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _walk(node: yaml.Node, path: tuple[Any, ...], lines: Lines, file: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise DeclarationError(file, line, str(key.value), "this key stands here twice")
            seen.add(key.value)
            _walk(value, (*path, key.value), lines, file)
            lines[(*path, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*path, i), lines, file)


def read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    """Return the document of a YAML file and the line of each of its keys."""
    name = _short(path)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise DeclarationError(name, None, "-", f"cannot be read as UTF-8 text ({why})") from why
    return read_source(source, name)


def read_source(source: str, name: str) -> tuple[dict[str, Any], Lines]:
    """Return the document of YAML text and the line of each of its keys; `name` is for errors."""
    lines: Lines = {}
    if _depth(source) > MAX_DEPTH:
        raise DeclarationError(name, None, "-", "this nests too deep")
    try:
        # A few bytes of aliases can stand for gigabytes.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(source)):
            raise DeclarationError(
                name, None, "-", "aliases (*name) are not used here; write it out"
            )
        node = yaml.compose(source, Loader=_NoDates)
        if node is None:
            raise DeclarationError(name, 1, "-", "the file is empty")
        _walk(node, (), lines, name)
        doc = yaml.load(source, Loader=_NoDates)  # noqa: S506 (a subclass of SafeLoader)
    except yaml.YAMLError as why:
        mark = getattr(why, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise DeclarationError(name, line, "-", str(getattr(why, "problem", why))) from why
    except RecursionError as why:
        raise DeclarationError(name, None, "-", "this nests too deep") from why
    if not isinstance(doc, dict):
        raise DeclarationError(name, 1, "-", "a mapping of keys is expected")
    return doc, lines


def _depth(source: str) -> int:
    """Return how deep brackets open, whatever quotes say: the reader's time grows with the square."""
    depth = most = 0
    for sign in source:
        depth += (sign in "[{") - (sign in "]}")
        most = max(most, depth)
    return most


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(DATA.parent))
    except ValueError:
        return str(path)


@lru_cache(maxsize=16)
def schema(kind_of: str) -> Draft202012Validator:
    """Return the published JSON Schema of a kind of declaration."""
    return Draft202012Validator(
        json.loads((SCHEMAS / f"{kind_of}.json").read_text(encoding="utf-8"))
    )


def check(kind_of: str, doc: dict[str, Any], lines: Lines, file: str) -> None:
    """Raise DeclarationError at the first thing that the schema refuses."""
    errors = sorted(schema(kind_of).iter_errors(doc), key=lambda e: list(map(str, e.path)))
    for error in errors:
        path = tuple(error.path)
        if error.validator == "additionalProperties" and isinstance(error.instance, dict):
            known = error.schema.get("properties", {})
            path += (next((k for k in error.instance if k not in known), "?"),)
        key = ".".join(map(str, path)) or "-"
        raise DeclarationError(file, line_of(lines, path), key, error.message)


def line_of(lines: Lines, path: tuple[Any, ...]) -> int | None:
    """Return the line of the nearest key that the file has on this path."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def read(kind_of: str, path: Path) -> tuple[dict[str, Any], Lines]:
    """Read and check one declaration file."""
    doc, lines = read_yaml(path)
    check(kind_of, doc, lines, _short(path))
    return doc, lines


def shipped_files(folder: str) -> Iterator[Path]:
    """Yield the shipped files of a folder of data/, in a stable order."""
    yield from sorted((DATA / folder).rglob("*.yaml"))


_CURRENT = text(
    "select distinct on (key) key, version, doc, origin from twin.declaration "
    "where kind_of = :k order by key, version desc"
)
_STAMP = text("select count(*), max(published_at) from twin.declaration where kind_of = :k")


def current(conn: Connection, kind_of: str) -> dict[str, dict[str, Any]]:
    """Return what runs: the newest published version of each key."""
    return {r.key: r.doc | {"_version": r.version} for r in conn.execute(_CURRENT, {"k": kind_of})}


def stamp(conn: Connection, kind_of: str) -> tuple[Any, ...]:
    """Return what changes whenever something of a kind is published: versions are only ever added."""
    return tuple(conn.execute(_STAMP, {"k": kind_of}).one())


def version(conn: Connection, kind_of: str, key: str, number: int) -> dict[str, Any]:
    """Return one published version; running cases stay on theirs."""
    doc: dict[str, Any] | None = conn.execute(
        text("select doc from twin.declaration where kind_of = :k and key = :key and version = :v"),
        {"k": kind_of, "key": key, "v": number},
    ).scalar()
    if doc is None:
        raise NotFound(f"No version {number} of {kind_of} {key} is published.")
    return doc | {"_version": number}


# A published version never changes, so it is read once a process; the database is part of the key.
# What the own transaction has written is not kept: it may yet be rolled back.
_kept: dict[tuple[str, str, str, int], dict[str, Any]] = {}
_newest: dict[tuple[str, str, str], tuple[float, int]] = {}
_KEPT = 256
# Another process hears of a new version after this at the latest.
_NEWS_S = 0.5
_OWN = (
    "xmin::text = coalesce((pg_current_xact_id_if_assigned()::text::bigint % 4294967296)::text, '')"
)
_NEWEST = text(
    f"select version, {_OWN} as own from twin.declaration where kind_of = :k and key = :key "
    "order by version desc limit 1"
)
_ONE = text(
    f"select doc, {_OWN} as own from twin.declaration where kind_of = :k and key = :key and version = :v"
)


def newest(conn: Connection, kind_of: str, key: str) -> tuple[str, str, int]:
    """Return (database, key, version) of what runs: a name that never means anything else."""
    where = db.place(conn)
    known = _newest.get((where, kind_of, key))
    if known is not None and known[0] > time.monotonic():
        return where, key, known[1]
    row = conn.execute(_NEWEST, {"k": kind_of, "key": key}).first()
    if row is None:
        raise NotFound(f"No {kind_of} is called {key}.")
    if not row.own:
        _newest[where, kind_of, key] = (time.monotonic() + _NEWS_S, int(row.version))
    return where, key, int(row.version)


def kept(conn: Connection, kind_of: str, key: str, number: int) -> dict[str, Any]:
    """Return one published version from memory; whoever gets it leaves it as it is."""
    name = (db.place(conn), kind_of, key, number)
    found = _kept.get(name)
    if found is not None:
        return found
    row = conn.execute(_ONE, {"k": kind_of, "key": key, "v": number}).first()
    if row is None:
        raise NotFound(f"No version {number} of {kind_of} {key} is published.")
    made: dict[str, Any] = row.doc | {"_version": number}
    if not row.own:
        if len(_kept) >= _KEPT:
            _kept.clear()
        _kept[name] = made
    return made


def differs(conn: Connection, kind_of: str, key: str, doc: dict[str, Any]) -> bool:
    """Tell whether a shipped document would become a new version: it differs and no local edit stands."""
    found = conn.execute(
        text(
            "select doc, origin from twin.declaration "
            "where kind_of = :k and key = :key order by version desc limit 1"
        ),
        {"k": kind_of, "key": key},
    ).first()
    return found is None or (found.origin != "local" and not _same(found.doc, doc))


def publish(
    conn: Connection, kind_of: str, key: str, doc: dict[str, Any], *, origin: str, actor: str
) -> int | None:
    """Publish a document as the next version; None when it already runs or a local edit stands."""
    found = conn.execute(
        text(
            "select version, doc, origin from twin.declaration "
            "where kind_of = :k and key = :key order by version desc limit 1"
        ),
        {"k": kind_of, "key": key},
    ).first()
    if found and (_same(found.doc, doc) or (origin == "shipped" and found.origin == "local")):
        return None
    number = (found.version if found else 0) + 1
    _newest.clear()
    conn.execute(
        text(
            "insert into twin.declaration (kind_of, key, version, doc, origin, published_by) "
            "values (:k, :key, :v, :doc, :o, :by)"
        ).bindparams(bindparam("doc", type_=JSON)),
        {"k": kind_of, "key": key, "v": number, "doc": doc, "o": origin, "by": actor},
    )
    journal.append(
        conn,
        cls="declaration",
        action="publish",
        actor=actor,
        kind=f"{kind_of}:{key}",
        before=found.doc if found else None,
        after=doc,
        note={"version": number, "origin": origin},
    )
    return number


def _same(one: Any, other: Any) -> bool:
    """Tell whether two documents say the same in the same order: fields are shown as declared."""
    return json.dumps(one, sort_keys=False) == json.dumps(other, sort_keys=False)
