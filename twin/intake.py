"""One intake for every source: a declared mapping to the standard fields, gaps found and filled, filters, merging.

What a source has sent is idempotent by source and id. What lacks a place or a category is kept and
queued for a person with what is missing; what cannot be read is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from twin import cases, declarations, filtering, merging, policies, rules
from twin.errors import BadRequest, TwinError
from twin.policies import Doc, Fault
from twin.process import needs
from twin.process.rows import Case
from twin.scope import SYSTEM, Actor

KIND_OF = "intake"
MAX_TITLE, MAX_WORDS, MAX_KEPT = 120, 4000, 60
FALLBACK = "other"
# A clock that jumps: what is told from the future, or from before there were cases, is no time.
AHEAD, OLDEST = timedelta(hours=1), datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class Draft:
    """A report in the standard fields, before it is a case."""

    source: str
    source_id: str | None = None
    process: str = cases.CITY
    category: str | None = None
    title: str = ""
    description: str = ""
    lon: float | None = None
    lat: float | None = None
    address: str | None = None
    severity: int | None = None
    photos: Sequence[Mapping[str, Any]] = ()
    reporter: str = "citizen"
    reporter_kind: str = "citizen"
    opened_at: datetime | None = None
    target_at: datetime | None = None
    closed_at: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    filtered: bool = True
    outside: bool = False


@dataclass(frozen=True)
class Taken:
    """What became of a report: accepted or known already; the case, and what it lacks."""

    case: Case
    known: bool = False
    missing: tuple[str, ...] = ()


def take(conn: Connection, draft: Draft, *, actor: Actor) -> Taken:
    """Open a case of a report, or return the one that it already is."""
    if draft.source_id is not None:
        known = cases.by_source(conn, draft.source, draft.source_id)
        if known is not None:
            return Taken(known, known=True)
    said = cases.current(conn, draft.process)
    data, unsure = _data(said, draft)
    category = draft.category if not unsure else FALLBACK
    titles = said["categories"].get(category, {}).get("title", {})
    where: tuple[str | None, str | None] = (None, None)
    if draft.lon is not None and draft.lat is not None:
        where = cases.place_of(conn, draft.lon, draft.lat)
        data |= _filled(conn, draft) | _marked(conn, draft, category)
    placed = {"lon": draft.lon, "district": where[0], "category": category, "data": data}
    missing = needs.missing(placed)
    if missing:
        data["missing"] = missing
    case = cases.open_case(
        conn, draft.process, actor=actor, category=str(category),
        title=(draft.title or titles.get("zh", str(category)))[:MAX_TITLE],
        lon=draft.lon, lat=draft.lat, source=draft.source, source_id=draft.source_id,
        severity=draft.severity, data=data, opened_at=draft.opened_at, go_on=False,
        due_at=draft.target_at, place=where,
    )  # fmt: skip
    if draft.closed_at is not None:
        case = cases.settle(conn, case, draft.closed_at)
    else:
        case = _pass_on(conn, case, draft, actor)
    return Taken(case, missing=tuple(missing))


def _data(said: Mapping[str, Any], draft: Draft) -> tuple[dict[str, Any], bool]:
    """Return what the case keeps, and whether its category is only assumed."""
    unsure = draft.category not in said["categories"]
    data: dict[str, Any] = {
        "description": draft.description.strip()[:MAX_WORDS],
        "photos": [dict(p) for p in draft.photos],
        "reporter": draft.reporter, "reporter_kind": draft.reporter_kind,
        "address": draft.address, **draft.more,
    }  # fmt: skip
    if unsure:
        data["category_unsure"] = str(draft.category or "")[:80]
        if FALLBACK not in said["categories"]:
            raise BadRequest(f"No category is called {str(draft.category)[:48]!r}.")
    elif draft.fields:
        form = said["categories"][draft.category].get("form", ())
        data["fields"] = checked_fields(form, draft.fields)
    if draft.outside:
        data["outside"] = True
    if draft.target_at is not None:
        data["target_at"] = draft.target_at.astimezone(UTC).isoformat()
    return data, unsure


def checked_fields(form: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the custom fields of a category as declared; BadRequest says which does not fit."""
    known = {one["id"]: one for one in form}
    for name in given:
        if name not in known:
            raise BadRequest(f"The form has no field {str(name)[:48]!r}.", key=str(name)[:48])
    made: dict[str, Any] = {}
    for name, one in known.items():
        value = given.get(name)
        if value in (None, ""):
            if one.get("required"):
                raise BadRequest(f"{name} ({one['title']['zh']}) is needed.", key=name)
            continue
        made[name] = _field(name, one, value)
    return made


