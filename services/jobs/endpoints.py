"""HTTP door of jobs: how one stands, for who asked for it and for system administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.web.auth import Person
from twin import db, jobs
from twin.errors import NotFound

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


@router.get("/{job_id}")
def state(job_id: Annotated[int, Path(ge=1, le=2**62)], person: Person) -> dict[str, Any]:
    """Return how a job stands: waiting, running, done or failed, its progress and result."""
    with db.engine("app").connect() as conn:
        said = jobs.state(conn, job_id)
    if said["actor"] != person.user and not person.may("system.write"):
        raise NotFound("There is no such job.")
    return said
