"""Duty lists: the first row that fits a case names who handles it and in how many hours.

Rows are found by an equality index over category and district; only those few are looked at, and
only their guards are evaluated. A guard that fails to evaluate leaves the case to a person.
"""

from __future__ import annotations

import time as time_module
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, db, declarations, organisations, policies, rules
from twin.beside import Beside
from twin.calendar import ZONE, Calendar
from twin.policies import Doc, Fault
from twin.process import rows as process_rows
from twin.process import trial
from twin.process.rows import Case
from twin.scope import Actor, sees

KIND_OF = "duty"
ANY = "*"
PLACES = ("district", "street", "contractor")
CALENDAR = "sh-workday"
_URGENT = 2
_REMEMBERED = 4096


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who handles a case, by which row; no department: a person decides, and why."""

    department: str = ""
    hours: float | None = None
    urgent_hours: float | None = None
    nearest_crew: bool = False
    row: int | None = None
    why: str = ""
    # auto: by itself; suggest: the dispatcher sees it and decides.
    mode: str = "suggest"

    def said(self) -> dict[str, Any]:
        """Return what the case keeps of it."""
        return {k: v for k, v in asdict(self).items() if v not in (None, False, "")}


class Duty:
    """A duty list ready to be asked."""

    def __init__(self, doc: Doc) -> None:
        self.key, self.mode = str(doc["key"]), str(doc["mode"])
        self.rows: list[dict[str, Any]] = [dict(row) for row in doc["rows"]]
        # A row may be surer, or less sure, than its list.
        self.automatic = any(row.get("mode", self.mode) == "auto" for row in self.rows)
        self.index: dict[tuple[str, str], list[int]] = {}
        self._candidates: dict[tuple[str, str | None], list[int]] = {}
        for i, row in enumerate(self.rows):
            for category in row.get("category", (ANY,)):
                for district in row.get("district", (ANY,)):
                    self.index.setdefault((category, district), []).append(i)

    def candidates(self, category: str, district: str | None) -> list[int]:
        """Return the numbers of the rows that may fit, in the order of the list."""
        known = self._candidates.get((category, district))
        if known is None:
            found: set[int] = set()
            for c in (category, ANY):
                for d in (district or "", ANY):
                    found.update(self.index.get((c, d), ()))
            if len(self._candidates) > _REMEMBERED:
                self._candidates.clear()
            known = self._candidates[category, district] = sorted(found)
        return known

    def decide(self, conn: Connection, case: Mapping[str, Any], at: datetime) -> Decision:
        """Return who handles a case that is registered at a moment."""
        missed, local = "no row of the duty list fits", at.astimezone(ZONE)
        for i in self.candidates(case["category"] or "", case["district"]):
            row = self.rows[i]
            if not _fits(conn, row, case, local):
                continue
            try:
                if "guard" in row and not rules.holds(row["guard"], _names(case)):
                    continue
            except rules.RuleError as why:
                return Decision(row=i, why=f"row {i + 1}: {why.detail}")
            found = _organisation(conn, row["to"], case)
            if found is None:
                # The next row may know one: not every green space has a contractor.
                missed = f"row {i + 1}: nobody is {row['to']} at this place"
                continue
            return Decision(
                department=found, hours=row.get("hours"), urgent_hours=row.get("urgent_hours"),
                nearest_crew=bool(row.get("nearest_crew")), row=i,
                why=row.get("note", f"row {i + 1}"), mode=row.get("mode", self.mode),
            )  # fmt: skip
        return Decision(why=missed)


def _names(case: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {"c": process_rows.Named(case), "p": {}, "actor": {}}


def _fits(
    conn: Connection, row: Mapping[str, Any], case: Mapping[str, Any], local: datetime
) -> bool:
    for name in ("street", "severity", "source"):
        if name in row and case[name] not in row[name]:
            return False
    day = local.date().isoformat()
    if not row.get("valid_from", day) <= day <= row.get("valid_to", day):
        return False
    if "days" in row and _calendar(conn).works(local.date()) != (row["days"] == "work"):
        return False
    return _within(row, local.time())


def _within(row: Mapping[str, Any], now: time) -> bool:
    """Tell whether it is the time of day of a row; from 22:00 until 06:00 goes over midnight."""
    if "from" not in row and "until" not in row:
        return True
    said = f"{now:%H:%M}"
    begin, end = row.get("from", "00:00"), row.get("until", "24:00")
    return bool(begin <= said < end) if begin <= end else bool(said >= begin or said < end)


def _calendar(conn: Connection) -> Calendar:
    return calendar.load(conn, CALENDAR)


_BY_PLACE = text(
    "select code from twin.organisation where type = :type and not closed and "
    "(case when :type = 'district' then district else street end) = :place order by code limit 1"
)
_CONTRACTORS = text(
    "select code from twin.organisation where type = 'contractor' and not closed order by code"
)
_OPEN = text("select code from twin.organisation where code = :c and not closed")


def _organisation(conn: Connection, to: str, case: Mapping[str, Any]) -> str | None:
    """Return the organisation that a row means at the place of a case."""
    if to in ("district", "street"):
        return None if case[to] is None else _seated(conn, to, case[to])
    if to == "contractor":
        return _contractor(conn, case)
    return conn.execute(_OPEN, {"c": to}).scalar()


_KEEP_S, _MANY = 1.0, 4_000
_seats: dict[tuple[str, str, str], tuple[float, str | None]] = {}


def _seated(conn: Connection, to: str, place: str) -> str | None:
    """Return who answers for a place; asked at every registering, changed a few times a year."""
    key = (db.place(conn), to, place)
    known = _seats.get(key)
    if known is not None and known[0] > time_module.monotonic():
        return known[1]
    found = conn.execute(_BY_PLACE, {"type": to, "place": place}).scalar()
    if len(_seats) >= _MANY:
        _seats.clear()
    _seats[key] = (time_module.monotonic() + _KEEP_S, found)
    return found


def _contractor(conn: Connection, case: Mapping[str, Any]) -> str | None:
    """Return the contractor in whose contract sections the place lies."""
    if case["lon"] is None:
        return None
    for code in conn.scalars(_CONTRACTORS).all():
        place = organisations.place(conn, code)
        inside = Actor(user=code, clearance=4, area=place.area, districts=place.districts)
        if place.area and sees(inside, None, case["district"], None, (case["lon"], case["lat"])):
            return str(code)
    return None


_made: Beside[Doc, Duty] = Beside(32)


def running(conn: Connection, process: str) -> Duty:
    """Return the duty list that runs for a process; made once for each document in memory."""
    number = declarations.newest(conn, KIND_OF, process)[2]
    doc = declarations.kept(conn, KIND_OF, process, number)
    return _made.get(doc, Duty)


def provide(conn: Connection, action: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return `duty` for the rules of an action: who would handle the case now."""
    duty = running(conn, str(action.get("duty", case["process"])))
    # A list that only suggests is asked when somebody looks, not at every step.
    made = Decision()
    if duty.automatic:
        made = duty.decide(conn, case, datetime.now(UTC))
    return {
        "mode": made.mode, "department": made.department, "hours": made.hours or 0,
        "urgent_hours": made.urgent_hours or 0, "nearest_crew": made.nearest_crew,
        "row": -1 if made.row is None else made.row, "why": made.why,
    }  # fmt: skip


