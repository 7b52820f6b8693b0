"""Changing kinds: plans that count what they lose, the tables after, the past after, wrong files."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
import yaml

from tests import minicity
from twin import alter, db, history, jobs, kinds, pastnames, things
from twin.errors import DeclarationError, TwinError
from twin.kinds import Kind

T = {"zh": "某", "en": "some"}
BASE: dict[str, Any] = {
    "kind": "stool", "topic": "greening", "title": {"zh": "座凳", "en": "Stool"}, "geometry": "point",
    "code": "ZZA",
    "fields": {
        "seats": {"type": "integer", "title": T}, "width": {"type": "number", "title": T},
        "built": {"type": "date", "title": T}, "note": {"type": "text", "title": T},
        "grade": {"type": "code", "codes": {"a": "甲", "b": "乙"}, "title": T},
        "marks": {"type": "list", "of": "text", "title": T},
    },
}  # fmt: skip


_COUNT = itertools.count(1)


def variant(**fields: Any) -> dict[str, Any]:
    """Return the base kind with fields changed; None takes one away."""
    made = {**BASE["fields"], **fields}
    return {**BASE, "fields": {k: v for k, v in made.items() if v is not None}}


def follow() -> None:
    while job := jobs.run_next(task=pastnames.TASK):
        with db.engine("app").connect() as conn:
            assert jobs.state(conn, job.id)["error"] is None


def change(doc: dict[str, Any], **how: Any) -> alter.Plan:
    done = alter.apply(kinds.from_doc(doc), actor="t", **how)
    follow()
    return done


def planned(doc: dict[str, Any]) -> dict[tuple[str, str], alter.Step]:
    with db.engine("owner").connect() as conn:
        found = alter.plan(conn, kinds.one(conn, BASE["kind"]), kinds.from_doc(doc))
    return {(s.action, s.what): s for s in found.steps}


def write(rows: list[dict[str, Any]]) -> None:
    columns = {name: [r[name] for r in rows] for name in rows[0]}
    columns["geom"] = [minicity.ewkb(shapely.Point(121.41, 31.21))] * len(rows)
    with db.engine("app").begin() as conn:
        things.write(conn, kinds.one(conn, BASE["kind"]), columns, actor="t", source="s")


def read(moment: datetime | None = None, *names: str) -> list[tuple[Any, ...]]:
    with db.engine("app").connect() as conn:
        rows = history.as_of(kinds.one(conn, BASE["kind"]), moment)
        asked = sa.select(*(rows.c[n] for n in names)).order_by(rows.c.num)
        return [tuple(r) for r in conn.execute(asked)]


FIRST = {"source_key": "1", "seats": 3, "width": 1.5, "built": "2026-03-01", "note": "12", "grade": "a",
         "marks": ["x", "y"]}  # fmt: skip
SECOND = {"source_key": "2", "seats": 4, "width": 2.0, "built": None, "note": "twelve", "grade": "b",
          "marks": None}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


@pytest.fixture
def bench() -> datetime:
    """A kind of its own with two things, one changed once; the moment before that change."""
    i = next(_COUNT)
    BASE.update(kind=f"stool_{i}", code=f"ZZ{chr(65 + i)}", topic="greening")
    change(BASE)
    write([FIRST, SECOND])
    moment = datetime.now(UTC)
    write([FIRST | {"seats": 5, "note": "13"}])
    return moment


def test_a_new_kind_is_made_with_its_declaration_in_order(bench: datetime) -> None:
    with db.engine("app").connect() as conn:
        said = kinds.one(conn, BASE["kind"])
    assert list(said.doc["fields"]) == list(BASE["fields"])
    assert [f.name for f in said.fields.values()] == list(BASE["fields"])


def test_adding_growing_and_requiring_lose_nothing(bench: datetime) -> None:
    doc = variant(
        colour={"type": "text", "title": T, "required": True},
        grade={"type": "code", "codes": {"a": "甲", "b": "乙", "c": "丙"}, "title": T},
        built={"type": "date", "title": T, "required": True},
    )
    steps = planned(doc)
    assert set(steps) == {("add", "colour"), ("codes", "grade"), ("require", "built")}
    assert (steps["add", "colour"].lacking, steps["require", "built"].lacking) == (2, 1)
    assert not any(s.risky or s.loses or s.rewrites for s in steps.values())
    change(doc)
    assert read(None, "colour", "grade") == [(None, "a"), (None, "b")]
    assert read(bench, "colour", "seats") == [(None, 3), (None, 4)]


def test_widening_rewrites_and_the_past_reads_on(bench: datetime) -> None:
    doc = variant(
        seats={"type": "text", "title": T}, width={"type": "text", "title": T},
        built={"type": "datetime", "title": T}, note={"type": "list", "of": "text", "title": T},
    )  # fmt: skip
    steps = planned(doc)
    assert {s.action for s in steps.values()} == {"widen"}
    assert {s.rewrites for s in steps.values()} == {2}
    change(doc)
    midnight = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert read(None, "seats", "width", "built", "note")[0] == ("5", "1.5", midnight, ["13"])
    assert read(bench, "seats", "width", "built", "note")[0] == ("3", "1.5", midnight, ["12"])


def test_a_rename_keeps_past_and_journal_readable(bench: datetime) -> None:
    once = variant(seats=None, places={"type": "integer", "title": T, "renamed_from": "seats"})
    assert set(planned(once)) == {("rename", "places")}
    change(once)
    twice = variant(seats=None, spots={"type": "integer", "title": T, "renamed_from": "places"})
    change(twice)
    assert read(None, "spots") == [(5,), (4,)]
    assert read(bench, "spots") == [(3,), (4,)]
    with db.engine("app").connect() as conn:
        assert pastnames.former(conn, BASE["kind"]) == {"seats": "spots", "places": "spots"}
        kept = conn.scalar(
            sa.text(f"select attributes from greening.history where kind = '{BASE['kind']}'")
        )
        entry = conn.scalar(
            sa.text(f"select after from twin.journal where kind = '{BASE['kind']}' and version = 2")
        )
    assert "seats" not in kept
    assert entry["seats"] == 5


def test_a_rename_may_change_the_type_as_well(bench: datetime) -> None:
    change(variant(seats=None, places={"type": "text", "title": T, "renamed_from": "seats"}))
    assert read(bench, "places") == [("3",), ("4",)]


@pytest.mark.parametrize(
    ("fields", "step", "loses"),
    [
        ({"note": None}, ("remove", "note"), 2),
        ({"marks": None}, ("remove", "marks"), 1),
        ({"note": {"type": "integer", "title": T}}, ("narrow", "note"), 1),
        ({"width": {"type": "integer", "title": T}}, ("narrow", "width"), 1),
        ({"note": {"type": "date", "title": T}}, ("narrow", "note"), 2),
        ({"seats": {"type": "list", "of": "text", "title": T}}, ("narrow", "seats"), 2),
        ({"marks": {"type": "text", "title": T}}, ("narrow", "marks"), 1),
        ({"grade": {"type": "code", "codes": {"a": "甲"}, "title": T}}, ("uncode", "grade"), 1),
    ],
)  # fmt: skip
def test_what_could_lose_data_is_counted_and_refused_without_the_flag(
    bench: datetime, fields: dict[str, Any], step: tuple[str, str], loses: int
) -> None:
    doc = variant(**fields)
    assert planned(doc)[step].loses == loses
    with pytest.raises(alter.WouldLose, match=f"lose {loses} values of stool"):
        change(doc)
    assert len(read(None, *BASE["fields"])) == 2
    change(doc, allow_loss=True)
    if fields.get(step[1]):
        read(None, step[1])
        assert len(read(bench, step[1])) == 2
    else:
        with db.engine("app").connect() as conn:
            assert step[1] not in kinds.one(conn, BASE["kind"]).fields


def test_emptied_codes_are_changes_of_their_things(bench: datetime) -> None:
    change(variant(grade={"type": "code", "codes": {"a": "甲"}, "title": T}), allow_loss=True)
    assert read(None, "grade", "version", "district") == [("a", 2, "310101"), (None, 2, "310101")]
    assert read(bench, "grade") == [("a",), ("b",)]


def test_topic_and_shape_change_only_with_the_flag(bench: datetime) -> None:
    moved = {**BASE, "topic": "landscape"}
    with pytest.raises(alter.WouldLose, match="move to topic landscape"):
        change(moved)
    change(moved, allow_loss=True)
    assert read(bench, "seats") == [(3,), (4,)]
    drawn = {**moved, "geometry": "polygon"}
    with pytest.raises(alter.WouldLose, match="lose 2 values"):
        change(drawn)
    change(drawn, allow_loss=True)
    assert read(None, "seats") == [(5,), (4,)]


def test_a_higher_level_reaches_the_registry(bench: datetime) -> None:
    change({**BASE, "sensitivity": "L3", "public": False})
    with db.engine("app").connect() as conn:
        levels = conn.scalars(
            sa.text(f"select distinct level from twin.thing where kind = '{BASE['kind']}'")
        )
        assert list(levels) == [3]


def test_a_writer_makes_the_change_wait_not_fail(bench: datetime) -> None:
    done: list[alter.Plan] = []
    with db.engine("app").connect() as writer:
        writer.execute(sa.text(f"update greening.{BASE['kind']} set name = 'x'"))
        other = threading.Thread(
            target=lambda: done.append(change(variant(colour={"type": "text"})))
        )
        other.start()
        other.join(1.5)
        assert not done
        writer.commit()
    other.join(20)
    assert done[0].steps[0].action == "add"


WRONG = {
    "kind: Bench-1": ("kind", "does not match"),
    "topic: parks": ("topic", "is not one of"),
    "geometry: circle": ("geometry", "is not one of"),
    "code: PK": ("code", "belong to park"),
    "colour: red": ("colour", "unexpected"),
    "card: [seats, shade]": ("card.1", "no field is called shade"),
    "synonyms: {shade: [荫]}": ("synonyms.shade", "no field is called shade"),
    "relations: {part_of: palace}": ("relations.part_of", "no kind is called palace"),
    "quality: [{id: Q1, check: expression, expr: 'seats >'}]": ("quality.0.expr", "no CQL2 text"),
    "quality: [{id: Q1, check: fresh}]": ("quality.0", "needs within"),
    "quality: [{id: Q1, check: smell}]": ("quality.0.check", "is not one of"),
    "fields: {seats: {type: integer, min: 9, max: 1}}": ("fields.seats", "is above max"),
    "fields: {seats: {type: whole}}": ("fields.seats.type", "does not match"),
    "fields: {grade: {type: code}}": ("fields.grade", "needs its codes"),
    "fields: {a: {type: text, pattern: '('}}": ("fields.a", "no regular expression"),
    "fields: {a: {type: text}, a: {type: date}}": ("a", "stands here twice"),
    "fields: {a: {type: ref(palace)}}": ("fields.a", "no kind is called palace"),
    "fields: {code: {type: text}}": ("fields.code", "header"),
    "fields: {a: {type: text, renamed_from: b}, b: {type: text}}": ("fields.a", "is a field still"),
    "title: {zh: 座椅": ("-", "expected ',' or '}'"),
    "flow: {from: a, to: b, amount: seats}": ("flow", "geometry must be line"),
    "title: &t {zh: 座, en: B}\ndescription: *t": ("-", "aliases"),
}  # fmt: skip


@pytest.mark.parametrize("line", list(WRONG))
def test_a_wrong_declaration_is_named_by_file_line_and_key(database: str, line: str) -> None:
    key = line.split(":", 1)[0]
    kept = {k: v for k, v in BASE.items() if k != key}
    head = yaml.safe_dump(
        {k: v for k, v in kept.items() if k != "fields"}, sort_keys=False, allow_unicode=True
    )
    fields = "" if key == "fields" else "fields: {seats: {type: integer}}\n"
    source = f"# a wrong file\n{head}{fields}{line}\n"
    with db.engine("app").connect() as conn:
        running = kinds.catalogue(conn)
    with pytest.raises(DeclarationError) as why:
        alter.read(source, "bench.yaml", running)
    wanted, part = WRONG[line]
    assert why.value.extra["key"] == wanted
    assert part in why.value.detail
    assert why.value.extra["file"] == "bench.yaml"
    if "aliases" not in part:
        assert abs(why.value.extra["line"] - source.rstrip().count("\n") - 1) <= 1


def test_errors_are_ours(database: str) -> None:
    for source in ("", "[]", "[" * 5000, "a: b: c", "kind: 3"):
        with pytest.raises(TwinError):
            alter.read(source, "x.yaml", {})


def test_unchanged_is_no_step(bench: datetime) -> None:
    assert planned(BASE) == {}
    made: Kind = kinds.from_doc(BASE)
    assert change(BASE).steps == ()
    assert made.kind == BASE["kind"]


def test_a_newer_shipped_kind_brings_its_table_along_or_waits(
    bench: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twin import setup

    name, code = BASE["kind"] + "_s", "ZY" + BASE["code"][2]

    def ship(**fields: Any) -> None:
        doc = {**variant(**fields), "kind": name, "code": code}
        monkeypatch.setattr(kinds, "shipped", lambda: [kinds.from_doc(doc)])
        setup.publish_shipped()

    def running() -> Kind:
        with db.engine("app").connect() as conn:
            return kinds.one(conn, name)

    ship()
    ship()
    assert running().version == 1
    ship(seats=None, spots={"type": "integer", "title": T, "renamed_from": "seats"})
    assert (running().version, "spots" in running().fields) == (2, True)
    ship(seats=None, spots=None)
    assert "spots" in running().fields
    alter.apply(running(), actor="somebody")
    ship(colour={"type": "text", "title": T}, seats=None,
         spots={"type": "text", "title": T})  # fmt: skip
    assert running().fields["spots"].type == "text"
