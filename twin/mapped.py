"""Declared mappings of sources (`data/intake`): records of files, pushes and partners become reports.

A record is taken once by source and id. What cannot be understood is refused with the reason; what is
understood and not sure (low confidence, an unreadable picture, an unknown camera) waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from twin import declarations, detections, intake, policies, rules, visits
from twin.errors import BadRequest, Forbidden, TwinError
from twin.intake import MAX_TITLE, MAX_WORDS, Draft, Taken
from twin.policies import Doc, Fault
from twin.process import rows
from twin.process.rows import Case
from twin.scope import SYSTEM, Actor

KIND_OF = "intake"
MAX_KEPT = 60
# A clock that jumps: what is told from the future, or from before there were cases, is no time.
AHEAD, OLDEST = timedelta(hours=1), datetime(2000, 1, 1, tzinfo=UTC)
# Fields that are told in degrees, moments, numbers; all others are texts.
_RAW = ("shape", "picture")
_NEEDS = {"report": ("category",), "visit": ("about", "verdict")}


@dataclass
class Source:
    """A declared mapping, ready to read records of a source."""

    doc: Doc
    # Whose ids these are, where many callers share a mapping.
    owner: str = ""

    def read(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the declared fields of a record; BadRequest says which cannot be understood."""
        said = {
            name: _read(self.doc, name, how, record) for name, how in self.doc["fields"].items()
        }
        said["id"] = str(said.get("id") or "").strip()[:128]
        if not said["id"]:
            raise BadRequest("The record has no id, so nobody could tell it from another.")
        return said

    def draft(self, conn: Connection, record: Mapping[str, Any]) -> Draft:
        """Return a record as a report in the standard fields."""
        doc, said = self.doc, self.read(record)
        begun, ended = said.get("opened_at"), said.get("closed_at")
        if begun is not None and ended is not None and ended < begun:
            raise BadRequest("closed_at lies before opened_at; the clock of the source jumps.")
        source_id = f"{self.owner} {said.pop('id')}".strip()[:128]
        seen = detections.seen(conn, doc, said)
        kept = {k: str(_at(record, k))[:500] for k in doc.get("keep", ())[:MAX_KEPT]
                if _at(record, k) not in (None, "")}  # fmt: skip
        more = seen.more | ({"record": kept} if kept else {})
        if thing := said.pop("thing", None):
            more["thing"] = thing
        return Draft(
            source=doc["source"], source_id=source_id, process=doc["process"],
            lon=seen.lon, lat=seen.lat, reporter_kind=doc.get("reporter_kind", "citizen"),
            reporter=doc.get("reporter_kind", "citizen"), filtered=doc.get("filters", True),
            outside=doc.get("outside", False), photos=seen.photos, more=more, **said,
        )  # fmt: skip

    def items(self, body: Any) -> list[Mapping[str, Any]]:
        """Return the records of a body that was pushed: a list, or where the mapping says it stands."""
        where = self.doc.get("items")
        found = _at(body, where) if where and isinstance(body, Mapping) else body
        if isinstance(found, Mapping):
            found = found.get("items", [found])
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            place = f"under {where}" if where else "as a list, or under items"
            raise BadRequest(f"The records of {self.doc['key']} are expected {place}.")
        return list(found)


def _at(record: Any, name: str) -> Any:
    """Return a value by its heading, or by its path (`data.target.type`)."""
    if isinstance(record, Mapping) and name in record:
        return record[name]
    for part in name.split("."):
        if not isinstance(record, Mapping) or part not in record:
            return None
        record = record[part]
    return record


def _read(doc: Doc, name: str, how: Mapping[str, Any], record: Mapping[str, Any]) -> Any:
    value: Any
    if "cel" in how:
        value = rules.value(how["cel"], {"r": record}, ("r",))
    else:
        names = how["from"] if isinstance(how["from"], list) else [how["from"]]
        there = [v for n in names if (v := _at(record, n)) not in (None, "")]
        if name in _RAW:
            return there[0] if there else None
        value = how.get("join", " ").join(s for v in there if (s := str(v).strip()))
        if len(there) == 1 and isinstance(there[0], datetime):
            value = there[0]  # a cell that is a date already
    if "map" in how:
        value = how["map"].get(str(value), how.get("else", value))
    elif value in (None, ""):
        value = how.get("else")
    try:
        return _as(doc, name, value)
    except (ValueError, OverflowError) as why:
        raise BadRequest(f"{name}: {str(value)[:60]!r} cannot be understood.", key=name) from why


def _as(doc: Doc, name: str, value: Any) -> Any:
    if value in (None, ""):
        return "" if name in ("title", "description") else None
    if name in ("lon", "lat", "confidence"):
        return float(value)
    if name == "severity":
        return min(4, max(1, int(float(value))))
    if name in ("opened_at", "target_at", "closed_at", "at"):
        return _moment(doc, name, value)
    limit = {"title": MAX_TITLE, "description": MAX_WORDS, "note": MAX_WORDS}.get(name, 200)
    return str(value)[:limit]


