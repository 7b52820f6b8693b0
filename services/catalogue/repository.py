"""Reads of the data resource centre; every one takes the actor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from twin import catalogue, rulebook
from twin.kinds import Kind
from twin.scope import Actor, scope_sql

_SCORES = (
    "select s.* from twin.quality_score s join (select kind, max(day) as day from twin.quality_score "
    "where kind = any(:k) and (cast(:day as date) is null or day <= cast(:day as date)) "
    "group by kind) l on l.kind = s.kind and l.day = s.day order by s.kind, s.district"
)


def _mine(actor: Actor, kind: Kind, district: str | None) -> bool:
    return kind.open or actor.districts is None or district in actor.districts


def scores(
    conn: Connection, actor: Actor, kinds: Mapping[str, Kind], day: str | None = None
) -> list[Any]:
    """Return the last score of each kind in each of the actor's districts (up to a day)."""
    rows = conn.execute(text(_SCORES), {"k": list(kinds), "day": day})
    return [r for r in rows if _mine(actor, kinds[r.kind], r.district)]


def score_days(conn: Connection, actor: Actor, kind: Kind) -> list[Any]:
    """Return the score of a kind day by day over the last 90, in the actor's districts."""
    scope, params = _districts(actor, kind)
    return list(
        conn.execute(
            text(
                "select day, sum(things) as things, sum(score * things) / sum(things) as score "
                f"from twin.quality_score where kind = :k and {scope} group by day "
                "order by day desc limit 90"
            ),
            {"k": kind.kind, **params},
        )
    )


def _things(actor: Actor, kind: Kind) -> tuple[str, dict[str, Any]]:
    """Return the predicate for single things (alias g): a part of a district sees its own alone."""
    if kind.open:
        return "true", {}
    if actor.narrow:
        return scope_sql(actor, "g", kind.level)
    scope, params = _districts(actor, kind)
    return scope.replace("district", "r.district"), params


def _districts(actor: Actor, kind: Kind) -> tuple[str, dict[str, Any]]:
    if kind.open or actor.districts is None:
        return "true", {}
    return "district = any(:mine)", {"mine": list(actor.districts)}


def failures_by_rule(conn: Connection, actor: Actor, kinds: Mapping[str, Kind]) -> list[Any]:
    """Return kind, rule, severity and the number that fails it in the actor's districts."""
    rows = conn.execute(
        text(
            "select kind, rule, severity, district, count(*) as n, max(detail) as sample, "
            "min(found_at) as since from twin.quality_result where kind = any(:k) "
            "group by 1, 2, 3, 4"
        ),
        {"k": list(kinds)},
    )
    # What speaks of a kind as a whole stands without a district: for those who see the whole city.
    return [r for r in rows if _mine(actor, kinds[r.kind], r.district)]


def quiet_rules(actor: Actor, kind: Kind) -> frozenset[str]:
    """Return the rules whose reasons would tell what stands in fields that the actor may not see."""
    hidden = set(kind.fields) - set(catalogue.fields(kind, actor))
    return frozenset(
        rule.id
        for rule in rulebook.rules(kind)
        if hidden & {*rule.fields, *re.findall(r"\w+", rule.expr or "")}
    )


def failing(
    conn: Connection, actor: Actor, kind: Kind, rule: str | None, after: int, limit: int
) -> Sequence[Any]:
    """Return failing things of a kind by number."""
    scope, params = _things(actor, kind)
    return conn.execute(
        text(
            "select r.num, r.rule, r.severity, r.detail, r.owner, r.found_at, g.code, g.name, "
            "nullif(r.district, '') as district, st_x(g.point) as lon, st_y(g.point) as lat "
            "from twin.quality_result r left join twin.thing g on g.num = r.num "
            "where r.kind = :k and (cast(:rule as text) is null or r.rule = :rule) "
            f"and r.num > :after and {scope} "
            "order by r.num, r.rule limit :n"
        ),
        {"k": kind.kind, "rule": rule, "after": after, "n": limit, **params},
    ).all()


def sources(conn: Connection, kinds: Sequence[str]) -> Sequence[Any]:
    """Return the sources that loads brought: rows in all, loads, the last one."""
    return conn.execute(
        text(
            "select kind, source, count(*) as loads, max(at) as last_at, "
            "sum((counts->>'inserted')::bigint) as inserted, "
            "sum((counts->>'updated')::bigint) as updated from twin.load "
            "where kind = any(:k) and undone_at is null group by kind, source order by kind, source"
        ),
        {"k": list(kinds)},
    ).all()


def loads(conn: Connection, kind: str, limit: int) -> Sequence[Any]:
    """Return the last loads of a kind."""
    return conn.execute(
        text(
            "select id, at, source, file, actor, counts, undone_at from twin.load "
            "where kind = :k order by id desc limit :n"
        ),
        {"k": kind, "n": limit},
    ).all()


def open_cases(conn: Connection, actor: Actor, kind: str) -> Sequence[Any]:
    """Return the open quality cases of a kind."""
    if actor.clearance < 2:
        return []
    rows = conn.execute(
        text(
            "select q.rule, q.owner, c.code, c.state, c.opened_at, c.due_at, c.district, "
            "(c.data->>'failing')::int as failing from twin.quality_case q "
            'join twin."case" c on c.id = q.case_id where q.kind = :k and c.closed_at is null '
            "order by c.severity, c.opened_at"
        ),
        {"k": kind},
    ).all()
    return [r for r in rows if actor.districts is None or r.district in actor.districts]


def last_run(conn: Connection, kind: str) -> Any:
    """Return the last whole check of a kind."""
    return conn.execute(
        text(
            "select at, why, things, failures, seconds from twin.quality_run "
            "where kind = :k order by at desc limit 1"
        ),
        {"k": kind},
    ).first()


def districts(conn: Connection) -> Sequence[Any]:
    """Return the districts with their area in square kilometres and a light outline."""
    return conn.execute(
        text(
            "select code, name, st_area(geom::geography) / 1e6 as km2, "
            "st_asgeojson(st_simplifypreservetopology(geom, 0.001), 4) as shape "
            "from base.district order by code"
        )
    ).all()


def published(conn: Connection) -> dict[str, Any]:
    """Return when each kind was first declared and last changed."""
    rows = conn.execute(
        text(
            "select key, min(published_at) as first, max(published_at) as last "
            "from twin.declaration where kind_of = 'kind' group by key"
        )
    )
    return {r.key: r for r in rows}


def own_sources(conn: Connection, actor: Actor, kind: Kind) -> Sequence[Any]:
    """Return how many things each source brought without a load: generators, devices, the API."""
    scope, params = _districts(actor, kind)
    return conn.execute(
        text(
            f"select source, count(*) as things from {kind.topic}.{kind.kind} t where {scope} "
            "and not exists (select 1 from twin.load l where l.kind = :k and l.source = t.source) "
            "group by source order by 2 desc limit 8"
        ),
        {"k": kind.kind, **params},
    ).all()


def names_of(conn: Connection, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the names of the things behind codes: contractors and sections that own defects."""
    rows = conn.execute(
        text("select code, name from twin.thing where code = any(:c) and name <> ''"),
        {"c": list(codes)},
    )
    return {r.code: {"zh": r.name, "en": r.name} for r in rows}
