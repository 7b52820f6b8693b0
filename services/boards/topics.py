"""The board of a topic: its events by district, category and day, what it keeps, its alarms; now or then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar, cases, catalogue, counts, names, scenes
from twin.errors import NotFound
from twin.eventview import PROCESS
from twin.scope import Actor, scope_sql
from twin.tables import TOPICS

ACTIVITY = "activity"
DAYS = 14
PERIOD = timedelta(days=30)
_OPEN = "c.opened_at <= :t and (c.closed_at is null or c.closed_at > :t)"
_LATE = (
    "exists (select from twin.journal j where j.subject = c.id and j.class = 'case' "
    "and j.action = 'late' and j.at <= :t)"
)
_DONE = "c.closed_at > :since and c.closed_at <= :t"
_FIGURES = (
    f"count(*) filter (where {_OPEN}) as open, "
    f"count(*) filter (where {_OPEN} and c.severity <= 2) as urgent, "
    f"count(*) filter (where {_OPEN} and {_LATE}) as late, "
    f"count(*) filter (where {_DONE}) as closed, "
    f"count(*) filter (where {_DONE} and not {_LATE}) as in_time, "
    "percentile_cont(0.5) within group (order by extract(epoch from c.closed_at - c.opened_at)) "
    f"filter (where {_DONE}) as median_s"
)


def board(conn: Connection, actor: Actor, topic: str, moment: datetime) -> dict[str, Any]:
    """Return the board of a topic (`all` is every topic) as it was at a moment."""
    if topic not in ("all", ACTIVITY, *TOPICS):
        raise NotFound(
            f"There is no topic {topic!r}; ask for all, {ACTIVITY}, {', '.join(TOPICS)}."
        )
    said = cases.current(conn, PROCESS)["categories"]
    of = [k for k, one in said.items() if topic in ("all", ACTIVITY, one.get("domain"))]
    places = scenes.activities(conn) if topic == ACTIVITY else []
    scope, more = scope_sql(actor, "c", cases.LEVEL)
    where = f"c.process = :process and c.category = any(:of) and c.opened_at <= :t and {scope}"
    params = {"process": PROCESS, "of": of, "t": moment,
              "since": moment - PERIOD, **more}  # fmt: skip
    if topic == ACTIVITY:
        inside, there = scenes.around(places, "c.point")
        where, params = f"{where} and {inside}", params | there
    called = names.things(conn)
    rows = conn.execute(
        text(
            f"select coalesce(c.district, '') as code, {_FIGURES} from twin.\"case\" c "
            f"where {where} group by 1"
        ),
        params,
    ).mappings()
    districts = [{**row, "name": called.get(row["code"])} for row in rows]
    return {
        "topic": topic,
        "at": moment,
        "figures": _figures(conn, where, params),
        "districts": sorted(districts, key=lambda d: -d["open"]),
        "categories": _categories(conn, where, params, said),
        "stages": _stages(conn, actor, of, moment, places if topic == ACTIVITY else None),
        "days": _days(conn, where, params, moment),
        "kinds": _near(conn, actor, places) if topic == ACTIVITY else _kinds(conn, actor, topic),
        "activities": places,
    }


def _figures(conn: Connection, where: str, params: dict[str, Any]) -> dict[str, Any]:
    sql = f'select {_FIGURES} from twin."case" c where {where}'
    return dict(conn.execute(text(sql), params).mappings().one())


def _categories(
    conn: Connection, where: str, params: dict[str, Any], said: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = conn.execute(
        text(
            f"select c.category, count(*) filter (where {_OPEN}) as open, "
            "count(*) filter (where c.opened_at > :since) as opened "
            f'from twin."case" c where {where} group by 1 order by 3 desc limit 12'
        ),
        params,
    ).mappings()
    return [{**row, "title": said[row["category"]]["title"]} for row in rows]


def _stages(
    conn: Connection, actor: Actor, of: list[str], moment: datetime,
    places: list[dict[str, Any]] | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return how many open events stand in each stage, by the definition that each runs on."""
    standing = cases.at_moment(conn, actor, moment)
    stages: dict[int, int] = {}
    for case in standing:
        there = places is None or scenes.holds(places, case["lon"], case["lat"])
        if there and case["category"] in of:
            stage = cases.definition(conn, case)["states"][case["state"]]["stage"]
            stages[stage] = stages.get(stage, 0) + 1
    return [{"stage": n, "n": stages.get(n, 0)} for n in range(1, 7)]


def _days(
    conn: Connection, where: str, params: dict[str, Any], moment: datetime
) -> list[dict[str, Any]]:
    today = moment.astimezone(calendar.ZONE).date()
    first = calendar.midnight(today - timedelta(days=DAYS - 1))
    rows = conn.execute(
        text(
            "select d.day, count(*) filter (where c.opened_at >= d.day and c.opened_at < d.day "
            "+ interval '1 day') as opened, count(*) filter (where c.closed_at >= d.day and "
            "c.closed_at < d.day + interval '1 day' and c.closed_at <= :t) as closed "
            "from generate_series(cast(:first as timestamptz), cast(:t as timestamptz), "
            f"interval '1 day') d(day) left join (select * from twin.\"case\" c where {where} "
            "and (c.opened_at >= :first or c.closed_at >= :first)) c on true group by 1 order by 1"
        ),
        {**params, "first": first},
    ).mappings()
    return [dict(row) for row in rows]


def _kinds(conn: Connection, actor: Actor, topic: str) -> list[dict[str, Any]]:
    """Return what the topic keeps, by kind and district."""
    known = {
        k: kind for k, kind in catalogue.readable(conn, actor).items()
        if kind.geometry != "none" and (kind.topic == topic or (topic == "all" and kind.topic != "base"))
    }  # fmt: skip
    kept = counts.of_kinds(conn, actor, known)
    listed = [
        {"kind": name, "title": dict(known[name].title), "icon": known[name].symbol.get("icon"),
         "topic": known[name].topic, "n": one.things, "freshest": one.freshest}
        for name, one in kept.items() if one.things
    ]  # fmt: skip
    return sorted(listed, key=lambda one: -one["n"])


def _near(conn: Connection, actor: Actor, places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the scenes of activities show of things, as far as they lie at their places."""
    known = catalogue.readable(conn, actor)
    wanted = dict.fromkeys(name for one in places for name in one["kinds"] if name in known)
    listed = []
    for name in wanted:
        kind = known[name]
        if kind.geometry == "none":
            continue
        scope, more = scope_sql(actor, "k", kind.level, geom="geom")
        inside, there = scenes.around(places, "k.geom")
        row = conn.execute(
            text(
                "select count(*) as n, max(k.updated_at) as freshest "
                f"from {kind.topic}.{name} k where {inside} and {'true' if kind.open else scope}"
            ),
            {**more, **there},
        ).one()
        listed.append(
            {"kind": name, "title": dict(kind.title), "icon": kind.symbol.get("icon"),
             "topic": kind.topic, "n": row.n, "freshest": row.freshest}
        )  # fmt: skip
    return sorted(listed, key=lambda one: -one["n"])