def _field(name: str, one: Mapping[str, Any], value: Any) -> Any:
    try:
        return _FORMS[one["type"]](one, value)
    except (TypeError, ValueError) as why:
        raise BadRequest(f"{name} ({one['title']['zh']}): {why}", key=name) from why


def _choice(one: Mapping[str, Any], value: Any) -> Any:
    keys = [c["key"] for c in one.get("choices", ())]
    if value not in keys:
        raise ValueError(f"choose one of {', '.join(keys)}.")
    return value


def _flag(_one: Mapping[str, Any], value: Any) -> bool:
    said = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    if not isinstance(value, str | bool) or value not in said:
        raise ValueError("yes or no is expected.")
    return said[value]


def _number(one: Mapping[str, Any], value: Any) -> float:
    number = float(value)
    if not one.get("min", -1e12) <= number <= one.get("max", 1e12):
        raise ValueError("it lies outside what is possible.")
    return number


def _words(one: Mapping[str, Any], value: Any) -> str:
    if len(str(value)) > int(one.get("max", 500)):
        raise ValueError("it is too long.")
    return str(value)


def _day(_one: Mapping[str, Any], value: Any) -> str:
    return date.fromisoformat(str(value)).isoformat()


_FORMS: Mapping[str, Callable[[Mapping[str, Any], Any], Any]] = {
    "choice": _choice, "flag": _flag, "number": _number, "text": _words, "day": _day,
}  # fmt: skip


_NEAR = text(
    "with p as (select st_setsrid(st_makepoint(:lon, :lat), 4326) as g) select "
    "(select r.name from base.road r, p where r.geom && st_expand(p.g, 0.003) and r.name <> '' "
    "order by r.geom <-> p.g limit 1) as road, "
    "(select o.code from twin.organisation o, p where o.type = 'grid' and not o.closed "
    "and o.shape && p.g and st_covers(o.shape, p.g) order by o.code limit 1) as grid, "
    "(select t.code || ' ' || t.name from twin.thing t, p where t.gone_at is null and t.level <= 2 "
    "and t.kind <> all(:not_these) and t.point && st_expand(p.g, 0.0004) "
    "and st_dwithin(t.point::geography, p.g::geography, :within) order by t.point <-> p.g limit 1) as thing"
)
# What moves, or is a report itself, is not what a report is about.
_NO_THING = [
    "event",
    "crew",
    "vehicle",
    "vessel",
    "district",
    "street",
    "road",
    "person",
    "building",
]
THING_M = 25


def _filled(conn: Connection, draft: Draft) -> dict[str, Any]:
    """Return what the map knows of the place; it is marked, so that whoever registers looks at it."""
    row = conn.execute(
        _NEAR,
        {"lon": draft.lon, "lat": draft.lat, "not_these": _NO_THING, "within": THING_M},
    ).one()
    made: dict[str, Any] = {}
    if row.grid:
        made["grid"] = row.grid
    if row.thing and "thing" not in draft.more:
        made["thing"], _, made["thing_name"] = row.thing.partition(" ")
    if not draft.address and row.road:
        made["address"] = f"{row.road}附近"
    filled = sorted(set(made) - {"thing_name"})
    return made | ({"filled": filled} if filled else {})


def _pass_on(conn: Connection, case: Case, draft: Draft, actor: Actor) -> Case:
    """Let filters and the merge rule look at a new case, then what it does by itself."""
    if draft.filtered:
        verdict = filtering.judge(filtering.running(conn, draft.process), case)
        if verdict.fault:
            case = cases.fault(conn, case["id"], f"filter {verdict.rule}", verdict.fault)
        elif verdict.rule:
            given = {"reason": verdict.reason, "rule": verdict.rule}
            return cases.perform(conn, case["id"], "filter", actor=SYSTEM, params=given)
    if case["lon"] is not None:
        merged = _merged(conn, case)
        if merged is not None:
            return merged
    return cases.go_on(conn, case["id"], actor)


