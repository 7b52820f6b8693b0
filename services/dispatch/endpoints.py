"""HTTP doors of dispatch: proposals, crews on their way, reach, closed roads, rosters, what the last round thought."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from services.dispatch import board, closures, roster, service, tasks, trial  # noqa: F401 (registers)
from services.web.auth import Person
from services.web.params import place
from twin import db

router = APIRouter(prefix="/api/v1", tags=["dispatch"])
Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/events/{key}/proposals")
def proposals(
    key: str, person: Person, limit: Annotated[int, Query(ge=1, le=20)] = 5
) -> dict[str, Any]:
    """Return the nearest able crews by road time, with routes and reasons."""
    person.need("event.dispatch")
    with db.engine("app").connect() as conn:
        return service.proposals(conn, person, key, limit)


@router.get("/dispatch/board")
def plan(person: Person) -> dict[str, Any]:
    """Return the events that wait for a crew, with what the last round thought of each."""
    with db.engine("app").connect() as conn:
        return board.waiting(conn, person)


@router.get("/dispatch/tasks")
def on_the_way(person: Person) -> dict[str, Any]:
    """Return crews on their way: route, live arrival time, how long a silent one may stay so."""
    with db.engine("app").connect() as conn:
        return tasks.on_the_way(conn, person)


@router.get("/dispatch/isochrones")
def isochrones(
    person: Person,
    lon: float,
    lat: float,
    minutes: Annotated[str, Query(max_length=40)] = "5,10,15",
    profile: Annotated[str | None, Query(max_length=40)] = None,
    direction: Literal["from", "to"] = "from",
) -> dict[str, Any]:
    """Return how far one gets by road in so many minutes, or from where one gets here."""
    place(lon, lat)
    steps = closures.numbers(minutes, 6, 120)
    with db.engine("app").connect() as conn:
        return tasks.isochrones(conn, lon, lat, steps, profile, to=direction == "to")


@router.get("/dispatch/closures")
def closed(person: Person, state: Literal["standing", "all"] = "standing") -> dict[str, Any]:
    """List closed roads as GeoJSON."""
    with db.engine("app").connect() as conn:
        return closures.listed(conn, person, all_=state == "all")


@router.post("/dispatch/closures", status_code=201)
def close(new: closures.NewClosure, person: Person) -> dict[str, Any]:
    """Close the roads that a line or an area touches."""
    with db.engine("app").begin() as conn:
        return closures.draw(conn, person, new)


@router.delete("/dispatch/closures/{number}")
def reopen(number: Number, person: Person) -> dict[str, Any]:
    """Open the roads of a closure again."""
    with db.engine("app").begin() as conn:
        return closures.lift(conn, person, number)


@router.get("/dispatch/crews")
def crews(person: Person, first: date | None = None) -> dict[str, Any]:
    """Return the crews as they stand, with fourteen days of shifts."""
    with db.engine("app").connect() as conn:
        return roster.shown(conn, person, first)


@router.put("/dispatch/shifts")
def shifts(new: roster.Shifts, person: Person) -> dict[str, int]:
    """Write shifts of crews on days."""
    with db.engine("app").begin() as conn:
        return roster.set_shifts(conn, person, new)


@router.patch("/dispatch/crews/{code}")
def crew(code: str, new: roster.State, person: Person) -> dict[str, Any]:
    """Change rest, range, team or absence of a crew."""
    with db.engine("app").begin() as conn:
        return roster.set_state(conn, person, code, new)
