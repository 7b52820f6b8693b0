"""What would make an indicator wrong: asked before a set is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from twin import filters
from twin.errors import BadRequest, DeclarationError
from twin.indicators import measuring, published
from twin.indicators.model import Indicator, formula_fault, of_set
from twin.scope import SYSTEM

Fault = tuple[tuple[Any, ...], str]


def faults(doc: Mapping[str, Any]) -> list[Fault]:
    """Return what can be told from the document alone."""
    found: list[Fault] = []
    mine = {doc["key"]: doc["indicators"]}
    for name, said in doc["indicators"].items():
        at = ("indicators", name)
        if said["group"] not in doc["groups"]:
            found.append(((*at, "group"), f"no group is called {said['group']}"))
        for key in ("where",):
            found += _filter_fault(said.get(key), (*at, key))
        share = said.get("measure", {})
        if isinstance(share, dict):
            found += _filter_fault(share.get("share"), (*at, "measure", "share"))
        if "formula" in said:
            why = formula_fault(said["formula"], mine)
            found += [((*at, "formula"), why)] if why else []
    for i, check in enumerate(doc.get("checks", ())):
        why = formula_fault(check["expr"], mine)
        found += [(("checks", i, "expr"), why)] if why else []
    return found or _cycles(doc)


def _filter_fault(said: str | None, path: tuple[Any, ...]) -> list[Fault]:
    if said is None:
        return []
    try:
        filters.names_in(said)
    except BadRequest as why:
        return [(path, why.detail)]
    return []


def _cycles(doc: Mapping[str, Any]) -> list[Fault]:
    made = {one.key: one for one in of_set(doc)}
    for key, one in made.items():
        if one.formula is not None and _leads_to(key, one.needs(), made, set()):
            return [(("indicators", key.partition(".")[2], "formula"), "it is made of itself")]
    return []


def _leads_to(key: str, needs: Any, made: Mapping[str, Indicator], seen: set[str]) -> bool:
    for name in needs:
        if name == key:
            return True
        if name in made and name not in seen:
            seen.add(name)
            if _leads_to(key, made[name].needs(), made, seen):
                return True
    return False


def known(conn: Connection, doc: Mapping[str, Any]) -> list[Fault]:
    """Return what only the running installation can tell: kinds, fields, other sets."""
    return list(_known(conn, doc))


def _known(conn: Connection, doc: Mapping[str, Any]) -> Iterator[Fault]:
    others = {k: v["indicators"] for k, v in published.running(conn).sets.items()}
    sets = others | {doc["key"]: doc["indicators"]}
    for one in of_set(doc):
        at = ("indicators", one.key.partition(".")[2])
        if one.formula is not None:
            for need in one.needs():
                if need.partition(".")[2] not in sets.get(need.partition(".")[0], {}):
                    yield ((*at, "formula"), f"no indicator is called {need}")
            continue
        try:
            statement = measuring.Statement(conn, one, SYSTEM)
            statement.grouped(("day",), *measuring.span(one, measuring.today()))
        except KeyError as why:
            yield (at, f"there is no field {why.args[0]} in {statement.source.name}")
        except (BadRequest, DeclarationError) as why:
            yield (at, why.detail)
