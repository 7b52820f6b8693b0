"""Where moving things are and were: frames, names for their numbers, tracks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import text

from services.web.auth import Person
from services.web.params import Moment, moment
from twin import db, positions
from twin.errors import BadRequest, NotFound
from twin.scope import scope_sql, sees, sees_many

router = APIRouter(prefix="/api/v1", tags=["positions"])
MOVERS = ("vehicle", "crew")
LEVEL = 2


@router.get("/movers")
def movers(person: Person) -> dict[str, Any]:
    """Name the numbers of the position frames."""
    person.need("map.read")
    scope, params = scope_sql(person, "t", LEVEL)
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text(
                "select t.num, t.kind, t.code, t.name, t.district from twin.thing t "
                f"where t.kind = any(:kinds) and t.gone_at is null and {scope} order by t.num"
            ),
            {"kinds": list(MOVERS), **params},
        ).mappings()
        return {"movers": [dict(r) for r in rows]}


@router.get("/positions")
def frame(person: Person, at: Moment = None) -> Response:
    """Return one binary frame: now, or where everything was at a moment."""
    person.need("map.read")
    then = moment(at)
    with db.engine("app").connect() as conn:
        rows = positions.fixes(conn, moment=then)
    places = (rows["district"], rows["street"], rows["lon"], rows["lat"])
    shown = then or datetime.now(UTC)
    made, origin = positions.records(rows[sees_many(person, *places, rows["level"])], shown)
    return Response(positions.framed(made, origin, shown), media_type="application/octet-stream")


@router.get("/tracks/{num}")
def track(
    num: Annotated[int, Path(ge=1, le=2**31 - 1)],
    person: Person,
    from_: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    to: Moment = None,
) -> dict[str, Any]:
    """Return the fixes of a thing; without a span, of the last hour."""
    person.need("map.read")
    end = moment(to) or datetime.now(UTC)
    start = moment(from_) or end - timedelta(hours=1)
    if not timedelta(0) < end - start <= timedelta(days=2):
        raise BadRequest("A track spans more than nothing and at most two days.")
    with db.engine("app").connect() as conn:
        thing = conn.execute(
            text(
                "select district, street, level, st_x(point) as lon, st_y(point) as lat "
                "from twin.thing where num = :n"
            ),
            {"n": num},
        ).first()
        if thing is None or not sees(
            person, None, thing.district, thing.street, (thing.lon, thing.lat), level=thing.level
        ):
            raise NotFound("There is no such thing, or it is outside your districts.")
        rows = positions.track(conn, num, start, end)
    points = [
        [r.lon, r.lat, round(r.at.timestamp() * 1000), r.speed_kmh, r.heading_deg] for r in rows
    ]
    return {"num": num, "points": points}
