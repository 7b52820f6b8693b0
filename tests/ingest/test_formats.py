"""Every format and encoding, made here: what a file is, how it streams, what is refused and why."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from ingest.files import columns, suggest, template
from ingest.files.formats import encodings, unpack
from ingest.files.formats.drivers import FORBIDDEN
from ingest.files.source import open_source, read
from twin import kinds
from twin.errors import Unreadable

NAMES = [f"静安雕塑公园公厕{i}" for i in range(30)]
BIG5 = [f"臺北市大安區公園廁所{i}號管理處設置" for i in range(30)]


def frame(rows: int = 30) -> geopandas.GeoDataFrame:
    points = shapely.points(121.4 + np.arange(rows) / 1000, np.full(rows, 31.2))
    said = {"name": NAMES[:rows], "no": range(rows), "amount": [i / 3 for i in range(rows)]}
    return geopandas.GeoDataFrame(said, geometry=points, crs="EPSG:4326")


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{i}")
        for row in rows:
            sheet.append(row)
    with path.open("wb") as out:
        book.save(out)
    return path


@pytest.mark.parametrize(
    ("driver", "name", "form"),
    [("GPKG", "a.gpkg", "gpkg"), ("FlatGeobuf", "a.fgb", "flatgeobuf"), ("GeoJSON", "a.json", "geojson"),
     ("GeoJSONSeq", "a.geojsonl", "geojson"), ("ESRI Shapefile", "a.shp", "shapefile"), ("SQLite", "a.db", "sqlite"),
     ("KML", "a.kml", "kml"), ("GML", "a.gml", "gml"), ("GPX", "a.gpx", "gpx"), ("GeoRSS", "a.xml", "georss"),
     ("MapInfo File", "a.tab", "tab"), ("MapInfo File", "a.mif", "mif"), ("DXF", "a.dxf", "dxf"),
     ("JML", "a.jml", "jml"), ("OGR_GMT", "a.gmt", "gmt"), ("OpenFileGDB", "a.gdb", "filegdb")],
)  # fmt: skip
def test_formats_that_gdal_writes(home: Path, driver: str, name: str, form: str) -> None:
    made = frame()
    if driver in ("GPX", "GeoRSS", "DXF"):
        made = made[["geometry"]].assign(**({"name": NAMES} if driver == "GPX" else {}))
    more = {"layer": "waypoints"} if driver == "GPX" else {}
    made.to_file(home / name, driver=driver, engine="pyogrio", **more)
    path = home / name
    if driver == "OpenFileGDB":
        path = home / "gdb.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for part in (home / name).iterdir():
                archive.write(part, f"city.gdb/{part.name}")
    # The name says nothing: the content does.
    if form in ("gpkg", "flatgeobuf", "geojson", "kml", "gml", "gpx", "sqlite"):
        path = path.rename(home / "data.bin")
    opened = open_source(path)
    batches = list(opened.batches(7))
    assert opened.format == form
    assert sum(b.rows for b in batches) == 30 and len(batches) >= 5
    shapes = np.concatenate([b.shapes for b in batches if b.shapes is not None])
    # FlatGeobuf keeps what lies together, together.
    assert np.allclose(np.sort(shapely.get_x(shapes)), 121.4 + np.arange(30) / 1000, atol=1e-6)
    if driver not in ("GeoRSS", "DXF"):
        column = next(c for c in opened.columns if c.lower() in ("name", "title"))
        assert sorted(v for b in batches for v in b.columns[column]) == sorted(NAMES)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_of_csv(home: Path, encoding: str, end: str) -> None:
    text = "名称,lon,lat" + end + "".join(f"{n},121.45,31.23{end}" for n in NAMES)
    found = read(table(home / "a.csv", text, encoding))
    assert found.columns["名称"] == NAMES and found.columns["lat"][0] == "31.23"


def test_big5_and_latin_are_not_taken_for_gbk(home: Path) -> None:
    text = "名稱,lon,lat\n" + "".join(f"{n},121.5,25.0\n" for n in BIG5)
    opened = open_source(table(home / "a.csv", text, "big5"))
    assert opened.encoding == "big5" and read(home / "a.csv").columns["名稱"] == BIG5
    text = "name,lon,lat\n" + "café à la crème,2.35,48.85\n" * 5
    assert read(table(home / "b.csv", text, "latin-1")).columns["name"][0] == "café à la crème"
    with pytest.raises(Unreadable, match="not utf-8 text"):
        read(home / "b.csv", encoding="utf-8")
    with pytest.raises(Unreadable, match="No encoding"):
        read(home / "b.csv", encoding="klingon")


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters(home: Path, sign: str) -> None:
    rows = ["名称", "地址", "lon"], *([n, f"四川北路{sign}1号", "121.4"] for n in NAMES)
    out = io.StringIO()
    csv.writer(out, delimiter=sign).writerows(rows)
    found = read(table(home / "a.txt", out.getvalue()))
    assert (
        list(found.columns) == ["名称", "地址", "lon"]
        and found.columns["地址"][3] == f"四川北路{sign}1号"
    )


def test_lines_before_the_header_are_passed_over(home: Path) -> None:
    text = "2026年公厕普查表,,,\n单位：静安区,,,填表日期：2026-03-01\n\n序号,名称,经度,纬度\n"
    text += "".join(f"{i},{n},121.4,31.2\n" for i, n in enumerate(NAMES))
    opened = open_source(table(home / "a.csv", text))
    assert opened.columns == ["序号", "名称", "经度", "纬度"]
    assert "2 lines before the header were passed over" in opened.notes
    assert read(home / "a.csv").columns["名称"] == NAMES
    rows = [
        ["表一"],
        [None, "2026年"],
        ["名称", "经度", "纬度"],
        *([n, 121.4, 31.2] for n in NAMES),
    ]
    assert read(workbook(home / "b.xlsx", rows)).columns["名称"] == NAMES
    # A table of numbers alone keeps its first line.
    assert read(table(home / "c.csv", "x,y\n1,2\n3,4\n")).rows == 2


def test_a_workbook_in_disguise_and_what_only_calls_itself_one(home: Path) -> None:
    rows = [["名称", "经度"], *([n, 121.4] for n in NAMES)]
    assert open_source(workbook(home / "really.csv", rows)).format == "xlsx"
    html = "<html><meta charset='gbk'><table><tr><th>名称</th><th>经度</th></tr>" + "".join(
        f"<tr><td>{n}</td><td>121.4</td></tr>" for n in NAMES
    )
    opened = open_source(table(home / "web.xls", html + "</table></html>", "gbk"))
    assert opened.format == "html" and read(home / "web.xls").columns["名称"] == NAMES
    assert open_source(table(home / "text.xls", "名称,经度\n甲,1\n乙,2\n")).format == "csv"
    (home / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(Unreadable, match=r"save it as \.xlsx"):
        open_source(home / "old.xls")


def test_the_named_sheet_or_the_first_with_rows(home: Path) -> None:
    path = workbook(home / "a.xlsx", [], [["名称", "x"], ["甲", 1]], [["name", "y"], ["b", 2]])
    assert open_source(path).layer == "S1" and read(path, layer="S2").columns["name"] == ["b"]
    with pytest.raises(Unreadable, match="no sheet S9; it has S0, S1, S2"):
        open_source(path, layer="S9")


@pytest.mark.parametrize(
    ("cpg", "ldid", "encoding"),
    [(None, 0, "gbk"), ("GBK", 0, "gbk"), ("936", 0, "gbk"), (None, 0x4D, "gbk"), (None, 0x7A, "gbk"),
     ("UTF-8", 0, "utf-8"), (None, 0, "utf-8"), (None, 0x57, "gbk"), (None, 0x4F, "big5"), (None, 0, "big5")],
)  # fmt: skip
def test_encodings_of_shapefiles(home: Path, cpg: str | None, ldid: int, encoding: str) -> None:
    words = BIG5 if encoding == "big5" else NAMES
    made = frame().assign(name=words)
    made.to_file(home / "a.shp", encoding=encoding, engine="pyogrio")
    (home / "a.cpg").unlink(missing_ok=True)
    if cpg:
        (home / "a.cpg").write_text(cpg)
    raw = bytearray((home / "a.dbf").read_bytes())
    raw[29] = ldid
    (home / "a.dbf").write_bytes(raw)
    assert read(home / "a.shp").columns["name"] == words
    with zipfile.ZipFile(home / "z.zip", "w") as archive:
        for part in home.glob("a.*"):
            archive.write(part, f"某区/数据/{part.name}")
    assert read(home / "z.zip").columns["name"] == words


def test_a_dbf_table_of_its_own(home: Path) -> None:
    frame().to_file(home / "a.shp", encoding="gbk", engine="pyogrio")
    with pytest.raises(Unreadable, match=r"name its \.shp"):
        open_source(home / "a.dbf")
    (home / "a.shp").unlink()
    assert read(home / "a.dbf").columns["name"] == NAMES


def test_characters_that_a_fixed_width_cut_in_two(home: Path) -> None:
    long = "某" * 200
    frame(3).assign(name=long).to_file(home / "a.shp", encoding="gbk", engine="pyogrio")
    found = read(home / "a.shp").columns["name"]
    assert all(long.startswith(v) and len(v) > 120 for v in found)


def test_all_folders_of_a_kml_are_read_and_named(home: Path) -> None:
    folders = "".join(
        f"<Folder><name>{name}</name>"
        + "".join(
            f"<Placemark><name>{name}{i}</name><Point><coordinates>121.4{i},31.2,0</coordinates>"
            "</Point></Placemark>"
            for i in range(n)
        )
        + "</Folder>"
        for name, n in (("公厕", 3), ("空", 0), ("垃圾房", 2))
    )  # fmt: skip
    text = f'<?xml version="1.0" encoding="{{}}"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>{folders}</Document></kml>'
    table(home / "a.kml", text.format("UTF-8"))
    opened = open_source(home / "a.kml")
    assert (
        opened.total == 5
        and opened.layer is None
        and any("公厕, 垃圾房" in n for n in opened.notes)
    )
    found = read(home / "a.kml")
    assert found.columns["folder"] == ["公厕"] * 3 + ["垃圾房"] * 2 and found.shapes is not None
    assert read(home / "a.kml", layer="垃圾房").rows == 2
    # Encodings that the XML parser does not know, and the packed form.
    table(home / "b.kml", text.format("GBK"), "gbk")
    assert read(home / "b.kml").columns["folder"] == found.columns["folder"]
    with zipfile.ZipFile(home / "a.kmz", "w") as archive:
        archive.write(home / "a.kml", "doc.kml")
    assert read(home / "a.kmz").rows == 5


def test_geojson_in_another_encoding(home: Path) -> None:
    text = frame().to_json()
    for encoding in ("gbk", "utf-16", "utf-8-sig"):
        doc = json.dumps(json.loads(text), ensure_ascii=False)
        assert read(table(home / "a.geojson", doc, encoding)).columns["name"] == NAMES


def test_curves_become_lines(home: Path) -> None:
    arc = (
        bytes.fromhex("0108000000" + "03000000")
        + np.array([[121.40, 31.20], [121.41, 31.21], [121.42, 31.20]]).astype("<f8").tobytes()
    )
    made = pa.table(
        {
            "name": ["弧", "线"],
            "geom": pa.array(
                [arc, shapely.to_wkb(shapely.LineString([(121.4, 31.2), (121.5, 31.2)]))],
                pa.binary(),
            ),
        }
    )
    pyogrio.raw.write_arrow(
        made, home / "a.gpkg", driver="GPKG", layer="a", geometry_name="geom",
        geometry_type="Unknown", crs="EPSG:4326",
    )  # fmt: skip
    found = read(home / "a.gpkg")
    assert found.shapes is not None and [s.geom_type for s in found.shapes] == ["LineString"] * 2
    assert shapely.get_num_coordinates(found.shapes[0]) > 10


def test_all_null_columns_and_mixed_shapes(home: Path) -> None:
    mixed = shapely.GeometryCollection([shapely.Point(1, 1), shapely.LineString([(0, 0), (1, 1)])])
    shapes = [shapely.Point(1, 2), None, mixed, shapely.box(0, 0, 1, 1)]
    made = geopandas.GeoDataFrame(
        {"a": [None] * 4, "b": [1, None, 3, None]}, geometry=shapes, crs=4326
    )
    made.to_file(home / "a.gpkg", engine="pyogrio")
    found = read(home / "a.gpkg")
    assert found.columns["a"] == [None] * 4 and found.columns["b"] == [1, None, 3, None]
    assert found.shapes is not None and found.shapes[1] is None


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4549", None])
def test_geoparquet(home: Path, encoding: str, crs: str | None) -> None:
    made = (
        frame().set_crs(crs, allow_override=True)
        if crs
        else frame().set_crs(None, allow_override=True)
    )
    polygons = made.assign(geometry=shapely.buffer(made.geometry.values, 0.001))
    for i, one in enumerate((made, polygons)):
        path = home / f"{i}.parquet"
        one.to_parquet(path, geometry_encoding=encoding, row_group_size=7)
        opened = open_source(path)
        found = read(path)
        assert opened.format == "geoparquet" and opened.total == 30 and found.crs == crs
        assert found.shapes is not None and shapely.equals(found.shapes, one.geometry.values).all()
        assert found.columns["name"] == NAMES and len(list(opened.batches(10))) >= 3
    pq.write_table(pa.table({"名称": NAMES, "lon": [121.4] * 30}), home / "plain.parquet")
    assert open_source(home / "plain.parquet").format == "parquet"
    (home / "cut.parquet").write_bytes((home / "0.parquet").read_bytes()[:-200])
    with pytest.raises(Unreadable, match="Parquet"):
        open_source(home / "cut.parquet")


def test_osm_of_many_features_and_the_layer_of_the_kind(home: Path) -> None:
    nodes = "".join(
        f'<node id="{i}" version="1" lat="31.{i:06d}" lon="121.4"><tag k="natural" v="tree"/></node>'
        for i in range(1, 12_001)
    )
    way = (
        '<way id="1" version="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="service"/>'
        '<tag k="name" v="弄堂"/></way>'
    )
    table(home / "a.osm", f'<?xml version="1.0"?><osm version="0.6">{nodes}{way}</osm>')
    assert sum(b.rows for b in open_source(home / "a.osm", prefer="point").batches()) == 12_000
    opened = open_source(home / "a.osm", prefer="line")
    assert opened.layer == "lines" and next(opened.batches()).columns["name"] == ["弄堂"]


def test_packed_files(home: Path) -> None:
    text = "名称,lon\n甲,1\n乙,2\n"
    with gzip.open(home / "a.csv.gz", "wb") as out:
        out.write(text.encode())
    assert read(home / "a.csv.gz").columns["名称"] == ["甲", "乙"]
    with zipfile.ZipFile(home / "b.zip", "w") as archive:
        archive.writestr("readme.txt", "说明")
        archive.writestr("__MACOSX/._x.csv", b"\0")
        archive.writestr("../../etc/一.csv", text)
        archive.writestr("二.csv", text.replace("甲", "丙"))
    opened = open_source(home / "b.zip", layer="二")
    assert next(opened.batches()).columns["名称"][0] == "丙" and opened.layers == ["一", "二"]
    with zipfile.ZipFile(home / "c.zip", "w") as archive:
        archive.write(home / "b.zip", "b.csv")
    with pytest.raises(Unreadable, match="archive in an archive"):
        open_source(home / "c.zip")
    assert not list(home.parent.glob("etc"))


def test_what_is_unpacked_goes_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", None)
    with gzip.open(home / "a.csv.gz", "wb") as out:
        out.write(b"a,b\n1,2\n")
    opened = open_source(home / "a.csv.gz")
    assert list(home.glob("twin-load-*"))
    list(opened.batches())
    del opened
    assert not list(home.glob("twin-load-*"))


def test_a_bomb_in_gzip(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_FREE", 1024 * 1024)
    with gzip.open(home / "a.csv.gz", "wb") as out:
        out.write(b"a" * 8 * 1024 * 1024)
    with pytest.raises(Unreadable, match="unpacks to"):
        open_source(home / "a.csv.gz")


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.vrt", "<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd"
         "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>", "XML"),
        ("a.gdalg.json", '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline '
         '! read /etc/passwd ! write x"}', "not recognized"),
        ("a.xml", "<OGRWFSDataSource><URL>http://127.0.0.1:1/</URL></OGRWFSDataSource>", "XML"),
        ("a.kml", '<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
         "<kml>&x;</kml>", "entities"),
        ("a.tab", "!table\n!version 300\n!charset Neutral\n\nDefinition Table\n  Type LINKED "
         'Charset "x"\n  Fields 1\n', "native MapInfo"),
        ("a.json", "[" * 200_000, "geojson|JSON"),
        ("a.pdf", "%PDF-1.7", "PDF"), ("a.rar", "Rar!\x1a", "RAR"), ("a.dwg", "AC1027", "DXF"),
        ("a.docx.json", '{"links": [{"rel": "data", "href": "http://127.0.0.1:1/"}]}', "not recognized"),
    ],
)  # fmt: skip
def test_files_that_name_other_files_or_are_no_data(
    home: Path, name: str, content: str, word: str
) -> None:
    with pytest.raises(Unreadable, match=word):
        list(open_source(table(home / name, content)).batches())


def test_the_drivers_that_open_addresses_are_left_out() -> None:
    there = set(pyogrio.list_drivers())
    assert not there & set(FORBIDDEN) and {"GPKG", "GML", "OSM"} <= there
    assert pyogrio.get_gdal_config_option("CPL_VSIL_CURL_ALLOWED_EXTENSIONS") == "{none}"


def test_one_feature_that_is_too_large_is_refused_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = ",".join(f"[{121 + i * 1e-7:.7f},31.{i:07d}]" for i in range(2_000_000))
    body = (
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":'
        f'{{"type":"LineString","coordinates":[{ring}]}}}}]}}'
    )
    pyogrio.set_gdal_config_options({"OGR_GEOJSON_MAX_OBJ_SIZE": "8"})
    try:
        with pytest.raises(Unreadable, match="larger than 64 MiB"):
            list(open_source(table(home / "a.geojson", body)).batches())
    finally:
        pyogrio.set_gdal_config_options({"OGR_GEOJSON_MAX_OBJ_SIZE": "64"})


def test_times_keep_their_offset(home: Path) -> None:
    feature = {"type": "Feature", "properties": {"at": "2026-11-20T08:00:00+08:00", "on": "2026-11-20"},
               "geometry": {"type": "Point", "coordinates": [121.4, 31.2]}}  # fmt: skip
    path = table(
        home / "a.geojson", json.dumps({"type": "FeatureCollection", "features": [feature] * 2})
    )
    found = read(path)
    assert (
        found.columns["at"][0] == "2026-11-20T08:00:00+08:00"
        and str(found.columns["on"][0]) == "2026-11-20"
    )


@pytest.fixture(scope="module")
def shipped() -> dict[str, kinds.Kind]:
    return {k.kind: k for k in kinds.shipped()}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_template_is_understood_as_it_is(
    home: Path, shipped: dict[str, kinds.Kind], lang: str
) -> None:
    for kind in shipped.values():
        made = template.columns(kind, lang)
        named = columns.find(kind, [c.title for c in made], {}, key=None, x=None, y=None)
        assert {c.name: c.title for c in made if c.field} == {
            f: c for f, c in named.fields.items() if f in kind.fields
        }, kind.kind
        assert named.key and named.fields["name"] and not named.unused, kind.kind
        assert kind.geometry == "none" or named.wkt or (named.x and named.y), kind.kind


def test_a_template_has_its_example_left_out_and_its_choices(
    home: Path, shipped: dict[str, kinds.Kind]
) -> None:
    path = template.template(shipped["toilet"], home / "t.xlsx")
    opened = open_source(path)
    assert sum(b.rows for b in opened.batches()) == 0
    assert "the example row was passed over" in opened.notes
    book = openpyxl.load_workbook(path)
    sheet, notes = book.worksheets
    rules = [r for r in sheet.data_validations.dataValidation if r.type == "list"]
    assert len(rules) >= 5 and any(r.type == "whole" for r in sheet.data_validations.dataValidation)
    assert "一类" in [c.value for row in notes.iter_rows() for c in row]
    made = template.template(shipped["toilet"], home / "t.csv", "en").read_text(
        encoding="utf-8-sig"
    )
    assert made.startswith("Own number,Name,")


def test_suggestions_by_words_units_and_cells(shipped: dict[str, kinds.Kind]) -> None:
    toilet = shipped["toilet"]
    cells: dict[str, list[Any]] = {
        "厕所名称": NAMES[:4], "档次": ["一类", "二类", "一类", "三类"], "建筑面积㎡": ["40", "50", "60", "70"],
        "phone no": ["021-62345678", "13912345678", "021-62345679", "13912345679"],
        "东经": ["121.41", "121.42", "121.43", "121.44"],
        "北纬": ["31.21", "31.22", "31.23", "31.24"], "女厕位": ["甲", "乙", "丙", "丁"], "备用": [None] * 4,
    }  # fmt: skip
    found = suggest.suggest(toilet, cells, {})
    said = {c.name: c for c in found.columns}
    assert said["厕所名称"].target == "name" and said["厕所名称"].why == "synonym"
    assert said["档次"].others[0] == {"target": "grade", "score": 0.75, "why": "codes"}
    assert said["建筑面积㎡"].target == "area_m2"
    assert said["phone no"].others[0]["target"] == "phone"
    assert (found.x, found.y) == ("东经", "北纬")
    # The name fits and the cells do not: told, not taken.
    assert said["女厕位"].target is None and said["女厕位"].others[0]["why"] == "misfit"
    assert said["备用"].target is None and said["备用"].others == []
    again = suggest.suggest(toilet, cells, {"档次": "grade", "女厕位": "-"})
    assert again.mapping["档次"] == "grade" and "女厕位" not in again.mapping


def test_an_export_names_its_own_key_and_source(shipped: dict[str, kinds.Kind]) -> None:
    cells = {
        "code": ["310104-TO-000001"] * 2,
        "name": ["a", "b"],
        "source": ["s"] * 2,
        "source_key": ["1", "2"],
    }
    found = suggest.suggest(shipped["toilet"], cells, {})
    assert (found.key, found.source) == ("code", "s")


def test_encodings_know_a_mark_and_the_lack_of_one() -> None:
    assert encodings.of_mark(b"\xef\xbb\xbfa") == "utf-8-sig"
    assert encodings.wide("name,lon,lat\n".encode("utf-16-be")) == "utf-16-be"
    assert encodings.wide(b"name,lon,lat") is None


@pytest.mark.parametrize("form", [".gpkg", ".csv", ".parquet"])
def test_batches_are_never_larger_than_asked(
    home: Path, form: str, make: Callable[..., Path]
) -> None:
    path = make(home / f"a{form}")
    sizes = [b.rows for b in open_source(path).batches(11)]
    assert sum(sizes) == 30 and max(sizes) <= 11


@pytest.fixture
def make() -> Callable[..., Path]:
    def written(path: Path) -> Path:
        if path.suffix == ".csv":
            frame().drop(columns="geometry").to_csv(path, index=False)
        elif path.suffix == ".parquet":
            frame().to_parquet(path)
        else:
            frame().to_file(path, engine="pyogrio")
        return path

    return written
