"""Geofences: areas drawn on the map, each kept as a declared alarm rule of place; breaches are its alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import shapely
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, text

from services.wall import shapes
from twin import cases, catalogue, ids, names
from twin.alarms import places, published, rule
from twin.errors import BadRequest, NotFound, TooMany, VersionConflict
from twin.scope import Actor, scope_sql, sees

LEVEL = 1
MOST, MAX_POSITIONS, SHOWN = 200, 500, 200
PREFIX = "fence."
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Word = Annotated[str, Field(min_length=1, max_length=64)]
KindName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_BREACHES = {
    "enter": ("进入围栏", "enters the fence"),
    "leave": ("离开围栏", "leaves the fence"),
    "stay": ("围栏内停留过久", "stays in the fence too long"),
}


class Hours(BaseModel):
    """When a fence watches; from after to is a night."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    days: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1, max_length=7)] = [
        1, 2, 3, 4, 5, 6, 7,
    ]  # fmt: skip


class Fence(BaseModel):
    """A fence as it is drawn or changed."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=120)]
    geometry: dict[str, Any]
    breach: Literal["enter", "leave", "stay"] = "enter"
    minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    kinds: Annotated[list[KindName], Field(min_length=1, max_length=8)]
    codes: Annotated[list[Word], Field(max_length=200)] = []
    among: Annotated[dict[KindName, str | float | bool], Field(max_length=4)] = {}
    hours: Hours | None = None
    level: Annotated[int, Field(ge=1, le=4)] = 3
    enabled: bool = True


class Changed(Fence):
    """A fence with the version that it changes."""

    version: Annotated[int, Field(ge=1, le=2**31 - 2)]


# The newest version of each fence with its area as a place, so that scope is asked of it as of any row.
_FENCES = (
    "select x.* from (select d.key, d.version, d.doc, d.published_at, "
    "d.doc->'drawn'->>'district' as district, d.doc->'drawn'->>'street' as street, "
    "st_setsrid(st_geomfromgeojson((d.doc->'when'->'fence'->'area')::text), 4326) as area "
    "from (select distinct on (key) * from twin.declaration where kind_of = 'alarm' "
    "and key like 'fence.%' order by key, version desc) d "
    "where not coalesce((d.doc->'drawn'->>'gone')::boolean, false)) x "
)


def _rows(conn: Connection, actor: Actor, more: str = "", **params: Any) -> list[Any]:
    scope, bound = scope_sql(actor, "x", LEVEL, geom="area")
    sql = f"{_FENCES} where {scope} {more} order by x.published_at limit {MOST}"
    return list(conn.execute(text(sql), {**bound, **params}))


def listed(conn: Connection, actor: Actor) -> dict[str, Any]:
    """Return the fences of the places that the actor sees, and the kinds that a fence may watch."""
    known = catalogue.readable(conn, actor)
    moving = conn.scalars(text(_MOVING)).all()
    return {
        "fences": _shown(conn, actor, _rows(conn, actor)),
        "kinds": [{"kind": k, "title": dict(known[k].title)} for k in moving if k in known],
        "may_write": actor.may("alarm.handle"),
    }


_MOVING = (
    "select kind from (select distinct t.kind from twin.last_position p "
    "join twin.thing t on t.num = p.num) s union select unnest(array['vehicle', 'crew']) order by 1"
)
_STATE = text(
    "select k.key, (select count(*) from iot.alarm a where a.rule = k.key and a.cleared_at is null) "
    "as standing, s.fault from unnest(cast(:keys as text[])) as k (key) "
    "left join iot.rule_state s on s.rule = k.key"
)


def _shown(conn: Connection, actor: Actor, rows: list[Any]) -> list[dict[str, Any]]:
    keys = [row.key for row in rows]
    state = {row.key: row for row in conn.execute(_STATE, {"keys": keys})}
    people = names.people(conn)
    return [
        _plain(row.key, row.version, row.doc)
        | {
            "by": row.doc["drawn"]["by"],
            "by_name": people.get(row.doc["drawn"]["by"]),
            "at": row.published_at,
            "may_change": actor.may("alarm.handle"),
            "standing": state[row.key].standing,
            "alarms": f"/api/v1/alarms?rule={row.key}",
            "fault": state[row.key].fault,
        }
        for row in rows
    ]


def _plain(key: str, version: int, doc: Mapping[str, Any]) -> dict[str, Any]:
    said = doc["when"][rule.FENCE]
    return {
        "id": key,
        "version": version,
        "title": doc["title"]["zh"],
        "geometry": said["area"],
        "breach": said["breach"],
        "minutes": round(rule.seconds(doc.get("hold", 0)) / 60),
        "kinds": said["kinds"],
        "codes": said.get("codes", []),
        "among": doc.get("among", {}),
        "hours": said.get("hours"),
        "level": doc["level"],
        "enabled": doc.get("enabled", True),
        "district": doc["drawn"].get("district"),
    }


def features(conn: Connection, actor: Actor) -> dict[str, Any]:
    """Return the fences as GeoJSON."""
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": one["id"], "geometry": one["geometry"],
             "properties": {k: v for k, v in one.items() if k != "geometry"}}
            for one in _shown(conn, actor, _rows(conn, actor))
        ],
    }  # fmt: skip


def add(conn: Connection, actor: Actor, new: Fence) -> dict[str, Any]:
    """Keep a fence as a rule of its own."""
    actor.need("alarm.handle")
    if conn.scalar(text(f"select count(*) from ({_FENCES}) f")) >= MOST:
        raise TooMany(f"There are {MOST} fences; take some away before you draw more.")
    key = f"{PREFIX}{ids.uuid7().hex}"
    return _keep(conn, actor, key, new, actor.user)


def change(conn: Connection, actor: Actor, key: str, new: Changed) -> dict[str, Any]:
    """Change a fence: the next version of its rule."""
    actor.need("alarm.handle")
    before = _mine(conn, actor, key)
    if before.version != new.version:
        raise VersionConflict("This fence has just been changed; look at it again.")
    said = Fence.model_validate(new.model_dump(exclude={"version"}, by_alias=True))
    return _keep(conn, actor, key, said, before.doc["drawn"]["by"])


def remove(conn: Connection, actor: Actor, key: str) -> None:
    """Take a fence away: its rule ends, what stands is cleared, the past keeps both."""
    actor.need("alarm.handle")
    doc = _mine(conn, actor, key).doc
    gone = {**doc, "enabled": False, "drawn": {**doc["drawn"], "gone": True}}
    published.publish(conn, gone, origin="local", actor=actor.user)


def _mine(conn: Connection, actor: Actor, key: str) -> Any:
    # The lock makes two who change one fence at once follow each other.
    conn.execute(text("select pg_advisory_xact_lock(hashtextextended(:k, 11))"), {"k": key})
    found = _rows(conn, actor, "and x.key = :key", key=key)
    if not found:
        raise NotFound("There is no such fence.")
    return found[0]


def _keep(conn: Connection, actor: Actor, key: str, new: Fence, by: str) -> dict[str, Any]:
    published.publish(conn, document(conn, actor, key, new, by), origin="local", actor=actor.user)
    return _shown(conn, actor, _rows(conn, actor, "and x.key = :key", key=key))[0]


def document(conn: Connection, actor: Actor, key: str, new: Fence, by: str) -> dict[str, Any]:
    """Return the alarm rule of a fence, checked."""
    area = shapes.area(new.geometry, None)
    if shapely.get_num_coordinates(area) > MAX_POSITIONS:
        raise BadRequest(f"A fence has at most {MAX_POSITIONS} corners; draw it coarser.")
    if area.geom_type not in ("Polygon", "MultiPolygon"):
        raise BadRequest("A fence encloses an area: give a polygon that does not cross itself.")
    if new.breach == "stay" and not new.minutes:
        raise BadRequest("Say after how many minutes in the fence it rings.", parameter="minutes")
    known = catalogue.readable(conn, actor)
    for name in new.kinds:
        if name not in known:
            raise BadRequest(f"No kind that you may read is called {name}.", parameter="kinds")
    middle = area.representative_point()
    district, street = cases.place_of(conn, middle.x, middle.y)
    if not sees(actor, None, district, street, (middle.x, middle.y), level=LEVEL):
        raise BadRequest("The fence lies outside the places that you see.", parameter="geometry")
    zh, en = _BREACHES[new.breach]
    said: dict[str, Any] = {
        "key": key,
        "title": {"zh": new.title, "en": new.title},
        "level": new.level,
        "when": {rule.FENCE: _when(new, area)},
        "group": {"by": "thing"},
        "advice": {"zh": f"{new.title}：{zh}", "en": f"{new.title}: {en}"},
        "enabled": new.enabled,
        "drawn": {"by": by, "district": district, "street": street},
    }
    if new.minutes:
        said["hold"] = f"{new.minutes}m"
    if new.among:
        said["among"] = new.among
    return rule.read_source(json.dumps(said, ensure_ascii=False), key)


def _when(new: Fence, area: shapely.Geometry) -> dict[str, Any]:
    said: dict[str, Any] = {
        "area": json.loads(shapely.to_geojson(shapely.set_precision(area, 1e-7))),
        "breach": new.breach,
        "kinds": list(dict.fromkeys(new.kinds)),
    }
    if new.codes:
        said["codes"] = list(dict.fromkeys(new.codes))
    if new.hours:
        said["hours"] = new.hours.model_dump(by_alias=True)
    return said


def trial(conn: Connection, actor: Actor, new: Fence) -> dict[str, Any]:
    """Tell which things would be in breach at this moment; nothing is kept, nothing rings."""
    made = rule.from_doc(document(conn, actor, f"{PREFIX}trial", new, actor.user))
    up = [row for row in places.fence(conn, made, datetime.now(UTC)) if row[2]]
    place = {row[0]: (row[4], row[5]) for row in up}
    scope, bound = scope_sql(actor, "t", LEVEL)
    rows = conn.execute(
        text(
            "select t.num, t.code, t.name, t.kind from twin.thing t "
            f"where t.num = any(:nums) and {scope} order by t.num"
        ),
        {"nums": list(place), **bound},
    ).all()
    now = [
        {"code": r.code, "name": r.name, "kind": r.kind, "lon": place[r.num][0], "lat": place[r.num][1]}
        for r in rows[:SHOWN]
    ]  # fmt: skip
    return {"inside": len(rows), "now": now}
