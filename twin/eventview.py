"""How a case of the event process is shown: the one shape for lists, cards and live messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import cases, declarations, names
from twin.scope import Actor

PROCESS = cases.CITY
# Steps that say nothing to the reporter.
SILENT = frozenset({
    "warn", "late", "supervise", "report", "rule_fault", "armed", "deadline", "joined", "parted", "repeat",
    "migrate", "migrate_undo", "complete", "use", "tags", "review", "filled", "visit", "complain",
    "handed", "handed_number", "handed_news", "handed_refused",
})  # fmt: skip
_SHOWN = "id num code title category severity state holder district street source version".split()


def by_ids(conn: Connection, ids: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Return cases by id in one read; the caller has asked for these ids within a scope."""
    rows = conn.execute(
        text(f'select {cases.COLUMNS} from twin."case" where id = any(:ids)'), {"ids": list(ids)}
    )
    return {str(r.id): dict(r._mapping) for r in rows}


class View:
    """Titles and names needed to show many cases; made once a request."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.names = names.things(conn)
        self._definitions: dict[tuple[str, int], dict[str, Any]] = {}

    def definition(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition of a case, read once a version."""
        key = (case["process"], case["process_version"])
        if key not in self._definitions:
            self._definitions[key] = declarations.version(self.conn, "process", *key)
        return self._definitions[key]

    def show(
        self, case: Mapping[str, Any], actor: Actor, now: datetime | None = None
    ) -> dict[str, Any]:
        """Return the event object of the API; `now` is the moment looked at (past or present)."""
        said = self.definition(case)
        state = said["states"][case["state"]]
        category = said["categories"].get(case["category"], {})
        data = case["data"]
        due = _time(case["due_at"])
        shown = {key: case[key] for key in _SHOWN} | {
            "id": str(case["id"]),
            "kind": "event",
            "category_title": category.get("title"),
            "domain": category.get("domain"),
            "skill": category.get("skill"),
            "description": data.get("description", ""),
            "address": data.get("address"),
            "reporter": data.get("reporter"),
            "arrived_at": data.get("arrived_at"),
            "reworks": data.get("reworks", 0),
            "tags": data.get("tags") or [],
            "photos": photos(data),
            "state_title": state["title"],
            "stage": state["stage"],
            "final": state.get("final", False),
            "point": [case["lon"], case["lat"]],
            "district_name": self.names.get(case["district"] or ""),
            "street_name": self.names.get(case["street"] or ""),
            "holder_name": self.names.get(case["holder"] or ""),
            "opened_at": _text(case["opened_at"]),
            "entered_at": _text(case["entered_at"]),
            "due_at": _text(case["due_at"]),
            "closed_at": _text(case["closed_at"]),
            "late": bool(due and (now or datetime.now(UTC)) > due and not state.get("final")),
            "provisional": case["provisional"],
            "deadline_verified": said.get("verified", True),
            "rule_fault": data.get("rule_fault"),
            "doubt": data.get("doubt"),
            "filled": data.get("filled") or None,
            "asked": data.get("asked"),
            "area_m2": data.get("area_m2"),
            "satisfaction": data.get("satisfaction"),
            "unplaced": data.get("unplaced") or None,
            "partners": data.get("partners"),
        }
        shown["actions"] = [] if now else self._actions(said, case, actor)
        return shown

    def _actions(
        self, said: Mapping[str, Any], case: Mapping[str, Any], actor: Actor
    ) -> list[dict[str, Any]]:
        return [
            {
                "action": name,
                "title": said["actions"][name]["title"],
                "to": said["actions"][name]["to"],
                "need": [
                    {"key": key, "required": False, **need}
                    for key, need in said["actions"][name].get("need", {}).items()
                ],
            }
            for name in cases.actions_now(said, dict(case), actor)
        ]


def photos(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the photos of a case with the address of a small version."""
    found = []
    for photo in data.get("photos", []):
        one = {"url": photo} if isinstance(photo, str) else dict(photo)
        found.append({"stage": "collected", **one, "thumb": f"{one['url']}?w=320"})
    return found


def _time(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _text(value: Any) -> str | None:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
