"""Quality rules: every check finds its planted defect, stored and at the door; scores; broken rules."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
import sqlalchemy as sa

from tests import minicity
from twin import db, declarations, kinds, quality, schema, things
from twin.kinds import Kind

ZH = {"zh": "某", "en": "some"}
PATCH: dict[str, Any] = {
    "kind": "patch", "topic": "greening", "title": {"zh": "图斑", "en": "Patch"}, "geometry": "polygon",
    "code": "QP", "maintained_by": "greening_dept",
    "fields": {
        "label": {"type": "text", "title": ZH, "required": True},
        "number": {"type": "text", "title": ZH, "pattern": "[A-Z]\\d{3}"},
        "area": {"type": "number", "title": ZH, "min": 0, "max": 100},
        "grade": {"type": "code", "codes": {"a": "甲", "b": "乙"}, "title": ZH},
        "toilet": {"type": "ref(toilet)", "title": ZH},
        "began": {"type": "date", "title": ZH}, "ended": {"type": "date", "title": ZH},
        "seen_on": {"type": "date", "title": ZH}, "power": {"type": "number", "title": ZH},
    },
    "quality": [
        {"id": "Q1", "check": "inside", "of": "district", "severity": "error"},
        {"id": "Q2", "check": "no_overlap", "severity": "warn"},
        {"id": "Q3", "check": "unique", "field": "number", "severity": "error"},
        {"id": "Q4", "check": "fresh", "field": "seen_on", "within": "3650d", "severity": "info"},
        {"id": "Q5", "check": "expression", "expr": "began <= ended", "severity": "warn"},
        {"id": "Q6", "check": "count", "min": 50, "severity": "warn"},
        {"id": "Q7", "check": "required", "fields": ["began", "grade"], "severity": "info"},
        {"id": "Q8", "check": "expression", "expr": "10 ^ power > 0", "severity": "info"},
    ],
}  # fmt: skip


def square(x: float, y: float, side: float = 0.001) -> Any:
    return shapely.MultiPolygon([shapely.box(x, y, x + side, y + side)])


BOW_TIE = shapely.MultiPolygon(
    [shapely.Polygon([(121.43, 31.23), (121.431, 31.231), (121.431, 31.23), (121.43, 31.231)])]
)


def row(key: str, **said: Any) -> dict[str, Any]:
    """Return a patch without fault, but for what is said."""
    at = 0.002 * (ord(key[0]) - 97)
    whole = {"source_key": key, "label": key, "number": f"A{ord(key[0]):03d}", "area": 50.0, "grade": "a",
             "toilet": None, "began": "2026-01-01", "ended": "2026-02-01", "seen_on": "2026-01-01",
             "power": 1.0, "geom": square(121.402 + at, 31.202)}  # fmt: skip
    return whole | said


def write(kind: Kind, rows: list[dict[str, Any]], source: str = "q") -> None:
    columns = {name: [r[name] for r in rows] for name in rows[0]}
    columns["geom"] = [minicity.ewkb(g) if g is not None else None for g in columns["geom"]]
    with db.engine("app").begin() as conn:
        things.write(conn, kind, columns, actor="t", source=source)


@pytest.fixture(scope="module")
def patch(database: str) -> Kind:
    """A kind with every check, and one planted defect for each."""
    minicity.build()
    with db.engine("owner").begin() as conn:
        declared = kinds.from_doc(PATCH)
        schema.ensure_table(conn, declared)
        declarations.publish(conn, "kind", "patch", PATCH, origin="local", actor="t")
    write(
        declared,
        [
            row("a"), row("b", label=""), row("c", number="x1"), row("d", area=101.0),
            row("e", grade="z"), row("f", toilet="310101-TO-999999"), row("g", geom=BOW_TIE),
            row("h", geom=square(122.5, 31.2)), row("i", geom=square(121.4022, 31.2022)),
            row("j", number="A107"), row("k"), row("l", seen_on="1999-01-01"),
            row("m", ended="2025-01-01"), row("n", began=None),
        ],
    )  # fmt: skip
    return declared


def failing() -> set[tuple[str, str]]:
    """Return (rule, key) of what fails now."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            sa.text(
                "select r.rule, coalesce(p.source_key, '-') as key from twin.quality_result r "
                "left join greening.patch p on p.num = r.num where r.kind = 'patch'"
            )
        )
        return {(r.rule, r.key) for r in rows}


def check(kind: Kind, nums: list[int] | None = None) -> quality.Checked:
    with db.engine("app").begin() as conn:
        return quality.check(conn, kind, nums)


PLANTED = {
    ("required.label", "b"), ("pattern.number", "c"), ("range.area", "d"), ("codes.grade", "e"),
    ("reference.toilet", "f"), ("valid.geom", "g"), ("Q1", "h"), ("Q2", "i"), ("Q2", "a"),
    ("Q3", "j"), ("Q3", "k"), ("Q4", "l"), ("Q5", "m"), ("Q6", "-"), ("Q7", "n"),
}  # fmt: skip


def test_every_check_finds_its_planted_defect(patch: Kind) -> None:
    done = check(patch)
    assert failing() == PLANTED
    assert (done.things, done.failures) == (14, len(PLANTED))


def test_a_mended_thing_is_looked_at_alone_and_clears_its_twin(patch: Kind) -> None:
    check(patch)
    write(patch, [row("j")])
    with db.engine("app").connect() as conn:
        num = conn.scalar(sa.text("select num from greening.patch where source_key = 'j'"))
    assert check(patch, [num]).things < 14
    assert failing() == PLANTED - {("Q3", "j"), ("Q3", "k")}
    write(patch, [row("j", number="A107")])
    check(patch)
    assert failing() == PLANTED


