"""Every kind walks the whole way: template, filled, loaded, item, tile, history, export, loaded again."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from sqlalchemy import text
from starlette.testclient import TestClient

from ingest.city import topics
from ingest.city.fill import Filler
from ingest.files import load
from ingest.files.template import columns as template_columns
from ingest.files.template import template
from services.app import create_app
from services.web import auth
from tests import minicity
from twin import catalogue, db, identity
from twin.kinds import Kind
from ui.terminal import main as terminal

KINDS = topics.declared()
# What others point to comes first; districts and streets last, for they move everything else.
LAST = ("street", "district")
ORDER = [k for k in KINDS if k not in topics.PLAN and k not in LAST]
ORDER += [k for k in topics.order() if k in KINDS]
ROWS = 5
# What rules of a kind want together and no declaration of a single field tells.
GIVEN = {
    "ancient_tree": {
        "class": ["1", "2", "2", "famous", "successor"],
        "age_years": [320, 180, 110, 90, 85],
    }
}
ZOOM = 16


@dataclass
class Walk:
    """The API over one database, and the codes of what has been loaded so far."""

    http: TestClient
    headers: dict[str, str]
    codes: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def walk(database: str) -> Iterator[Walk]:
    """One database for all kinds: each finds what it points to."""
    minicity.build()
    catalogue.forget()
    auth._seen.clear()
    with db.engine("app").begin() as conn:
        token = identity.issue_token(conn, "commander", 1, "t")
    with TestClient(create_app(), base_url="http://testserver") as http:
        yield Walk(http, {"Authorization": f"Bearer {token}"})


def shape(kind: Kind, i: int) -> Any:
    """Return the shape of the i-th row, inside the mini city, none over another."""
    x, y = 121.412 + 0.004 * i, 31.211 + 0.003 * (i % 3)
    if kind.geometry == "point":
        return shapely.Point(x, y)
    if kind.geometry == "line":
        return shapely.LineString([(x, y), (x + 0.001, y + 0.0012), (x + 0.002, y)])
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return shapely.Polygon(np.stack([x + 0.0012 * np.cos(turn), y + 0.001 * np.sin(turn)], axis=-1))


def cells(kind: Kind, codes: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return rows by field name, as a data officer would write them."""
    gen = np.random.default_rng(sum(kind.kind.encode()))
    values = Filler(gen, codes).columns(kind, ROWS, GIVEN.get(kind.kind))
    rows = []
    for i in range(ROWS):
        row: dict[str, Any] = {name: said(kind, name, values[name][i]) for name in values}
        code = (310200 if kind.kind == "street" else 310300) + i
        row |= {
            "source_key": f"{kind.code}-{i}",
            "code": str(code),
            "name": f"{kind.title['zh']}{i}",
        }
        if kind.geometry == "point":
            row |= {"lon": shape(kind, i).x, "lat": shape(kind, i).y}
        elif kind.geometry != "none":
            row["wkt"] = shape(kind, i).wkt
        rows.append(row)
    return rows


def said(kind: Kind, name: str, value: Any) -> Any:
    """Return a value as a person writes it: titles for codes, 是 and 否, lists with 、."""
    if value is None:
        return ""
    field_ = kind.fields[name]
    if isinstance(value, bool):
        return "是" if value else "否"
    return field_.text(value) if field_.codes or isinstance(value, list) else value


def fill(kind: Kind, path: Path, codes: dict[str, list[str]]) -> Path:
    """Write the template of a kind and fill it with rows below its example."""
    template(kind, path)
    made = template_columns(kind)
    with path.open("a", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        for row in cells(kind, codes):
            out.writerow([row.get(c.name, "") for c in made])
    return path


def tile_of(at: Any) -> tuple[int, int]:
    """Return the tile at ZOOM that a place lies in."""
    n = 2**ZOOM
    lat = math.radians(at.y)
    y = (1 - math.log(math.tan(lat) + 1 / math.cos(lat)) / math.pi) / 2
    return int((at.x + 180) / 360 * n), int(y * n)


def standing(kind: Kind, source: str) -> list[Any]:
    """Return what stands of a kind from a source."""
    with db.engine("owner").connect() as conn:
        found = conn.execute(
            text(
                f"select id::text, code, source_key from {kind.topic}.{kind.kind} "
                "where source = :s order by source_key"
            ),
            {"s": source},
        )
        return list(found)


@pytest.mark.parametrize("name", [*ORDER, *LAST])
def test_a_kind_walks_the_whole_way(
    name: str, walk: Walk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS[name]
    path = fill(kind, tmp_path / f"{name}.csv", walk.codes)
    done = load(path, name, source="walk")
    assert (done.read, done.inserted, done.quarantined) == (ROWS, ROWS, 0), done.reasons
    rows = standing(kind, "walk")
    walk.codes[name] = [r.code for r in rows]
    item = walk.http.get(f"/ogc/collections/{name}/items/{rows[0].id}", headers=walk.headers)
    assert item.status_code == 200, item.text
    assert item.json()["properties"]["code"] == rows[0].code
    told = walk.http.get(f"/api/v1/things/{rows[0].id}/history", headers=walk.headers)
    assert [v["version"] for v in told.json()["versions"]] == [1]
    if kind.geometry != "none":
        assert rows[0].code in tile(walk, kind)
    again = export(kind, tmp_path, capsys)
    back = load(again, name, key="code", source="walk")
    assert (back.inserted, back.updated) == (0, 0), back.json()
    # An official code belongs to the source that brought it: the mini city's own are left out.
    others = 2 if name == "district" else 0
    assert back.quarantined == others and back.unchanged == back.read - others >= ROWS
    same = load(path, name, source="walk")
    assert (same.unchanged, same.inserted, same.updated) == (ROWS, 0, 0)


def tile(walk: Walk, kind: Kind) -> str:
    """Return the tile of the first row, decoded."""
    x, y = tile_of(shapely.point_on_surface(shape(kind, 0)))
    got = walk.http.get(f"/tiles/{kind.kind}/{ZOOM}/{x}/{y}.mvt", headers=walk.headers)
    assert got.status_code == 200, f"{kind.kind}: {got.status_code}"
    return json.dumps(mapbox_vector_tile.decode(got.content)[kind.kind]["features"])


def export(kind: Kind, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Export a kind by the command; shapes in a GeoPackage, records in CSV."""
    path = folder / f"{kind.kind}-out.{'csv' if kind.geometry == 'none' else 'gpkg'}"
    with pytest.raises(SystemExit) as ended:
        terminal.main(["export", kind.kind, str(path), "--json"])
    out = capsys.readouterr()
    assert ended.value.code == 0, out.err
    assert json.loads(out.out.splitlines()[-1])["written"] >= ROWS, out.out
    return path
