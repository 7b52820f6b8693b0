"""Use cases of indicators: a board, one number with its parts, the things behind it, checks, acceptance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from twin import catalogue, names, rules
from twin.errors import BadRequest, NotFound
from twin.indicators import measuring
from twin.indicators.model import Indicator, evaluate, references
from twin.indicators.published import Running, running
from twin.indicators.values import Figure, Reader
from twin.indicators.view import card, rounded
from twin.scope import Actor


def board(
    conn: Connection, actor: Actor, topic: str | None, district: str | None, day: date,
    keys: frozenset[str] = frozenset(),
) -> dict[str, Any]:  # fmt: skip
    """Return the indicators of a topic (or of all) with their figures, and those named beside."""
    known = running(conn)
    reader = Reader(conn, known, actor, day, district)
    mine = [
        one for one in known.indicators.values()
        if one.key in keys or topic == one.topic or (topic is None and not keys)
    ]  # fmt: skip
    figures = reader.figures([one.key for one in mine])
    groups = [
        {"key": f"{doc['key']}.{key}", "set": doc["key"], "topic": doc["topic"], "title": title}
        for doc in known.sets.values()
        for key, title in doc["groups"].items()
        if topic in (None, doc["topic"])
    ]
    shown = [card(one, figures[one.key]) for one in mine if one.key in figures]
    return {"topic": topic, "day": day, "groups": groups, "indicators": shown}


def one(
    conn: Connection, actor: Actor, key: str, district: str | None, day: date
) -> dict[str, Any]:
    """Return an indicator: definition, where its data come from, its value by district and street."""
    known = running(conn)
    reader = Reader(conn, known, actor, day, district)
    found = _seen(known, reader, key)
    figures = reader.figures([key, *found.needs()])
    called = names.things(conn)
    places = {
        f"by_{by}": [
            {"code": code, "name": called.get(code, code), "value": rounded(found, value),
             "level": found.level(value)}
            for code, value in sorted(reader.by_place(key, by).items())
        ]
        for by in ("district", "street")
    }  # fmt: skip
    return {
        **card(found, figures[key]),
        "definition": found.doc,
        "formula": found.formula,
        "window": _window(found, day),
        "parts": [card(known.one(n), figures[n]) for n in found.needs() if n in figures],
        "lineage": [_origin(conn, part) for part in known.parts(key).values()],
        **places,
    }


_AREAS = sa.text(
    "select k.code, k.name, st_asgeojson(st_simplifypreservetopology(k.geom, :tolerance), 5)::json as shape "
    "from base.{by} k where k.code = any(:codes) order by k.code"
)
# A district on a screen, a street in its district: degrees that are less than a pixel.
_TOLERANCE = {"district": 0.0008, "street": 0.0003}


def areas(
    conn: Connection, actor: Actor, key: str, by: str, district: str | None, day: date
) -> dict[str, Any]:
    """Return the value of an indicator in each district or street as GeoJSON."""
    known = running(conn)
    reader = Reader(conn, known, actor, day, district)
    found = _seen(known, reader, key)
    values = reader.by_place(key, by)
    asked = sa.text(_AREAS.text.format(by=by))
    rows = conn.execute(asked, {"codes": list(values), "tolerance": _TOLERANCE[by]})
    features = [
        {"type": "Feature", "geometry": row.shape,
         "properties": {"code": row.code, "name": row.name, "value": rounded(found, values[row.code]),
                        "level": found.level(values[row.code])}}
        for row in rows
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def _seen(known: Running, reader: Reader, key: str) -> Indicator:
    found = known.one(key)
    if not reader.sees(key):
        raise NotFound(f"No indicator is called {key!r}.")
    return found


def _window(one: Indicator, day: date) -> dict[str, Any] | None:
    if one.window is None:
        return None
    first, last = measuring.span(one, day)
    return {"field": one.window.field, "first": first, "last": last}


def _origin(conn: Connection, one: Indicator) -> dict[str, Any]:
    """Return where the rows of an indicator come from, as the catalogue names it."""
    ((form, name),) = one.of.items()
    kind = catalogue.all_kinds(conn).get(name) if form == "kind" else None
    return {
        "indicator": one.key,
        "of": form,
        "name": name,
        "title": kind.title if kind else None,
        "source_system": kind.source_system if kind else None,
        "maintained_by": kind.maintained_by if kind else None,
        "databases": list(kind.databases) if kind else [],
        "where": one.where,
        "measure": one.doc.get("measure", "count"),
    }


def things(
    conn: Connection, actor: Actor, key: str, *, district: str | None, street: str | None,
    counted: bool, limit: int, offset: int, day: date,
) -> dict[str, Any]:  # fmt: skip
    """Return the things behind a number: those that count, or of a share those that fall short."""
    known = running(conn)
    found = _seen(known, Reader(conn, known, actor, day, district), key)
    if found.formula is not None:
        raise BadRequest("This number is made of others; ask for the things of its parts.",
                         parts=list(found.needs()))  # fmt: skip
    statement = measuring.Statement(conn, found, actor)
    query = statement.listed(*measuring.span(found, day), counted=counted)
    rows = statement.source.rows.c
    for column, said in (("district", district), ("street", street)):
        if said is not None:
            query = query.where(rows[column] == said)
    total = conn.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    order = [rows.num, rows.code] if "num" in rows else [rows.code]
    page = conn.execute(query.order_by(*order).limit(limit).offset(offset)).mappings()
    kind = found.of.get("kind") or {"cases": "event"}.get(found.of.get("records", ""), "thing")
    shown = [{**row, "kind": kind} for row in page]
    following = offset + limit if offset + limit < total else None
    return {"key": key, "total": total, "things": shown, "next": following}


def checks(conn: Connection, actor: Actor, day: date) -> list[dict[str, Any]]:
    """Return the declared checks between indicators, each with the numbers it looked at."""
    known = running(conn)
    reader = Reader(conn, known, actor, day)
    found = []
    for doc in known.sets.values():
        for check in doc.get("checks", ()):
            named = _named(check["expr"])
            figures = reader.figures([n for n in named if n in known.indicators])
            values = {n: figures[n].value if n in figures else None for n in named}
            found.append(
                {"set": doc["key"], "id": check["id"], "say": check["say"], "expr": check["expr"],
                 "values": values, "holds": _holds(check["expr"], values)}
            )  # fmt: skip
    return found


def _named(expression: str) -> tuple[str, ...]:
    return references(expression)


def _holds(expression: str, values: Mapping[str, float | None]) -> bool | None:
    try:
        made = evaluate(f"({expression}) ? 1.0 : 0.0", values)
    except rules.RuleError:
        return None
    return None if made is None else made == 1.0


def accepted(
    conn: Connection, actor: Actor, items: tuple[dict[str, Any], ...], day: date
) -> list[dict[str, Any]]:
    """Return the items of acceptance with their live values."""
    known = running(conn)
    named = [item["indicator"] for item in items if item.get("indicator") in known.indicators]
    reader = Reader(conn, known, actor, day)
    figures = reader.figures(named)
    return [_item(known, item, figures.get(item.get("indicator", ""))) for item in items]


def _item(known: Running, item: Mapping[str, Any], figure: Figure | None) -> dict[str, Any]:
    if figure is None:
        return {**item, "value": None, "reached": None}
    one = known.one(item["indicator"])
    target, sign = item.get("target"), 1.0 if item.get("better", "up") == "up" else -1.0
    # What is shown is rounded; whether it is reached is told by what it is.
    exact = figure.value
    reached = None if exact is None or target is None else exact * sign >= target * sign
    return {**item, "value": rounded(one, exact), "unit": one.unit, "reached": reached, "at": figure.at,
            "formula": one.formula, "definition": one.doc}  # fmt: skip
