"""HTTP doors of the wall: selections, cameras that see a place, plots, the difference of two moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.wall import cameras, fences, moments, plots, selection, shapes, snapshots
from services.web.auth import Person
from services.web.once import once
from services.web.params import Moment, box, moment, place
from twin import db
from twin.errors import BadRequest

router = APIRouter(prefix="/api/v1", tags=["wall"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Word = Annotated[str, Field(min_length=1, max_length=64)]
PlotId = Annotated[UUID, Path()]
FenceId = Annotated[str, Path(min_length=1, max_length=64)]


class Area(BaseModel):
    """An area of the map, and the moment that is looked at."""

    model_config = ConfigDict(extra="forbid")

    shape: dict[str, Any] | None = None
    circle: shapes.Circle | None = None
    at: Annotated[str, Field(max_length=64)] | None = None


class Within(Area):
    """Which things of an area are listed."""

    kinds: Annotated[list[Word], Field(min_length=1, max_length=40)]
    district: Annotated[str, Field(max_length=12)] | None = None
    limit: Annotated[int, Field(ge=1, le=selection.MAX_THINGS)] = 2_000


class Changed(plots.Plot):
    """A plot with the version that it changes."""

    version: Annotated[int, Field(ge=1, le=2**31 - 2)]


@router.post("/selection")
def select(asked: Area, person: Person) -> dict[str, Any]:
    """Count what lies within an area: things by kind and district, events, alarms."""
    shape = shapes.area(asked.shape, asked.circle)
    with db.engine("app").connect() as conn:
        return selection.summary(conn, person, shape, moment(asked.at))


@router.post("/selection/things")
def select_things(asked: Within, person: Person) -> dict[str, Any]:
    """List the things of chosen kinds within an area, with their places."""
    shape = shapes.area(asked.shape, asked.circle)
    with db.engine("app").connect() as conn:
        return selection.things(
            conn, person, shape, moment(asked.at), asked.kinds, asked.district, asked.limit
        )


@router.get("/cameras/seeing")
def seeing(
    person: Person,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> dict[str, Any]:
    """List the cameras that see a point, the nearest first."""
    place(lon, lat)
    with db.engine("app").connect() as conn:
        return {"cameras": cameras.seeing(conn, person, lon, lat, limit)}


@router.get("/cameras/{code}/snapshot", response_class=Response)
def snapshot(
    code: Annotated[str, Path(min_length=1, max_length=64)], person: Person, request: Request
) -> Response:
    """Return what a camera shows, at most five seconds old, marked with who looks at it."""
    raw, at, tag = snapshots.shown(person, code)
    headers = {"ETag": tag, "X-Taken-At": at.isoformat(), "Cache-Control": "private, max-age=5"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(raw, media_type="image/jpeg", headers=headers)


@router.get("/cameras/views.geojson")
def camera_views(
    person: Person,
    bbox: Annotated[str, Query(max_length=160)],
    limit: Annotated[int, Query(ge=1, le=2_000)] = 800,
) -> dict[str, Any]:
    """Return what cameras see as sectors."""
    asked = box(bbox)
    if asked is None:
        raise BadRequest("bbox is needed: west,south,east,north.", parameter="bbox")
    with db.engine("app").connect() as conn:
        return cameras.views(conn, person, asked, limit)


@router.get("/plots")
def all_plots(person: Person, at: Moment = None) -> dict[str, Any]:
    """Return one's own plots and those that are shared, now or at a moment, as GeoJSON."""
    with db.engine("app").connect() as conn:
        return plots.listed(conn, person, moment(at))


@router.post("/plots", status_code=201)
def add_plot(new: plots.Plot, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Save a plot."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, new.model_dump(), lambda: plots.add(conn, person, new)
        )


@router.put("/plots/{plot}")
def change_plot(
    plot: PlotId, new: Changed, person: Person, idempotency_key: Key = None
) -> dict[str, Any]:
    """Change a plot of one's own."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"plot": str(plot), **new.model_dump()},
            lambda: plots.change(conn, person, plot, new.version, new),
        )  # fmt: skip


@router.delete("/plots/{plot}", status_code=204)
def remove_plot(plot: PlotId, person: Person) -> None:
    """Take a plot of one's own off the map."""
    with db.engine("app").begin() as conn:
        plots.remove(conn, person, plot)


@router.get("/fences")
def all_fences(person: Person) -> dict[str, Any]:
    """List the geofences, and the kinds that one may watch."""
    with db.engine("app").connect() as conn:
        return fences.listed(conn, person)


@router.get("/fences.geojson")
def fences_on_map(person: Person) -> dict[str, Any]:
    """Return the geofences as GeoJSON."""
    with db.engine("app").connect() as conn:
        return fences.features(conn, person)


@router.post("/fences/try")
def try_fence(new: fences.Fence, person: Person) -> dict[str, Any]:
    """Tell which things would be in breach of a fence now; nothing is kept."""
    with db.engine("app").connect() as conn:
        return fences.trial(conn, person, new)


@router.post("/fences", status_code=201)
def add_fence(new: fences.Fence, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Keep a fence: an alarm rule of its own."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, new.model_dump(), lambda: fences.add(conn, person, new)
        )


@router.put("/fences/{fence}")
def change_fence(
    fence: FenceId, new: fences.Changed, person: Person, idempotency_key: Key = None
) -> dict[str, Any]:
    """Change a fence; whoever was faster is not overwritten."""
    with db.engine("app").begin() as conn:
        return once(
            conn, person, idempotency_key, {"fence": fence, **new.model_dump()},
            lambda: fences.change(conn, person, fence, new),
        )  # fmt: skip


@router.delete("/fences/{fence}", status_code=204)
def remove_fence(fence: FenceId, person: Person) -> None:
    """Take a fence away; the alarms that stand by it end."""
    with db.engine("app").begin() as conn:
        fences.remove(conn, person, fence)


@router.get("/moments/difference")
def difference(
    person: Person,
    from_: Annotated[str, Query(alias="from", max_length=64)],
    to: Moment = None,
    bbox: Annotated[str | None, Query(max_length=160)] = None,
) -> dict[str, Any]:
    """Return what is different at one moment from another (`to` defaults to now)."""
    start, end = moment(from_), moment(to) or datetime.now(UTC)
    if start is None or end <= start:
        raise BadRequest("`from` must be a moment before `to`.", parameter="from")
    with db.engine("app").connect() as conn:
        return moments.between(conn, person, start, end, box(bbox))
