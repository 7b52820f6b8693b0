"""Every file of the shared folder: read right, read in part, or refused with the reason; nothing crashes."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import shapely

from ingest.files import load
from ingest.files.source import open_source
from tests import real
from twin import db, declarations, kinds, schema
from twin.errors import TwinError, Unreadable

FOLDER = real.folder() or Path("/nowhere")
TABLE = Path(__file__).with_name("real_files.txt")
# Files that are many of a kind: a word of the refusal, or the format, or either.
GROUPS = (
    ("bad/geojson_*", ("geojson", "geojson|JSON|no features|header")),
    ("mvt/*/tile.mvt", (None, "no GeoJSON|is empty")),
    ("mvt/*", (None, "geojson|no GeoJSON")),
    ("osm/mp_testdata/*.osm", ("osm", "no features")),
    ("osm/mp_testdata/*", (None, "not recognized")),
    ("ogc/cql2/examples/*", ("csv", "header|not recognized|geojson")),
    ("sip_rfc4475/*", ("csv", "no GeoJSON|header|broken as CSV")),
)
ANY = """
kind: any_{geometry}
topic: base
title: {{zh: 任意, en: Any}}
geometry: {geometry}
code: {code}
scope: open
fields:
  remark: {{type: text, title: {{zh: 附注, en: Remark}}}}
"""
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the shared data are not here (set TWIN_TEST_DATA)"
)


def rows() -> list[tuple[str, ...]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" | ")) for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def any_kinds(database: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kind for each geometry that asks for nothing."""
    folder = tmp_path_factory.mktemp("any")
    for geometry, code in (("point", "QX"), ("line", "QY"), ("polygon", "QZ")):
        path = folder / f"any_{geometry}.yaml"
        path.write_text(ANY.format(geometry=geometry, code=code), encoding="utf-8")
        kind = kinds.read_file(path)
        with db.engine("owner").begin() as conn:
            schema.ensure_table(conn, kind)
            declarations.publish(
                conn, "kind", kind.kind, dict(kind.doc), origin="local", actor="test"
            )


def reading(path: Path) -> tuple[str, str]:
    """Return what reading a file gives, as the table says it, and the geometry of its first shape."""
    opened = open_source(path)
    batches = list(opened.batches())
    left_out = sum(len(b.refused) for b in batches)
    read = sum(b.rows for b in batches) - left_out
    for batch in batches:
        sizes = {len(cells) for cells in batch.columns.values()}
        assert sizes <= {batch.rows - len(batch.refused)}
    said = f"{opened.format} {read}" + (f" left out {left_out}" if left_out else "")
    if opened.encoding not in (None, "utf-8"):
        said += f" in {opened.encoding}"
    shapes = (s for b in batches if b.shapes is not None for s in b.shapes if s is not None)
    dimension = shapely.get_dimensions(next(shapes, shapely.Point(0, 0)))
    return said, ("point", "line", "polygon")[int(dimension)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_file(row: tuple[str, ...], any_kinds: None) -> None:
    path = real.shared(row[0])
    try:
        said, geometry = reading(path)
    except Unreadable as why:
        assert row[1] in why.detail and len(why.detail) < 700
        return
    assert said == row[1]
    if len(row) < 3:
        return
    try:
        done = load(path, f"any_{geometry}", dry_run=True, source="table")
    except TwinError as why:
        words = {"no place": "No coordinates were found", "no CRS": "names no CRS"}
        assert words.get(row[2], row[2]) in why.detail
        return
    assert f"{done.inserted}/{done.read}" == row[2], done.reasons


def test_no_file_is_forgotten_and_none_of_a_group_crashes() -> None:
    named = {row[0] for row in rows()}
    for path in sorted(p for p in FOLDER.rglob("*") if p.is_file()):
        name = path.relative_to(FOLDER).as_posix()
        if name in named:
            continue
        group = next((said for form, said in GROUPS if fnmatch(name, form)), None)
        assert group is not None, f"{name} stands in no table"
        _of_group(path, *group)


def _of_group(path: Path, form: str | None, words: str) -> None:
    try:
        opened = open_source(path)
        list(opened.batches())
    except Unreadable as why:
        assert any(word in why.detail for word in words.split("|")), (path.name, why.detail)
    else:
        assert form is not None and opened.format.startswith(form), (path.name, opened.format)


@pytest.mark.parametrize(
    ("layer", "count"),
    [("points", 1359), ("lines", 3014), ("multilinestrings", 39), ("multipolygons", 4104),
     ("other_relations", 12)],
)  # fmt: skip
def test_every_layer_of_the_small_country(layer: str, count: int) -> None:
    opened = open_source(real.shared("osm/liechtenstein-2013-08-03.osm.pbf"), layer=layer)
    assert sum(b.rows for b in opened.batches(500)) == count


def test_the_layer_of_the_small_country_is_the_one_of_the_kind(
    any_kinds: None, ask: Callable[..., list[Any]]
) -> None:
    path = real.shared("osm/liechtenstein-2013-08-03.osm.pbf")
    done = load(path, "any_polygon", layer="multipolygons", source="osm")
    assert done.inserted + done.quarantined == 4104 and done.inserted > 4000
    names = {r.name for r in ask("select name from base.any_polygon where source = 'osm'")}
    assert "Vaduz" in names
