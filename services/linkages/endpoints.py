"""HTTP doors of linkages: what runs and how it fared, each firing, and starting one by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query

from services.web.auth import Person
from services.web.once import once
from twin import db, names
from twin.errors import BadRequest, NotFound
from twin.linkages import engine, firing, model
from twin.scope import Actor, sees

router = APIRouter(prefix="/api/v1/linkages", tags=["linkages"])
Key = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
Once = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]


@router.get("")
def listed(person: Person) -> dict[str, Any]:
    """List the linkages with how each fared in the last week, and what may be done with them."""
    with db.engine("app").connect() as conn:
        return {
            "linkages": engine.listed(conn),
            "may_write": person.may("policy.write"),
            "may_run": person.may("device.command"),
        }


@router.get("/runs")
def runs(
    person: Person,
    key: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """List firings, the newest first: why, what was done, how it ended."""
    with db.engine("app").connect() as conn:
        people = names.people(conn)
        found = [
            {**one, "actor_name": people.get(one["actor"])}
            for one in engine.runs(conn, key, limit)
            if _mine(person, one)
        ]
    return {"runs": found}


def _mine(person: Actor, one: dict[str, Any]) -> bool:
    if one["code"] is None:
        return True
    return sees(person, None, one["district"], one["street"], (one["lon"], one["lat"]))


@router.post("/{key}/run")
def run(key: Key, person: Person, idempotency_key: Once = None) -> dict[str, Any]:
    """Start a linkage by hand, if that is what it waits for."""

    def do() -> dict[str, Any]:
        one = model.running(conn).get(key)
        if one is None:
            raise NotFound(f"No linkage is called {key}.")
        if one.form != model.MANUAL or not one.enabled:
            raise BadRequest("This linkage is not started by hand; its trigger starts it.")
        if person.districts is not None:
            raise BadRequest("A linkage works in the whole city; ask somebody of the city.")
        cause = firing.Cause(form=model.MANUAL, at=datetime.now(UTC), actor=person)
        state = firing.fire(conn, one, cause)
        return {"key": key, "state": state, "run": engine.runs(conn, key, 1)[0]}

    with db.engine("app").begin() as conn:
        return once(conn, person, idempotency_key, {"key": key}, do)
