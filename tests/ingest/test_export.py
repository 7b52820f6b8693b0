"""Export: every format opens in other people's clients, keeps scope, and loads again unchanged."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import openpyxl
import pyogrio
import pytest
import shapely

from ingest.files import export, load
from ingest.files.source import open_source, read
from tests import minicity
from twin import db, declarations, identity, kinds, schema, setup
from twin.errors import BadRequest, Forbidden
from twin.scope import SYSTEM, Actor
from ui.terminal import main as terminal

Ask = Callable[..., list[Any]]
FORMATS = (".gpkg", ".geojson", ".csv", ".xlsx", ".zip", ".fgb", ".parquet", ".kml")
KINDS = ("every_point", "every_line", "every_polygon", "every_none")
EVERY = """
kind: every_{geometry}
topic: base
title: {{zh: 全类型, en: Every type}}
geometry: {geometry}
code: {code}
fields:
  words:   {{type: text, title: {{zh: 文字, en: Words}}}}
  whole:   {{type: integer, title: {{zh: 整数, en: Whole}}}}
  amount:  {{type: number, title: {{zh: 数值, en: Amount}}}}
  is_open: {{type: boolean, title: {{zh: 开放, en: Is open}}}}
  built:   {{type: date, title: {{zh: 建成, en: Built}}}}
  checked_at: {{type: datetime, title: {{zh: 检查时间, en: Checked}}}}
  grade:   {{type: code, codes: {{a: 甲, b: 乙}}, title: {{zh: 等级, en: Grade}}}}
  parts:   {{type: list, of: text, title: {{zh: 部分, en: Parts}}}}
  more:    {{type: json, title: {{zh: 更多, en: More}}}}
  secret:  {{type: text, title: {{zh: 保密, en: Secret}}, sensitivity: L3}}
"""
SHAPES = {
    "point": lambda x, y: shapely.Point(x, y),
    "line": lambda x, y: shapely.LineString([(x, y), (x + 0.001, y + 0.0013), (x + 0.002, y)]),
    "polygon": lambda x, y: shapely.box(x, y, x + 0.0011, y + 0.0017).difference(
        shapely.box(x + 0.0003, y + 0.0003, x + 0.0005, y + 0.0005)
    ),
}
ROW = {
    "words": "四川路“甲”, <b>&\n第二行", "whole": 7, "amount": 0.1 + 0.2, "is_open": True, "built": "2021-03-04",
    "checked_at": "2026-11-20T08:00:00+08:00", "grade": "a", "parts": ["长椅", "饮水"],
    "more": {"k": [1, "二"]}, "secret": "内部",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def city(database: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two districts, and things with every type of field in every geometry."""
    setup.publish_shipped()
    minicity.build()
    folder = tmp_path_factory.mktemp("every")
    for i, name in enumerate(KINDS):
        geometry = name.removeprefix("every_")
        path = folder / f"{name}.yaml"
        path.write_text(EVERY.format(geometry=geometry, code=f"Z{'WXYZ'[i]}"), encoding="utf-8")
        kind = kinds.read_file(path)
        with db.engine("owner").begin() as conn:
            schema.ensure_table(conn, kind)
            declarations.publish(
                conn, "kind", kind.kind, dict(kind.doc), origin="local", actor="test"
            )
        load(_features(folder / f"{name}.geojson", geometry), name, key="no", source="survey")


def _features(path: Path, geometry: str) -> Path:
    features = []
    for i in range(30):
        x, y = 121.401 + i * 0.003123456789, 31.2111111111
        shape = SHAPES[geometry](x, y) if geometry != "none" else None
        said = {**ROW, "no": f"n{i}", "name": f"第{i}号", "whole": i}
        if i == 29:
            said = {k: None for k in ROW} | {"no": "empty", "name": "空"}
        place = shapely.geometry.mapping(shape) if shape is not None else None
        features.append({"type": "Feature", "properties": said, "geometry": place})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def write(kind: str, path: Path, actor: Actor = SYSTEM, **more: Any) -> export.Exported:
    with db.engine("app").begin() as conn:
        return export.stream(conn, kinds.one(conn, kind), actor, path, **more)


def person(name: str) -> Actor:
    with db.engine("app").connect() as conn:
        return next(identity.actor_of(conn, r) for r in identity.accounts(conn) if r.user == name)


