"""Use cases of events: report, act, look back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from services.events import repository
from services.events.schemas import Bulk, NewEvent
from services.web.params import place
from twin import cases, duty, intake, merging, names
from twin.errors import BadRequest, NotFound
from twin.eventview import View
from twin.scope import Actor, sees

_PHOTO = re.compile(r"^/api/v1/files/[0-9a-f]{64}$")
MAX_TEXT = 4000


def report(conn: Connection, actor: Actor, new: NewEvent, source_id: str | None) -> dict[str, Any]:
    """Open an event from the map; staff reports register by themselves."""
    actor.need("event.report")
    lon, lat = place(new.lon, new.lat)
    check_photos(conn, new.photos)
    taken = intake.take(
        conn,
        intake.Draft(
            source=new.source, source_id=source_id, category=new.category, title=new.title or "",
            description=new.description, lon=lon, lat=lat, address=new.address,
            severity=new.severity, fields=new.fields, reporter=actor.user, reporter_kind="staff",
            photos=[{"url": url, "stage": "collected"} for url in new.photos],
            more={"thing": new.thing} if new.thing else {},
        ),
        actor=actor,
    )  # fmt: skip
    case = taken.case
    if "category" in taken.missing:
        raise BadRequest(f"No category is called {new.category!r}.")
    if case["district"] is None:
        raise BadRequest("This point lies outside the city; choose a place inside it.")
    return View(conn).show(case, actor)


def check_photos(conn: Connection, urls: list[str]) -> None:
    """Accept only files that were uploaded here before; no outside address is ever fetched."""
    for url in urls:
        if not isinstance(url, str) or not _PHOTO.match(url):
            raise BadRequest("A photo is given as the url that POST /api/v1/files has answered.")
    hashes = {url.rsplit("/", 1)[1] for url in urls}
    found = conn.execute(
        text("select count(*) from twin.file where hash = any(:h)"), {"h": list(hashes)}
    ).scalar_one()
    if found != len(hashes):
        raise BadRequest("A photo was not uploaded; send it to POST /api/v1/files first.")


def act(
    conn: Connection,
    actor: Actor,
    key: str,
    action: str,
    params: dict[str, Any],
    version: int | None,
) -> dict[str, Any]:
    """Perform an action and show the event after it."""
    case = cases.find(conn, actor, key)
    _check_given(conn, actor, params)
    done = cases.perform(conn, case["id"], action, actor=actor, params=params, version=version)
    return _whole(View(conn).show(done, actor), done)


def _whole(shown: dict[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """Add what only the card of one event shows: outlines would make lists heavy."""
    extra = ("shape", "visits", "reviews", "grid", "thing", "thing_name", "camera", "camera_name",
             "confidence")  # fmt: skip
    return shown | {key: case["data"][key] for key in extra if case["data"].get(key)}


def bulk(conn: Connection, actor: Actor, body: Bulk) -> dict[str, Any]:
    """Perform an action on many events; each refusal says why."""
    if (body.keys is None) == (body.filter is None):
        raise BadRequest("Name the events by keys or by filter, one of the two.")
    _check_given(conn, actor, body.params)
    keys = body.keys
    if body.filter is not None:
        said = body.filter.model_dump(exclude={"text"}) | {"words": body.filter.text}
        keys = repository.codes(conn, actor, repository.Asked(**said), cases.MAX_BULK)
    return cases.bulk(conn, keys or [], body.action, actor=actor, params=body.params)


def duplicates(conn: Connection, actor: Actor, key: str, limit: int) -> list[dict[str, Any]]:
    """Rank what an event may be a second report of; then what was closed at the same spot."""
    case = cases.find(conn, actor, key)
    ranked = merging.ranked(conn, actor, case, limit=limit)
    return [*ranked, *merging.earlier(conn, actor, case)]


def proposed(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Return what the duty list says of an event as it is now."""
    case = cases.find(conn, actor, key)
    made = duty.running(conn, case["process"]).decide(conn, case, datetime.now(UTC))
    name = names.things(conn).get(made.department) if made.department else None
    return {"department": made.department or None, "name": name, **made.said()}


def _check_given(conn: Connection, actor: Actor, params: Mapping[str, Any]) -> None:
    for name, given in params.items():
        if isinstance(given, str) and len(given) > MAX_TEXT:
            raise BadRequest(f"{name} is longer than {MAX_TEXT} characters.")
    photos = params.get("photos") or []
    if not isinstance(photos, list):
        raise BadRequest("photos is a list of addresses of uploaded photos.")
    check_photos(conn, photos)
    if "crew" in params:
        _check_crew(conn, actor, params["crew"])


def _check_crew(conn: Connection, actor: Actor, code: Any) -> None:
    found = conn.execute(
        text(
            "select district, street, st_x(point) as lon, st_y(point) as lat from twin.thing "
            "where kind = 'crew' and code = :c and gone_at is null"
        ),
        {"c": str(code)},
    ).first()
    if found is None or not sees(
        actor, None, found.district, found.street, (found.lon, found.lat), level=cases.LEVEL
    ):
        raise NotFound(f"There is no crew {code!r} that you may send.")


def one(conn: Connection, actor: Actor, key: str, moment: datetime | None) -> dict[str, Any]:
    """Show an event now or at a moment."""
    case = cases.find(conn, actor, key)
    if moment is None:
        return _whole(View(conn).show(case, actor), case)
    then = repository.at_version(conn, case["id"], moment)
    if then is None:
        raise NotFound("This event had not been reported at that moment.")
    return _whole(View(conn).show(then, actor, moment), then)


def story(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Show every step of an event with who, when and what."""
    case = cases.find(conn, actor, key)
    view, people = View(conn), names.people(conn)
    said = view.definition(case)
    return {"entries": [_entry(row, said, people) for row in repository.story(conn, case["id"])]}


_TITLES = {
    "open": {"zh": "上报", "en": "Reported"},
    "warn": {"zh": "即将超时", "en": "Due soon"},
    "late": {"zh": "超时", "en": "Late"},
    "supervise": {"zh": "升级督办", "en": "Supervised"},
    "rule_fault": {"zh": "规则出错，转人工", "en": "Rule failed, left to a person"},
    "filled": {"zh": "系统补全", "en": "Filled in from the map"},
    "handed": {"zh": "已转合作方", "en": "Handed on to the partner"},
    "handed_number": {"zh": "合作方已编号", "en": "Numbered by the partner"},
    "handed_news": {"zh": "合作方进展", "en": "News of the partner"},
    "handed_refused": {"zh": "合作方未接收", "en": "Refused by the partner"},
}


def _entry(row: Any, said: dict[str, Any], people: Any) -> dict[str, Any]:
    note = row.note or {}
    after = row.after
    title = said["actions"].get(row.action, {}).get("title") or _TITLES.get(row.action)
    before = (row.before or {}).get("data", {}).get("photos", [])
    return {
        "seq": row.seq,
        "version": row.version,
        "at": row.at,
        "actor": row.actor,
        "actor_name": people.get(row.actor),
        "action": row.action,
        "title": title,
        "from": note.get("from"),
        "to": note.get("to", after["state"]),
        "state_title": said["states"][after["state"]]["title"],
        "note": note.get("note") or note.get("reason") or note.get("why"),
        "crew": note.get("crew"),
        "photos": _new_photos(before, after["data"].get("photos", [])),
        "point": [row.lon, row.lat] if row.lon is not None else None,
    }


def _new_photos(before: list[Any], after: list[Any]) -> list[Any]:
    return [{**p, "thumb": f"{p['url']}?w=320"} for p in after[len(before) :]]