def _moment(doc: Doc, name: str, value: Any) -> datetime:
    if isinstance(value, datetime):
        at = value
    elif doc.get("time"):
        at = datetime.strptime(str(value), doc["time"])
    else:
        at = datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(doc.get("zone", "Asia/Shanghai")))
    if at < OLDEST or (name != "target_at" and at > datetime.now(UTC) + AHEAD):
        raise BadRequest(f"{name}: {at.isoformat()} cannot be; the clock of the source is wrong.")
    return at


def source(conn: Connection, key: str) -> Source:
    """Return the declared mapping of a source."""
    _, name, number = declarations.newest(conn, KIND_OF, key)
    return Source(declarations.kept(conn, KIND_OF, name, number))


@dataclass
class Counts:
    """What came of many records."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    incomplete: int = 0
    unsure: int = 0
    refused: int = 0
    on_time_agree: int = 0
    on_time_differ: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return the counts as an object."""
        return dict(self.__dict__)


def receive(
    conn: Connection, made: Source, record: Mapping[str, Any], counts: Counts, *, actor: Actor
) -> Case | None:
    """Take one record of a source; what cannot be taken is counted with its reason."""
    counts.read += 1
    try:
        taken = _taken(conn, made, record, actor)
    except TwinError as why:
        counts.refused += 1
        counts.reasons[why.detail[:160]] = counts.reasons.get(why.detail[:160], 0) + 1
        return None
    counts.accepted += not taken.known
    counts.duplicates += taken.known
    counts.incomplete += bool(taken.missing)
    counts.unsure += "doubt" in taken.case["data"]
    _judge(made, record, taken.case, counts)
    return taken.case


def answers(
    conn: Connection, made: Source, records: Sequence[Mapping[str, Any]], *, actor: Actor
) -> list[dict[str, Any]]:
    """Take records one by one and tell what came of each, in their order."""
    told: list[dict[str, Any]] = []
    for record in records:
        try:
            taken = _taken(conn, made, record, actor)
        except TwinError as why:
            told.append({"result": "refused", "code": None, "error": why.code, "why": why.detail})
            continue
        case = taken.case
        told.append(
            {"result": "known" if taken.known else "accepted", "code": case["code"],
             "state": case["state"], "missing": list(taken.missing),
             "doubt": case["data"].get("doubt")}
        )  # fmt: skip
    return told


def _taken(conn: Connection, made: Source, record: Mapping[str, Any], actor: Actor) -> Taken:
    with conn.begin_nested():
        if made.doc.get("does") == "visit":
            return visits.take(conn, made.doc, made.read(record), actor=actor)
        taken = intake.take(conn, made.draft(conn, record), actor=actor)
        # Who may report somewhere need not be cleared to read what is reported.
        reaches = replace(actor, clearance=max(actor.clearance, rows.LEVEL), kinds=None)
        if actor is not SYSTEM and not rows.seen(reaches, taken.case):
            raise Forbidden("This place is outside what the caller may report of.")
        return taken


def _judge(made: Source, record: Mapping[str, Any], case: Case, counts: Counts) -> None:
    """Compare the engine's verdict with the one that the source has written down."""
    said = made.doc.get("verdict")
    if said is None or "target_at" not in case["data"] or case["closed_at"] is None:
        return
    written = next((record[name] for name in said["from"] if record.get(name)), None)
    agree = case["data"].get("on_time") == (written == said["value"])
    counts.on_time_agree += agree
    counts.on_time_differ += not agree


def _faults(doc: Doc) -> list[Fault]:
    found: list[Fault] = []
    does = doc.get("does", "report")
    found += [
        (("fields",), f"a source that does a {does} maps {name}")
        for name in _NEEDS[does]
        if name not in doc["fields"]
    ]
    if does == "visit" and not doc.get("verdicts"):
        found.append((("verdicts",), "say which verdicts there are and what each does"))
    for name, how in doc["fields"].items():
        if ("cel" in how) == ("from" in how):
            found.append((("fields", name), "say either from or cel"))
        if "cel" in how:
            try:
                rules.compile_rule(how["cel"], ("r",))
            except rules.RuleError as why:
                found.append((("fields", name, "cel"), why.detail))
    if "zone" in doc:
        try:
            ZoneInfo(doc["zone"])
        except (KeyError, ValueError, OSError):
            found.append((("zone",), "no time zone has this name"))
    return found


def _known_faults(conn: Connection, doc: Doc) -> list[Fault]:
    process = declarations.current(conn, "process").get(doc["process"])
    if process is None:
        return [(("process",), f"no process is called {doc['process']}")]
    how = doc["fields"].get("category", {})
    named = [*how.get("map", {}).values(), *([how["else"]] if "else" in how else [])]
    found: list[Fault] = [
        (("fields", "category", "map"), f"no category is called {name}")
        for name in named
        if name not in process.get("categories", {})
    ]
    found += [
        (("verdicts", name, "action"), f"no action is called {one['action']}")
        for name, one in doc.get("verdicts", {}).items()
        if one["action"] not in process["actions"]
    ]
    return found


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="intake", title={"zh": "来源映射", "en": "Intake mappings"},
        faults=_faults, known=_known_faults,
    )
)  # fmt: skip
