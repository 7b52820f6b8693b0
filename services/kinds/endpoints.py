"""HTTP doors of kinds: read a declaration, plan a change, ask for it to be carried out."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from services.web.auth import Person
from services.web.declared import read_source
from twin import alter, catalogue, db, jobs, kinds

router = APIRouter(prefix="/api/v1/kinds", tags=["kinds"])
MAX_BYTES = 200_000


@router.get("/{name}")
def declaration(name: str, person: Person) -> Response:
    """Return the running declaration of a kind, its fields in the order in which they are declared."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        kind = catalogue.one(conn, person, name)
    said = {**kind.doc, "version": kind.version}
    return Response(json.dumps(said, ensure_ascii=False), media_type="application/json")


@router.post("/plan")
async def plan(request: Request, person: Person) -> dict[str, Any]:
    """Return what a declaration would change, and what each step would lose; nothing is done."""
    person.need("system.write")
    source = await read_source(request, MAX_BYTES)
    async with db.async_engine("app").connect() as conn:
        return await conn.run_sync(_plan, source)


def _plan(conn: Any, source: str) -> dict[str, Any]:
    running = kinds.catalogue(conn)
    new = alter.read(source, "declaration", running)
    return alter.plan(conn, running.get(new.kind), new).json()


@router.post("", status_code=202)
async def change(request: Request, person: Person, allow_loss: bool = False) -> dict[str, Any]:
    """Ask for a kind to be made or changed; follow the job under /api/v1/jobs."""
    person.need("system.write")
    source = await read_source(request, MAX_BYTES)
    async with db.async_engine("app").begin() as conn:
        planned = await conn.run_sync(_plan, source)
        if planned["needs_allow_loss"] and not allow_loss:
            raise alter.WouldLose(
                f"This would lose {planned['loses']} values of {planned['kind']}; "
                "send allow_loss=true to do it.",
                plan=planned,
            )
        args = {"declaration": source, "allow_loss": allow_loss}
        job = await conn.run_sync(jobs.enqueue, alter.TASK, args, actor=person.user)
    return {"job": job, "plan": planned, "follow": f"/api/v1/jobs/{job}"}
