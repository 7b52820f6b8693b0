"""HTTP doors of the desk over events: tags, saved views."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from services.events import archive, report_pdf, tags, views
from services.web.auth import Person
from twin import db

# Included before the doors of single events: `tags` is no code of one.
router = APIRouter(prefix="/api/v1", tags=["events"])
Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/events/tags")
def known_tags(person: Person) -> list[dict[str, Any]]:
    """List the tags in use on open events."""
    with db.engine("app").connect() as conn:
        return tags.known(conn, person)


@router.post("/events/tags")
def tag(asked: tags.Tagging, person: Person) -> dict[str, Any]:
    """Add tags to events, and take tags away."""
    with db.engine("app").begin() as conn:
        return tags.write(conn, person, asked)


@router.get("/events/{key}/report.pdf")
def report(key: str, person: Person) -> Response:
    """Return the closing report of an event as PDF; of an open one, how it stands."""
    with db.engine("app").connect() as conn:
        code, raw = report_pdf.made(conn, person, key)
    return _file(raw, "application/pdf", f"{code}.pdf", "inline")


@router.get("/events/{key}/archive.zip")
def archived(key: str, person: Person) -> Response:
    """Return the archive of an event: evidence, story, proofs, and the program that checks them."""
    with db.engine("app").connect() as conn:
        code, raw = archive.made(conn, person, key)
    return _file(raw, "application/zip", f"{code}.zip", "attachment")


def _file(raw: bytes, kind: str, name: str, how: str) -> Response:
    headers = {
        "Content-Disposition": f'{how}; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return Response(raw, media_type=kind, headers=headers)


@router.get("/departments")
def departments(person: Person) -> list[dict[str, Any]]:
    """List whom an event may be given to: organisations with their kind."""
    with db.engine("app").connect() as conn:
        return tags.departments(conn)


@router.get("/views")
def saved(person: Person, page: views.Page = "events") -> list[dict[str, Any]]:
    """List the saved views of a page: one's own, and those shared."""
    with db.engine("app").connect() as conn:
        return views.listed(conn, person, page)


@router.post("/views", status_code=201)
def save(view: views.View, person: Person) -> dict[str, Any]:
    """Save a view under its name."""
    with db.engine("app").begin() as conn:
        return views.save(conn, person, view)


@router.delete("/views/{number}", status_code=204)
def remove(number: Number, person: Person) -> None:
    """Remove one's own view."""
    with db.engine("app").begin() as conn:
        views.remove(conn, person, number)
