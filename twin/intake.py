"""One intake for every source: gaps found and filled, filters, merging, then what the process does by itself.

What a source has sent is idempotent by source and id. What lacks a place or a category is kept and
queued for a person with what is missing. Declared mappings to the standard fields: `twin.mapped`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from twin import cases, filtering, merging, surroundings
from twin.errors import BadRequest, TwinError
from twin.process import needs
from twin.process.rows import Case
from twin.scope import SYSTEM, Actor

MAX_TITLE, MAX_WORDS = 120, 4000
FALLBACK = "other"


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
        said_so = {"address": draft.address, **draft.more}
        data |= surroundings.known(conn, draft.lon, draft.lat, said_so, where)
        data |= _marked(conn, draft, category)
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
