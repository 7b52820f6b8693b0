"""Export: what was loaded comes back, in every format, for each person only what they may see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyogrio
import pytest

from ingest.files import load
from tests import minicity
from twin import setup
from twin.errors import BadRequest, NotFound
from ui.terminal import main as terminal
from ui.terminal.commands import export

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module", autouse=True)
def city(database: str) -> None:
    setup.publish_shipped()
    minicity.build()


def read(kind: str, **more: Any) -> Any:
    said = {"bbox": None, "at": None, "crs": "EPSG:4326", "user": None, **more}
    return export.read(kind, **said)[0]


@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".shp", ".fgb", ".csv", ".xlsx"])
def test_what_is_exported_loads_again(home: Path, ending: str) -> None:
    path = home / f"toilets{ending}"
    export._write(read("toilet"), path, export.DRIVERS[ending], "toilet")
    done = load(path, "toilet", key="code", source=f"back-{ending}", dry_run=True)
    assert (done.read, done.inserted, done.quarantined) == (190, 190, 0)


def test_a_district_exports_its_own(home: Path) -> None:
    everything, own = read("toilet"), read("toilet", user="district-310104")
    assert 0 < len(own) < len(everything) == 190
    assert set(own["district"]) == {"310104"}
    assert len(read("road", user="district-310104")) == len(read("road"))


def test_who_is_not_cleared_or_unknown(home: Path) -> None:
    with pytest.raises(NotFound):
        read("toilet", user="nobody")
    assert "phone" not in read("toilet", user="patrol")
    assert "phone" in read("toilet")


def test_box_moment_and_crs() -> None:
    assert 0 < len(read("toilet", bbox="121.40,31.20,121.42,31.24")) < 190
    assert len(read("toilet", at="2020-01-01T00:00:00+08:00")) == 0
    shifted, plain = read("toilet", crs="gcj02"), read("toilet")
    assert 0.003 < (shifted.geometry.x - plain.geometry.x).mean() < 0.006


@pytest.mark.parametrize(
    "more",
    [{"bbox": "1,2,3"}, {"bbox": "3,0,1,2"}, {"at": "yesterday"}, {"at": "2026-01-01T00:00:00"},
     {"crs": "mars"}, {"crs": "auto"}],
)  # fmt: skip
def test_wrong_words(more: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        read("toilet", **more)


def test_cells_never_begin_like_a_formula(home: Path) -> None:
    path = home / "f.geojson"
    feature = {"type": "Feature", "properties": {"name": "=cmd|' /C calc'!A0"},
               "geometry": {"type": "Point", "coordinates": [121.41, 31.21]}}  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    load(path, "toilet", source="evil")
    frame = read("toilet")
    frame = frame[frame["source"] == "evil"]
    export._write(frame, home / "e.csv", "CSV", "toilet")
    assert ",=cmd" not in (home / "e.csv").read_text(encoding="utf-8-sig")
    export._write(frame, home / "e.xlsx", "XLSX", "toilet")
    book = openpyxl.load_workbook(home / "e.xlsx")
    assert {c.data_type for row in book.active.iter_rows() for c in row} <= {"s", "n", "b"}


def test_the_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        terminal.main(["export", "toilet", str(home / "t.gpkg"), "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["written"] >= 190
    assert pyogrio.read_info(home / "t.gpkg")["features"] >= 190
    with pytest.raises(SystemExit) as ended:
        terminal.main(["export", "toilet", str(home / "t.xyz"), "--json"])
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
