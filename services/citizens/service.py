"""What a citizen sends and may know: a report into the one intake, its public steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from services.web.params import place
from twin import calendar, cases, files, intake
from twin.errors import BadRequest, NotFound
from twin.eventview import PROCESS
from twin.scope import ANONYMOUS

SOURCE = "citizen"
# Sources whose reporters are citizens: only their cases are told to the public.
PUBLIC = (SOURCE, "open311", "code_page")
MAX_TEXT = 1_000
# Steps that say nothing to the reporter.
SILENT = frozenset({
    "warn", "late", "supervise", "report", "rule_fault", "armed", "deadline", "joined", "parted", "repeat",
    "migrate", "migrate_undo", "complete", "use", "tags",
})  # fmt: skip


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


def story(conn: Connection, code: str) -> dict[str, Any]:
    """Return the public steps of a citizen's report; those of its master once it was merged."""
    case = _one(conn, code)
    said = cases.definition(conn, case)
    steps = _steps(conn, case)
    master = case
    if case["state"] == "merged" and case["parent"] is not None:
        row = conn.execute(
            text(f'select {cases.COLUMNS} from twin."case" where id = :id'), {"id": case["parent"]}
        ).one()
        master = dict(row._mapping)
        since = steps[-1]["at"] if steps else case["opened_at"]
        steps += [step for step in _steps(conn, master) if step["at"] > since]
    state = cases.definition(conn, master)["states"][master["state"]]
    due = master["due_at"].astimezone(calendar.ZONE) if master["due_at"] else None
    kind = said["categories"].get(case["category"], {}).get("title", {"zh": "", "en": ""})
    return {"code": case["code"], "kind": kind, "state": state["title"], "due": due, "steps": steps}


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