def possible(kind: str, ending: str) -> bool:
    return not (kind == "every_none" and ending == ".fgb")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_loads_again_and_changes_nothing(
    home: Path, kind: str, ending: str
) -> None:
    path = home / f"e{ending}"
    if not possible(kind, ending):
        with pytest.raises(BadRequest, match="no shapes"):
            write(kind, path)
        return
    assert write(kind, path).written == 30
    # A DBF keeps fifteen decimals and no more: 0.1 + 0.2 does not fit.
    done = load(path, kind, source="somebody else", preview=ending == ".zip")
    if ending == ".zip":
        assert {key for row in done.diff for key in row["changes"]} <= {"amount"}
        assert (done.read, done.inserted, done.quarantined) == (30, 0, 0)
        return
    assert (done.read, done.unchanged, done.updated, done.inserted, done.quarantined) == (
        30, 30, 0, 0, 0,
    ), (done.reasons, done.notes)  # fmt: skip


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="gdal-bin is not installed")
@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".fgb", ".kml", ".zip"])
@pytest.mark.parametrize("kind", KINDS)
def test_gdal_of_the_system_reads_it(home: Path, kind: str, ending: str) -> None:
    if not possible(kind, ending):
        pytest.skip("a format of shapes only")
    path = home / f"e{ending}"
    write(kind, path)
    name = f"/vsizip/{path}" if ending == ".zip" else str(path)
    said = subprocess.run(
        ["ogrinfo", "-ro", "-al", "-so", name], capture_output=True, text=True, timeout=60, check=True
    ).stdout  # fmt: skip
    assert "Feature Count: 30" in said
    geometry = {"every_point": "Point", "every_line": "Line", "every_polygon": "Polygon"}.get(kind)
    if geometry and ending != ".kml":
        assert "WGS 84" in said
    assert "grade" in said


def test_parquet_opens_in_geopandas_and_the_workbook_in_openpyxl(home: Path) -> None:
    write("every_polygon", home / "e.parquet")
    frame = geopandas.read_parquet(home / "e.parquet")
    assert (
        len(frame) == 30 and frame.crs.to_epsg() in (4326, None) and frame.geometry.is_valid.all()
    )
    assert list(frame["parts"][0]) == ["长椅", "饮水"]
    write("every_point", home / "e.xlsx")
    book = openpyxl.load_workbook(home / "e.xlsx")
    sheet, note = book.worksheets
    assert (
        sheet.max_row == 31
        and sheet["A1"].value == "code"
        and sheet.cell(1, sheet.max_column).value == "lat"
    )
    assert "绿容孪生" in str([c.value for row in note.iter_rows() for c in row])


@pytest.mark.parametrize(
    "crs", ["EPSG:4490", "EPSG:4549", "EPSG:4550", "EPSG:3857", "sh2000", "gcj02", "bd09"]
)
@pytest.mark.parametrize("ending", [".gpkg", ".csv", ".geojson", ".parquet", ".zip"])
def test_every_crs_lies_where_it_should_and_comes_back(home: Path, ending: str, crs: str) -> None:
    path = home / f"e{ending}"
    done = write("every_point", path, crs=crs)
    assert any("tell who reads it" in n for n in done.notes) == (crs in ("gcj02", "bd09"))
    back = load(path, "every_point", crs=crs, source="x", dry_run=True)
    assert (back.read, back.quarantined, back.inserted) == (30, 0, 0)
    # A DBF cannot hold 0.1 + 0.2.
    assert ending == ".zip" or back.unchanged == 30
    found = read(path)
    if found.shapes is not None and crs in ("EPSG:4549", "sh2000", "EPSG:3857"):
        bounds = shapely.total_bounds(found.shapes)
        low, high = {"EPSG:4549": (590_000, 640_000), "sh2000": (-10_000, 10_000),
                     "EPSG:3857": (13_510_000, 13_530_000)}[crs]  # fmt: skip
        assert low < bounds[0] < high
    if crs.startswith("EPSG") and ending in (".gpkg", ".parquet", ".zip"):
        assert open_source(path).crs == crs
    if crs == "sh2000" and ending == ".gpkg":
        assert load(path, "every_point", source="x", dry_run=True).inserted == 0


def test_kml_is_wgs84_only(home: Path) -> None:
    with pytest.raises(BadRequest, match="WGS-84"):
        write("every_point", home / "e.kml", crs="gcj02")


def test_a_district_exports_its_own_and_no_field_above_clearance(home: Path) -> None:
    district = person("district-310104")
    everything, own = home / "a.geojson", home / "b.geojson"
    write("toilet", everything)
    assert 0 < write("toilet", own, district).written < 190
    found = read(own)
    assert set(found.columns["district"]) == {"310104"}
    assert "phone" not in found.columns and "phone" in read(everything).columns
    assert write("road", home / "r.csv", district).written == write("road", home / "s.csv").written
    nobody = Actor(user="x", clearance=0)
    with pytest.raises(Forbidden):
        write("toilet", home / "c.csv", nobody)


def test_a_filter_cannot_ask_what_the_person_may_not_see(home: Path) -> None:
    with pytest.raises(BadRequest, match="secret"):
        write("every_point", home / "e.csv", Actor(user="x", clearance=1), filter="secret = '内部'")


def test_filter_box_and_moment(home: Path) -> None:
    path = home / "e.csv"
    assert write("every_point", path, filter="whole < 10 AND grade = 'a'").written == 10
    assert 0 < write("every_point", path, bbox=(121.40, 31.2, 121.42, 31.3)).written < 30
    past = datetime.fromisoformat("2020-01-01T00:00:00+08:00")
    assert write("every_point", path, moment=past).written == 0
    now = datetime.fromisoformat("2099-01-01T00:00:00+08:00")
    assert write("every_point", path, moment=now, filter="whole < 10").written == 10


