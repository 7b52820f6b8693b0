"""The kinds of the 37 topic databases are whole, consistent and of one language."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from ingest.files import columns as naming
from ingest.files.values import NOTHING
from layers import databases, style
from layers.tokens import tokens
from tests.real import shared
from twin import filters, kinds, tables
from twin.kinds import HEADER, Kind

ROOT = Path(__file__).parents[2]
KINDS = {k.kind: k for k in kinds.shipped()}
UNITS = set(
    "% 1/cm3 1/hm2 CNY CNY/m2 CNY/t Cel K L L/s MOhm MW W W/m a cd/m2 cm d deg g h hm2 kW kWh kg "
    "kg/a km km/h km2 lx m m/s m2 m2/hm2 m3 m3/hm2 mA mS/cm mg/L mg/m3 min mm mm/s mu ppm s t t/a "
    "t/d t/hm2 ug/m3".split()
)
PERSONAL = re.compile(r"^(phone|contact|legal_person|inspector|driver|worker|full_name)$")
SECRET = re.compile(r"^(id_number|account)$")
EVERY = [pytest.param(k, id=k.kind) for k in KINDS.values()]


def modules() -> dict[int, tuple[str, str]]:
    """Return module → (title, subsystem) from the table of modules."""
    table = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]*) \|", table, re.M)
    return {int(no): (title.strip(), system.strip()) for no, title, system in rows}


def test_the_37_databases_are_the_modules_of_the_requirements() -> None:
    named = modules()
    topical = {no for no, (_, system) in named.items() if system.endswith("专题库")}
    declared = databases.databases()
    assert {d.module for d in declared.values()} == topical and len(declared) == 37
    group = {"greening": "绿化", "forestry": "林业", "sanitation": "环卫", "appearance": "市容",
             "landscape": "景观"}  # fmt: skip
    for key, database in declared.items():
        title, system = named[database.module]
        assert database.title["zh"] == title, key
        assert system.startswith(group[database.topic]), key
        assert database.title["en"] and database.description["zh"] and database.description["en"]


def test_each_database_has_two_to_six_kinds_and_each_kind_a_database() -> None:
    grouped = databases.members(KINDS.values())
    assert set(grouped) == set(databases.databases())
    assert {key: len(found) for key, found in grouped.items() if not 2 <= len(found) <= 6} == {}
    assert [k.kind for k in KINDS.values() if not k.databases and k.topic != "base"] == []


def test_letters_are_unique_and_departments_known() -> None:
    letters = [k.code for k in KINDS.values()]
    assert len(set(letters)) == len(letters)
    kept = {k.maintained_by for k in KINDS.values()}
    assert kept == set(databases.departments())
    assert all(title["zh"] and title["en"] for title in databases.departments().values())


def test_the_names_that_others_rely_on() -> None:
    relied = (
        "district street park green_space street_tree ancient_tree sub_compartment sign toilet bin "
        "transfer_station disposal_site construction_site lamp water_body road building vehicle vessel "
        "camera sensor crew compound drop_point weigh_record recycling_point wet_waste_check "
        "permit_route contract_section contractor authority_area lamp_switching_plan park_gate"
    ).split()
    assert [name for name in relied if name not in KINDS] == []
    assert list(KINDS["sub_compartment"].fields["protection"].codes or {}) == [
        "I",
        "II",
        "III",
        "IV",
    ]


def test_what_is_in_no_open_kind() -> None:
    """Sensors, cameras, crews, vehicles and vessels have no public page, nor has any record."""
    closed = [k for k in KINDS.values() if not k.public]
    assert {"camera", "sensor", "crew", "vehicle", "vessel"} <= {k.kind for k in closed}
    assert [k.kind for k in KINDS.values() if k.is_record and k.public] == []


@pytest.mark.parametrize("kind", EVERY)
def test_titles_units_and_codes(kind: Kind) -> None:
    for field in kind.fields.values():
        where = f"{kind.kind}.{field.name}"
        assert field.title.get("zh") and field.title.get("en"), where
        assert re.search(r"[\u4e00-\u9fff]", field.title["zh"]), where
        assert field.unit is None or field.unit in UNITS, f"{where}: {field.unit}"
        for code, said in (field.codes or {}).items():
            # A cell that reads like nothing would never come back as this code.
            assert code.lower() not in NOTHING, f"{where}: {code}"
            assert isinstance(said, dict) and said["zh"] and said["en"], f"{where}: {code}"
        if field.min is not None and field.max is not None:
            assert field.min < field.max, where


@pytest.mark.parametrize("kind", EVERY)
def test_personal_data_is_guarded(kind: Kind) -> None:
    for field in kind.fields.values():
        if SECRET.match(field.name):
            assert field.level == 4, f"{kind.kind}.{field.name}"
        elif PERSONAL.match(field.name) and field.level < 3:
            assert (kind.kind, field.name) in {("ring_space", "phone"), ("service_post", "phone"),
                                               ("nature_reserve", "phone")}, field.name  # fmt: skip
    shown = [f for f in kind.card if f in kind.fields and kind.fields[f].level > max(2, kind.level)]
    assert not shown, f"{kind.kind} shows {shown} on its card"


@pytest.mark.parametrize("kind", EVERY)
def test_names_lead_somewhere(kind: Kind) -> None:
    known = {*kind.fields, *HEADER}
    doc = kind.doc
    for place in ("card", "list", "search"):
        assert doc.get(place), f"{kind.kind} has no {place}"
        assert set(doc[place]) <= known, f"{kind.kind}.{place}"
    for name, targets in kind.relations.items():
        assert set(targets) <= set(KINDS), f"{kind.kind}.{name}"
    symbol = kind.symbol
    painted = symbol.get("color_by")
    assert painted is None or painted in kind.fields
    if symbol.get("colors"):
        field = kind.fields[painted or ""]
        assert field.type == "boolean" or set(symbol["colors"]) <= set(field.codes or {}), kind.kind
        assert set(symbol["colors"].values()) <= set(tokens()["themes"]["night"]), kind.kind
    assert symbol.get("icon") in icons(), f"{kind.kind}: {symbol.get('icon')}"
    if kind.geometry == "none":
        assert kind.is_record and kind.happened, f"{kind.kind} hangs on nothing"


def icons() -> set[str]:
    """Return the symbols that the map can draw."""
    path = ROOT / "ui" / "web" / "src" / "mapkit" / "icons.json"
    return set(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", EVERY)
def test_quality_rules_make_sense(kind: Kind) -> None:
    assert 2 <= len(kind.quality) <= 5, kind.kind
    for rule in kind.quality:
        if rule["check"] == "expression":
            filters.compile_filter(rule["expr"], tables.table(kind), kind)


def test_the_glossary_names_every_kind_once() -> None:
    terms = yaml.safe_load((ROOT / "data" / "glossary.yaml").read_text("utf-8"))["terms"]
    words = [t["zh"] for t in terms]
    assert len(set(words)) == len(words)
    assert set(KINDS) <= {t["name"] for t in terms} | {"district", "building", "road"}


def test_the_page_of_databases_is_fresh() -> None:
    page = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
    made = databases.handbook(KINDS.values())
    assert page == made, "write it again: python -m tests.architecture.test_databases"


def test_what_is_not_shown_is_not_fetched() -> None:
    """MapLibre asks for no tile of a source whose layers are all hidden."""
    built = style.build("night", KINDS)
    for layer in built["layers"]:
        name = layer.get("metadata", {}).get("kind")
        kind = KINDS.get(name or "")
        if kind is not None and not kind.symbol.get("shown"):
            assert layer["layout"]["visibility"] == "none", layer["id"]


@pytest.mark.parametrize("column", ["field", "alias_zh"])
def test_every_column_of_the_forest_inventory_finds_its_field(column: str) -> None:
    path = shared("forest/forest_subcompartment_fields.csv")
    with path.open(encoding="utf-8-sig") as file:
        names = [row[column] for row in csv.DictReader(file)]
    found = naming.find(KINDS["sub_compartment"], names, {}, key=None, x=None, y=None)
    assert len(names) == 72 and found.unused == []


if __name__ == "__main__":
    text = databases.handbook(KINDS.values())
    (ROOT / "docs" / "databases.md").write_text(text, encoding="utf-8")
