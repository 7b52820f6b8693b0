"""What a citizen sends and may know: a report into the one intake, its public steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from services.web.params import place
from twin import calendar, cases, files, intake, links, mapped, surroundings, visits
from twin.errors import BadRequest, Forbidden, NotAllowedNow, NotFound
from twin.eventview import PROCESS, SILENT
from twin.scope import ANONYMOUS, Actor

SOURCE = "citizen"
# Sources whose reporters are citizens: only their cases are told to the public.
PUBLIC = (SOURCE, "open311", "code_page")
MAX_TEXT = 1_000
VISITS = "citizen_visits"
# Whoever holds the link of a report is its reporter, for that report and these two acts alone.
REPORTER = Actor(
    user="citizen", clearance=cases.LEVEL, acts=frozenset({"event.report", "event.verify"})
)


def kinds(conn: Connection) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what may be reported."""
    return list(cases.current(conn, PROCESS)["categories"].items())


def report(conn: Connection, form: Mapping[str, str], photo: bytes) -> str:
    """Take a report and return its number; sent twice it is one report."""
    known = dict(kinds(conn))
    category = form.get("category", "")
    if category not in known:
        raise BadRequest("Choose what kind of problem it is.")
    description = form.get("description", "").strip()
    if not description or len(description) > MAX_TEXT:
        raise BadRequest(f"Say in 1 to {MAX_TEXT} characters what is wrong.")
    address = form.get("address", "").strip()[:200] or None
    lon, lat = _place(form)
    if lon is None and address is None:
        raise BadRequest("Say where it is: an address, or your position.")
    if lon is not None and lat is not None and cases.place_of(conn, lon, lat)[0] is None:
        raise BadRequest("This place lies outside the city.")
    photos = (
        [{"url": files.keep(conn, photo, ANONYMOUS.user)["url"], "stage": "collected"}]
        if photo
        else []
    )
    once = form.get("once", "")[:64]
    said = f"{once} {category} {description}"
    draft = intake.Draft(
        source=SOURCE, source_id=hashlib.sha256(said.encode()).hexdigest()[:32] if once else None,
        category=category, description=description, address=address, lon=lon, lat=lat, photos=photos,
        more={"contact": form.get("contact", "").strip()[:60] or None},
    )  # fmt: skip
    return str(intake.take(conn, draft, actor=ANONYMOUS).case["code"])


def _place(form: Mapping[str, str]) -> tuple[float | None, float | None]:
    if not form.get("lon") or not form.get("lat"):
        return None, None
    try:
        return place(float(form["lon"]), float(form["lat"]))
    except ValueError as why:
        raise BadRequest("The position cannot be understood.") from why


def story(conn: Connection, code: str, proof: str = "") -> dict[str, Any]:
    """Return the public steps of a report, those of its master once merged; its reporter is asked, too."""
    case = _one(conn, code)
    said = cases.definition(conn, case)
    steps = _steps(conn, case)
    master = case
    if case["state"] == "merged" and case["parent"] is not None:
        master = _by_id(conn, case["parent"])
        since = steps[-1]["at"] if steps else case["opened_at"]
        steps += [step for step in _steps(conn, master) if step["at"] > since]
    state = cases.definition(conn, master)["states"][master["state"]]
    due = master["due_at"].astimezone(calendar.ZONE) if master["due_at"] else None
    kind = said["categories"].get(case["category"], {}).get("title", {"zh": "", "en": ""})
    own = links.holds(links.REPORTER, code, proof)
    return {
        "code": case["code"], "kind": kind, "state": state["title"], "due": due, "steps": steps,
        "proof": proof if own else "", "asked": case["data"].get("asked") if own else None,
        "verdicts": _verdicts(conn, master) if own else {}, "said": master["data"].get("satisfaction"),
    }  # fmt: skip


def _verdicts(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be said of a result now: once for each time that it was closed, for so many days."""
    doc = mapped.source(conn, VISITS).doc
    if case["state"] != "closed" or _visit(case) in {
        v.get("id") for v in case["data"].get("visits", ())
    }:
        return {}
    if datetime.now(UTC) - case["closed_at"] > timedelta(days=doc.get("days", 30)):
        return {}
    return dict(doc["verdicts"])


def _visit(case: Mapping[str, Any]) -> str:
    return f"{VISITS}:{case['code']}:{case['closed_at']:%Y%m%d%H%M%S}" if case["closed_at"] else ""


def answer(conn: Connection, code: str, form: Mapping[str, str], photo: bytes) -> None:
    """Put what the reporter answers onto the case; only with the link of the report."""
    case = _held(conn, code, form)
    words = form.get("note", "").strip()
    if not words or len(words) > MAX_TEXT:
        raise BadRequest(f"Answer in 1 to {MAX_TEXT} characters.")
    lon, lat = _place(form)
    params: dict[str, Any] = {"note": words}
    if photo:
        params["photos"] = [files.keep(conn, photo, REPORTER.user)["url"]]
    if lon is not None and lat is not None:
        if cases.place_of(conn, lon, lat)[0] is None:
            raise BadRequest("This place lies outside the city.")
        params["position"] = [lon, lat]
    done = cases.perform(conn, case["id"], "supply", actor=REPORTER, params=params)
    if lon is not None and lat is not None:
        where = (done["district"], done["street"])
        known = surroundings.known(conn, lon, lat, done["data"], where)
        cases.annotate(conn, case["id"], known, action="filled")


def visit(conn: Connection, code: str, form: Mapping[str, str]) -> None:
    """Put what the reporter thinks of the result onto the case; only with the link of the report."""
    case = _held(conn, code, form)
    if case["state"] == "merged" and case["parent"] is not None:
        case = _by_id(conn, case["parent"])
    if not _verdicts(conn, case):
        raise NotAllowedNow("This report waits for no verdict now.")
    doc = mapped.source(conn, VISITS).doc
    said = {"verdict": form.get("verdict"), "words": form.get("note", "").strip()[:MAX_TEXT]}
    visits.keep(conn, doc, case, _visit(case), said, actor=REPORTER)


def _held(conn: Connection, code: str, form: Mapping[str, str]) -> dict[str, Any]:
    if not links.holds(links.REPORTER, code, form.get("k", "")[:64]):
        raise Forbidden("Only the link that came with the report opens this.")
    return _one(conn, code)


def _by_id(conn: Connection, case_id: Any) -> dict[str, Any]:
    row = conn.execute(
        text(f'select {cases.COLUMNS} from twin."case" where id = :id'), {"id": case_id}
    ).one()
    return dict(row._mapping)


def _one(conn: Connection, code: str) -> dict[str, Any]:
    row = conn.execute(
        text(f'select {cases.COLUMNS} from twin."case" where code = :c and source = any(:s)'),
        {"c": code, "s": list(PUBLIC)},
    ).first()
    if row is None:
        raise NotFound("There is no report with this number.")
    return dict(row._mapping)


def _steps(conn: Connection, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for entry in cases.story(conn, case["id"]):
        if entry.action in SILENT:
            continue
        title = cases.definition(conn, entry.after)["states"][entry.after["state"]]["title"]
        if not steps or steps[-1]["title"] != title:
            steps.append({"at": entry.at.astimezone(calendar.ZONE), "title": title})
    return steps