def _merged(conn: Connection, case: Case) -> Case | None:
    """Join a case to its master where the rule says so by itself."""
    try:
        does, master = merging.decision(conn, case)
    except TwinError as why:
        cases.fault(conn, case["id"], "merge", why.detail)
        return None
    if does != "auto" or master is None:
        return None
    given = {"master": master["code"], "score": master["score"], "reason": "自动并案"}
    return cases.perform(conn, case["id"], "merge", actor=SYSTEM, params=given)


def _marked(conn: Connection, draft: Draft, category: str | None) -> dict[str, Any]:
    """Return the mark of a report that came back to a spot where the same was closed lately."""
    new = {"process": draft.process, "id": UUID(int=0), "category": category, "lon": draft.lon,
           "lat": draft.lat, "opened_at": draft.opened_at or datetime.now(UTC)}  # fmt: skip
    again = merging.earlier(conn, SYSTEM, new)
    return {"repeat_of": [one["code"] for one in again]} if again else {}


# --- mapped records


@dataclass
class Source:
    """A declared mapping, ready to read records of a source."""

    doc: Doc

    def draft(self, record: Mapping[str, Any]) -> Draft:
        """Return a record in the standard fields; BadRequest says which field cannot be read."""
        doc, said = self.doc, {name: _read(self.doc, name, how, record)
                               for name, how in self.doc["fields"].items()}  # fmt: skip
        source_id = str(said.pop("id", "") or "").strip()
        if not source_id:
            raise BadRequest("The record has no id, so nobody could tell it from another.")
        lon, lat = said.pop("lon", None), said.pop("lat", None)
        if lon is not None and not (-180 <= lon <= 180 and -90 <= (lat or 0) <= 90):
            raise BadRequest(f"The place {lon}, {lat} is not on the earth.")
        kept = {k: str(record[k])[:500] for k in doc.get("keep", ())[:MAX_KEPT] if record.get(k)}
        return Draft(
            source=doc["source"], source_id=source_id[:128], process=doc["process"],
            lon=lon if lat is not None else None, lat=lat if lon is not None else None,
            reporter_kind=doc.get("reporter_kind", "citizen"),
            reporter=doc.get("reporter_kind", "citizen"), filtered=doc.get("filters", True),
            outside=doc.get("outside", False), more={"record": kept} if kept else {}, **said,
        )  # fmt: skip


def _read(doc: Doc, name: str, how: Mapping[str, Any], record: Mapping[str, Any]) -> Any:
    value: Any
    if "cel" in how:
        value = rules.value(how["cel"], {"r": record}, ("r",))
    else:
        names = how["from"] if isinstance(how["from"], list) else [how["from"]]
        there = [record[n] for n in names if record.get(n) not in (None, "")]
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
    if name in ("lon", "lat"):
        return float(value)
    if name == "severity":
        return min(4, max(1, int(float(value))))
    if name in ("opened_at", "target_at", "closed_at"):
        return _moment(doc, name, value)
    limit = {"title": MAX_TITLE, "description": MAX_WORDS, "address": 200}.get(name, 200)
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
        draft = made.draft(record)
        with conn.begin_nested():
            taken = take(conn, draft, actor=actor)
    except TwinError as why:
        counts.refused += 1
        counts.reasons[why.detail[:160]] = counts.reasons.get(why.detail[:160], 0) + 1
        return None
    counts.accepted += not taken.known
    counts.duplicates += taken.known
    counts.incomplete += bool(taken.missing)
    _judge(made.doc, record, draft, taken.case, counts)
    return taken.case


def _judge(doc: Doc, record: Mapping[str, Any], draft: Draft, case: Case, counts: Counts) -> None:
    """Compare the engine's verdict with the one that the source has written down."""
    said = doc.get("verdict")
    if said is None or draft.target_at is None or draft.closed_at is None:
        return
    written = next((record[name] for name in said["from"] if record.get(name)), None)
    agree = case["data"].get("on_time") == (written == said["value"])
    counts.on_time_agree += agree
    counts.on_time_differ += not agree


def _faults(doc: Doc) -> list[Fault]:
    found: list[Fault] = []
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
    return [
        (("fields", "category", "map"), f"no category is called {name}")
        for name in named
        if name not in process.get("categories", {})
    ]


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="intake", title={"zh": "来源映射", "en": "Intake mappings"},
        faults=_faults, known=_known_faults,
    )
)  # fmt: skip