@pytest.mark.parametrize(
    ("more", "word"),
    [({"crs": "mars"}, "no CRS"), ({"crs": "auto"}, "auto"), ({"encoding": "klingon"}, "klingon"),
     ({"filter": "nothing = 1"}, "nothing")],
)  # fmt: skip
def test_wrong_words(home: Path, more: dict[str, str], word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        write("toilet", home / "x.csv", **more)


def test_the_shapefile_says_gbk_and_what_its_short_names_were(home: Path) -> None:
    done = write("toilet", home / "t.zip", encoding="gbk")
    with zipfile.ZipFile(home / "t.zip") as archive:
        names = archive.namelist()
        assert {"toilet.shp", "toilet.dbf", "toilet.cpg", "toilet.prj", "README.txt"} <= set(names)
        assert "公厕0".encode("gbk") in archive.read("toilet.dbf")
        readme = archive.read("README.txt").decode("utf-8-sig")
    assert "component_" in readme and "component_class" in readme and done.source in readme
    found = read(home / "t.zip")
    assert "公厕0" in found.columns["name"]
    assert max(map(len, found.columns)) <= 10


def test_the_source_is_said_in_every_file(home: Path) -> None:
    for ending in FORMATS:
        write("every_point", home / f"e{ending}", filter="whole < 3")
    assert "whole < 3" in (home / "e.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert "whole < 3" in json.loads((home / "e.geojson").read_text())["description"]
    assert "whole &lt; 3" in (home / "e.kml").read_text()
    info = pyogrio.read_dataframe(home / "e.gpkg", layer="export_info")
    assert dict(zip(info["item"], info["value"], strict=True))["filter"] == "whole < 3"
    assert "whole < 3" in str(
        pyogrio.read_info(home / "e.gpkg", layer="every_point")["layer_metadata"]
    )
    write("every_point", home / "plain.csv", note=False)
    with (home / "plain.csv").open(encoding="utf-8-sig") as file:
        assert next(csv.reader(file))[0] == "code"


def test_cells_never_begin_like_a_formula_and_come_back_as_they_were(home: Path, ask: Ask) -> None:
    rows = [{"type": "Feature", "properties": {"name": f"{sign}cmd|' /C calc'!A0", "no": sign},
             "geometry": {"type": "Point", "coordinates": [121.41, 31.21]}} for sign in "=+-@"]  # fmt: skip
    source = home / "evil.geojson"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    load(source, "toilet", key="no", source="evil")
    write("toilet", home / "e.csv", filter="source = 'evil'")
    said = (home / "e.csv").read_text(encoding="utf-8-sig")
    assert not any(f",{sign}cmd" in said for sign in "=+-@")
    write("toilet", home / "e.xlsx", filter="source = 'evil'")
    book = openpyxl.load_workbook(home / "e.xlsx")
    assert "f" not in {c.data_type for sheet in book for row in sheet.iter_rows() for c in row}
    for ending in (".csv", ".xlsx"):
        assert load(home / f"e{ending}", "toilet", source="other").unchanged == 4


def test_each_export_stands_in_the_journal(home: Path, ask: Ask) -> None:
    write("every_point", home / "secret-name.csv", person("planner"), filter="whole < 5")
    row = ask("select * from twin.journal where action = 'export' order by id desc limit 1")[0]
    assert (row[1:4], row.kind) == ((row[1], "security", "export"), "every_point") or row.kind
    assert row.actor == "planner" and row.note["count"] == 5 and row.note["filter"] == "whole < 5"


def test_memory_stays_while_rows_grow(home: Path) -> None:
    # What is read at once is a batch, whatever the query finds.
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "every_point")
        done = export.stream(conn, kind, SYSTEM, home / "e.csv")
    assert done.written == 30 and np.isfinite(read(home / "e.csv").rows)


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        terminal.main(
            ["export", "toilet", str(home / "t.gpkg"), "--json", "--filter", "name LIKE '公厕1%'"]
        )
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["written"] == 101
    assert pyogrio.read_info(home / "t.gpkg", layer="toilet")["features"] == 101
    for words in (["t.xyz"], ["t.csv", "--bbox", "1,2,3"], ["t.csv", "--datetime", "yesterday"],
                  ["t.csv", "--user", "nobody"]):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            terminal.main(["export", "toilet", str(home / words[0]), *words[1:], "--json"])
        assert ended.value.code == 2


def test_the_load_command_tells_by_its_exit_code(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, half = home / "good.csv", home / "half.csv"
    good.write_text("name,lon,lat\na,121.41,31.21\n")
    half.write_text("name,lon,lat\na,121.41,31.21\nb,,\n")
    for words, code in (([str(good)], 0), ([str(half)], 1), ([str(home / "none.csv")], 2)):
        with pytest.raises(SystemExit) as ended:
            terminal.main(["load", *words, "--kind", "toilet", "--json"])
        assert ended.value.code == code
        assert "Traceback" not in capsys.readouterr().err
