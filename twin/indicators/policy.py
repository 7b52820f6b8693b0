"""Sets of indicators as policies: edited, checked, tried, published and rolled back in the console."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import names, policies
from twin.errors import BadRequest, Forbidden
from twin.indicators import checking, measuring, published
from twin.indicators.model import Indicator, evaluate, of_set
from twin.indicators.values import Reader
from twin.scope import Actor

SHOWN = 5


def simulate(conn: Connection, actor: Actor, doc: Mapping[str, Any], _days: int) -> dict[str, Any]:
    """Return what each changed indicator would say now, beside what it says."""
    known = published.running(conn)
    new = {one.key: one for one in of_set(doc)}
    changed = {key: one for key, one in new.items() if known.indicators.get(key) != one}
    reader = Reader(conn, known, actor, measuring.today())
    before = reader.figures([key for key in changed if key in known.indicators])
    moved = [
        {"code": key, "title": one.title, "from": before[key].value if key in before else None,
         "to": _now(conn, actor, one, {**known.indicators, **new}), "lon": None, "lat": None}
        for key, one in changed.items()
    ]  # fmt: skip
    return {"read": len(new), "changed": len(moved), "moved": moved}


def _now(
    conn: Connection, actor: Actor, one: Indicator, known: Mapping[str, Indicator]
) -> float | None:
    if one.formula is not None:
        return evaluate(one.formula, {n: _now(conn, actor, known[n], known) for n in one.needs()})
    first, last = measuring.span(one, measuring.today())
    query = measuring.Statement(conn, one, actor).grouped(("district",), first, last)
    rows = conn.execute(query).all()
    return one.value(sum(r.num for r in rows), sum(r.den for r in rows))


def trial(conn: Connection, actor: Actor, doc: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what one indicator of a draft says now: all in all, by district, and of what it is made."""
    policies.hold(conn, published.KIND, doc)
    new = {one.key: one for one in of_set(doc)}
    if key not in new:
        raise BadRequest(f"The draft has no indicator {key}.")
    known = {**published.running(conn).indicators, **new}
    one, began = new[key], time.perf_counter()
    if not _may_see(conn, actor, one, known):
        raise Forbidden("This indicator counts what you may not see.")
    said: dict[str, Any] = {"key": key, "value": _now(conn, actor, one, known), "by_district": [],
                            "things": []}  # fmt: skip
    if one.formula is None:
        first, last = measuring.span(one, measuring.today())
        statement = measuring.Statement(conn, one, actor)
        called = names.things(conn)
        rows = conn.execute(statement.grouped(("district",), first, last)).all()
        said["by_district"] = [
            {"code": r.district, "name": called.get(r.district), "value": one.value(r.num, r.den)}
            for r in rows if r.district
        ]  # fmt: skip
        listed = conn.execute(statement.listed(first, last).limit(SHOWN)).mappings()
        said["things"] = [{n: row.get(n) for n in ("code", "name", "value")} for row in listed]
    running = published.running(conn).indicators.get(key)
    before = Reader(conn, published.running(conn), actor, measuring.today()).figures(
        [key] if running else []
    )
    said["was"] = before[key].value if key in before else None
    return said | {
        "level": one.level(said["value"]),
        "took_ms": round((time.perf_counter() - began) * 1e3, 1),
    }


def _may_see(
    conn: Connection, actor: Actor, one: Indicator, known: Mapping[str, Indicator]
) -> bool:
    if one.formula is not None:
        return all(_may_see(conn, actor, known[n], known) for n in one.needs())
    return measuring.may_see(conn, one, actor)


policies.register(
    policies.Kind(
        kind=published.KIND, folder="indicators", title={"zh": "指标", "en": "Indicators"},
        faults=checking.faults, known=checking.known, simulate=simulate,
    )
)  # fmt: skip
