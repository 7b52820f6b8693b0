"""Loading: keys, mappings, encodings, reasons, hostile files, and nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyogrio
import pytest

from ingest.files import load
from ingest.files.formats import unpack
from tests.real import ROOT
from twin.errors import BadRequest, NotFound, Unreadable

Ask = Callable[..., list[Any]]
pytestmark = pytest.mark.usefixtures("database")
WORKING = (
    "select 1 from pg_stat_activity where pid <> pg_backend_pid() "
    "and (state like 'idle in%' or query like '%stage%')"
)


def csv_file(folder: Path, text: str, *, name: str = "f.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def geojson(folder: Path, features: list[dict[str, Any]], name: str = "f.geojson") -> Path:
    path = folder / name
    doc = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(doc, ensure_ascii=False), encoding="utf-8")
    return path


def feature(lon: float = 121.47, lat: float = 31.23, **properties: Any) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "properties": properties, "geometry": point}


def test_by_key_the_second_time_changes_nothing(home: Path, ask: Ask) -> None:
    path = geojson(home, [feature(no=i, name=f"公厕{i}", 等级="一类") for i in range(5)])
    first = load(path, "toilet", key="no", source="keyed")
    again = load(path, "toilet", key="no", source="keyed")
    assert (first.inserted, again.inserted, again.updated, again.unchanged) == (5, 0, 0, 5)
    rows = ask("select grade, version from sanitation.toilet where source = 'keyed'")
    assert {(r.grade, r.version) for r in rows} == {("1", 1)}


def test_a_changed_row_leaves_its_old_version_in_the_history(home: Path, ask: Ask) -> None:
    load(geojson(home, [feature(no=1, name="旧名")]), "toilet", key="no", source="changing")
    done = load(geojson(home, [feature(no=1, name="新名")]), "toilet", key="no", source="changing")
    assert (done.inserted, done.updated) == (0, 1)
    row = ask("select id, name, version from sanitation.toilet where source = 'changing'")[0]
    assert (row.name, row.version) == ("新名", 2)
    past = ask("select attributes->>'name' as name from sanitation.history where id = :i", i=row.id)
    assert [r.name for r in past] == ["旧名"]
    said = ask("select action, version from twin.journal where subject = :i order by id", i=row.id)
    assert [(r.action, r.version) for r in said] == [("insert", 1), ("update", 2)]


def test_columns_are_found_by_title_and_synonym_or_said(home: Path, ask: Ask) -> None:
    text = "公厕名称,经度,纬度,开放时间,女厕位,谁管\n甲,121.47,31.23,06:00-22:00,4,环卫一队\n"
    done = load(csv_file(home, text), "toilet", mapping={"谁管": "manager"}, source="titles")
    assert done.mapping == {
        "公厕名称": "name", "开放时间": "open_hours", "女厕位": "seats_f", "谁管": "manager",
    }  # fmt: skip
    row = ask("select name, seats_f, manager from sanitation.toilet where source = 'titles'")[0]
    assert (row.name, row.seats_f, row.manager) == ("甲", 4, "环卫一队")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_encodings_of_csv(home: Path, ask: Ask, encoding: str) -> None:
    text = "名称,lon,lat\n" + "".join(f"静安雕塑公园公厕{i},121.45,31.23\n" for i in range(20))
    done = load(csv_file(home, text, encoding=encoding), "toilet", source=f"enc-{encoding}")
    assert done.inserted == 20
    rows = ask("select name from sanitation.toilet where source = :s", s=f"enc-{encoding}")
    assert all(r.name.startswith("静安雕塑公园公厕") for r in rows)


def test_workbooks_are_known_by_their_content(home: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["名称", "经度", "纬度", "无障碍设施"])
    book.active.append(["甲", 121.47, 31.23, "是"])
    path = home / "renamed.csv"
    book.save(home / "f.xlsx")
    (home / "f.xlsx").rename(path)
    assert load(path, "toilet", source="book").inserted == 1


def test_every_row_left_out_has_its_reason_and_place(home: Path) -> None:
    text = (
        "name,lon,lat,seats_f,grade\n好,121.47,31.23,4,一类\n无坐标,,,4,一类\n无穷,inf,31,4,一类\n"
        "非数,121.47,31.23,四,一类\n负数,121.47,31.23,-4,一类\n错码,121.47,31.23,4,九类\n"
        "世界外,500,31.23,4,一类\n多一格,121.47,31.23,4,一类,x\n"
    )
    done = load(csv_file(home, text), "toilet", source="reasons")
    assert (done.read, done.inserted, done.quarantined) == (8, 1, 7)
    assert done.quarantine_path
    kept = pyogrio.read_dataframe(done.quarantine_path)
    assert len(kept) == 7
    reasons = " ".join(kept["reason"])
    for word in ("no geometry", "finite", "no number", "below", "code list", "outside", "cells"):
        assert word in reasons, reasons
    assert sorted(kept["row_number"]) == [2, 3, 4, 5, 6, 7, 8]


def test_dry_run_writes_nothing(home: Path, ask: Ask) -> None:
    count = "select count(*) as n, (select count(*) from twin.journal) as j from twin.thing"
    before = ask(count)[0]
    done = load(geojson(home, [feature(name="试")]), "toilet", source="dry", dry_run=True)
    after = ask(count)[0]
    assert done.inserted == 1 and (before.n, before.j) == (after.n, after.j)
    assert done.quarantine_path is None


def test_the_same_key_twice_in_a_file(home: Path) -> None:
    path = geojson(home, [feature(no=1, name="a"), feature(no=1, name="b")])
    done = load(path, "toilet", key="no", source="twice")
    assert (done.inserted, done.quarantined) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"name,lon,lat\n", "no rows"),
        ("nul.csv", b"name,lon,lat\nx\x00y,1,1\n", "NUL|no GeoJSON"),
        ("cut.geojson", b'{"type":"FeatureCollection","features":[{"type":"Fea', "cannot be read"),
        ("cut.xlsx", b"PK\x03\x04" + b"\0" * 60, "damaged ZIP"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8, "no GeoJSON"),
        ("alone.shp", b"\x00\x00\x27\x0a" + b"\0" * 96, "cannot be read"),
        ("entity.gml", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
         b"<x>&a;</x>", "XML"),
        ("remote.vrt", b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/vsicurl/'
         b"http://127.0.0.1:1/x</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>", "XML"),
    ],
)  # fmt: skip
def test_hostile_and_broken_files(home: Path, name: str, content: bytes, word: str) -> None:
    path = home / name
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=word):
        load(path, "toilet")


def test_zip_bombs_are_not_unpacked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_UNPACKED", 1024 * 1024)
    path = home / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.shp", b"\0" * 4 * 1024 * 1024)
    with pytest.raises(Unreadable, match="unpacks to"):
        load(path, "toilet")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"crs": "mars"}, "no CRS"), ({"key": "nothing"}, "no such column"),
        ({"mapping": {"x": "name"}}, "no such column"),
        ({"mapping": {"name": "colour"}}, "no field"),
        ({"x": "name2", "y": "lat"}, "no such column"),
    ],
)  # fmt: skip
def test_wrong_words_of_the_user(home: Path, more: dict[str, Any], word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        load(csv_file(home, "name,lon,lat\na,121,31\n"), "toilet", **more)


def test_unknown_kind_and_file(home: Path) -> None:
    with pytest.raises(NotFound, match="twin kinds"):
        load(csv_file(home, "name,lon,lat\na,121,31\n"), "spaceship")
    with pytest.raises(Unreadable, match="not a file"):
        load(home / "nowhere.csv", "toilet")


def test_required_fields_need_a_column(home: Path) -> None:
    done = load(csv_file(home, "name,lon,lat\na,121,31\n"), "vehicle")
    assert done.inserted == 0
    assert list(done.reasons) == ["type is required and the file has no column for it"]


@pytest.mark.parametrize("pause", [0.3, 0.6, 0.9, 1.3])
def test_a_killed_load_leaves_nothing_half_done(home: Path, ask: Ask, pause: float) -> None:
    source = f"killed-{pause}"
    spots = [(121.2 + i % 500 / 1000, 31.0 + i // 500 / 1000) for i in range(20_000)]
    rows = "".join(f"公厕{i},{lon},{lat}\n" for i, (lon, lat) in enumerate(spots))
    path = csv_file(home, "名称,lon,lat\n" + rows)
    words = [sys.executable, "-m", "ui.terminal.main", "load", str(path), "--kind", "toilet"]
    process = subprocess.Popen(
        [*words, "--source", source], cwd=ROOT, env=dict(os.environ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        # The load holds a transaction while it works; wait for it, then kill it at some moment.
        while not ask(WORKING):
            if process.poll() is not None or time.monotonic() > end:
                break
            time.sleep(0.02)
        time.sleep(pause)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    counted = ask("select count(*) as n from sanitation.toilet where source = :s", s=source)[0].n
    assert counted in (0, 20_000)
    loose = ask(
        "select count(*) as n from twin.thing g left join sanitation.toilet t on t.id = g.id "
        "where g.kind = 'toilet' and g.gone_at is null and t.id is null"
    )[0].n
    assert loose == 0
