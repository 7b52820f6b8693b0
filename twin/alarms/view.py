"""How an alarm is shown: the one shape for lists, cards and live messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import cases, declarations, names
from twin.alarms import rule
from twin.alarms.raising import PROCESS
from twin.scope import Actor

__all__ = ["PROCESS", "View"]
_SHOWN = (
    "code title category severity state holder district street version opened_at closed_at".split()
)


class View:
    """Titles and names needed to show many alarms; made once a request."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.places = names.things(conn)
        self.people = names.people(conn)
        self.rules = declarations.current(conn, rule.KIND_OF)
        self._definitions: dict[int, dict[str, Any]] = {}

    def definition(self, version: int) -> dict[str, Any]:
        """Return the process as a case runs it."""
        if version not in self._definitions:
            self._definitions[version] = declarations.version(
                self.conn, "process", PROCESS, version
            )
        return self._definitions[version]

    def show(self, case: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
        """Return the alarm object of the API."""
        said = self.definition(case["process_version"])
        return self.brief(case) | {"actions": cases.actions_now(said, dict(case), actor)}

    def brief(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Return what does not depend on who looks: what live messages carry."""
        said, data = self.definition(case["process_version"]), case["data"]
        known = self.rules.get(data["rule"], {})
        return {key: case[key] for key in _SHOWN} | {
            "rule": data["rule"],
            "rule_title": known.get("title") or data.get("title"),
            "thing": data.get("thing"),
            "thing_name": data.get("thing_name"),
            "members": data["members"],
            "standing": data["standing"],
            "value": data.get("value"),
            "unit": data.get("unit"),
            "property": data.get("property"),
            "product": data.get("product"),
            "since": data.get("since"),
            "advice": data.get("advice"),
            "fault": data.get("fault"),
            "event": data.get("event"),
            "acknowledged_at": data.get("acknowledged_at"),
            "waits": [
                n["user"] for n in data.get("notices", ()) if n["user"] and not n["acked_at"]
            ],
            "state_title": said["states"][case["state"]]["title"],
            "category_title": said["categories"].get(case["category"], {}).get("title"),
            "holder_name": self.people.get(case["holder"] or ""),
            "district_name": self.places.get(case["district"] or ""),
            "street_name": self.places.get(case["street"] or ""),
            "point": [case["lon"], case["lat"]] if case["lon"] is not None else None,
        }
