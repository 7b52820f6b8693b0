"""How crews are chosen for events: the declared scheduling, checked, and what it says of one case or crew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from gis.assignment import Terms
from twin import calendar, declarations, policies, rules
from twin.errors import NotFound

KIND, CITY = "scheduling", "city"
AUTO, SUGGEST, MANUAL = "auto", "suggest", "manual"
Fault = tuple[tuple[Any, ...], str]


@dataclass(frozen=True, eq=False)
class Scheduling:
    """One published document, read."""

    doc: Mapping[str, Any]

    @property
    def version(self) -> int:
        """The published version; 0 for a draft."""
        return int(self.doc.get("_version", 0))

    @cached_property
    def terms(self) -> Terms:
        """The costs that the assignment reckons with."""
        return Terms(
            load=float(self.doc.get("load_share", 0.35)), waiting=float(self.doc.get("waiting", 1))
        )

    def minutes(self, key: str, default: float) -> float:
        """Return a span of minutes as seconds."""
        return float(self.doc.get(key, default)) * 60

    def weight(self, severity: int) -> float:
        """Return how much an event of this severity weighs."""
        return float(self.doc["weights"][str(min(4, max(1, severity)))])

    def usual_s(self, category: str | None) -> float:
        """Return how long work on a category usually takes."""
        said = self.doc.get("usual_min", {"default": 40})
        return float(said.get(category, said["default"])) * 60

    def profile_of(self, vehicle_type: str | None) -> str:
        """Return the profile of a crew that drives such a vehicle."""
        for key, said in self.doc["profiles"].items():
            if vehicle_type is not None and vehicle_type in said.get("types", ()):
                return str(key)
        return str(self.doc["default_profile"])

    def mode(self, case: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return who decides about a case, and the fault of a rule that left it to a person."""
        for i, rule in enumerate(self.doc.get("modes", ())):
            try:
                if rules.holds(rule["when"], {"c": case}):
                    return str(rule["mode"]), None
            except rules.RuleError as why:
                return MANUAL, f"modes[{i}]: {why.detail}"
        return str(self.doc["mode"]), None

    def on_shift(self, shift: str | None, moment: datetime) -> bool:
        """Tell whether a shift runs at a moment; `off` never does, an unknown one always."""
        if shift == "off":
            return False
        said = self.doc["shifts"].get(shift)
        if said is None:
            return True
        local = moment.astimezone(calendar.ZONE)
        now, begin, end = local.strftime("%H:%M"), str(said["from"]), str(said["to"])
        return begin <= now < end if begin < end else now >= begin or now < end

    def silent_s(self, severity: int) -> float | None:
        """Return after how long a crew that has not accepted counts as silent."""
        said = self.doc.get("silent")
        if said is None:
            return None
        urgent = severity <= 2 and "urgent_min" in said
        return float(said["urgent_min" if urgent else "after_min"]) * 60

    def rested_at(self, worked_s: float, ended: datetime) -> datetime | None:
        """Return until when a crew rests after so much work without a break; None: it need not."""
        said = self.doc.get("rest")
        if said is None or worked_s < said["after_h"] * 3600:
            return None
        return ended + timedelta(minutes=said["min"])


def shipped() -> list[dict[str, Any]]:
    """Return the shipped scheduling documents."""
    return [declarations.read(KIND, path)[0] for path in declarations.shipped_files(KIND)]


def faults(doc: Mapping[str, Any]) -> list[Fault]:
    """Return what a schema cannot see: rules that do not compile, names that lead nowhere."""
    found: list[Fault] = []
    for i, rule in enumerate(doc.get("modes", ())):
        try:
            rules.compile_guard(rule["when"])
        except rules.RuleError as why:
            found.append((("modes", i, "when"), why.detail))
    if doc["default_profile"] not in doc["profiles"]:
        found.append((("default_profile",), f"no profile is called {doc['default_profile']}"))
    if doc.get("widen_min", doc["limit_min"]) < doc["limit_min"]:
        found.append((("widen_min",), "is less than limit_min, so it would widen nothing"))
    seen: dict[str, str] = {}
    for key, said in doc["profiles"].items():
        for kind in said.get("types", ()):
            if kind in seen:
                found.append((("profiles", key, "types"), f"{kind} already drives as {seen[kind]}"))
            seen[kind] = key
    for key, said in doc["shifts"].items():
        if said["from"] == said["to"]:
            found.append((("shifts", key), "begins when it ends, so it never runs"))
    return found


def current(conn: Connection, key: str = CITY) -> Scheduling:
    """Return the scheduling that runs."""
    found = declarations.current(conn, KIND).get(key)
    if found is None:
        raise NotFound(f"No scheduling is called {key}.")
    return Scheduling(found)


POLICY = policies.register(
    policies.Kind(
        kind=KIND, folder=KIND, title={"zh": "调度策略", "en": "Scheduling"}, faults=faults
    )
)
