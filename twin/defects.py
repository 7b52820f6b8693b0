"""Failures become work: one case for each rule, kind and owner, that lists its things and closes itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from twin import cases
from twin.kinds import Kind
from twin.rulebook import Rule, rules
from twin.scope import SYSTEM

PROCESS = "quality.defect"
SOURCE = "quality"
LISTED = 500
_SEVERITY = {"error": 2, "warn": 3}
_FAILING = text(
    "select r.rule, r.owner, count(*) as failing, "
    f"(array_agg(r.num order by r.num))[1:{LISTED}] as nums, "
    f"(array_agg(coalesce(g.code, '') order by r.num))[1:{LISTED}] as codes, "
    "(array_agg(st_x(g.point) order by r.num))[1] as lon, "
    "(array_agg(st_y(g.point) order by r.num))[1] as lat "
    "from twin.quality_result r left join twin.thing g on g.num = r.num "
    "where r.kind = :k and r.severity <> 'info' group by r.rule, r.owner"
)
_OPEN = text(
    'select q.rule, q.owner, c.id, c.data from twin.quality_case q join twin."case" c '
    "on c.id = q.case_id where q.kind = :k and c.closed_at is null"
)


def settle(conn: Connection, kind: Kind) -> dict[str, int]:
    """Open, grow and close the cases of a kind by what fails now; counts of each."""
    found = {(r.rule, r.owner): r for r in conn.execute(_FAILING, {"k": kind.kind})}
    known = {(r.rule, r.owner): r for r in conn.execute(_OPEN, {"k": kind.kind})}
    said = {rule.id: rule for rule in rules(kind)}
    done = {"opened": 0, "grown": 0, "closed": 0}
    for key, case in known.items():
        if key not in found:
            cases.annotate(conn, case.id, {"failing": 0, "things": []}, action="mended")
            cases.perform(conn, case.id, "close", actor=SYSTEM)
            done["closed"] += 1
    for key, row in found.items():
        if key[0] not in said:
            continue
        data = _data(kind, said[key[0]], row)
        if key not in known:
            _open(conn, kind, said[key[0]], row, data)
            done["opened"] += 1
        elif (known[key].data.get("failing"), known[key].data.get("things")) != (
            data["failing"], data["things"],
        ):  # fmt: skip
            cases.annotate(conn, known[key].id, data, action="recount")
            done["grown"] += 1
    return done


def _data(kind: Kind, rule: Rule, row: Any) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "rule": rule.id,
        "severity": rule.severity,
        "owner": row.owner,
        "failing": row.failing,
        "things": [code for code in row.codes if code],
        "description": rule.title["zh"],
        "title": {lang: f"{kind.title[lang]}: {rule.title[lang]}" for lang in ("zh", "en")},
    }


def _open(conn: Connection, kind: Kind, rule: Rule, row: Any, data: dict[str, Any]) -> None:
    category = kind.topic
    opened = cases.open_case(
        conn, PROCESS, actor=SYSTEM, category=category, source=SOURCE, lon=row.lon, lat=row.lat,
        title=f"{kind.title['zh']}：{rule.title['zh']}", severity=_SEVERITY[rule.severity],
        data=data, holder=row.owner,
    )  # fmt: skip
    conn.execute(
        text(
            "insert into twin.quality_case (kind, rule, owner, case_id) values (:k, :r, :o, :c) "
            "on conflict (kind, rule, owner) do update set case_id = excluded.case_id"
        ),
        {"k": kind.kind, "r": rule.id, "o": row.owner, "c": opened["id"]},
    )
