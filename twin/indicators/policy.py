"""Sets of indicators as policies: edited, checked, tried, published and rolled back in the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import policies
from twin.indicators import checking, measuring, published
from twin.indicators.model import Indicator, evaluate, of_set
from twin.indicators.values import Reader
from twin.scope import Actor


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


policies.register(
    policies.Kind(
        kind=published.KIND, folder="indicators", title={"zh": "指标", "en": "Indicators"},
        faults=checking.faults, known=checking.known, simulate=simulate,
    )
)  # fmt: skip
