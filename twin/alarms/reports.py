"""An alarm that is loud enough becomes an event of the city, once, as its rule declares."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from twin import cases, intake
from twin.alarms.rule import Rule
from twin.process import rows
from twin.scope import SYSTEM

SOURCE = "alarm"
QUIETEST = 4


def report(conn: Connection, alarm: UUID, rule: Rule) -> str | None:
    """Report an alarm to the intake if its rule says so and its level is reached; return the code."""
    if rule.event is None:
        return None
    case = rows.locked(conn, alarm, SYSTEM)
    if case["severity"] > rule.event.get("from_level", QUIETEST) or "event" in case["data"]:
        return None
    data = case["data"]
    taken = intake.take(
        conn,
        intake.Draft(
            source=SOURCE, source_id=str(alarm), category=rule.event["category"],
            title=case["title"], description=_words(rule, data), lon=case["lon"], lat=case["lat"],
            severity=max(1, min(4, int(case["severity"]))), reporter="system",
            reporter_kind="machine",
            more={"alarm": case["code"], "rule": rule.key, "thing": data.get("thing"),
                  "thing_name": data.get("thing_name")},
        ),
        actor=SYSTEM,
    )  # fmt: skip
    cases.annotate(conn, alarm, {"event": taken.case["code"]}, action="reported")
    return str(taken.case["code"])


def _words(rule: Rule, data: dict[str, Any]) -> str:
    value = data.get("value")
    measured = f"，当前值 {value:g} {data.get('unit') or ''}".rstrip() if value is not None else ""
    advice = rule.advice.get("zh", "") if rule.advice else ""
    return f"{rule.title['zh']}：{data.get('thing_name') or data.get('thing')}{measured}。{advice}"
