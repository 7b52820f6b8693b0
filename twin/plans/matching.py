"""How well a plan fits a warning: type, level, place, season, readiness; parts are shown, a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, catalogue
from twin.plans import model, resources

# This product's own working values; the page says so.
WEIGHTS = {"type": 0.4, "level": 0.2, "place": 0.15, "season": 0.1, "readiness": 0.15}
Part = dict[str, Any]


def ranked(conn: Connection, warning: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every plan with its score for a warning, the best first."""
    where = resources.stage(conn, resources.area_of(conn, warning.get("identifier")))
    found = [
        {"plan": key, "title": doc["title"], "verified": doc.get("verified", True)}
        | score(conn, doc, warning, where)
        for key, doc in model.plans(conn).items()
    ]
    return sorted(found, key=lambda one: (-one["score"], one["plan"]))


def score(
    conn: Connection, doc: Mapping[str, Any], warning: Mapping[str, Any], where: resources.Stage
) -> dict[str, Any]:
    """Return the score of a plan from 0 to 1 and its parts; a part that says nothing counts nothing."""
    hints = {k: v["value"] for k, v in model.measured(conn, doc).items()}
    at = model.level(doc, warning, hints)
    parts = {
        "type": _type(doc, warning),
        "level": {"value": 1.0 if at else 0.0, "said": at or int(warning["level"])},
        "place": _place(conn, doc, where),
        "season": _season(doc, datetime.now(UTC)),
        "readiness": _readiness(conn, doc, at or int(warning["level"]), where),
    }
    told = {name: WEIGHTS[name] for name, part in parts.items() if part["value"] is not None}
    total = sum(part["value"] * told[name] for name, part in parts.items() if name in told)
    # A plan for something else does not fit because its crews are at hand.
    fit = total / sum(told.values()) if parts["type"]["value"] else 0.0
    return {
        "score": round(fit, 3),
        "level": at,
        "parts": [
            {"part": name, "weight": WEIGHTS[name], **part,
             "value": None if part["value"] is None else round(part["value"], 3)}
            for name, part in parts.items()
        ],
    }  # fmt: skip


def _type(doc: Mapping[str, Any], warning: Mapping[str, Any]) -> Part:
    """The event itself, a word within it, or a word of the headline only."""
    event, headline = str(warning["event"]).lower(), str(warning["headline"]).lower()
    best, word = 0.0, None
    for one in doc["warnings"]:
        said = one.lower()
        fit = 1.0 if said == event else 0.8 if said in event else 0.5 if said in headline else 0.0
        if fit > best:
            best, word = fit, one
    return {"value": best, "said": word}


def _place(conn: Connection, doc: Mapping[str, Any], where: resources.Stage) -> Part:
    """The share of the districts warned in which the plan has things to guard."""
    known = catalogue.all_kinds(conn)
    zones = [known[name] for name in doc.get("zones", ()) if name in known]
    codes = [one["code"] for one in where.targets]
    if not zones or not codes:
        return {"value": None, "said": None}
    rows = " union all ".join(
        f"select district from {z.topic}.{z.kind} where district = any(:codes)" for z in zones
    )
    row = conn.execute(
        text(f"select count(*) as n, count(distinct district) as d from ({rows}) z"),
        {"codes": codes},
    ).one()
    return {"value": row.d / len(codes), "said": {"things": row.n, "districts": row.d, "of": len(codes)}}  # fmt: skip


def _season(doc: Mapping[str, Any], now: datetime) -> Part:
    months = doc.get("season")
    if not months:
        return {"value": None, "said": None}
    month = now.astimezone(calendar.ZONE).month
    return {"value": 1.0 if month in months else 0.0, "said": {"month": month, "months": months}}


def _readiness(conn: Connection, doc: Mapping[str, Any], at: int, where: resources.Stage) -> Part:
    """The share of what the level needs that is there within its minutes."""
    needed = model.needed(doc, at)
    if not needed:
        return {"value": None, "said": None}
    lines = resources.card(conn, needed, where)["lines"]
    wanted, filled = sum(x["count"] for x in lines), sum(x["filled"] for x in lines)
    return {"value": filled / wanted, "said": {"filled": filled, "wanted": wanted}}
