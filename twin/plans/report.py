"""The after-action report: figures from the journal of a response alone, so that nobody writes them by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from twin import cases
from twin.plans import model, response


def made(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a response: times, answers, resources, steps, shortfalls."""
    doc, data = response.plan_of(conn, case), case["data"]
    story = cases.story(conn, case["id"])
    start = _time(data.get("confirmed_at"))
    end = _time(data.get("ended_at"))
    return {
        "code": case["code"],
        "title": case["title"],
        "drill": data["drill"],
        "level": case["severity"],
        "suggested_level": data["suggested_level"],
        "suggested_at": case["opened_at"],
        "confirmed_at": start,
        "ended_at": end,
        "confirm_s": _span(case["opened_at"], start),
        "lasted_s": _span(start, end or datetime.now(UTC)) if start else None,
        "answers": _answers(data["notices"]),
        "resources": _filled(data.get("card") or {}),
        "steps": _steps(model.steps(doc, case["severity"]), data["steps"], start),
        "entries": len(story),
        "at": datetime.now(UTC),
    }


def _time(said: Any) -> datetime | None:
    return datetime.fromisoformat(said) if isinstance(said, str) else said


def _span(a: datetime | None, b: datetime | None) -> float | None:
    return None if a is None or b is None else round((b - a).total_seconds(), 1)


def _answers(notices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    took = sorted(
        _span(_time(n["at"]), _time(n["acked_at"])) or 0.0 for n in notices if n["acked_at"]
    )
    return {
        "told": len(notices),
        "answered": len(took),
        "share": round(100 * len(took) / len(notices), 1) if notices else None,
        "median_s": took[len(took) // 2] if took else None,
        "slowest_s": took[-1] if took else None,
        "silent": [n["name"] or n["user"] for n in notices if not n["acked_at"]],
    }


def _filled(card: Mapping[str, Any]) -> dict[str, Any]:
    lines = card.get("lines", [])
    wanted = sum(one["count"] for one in lines)
    filled = sum(one["filled"] for one in lines)
    ready = [one for one in card.get("resources", ()) if one.get("ready_at")]
    return {
        "wanted": wanted,
        "filled": filled,
        "share": round(100 * filled / wanted, 1) if wanted else None,
        "called": sum(1 for one in card.get("resources", ()) if one.get("called_at")),
        "ready": len(ready),
        "short": [one for one in lines if one["short"] > 0],
    }


def _steps(
    wanted: Sequence[Mapping[str, Any]], done: Mapping[str, Any], start: datetime | None
) -> list[dict[str, Any]]:
    said = []
    for step in wanted:
        one = done.get(step["key"])
        took = _span(start, _time(one["at"])) if one else None
        said.append(
            {"key": step["key"], "title": step["title"], "due_s": step["after_s"], "took_s": took,
             "by": one["by"] if one else None, "in_time": None if took is None else took <= step["after_s"] + 300,
             "note": (one or {}).get("note")}
        )  # fmt: skip
    return said
