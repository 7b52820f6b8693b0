"""Plots (标绘): what people draw on the map, saved, shared, journalled, and shown at any past moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import shapely
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from services.wall import shapes
from twin import cases, ids, journal, names
from twin.errors import Forbidden, NotFound, TooMany, VersionConflict
from twin.scope import Actor, scope_sql

LEVEL = 1
CLASS = "plot"
MAX_STANDING = 2_000
Form = Literal["point", "line", "arrow", "zone", "circle", "text"]
_FAMILIES = {
    "point": ("Point",), "text": ("Point",), "line": ("LineString",), "arrow": ("LineString",),
    "zone": ("Polygon",), "circle": ("Polygon",),
}  # fmt: skip
_COLUMNS = (
    "x.id, x.version, x.form, x.title, x.style, x.shared, x.owner, x.district, x.street, "
    "x.valid_from, st_asgeojson(x.geom, 7)::jsonb as geometry"
)
_INSERT = text(
    "insert into twin.plot (id, version, form, title, geom, style, shared, owner, district, street) "
    "values (:id, :version, :form, :title, st_geomfromgeojson(:shape), :style, :shared, :owner, "
    ":district, :street)"
).bindparams(bindparam("style", type_=JSONB))


class Style(BaseModel):
    """How a plot looks: a token of colour, never a colour of its own."""

    model_config = ConfigDict(extra="forbid")

    ink: Literal["selected", "mine", "critical", "major", "minor", "good", "text"] = "selected"
    width: Annotated[int, Field(ge=1, le=12)] = 3
    radius_m: Annotated[float, Field(gt=0, le=100_000)] | None = None


class Plot(BaseModel):
    """A plot as it is drawn or changed."""

    model_config = ConfigDict(extra="forbid")

    form: Form
    title: Annotated[str, Field(max_length=120)] = ""
    geometry: dict[str, Any]
    style: Style = Style()
    shared: bool = False


def listed(conn: Connection, actor: Actor, at: datetime | None) -> dict[str, Any]:
    """Return what the actor drew and what others share where the actor may look, now or then."""
    scope, params = scope_sql(actor, "x", LEVEL, geom="geom")
    when = (
        "x.valid_to is null"
        if at is None
        else "x.valid_from <= :at and (x.valid_to is null or x.valid_to > :at)"
    )
    rows = conn.execute(
        text(
            f"select {_COLUMNS} from twin.plot x where {when} "
            f"and (x.owner = :me or (x.shared and ({scope}))) order by x.valid_from limit :limit"
        ),
        {**params, "me": actor.user, "at": at, "limit": MAX_STANDING},
    ).mappings()
    people = names.people(conn)
    return {
        "type": "FeatureCollection",
        "features": [_feature(dict(row), people, actor) for row in rows],
    }


def _feature(row: Mapping[str, Any], people: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    keys = "version form title style shared owner".split()
    return {
        "type": "Feature",
        "id": str(row["id"]),
        "geometry": row["geometry"],
        "properties": {key: row[key] for key in keys}
        | {
            "owner_name": people.get(row["owner"]),
            "at": row["valid_from"],
            "mine": row["owner"] == actor.user,
        },
    }


def add(conn: Connection, actor: Actor, new: Plot) -> dict[str, Any]:
    """Save a plot."""
    _may_share(actor, new)
    standing = conn.execute(
        text("select count(*) from twin.plot where owner = :me and valid_to is null"),
        {"me": actor.user},
    ).scalar_one()
    if standing >= MAX_STANDING:
        raise TooMany(f"You have {MAX_STANDING} plots; remove some before you draw more.")
    return _keep(conn, actor, new, ids.uuid7(), 1, None)


def change(conn: Connection, actor: Actor, plot: UUID, version: int, new: Plot) -> dict[str, Any]:
    """Change a plot of one's own: the version before stays for the past."""
    _may_share(actor, new)
    before = _mine(conn, actor, plot, version)
    _end(conn, plot, version)
    return _keep(conn, actor, new, plot, version + 1, before)


def remove(conn: Connection, actor: Actor, plot: UUID) -> None:
    """Take a plot of one's own off the map; the past still shows it."""
    before = _mine(conn, actor, plot, None)
    _end(conn, plot, before["version"])
    _journal(conn, actor, "remove", plot, before["version"] + 1, before, None)


def _may_share(actor: Actor, new: Plot) -> None:
    if new.shared and not (actor.may("alarm.handle") or actor.may("data.write")):
        raise Forbidden("Your roles do not share plots; keep it for yourself, or ask a commander.")


def _mine(conn: Connection, actor: Actor, plot: UUID, version: int | None) -> dict[str, Any]:
    row = (
        conn.execute(
            text(
                f"select {_COLUMNS} from twin.plot x where x.id = :id and x.valid_to is null "
                "and x.owner = :me for update"
            ),
            {"id": plot, "me": actor.user},
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound("There is no such plot of yours.")
    if version is not None and row["version"] != version:
        raise VersionConflict("This plot has just been changed; look at it again.")
    return dict(row)


def _end(conn: Connection, plot: UUID, version: int) -> None:
    conn.execute(
        text("update twin.plot set valid_to = clock_timestamp() where id = :id and version = :v"),
        {"id": plot, "v": version},
    )


def _keep(
    conn: Connection, actor: Actor, new: Plot, plot: UUID, version: int,
    before: Mapping[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    shape = shapes.read(new.geometry, _FAMILIES[new.form])
    middle = shape.representative_point()
    district, street = cases.place_of(conn, middle.x, middle.y)
    row = {
        "id": plot, "version": version, "form": new.form, "title": new.title,
        "style": new.style.model_dump(exclude_none=True), "shared": new.shared,
        "owner": before["owner"] if before else actor.user, "district": district, "street": street,
    }  # fmt: skip
    said = json.loads(shapely.to_geojson(shape))
    conn.execute(_INSERT, {**row, "shape": json.dumps(said)})
    action = "update" if before else "insert"
    _journal(conn, actor, action, plot, version, before, {**row, "geometry": said})
    made = {**row, "geometry": said, "valid_from": datetime.now().astimezone()}
    return _feature(made, names.people(conn), actor)


def _journal(
    conn: Connection, actor: Actor, action: str, plot: UUID, version: int,
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None,
) -> None:  # fmt: skip
    said = after or before or {}
    middle = shapely.geometry.shape(said["geometry"]).representative_point()
    journal.append(
        conn, cls=CLASS, action=action, actor=actor.user, subject=plot, kind="plot",
        version=version, district=said.get("district"), level=LEVEL, point=(middle.x, middle.y),
        before=_plain(before), after=_plain(after), note={"shared": said.get("shared", False)},
    )  # fmt: skip


def _plain(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if said is None:
        return None
    plain: dict[str, Any] = json.loads(journal.dumped(said))
    return plain