def test_what_fails_on_keeps_the_day_it_was_found(patch: Kind) -> None:
    asked = sa.text("select rule, num, found_at from twin.quality_result order by 1, 2")
    check(patch)
    with db.engine("app").connect() as conn:
        first = conn.execute(asked).all()
    check(patch)
    with db.engine("app").connect() as conn:
        assert conn.execute(asked).all() == first


def test_a_removed_thing_fails_nothing(patch: Kind) -> None:
    write(patch, [row("o", label="")])
    check(patch)
    with db.engine("app").begin() as conn:
        gone = conn.execute(
            sa.text("select id, num from greening.patch where source_key = 'o'")
        ).one()
        things.remove(conn, patch, [gone.id], actor="t")
    check(patch, [gone.num])
    assert failing() == PLANTED


def test_a_rule_that_breaks_is_named_and_hides_no_other(patch: Kind) -> None:
    write(patch, [row("p", power=400.0)])
    check(patch)
    found = failing()
    assert found - PLANTED == {("Q8", "-")}
    assert found >= PLANTED
    with db.engine("app").begin() as conn:
        said = conn.scalar(sa.text("select detail from twin.quality_result where rule = 'Q8'"))
        assert "could not be evaluated" in str(said)
        gone = conn.execute(sa.text("select id from greening.patch where source_key = 'p'")).one()
        things.remove(conn, patch, [gone.id], actor="t")
    check(patch)


def test_scores_count_the_worst_failure_of_each_thing(patch: Kind) -> None:
    check(patch)
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            sa.text("select * from twin.quality_score where kind = 'patch' order by district")
        ).all()
    assert sum(r.things for r in rows) == 14
    outside = rows[0]
    assert (outside.district, outside.things, outside.errors, outside.score) == ("", 1, 1, 0.0)
    west = rows[1]
    lost = west.errors + 0.3 * west.warns + 0.05 * west.infos
    assert west.score == pytest.approx(100 * (1 - lost / west.things), abs=0.01)
    assert (west.errors, west.warns, west.infos) == (7, 4, 2)


def test_the_door_finds_what_a_batch_can_tell(patch: Kind) -> None:
    rows = [row("a"), row("m", ended=date(2025, 1, 1), began=date(2026, 1, 1)), row("a", number="A097"),
            row("n", grade=None), row("l", seen_on=date(1999, 1, 1)), row("g")]  # fmt: skip
    for one in rows:
        for name in ("began", "ended", "seen_on"):
            one[name] = date.fromisoformat(one[name]) if isinstance(one[name], str) else one[name]
    columns = {name: [r[name] for r in rows] for name in rows[0] if name != "geom"}
    shapes = np.array([r["geom"] for r in rows[:-1]] + [BOW_TIE], dtype=object)
    found = quality.at_door(patch, columns, shapes)
    assert [(r, rule, s) for r, rule, _, s in found] == [
        (1, "Q5", "warn"), (2, "Q3", "error"), (3, "Q7", "info"), (4, "Q4", "info"),
    ]  # fmt: skip
    assert "2025-01-01" in found[0][2]
    more = quality.at_door(patch, columns | {"area": [1, 2, 3, 4, 5, 500]}, shapes, implied=True)
    assert {(r, rule) for r, rule, *_ in more} >= {(5, "range.area"), (5, "valid.geom")}


@pytest.mark.parametrize(
    ("expr", "failed"),
    [
        ("area > 1", [0]),
        ("not (area > 1)", [1]),
        ("area > 1 or label = 'y'", [0]),
        ("area > 1 and label = 'x'", [0, 1]),
        ("area is not null", [2]),
        ("area between 2 and 9", [0]),
        ("label in ('x', 'y')", [1]),
        ("area * 2 = 2", [1]),
        ("area / 0 > 1", []),
        ("area > power", [0, 1]),
        ("began >= '2026-01-01'", [1]),
        ("began >= DATE('2026-01-01')", [1]),
        ("began <= ended", [1]),
        ("label <> 'x'", [0, 2]),
        ("nowhere > 1", []),
        ("s_intersects(geom, POINT(1 2))", []),
        ("area", []),
    ],
)
def test_expressions_over_a_batch_know_null_as_sql_does(expr: str, failed: list[int]) -> None:
    from twin import batchfilter

    columns: dict[str, list[Any]] = {
        "area": [1.0, 5.0, None], "power": [2, 7, 1], "label": ["x", "z", "x"],
        "began": [date(2026, 5, 1), date(2025, 5, 1), None], "ended": [date(2026, 6, 1), date(2025, 1, 1), None],
    }  # fmt: skip
    found = batchfilter.failing(expr, columns, 3)
    assert (np.flatnonzero(found).tolist() if found is not None else []) == failed


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ({"check": "expression", "expr": "area >"}, "no CQL2 text"),
        ({"check": "expression", "expr": "colour = 1"}, "no property 'colour'"),
        ({"check": "expression"}, "needs expr"),
        ({"check": "fresh"}, "needs within"),
        ({"check": "range", "field": "label"}, "needs min or max"),
        ({"check": "codes", "field": "label"}, "with codes"),
        ({"check": "count"}, "needs min or max"),
        ({"check": "unique"}, "needs field"),
    ],
)
def test_rules_that_cannot_run_are_named_when_declared(rule: dict[str, Any], part: str) -> None:
    doc = PATCH | {"quality": [{"id": "Q1", **rule}]}
    ((where, why),) = quality.faults(kinds.from_doc(doc))
    assert where[:2] == ("quality", 0)
    assert part in why


def test_every_shipped_rule_can_run() -> None:
    assert [(k.kind, *fault) for k in kinds.shipped() for fault in quality.faults(k)] == []