def _faults(doc: Doc) -> list[Fault]:
    found: list[Fault] = []
    for i, row in enumerate(doc["rows"]):
        if "guard" in row:
            try:
                rules.compile_guard(row["guard"])
            except rules.RuleError as why:
                found.append((("rows", i, "guard"), why.detail))
        if row.get("valid_from", "") > row.get("valid_to", "9"):
            found.append((("rows", i, "valid_to"), "it ends before it begins"))
        if row.get("urgent_hours", 0) > row.get("hours", 1e9):
            found.append((("rows", i, "urgent_hours"), "urgent takes longer than not urgent"))
    return found


def _known_faults(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what rows name and the installation does not have."""
    process = declarations.current(conn, "process").get(doc["key"])
    if process is None:
        return [(("key",), f"no process is called {doc['key']}")]
    there = set(conn.scalars(text("select code from twin.organisation where not closed")))
    categories = set(process.get("categories", {}))
    found: list[Fault] = []
    for i, row in enumerate(doc["rows"]):
        if row["to"] not in PLACES and row["to"] not in there:
            found.append((("rows", i, "to"), f"there is no organisation {row['to']}"))
        found += [
            (("rows", i, "category"), f"no category is called {name}")
            for name in row.get("category", ())
            if name not in categories
        ]
    return found


def _warnings(conn: Connection, doc: Doc) -> list[Fault]:
    """Tell which categories nobody handles anywhere, and rows that no case can reach."""
    process = declarations.current(conn, "process")[doc["key"]]
    duty = Duty(doc)
    found: list[Fault] = []
    for name in process.get("categories", {}):
        whole = [i for i in duty.candidates(name, None) if _plain(duty.rows[i])]
        if not whole:
            found.append((("rows",), f"{name} is handled by nobody in some place or at some time"))
        first = next((i for i in whole if duty.rows[i]["to"] not in PLACES), None)
        if first is not None:
            found += [
                (("rows", i), f"{name} never comes here: row {first + 1} takes it")
                for i in duty.candidates(name, None)
                if i > first and duty.rows[i].get("category") == [name]
            ]
    return found


def _plain(row: Mapping[str, Any]) -> bool:
    """Tell whether a row takes its categories everywhere and at any time."""
    return not set(row) - {
        "category",
        "to",
        "hours",
        "urgent_hours",
        "note",
        "nearest_crew",
        "mode",
    }


def _simulate(conn: Connection, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Tell which cases of the last days would have gone elsewhere."""
    was, now = running(conn, doc["key"]), Duty(doc)

    def outcome(case: Case) -> tuple[str, str, dict[str, str]]:
        a, b = (d.decide(conn, case, case["opened_at"]) for d in (was, now))
        return a.department, b.department, {"why": b.why}

    return trial.tried(conn, actor, doc["key"], days, outcome)


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="duty", title={"zh": "责任清单", "en": "Duty lists"},
        faults=_faults, known=_known_faults, warnings=_warnings, simulate=_simulate,
    )
)  # fmt: skip
